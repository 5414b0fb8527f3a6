"""The work in one labelling project: its queue, the next item for a person, and the records that a person's answer makes.

Items are predictions of the project's model, and all items that were annotated or assigned before. Items that cases ask to relabel come
first; for them, only labels given after the request count. Nobody sees the labels of others.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from heapq import nsmallest
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from observability.core.catalog import Model
from observability.core.time import naive_utc
from observability.investigation.relabel_queue import Wanted
from observability.investigation.sampled_rows import class_probabilities
from observability.metrics.crowd_quality import Crowd, crowd_of, newest_answers, settled_items, suggested_probabilities
from observability.metrics.labelling_work import ACTIVELAB, COVERAGE, QueueItem, annotator_skill, label_work_queue

if TYPE_CHECKING:
    from pandas import DataFrame

BLIND_EVERY = 5
"""If suggestions are shown, about one in this many items shows none, so that anchoring can be measured."""
SKIP_REASONS = (
    "No class fits",
    "Several classes fit",
    "Not enough context",
    "I do not understand it",
    "Damaged or empty",
    "Should not be labelled",
)
ANNOTATION_FIELDS = ("item", "annotator", "at", "label", "gold", "suggestion", "suggestion_confidence", "guideline")


MAX_FRESH = 2_000
"""Maximum number of landed items without a label in the queue. The rest enter as these are labelled."""


@dataclass(frozen=True)
class LandedItems:
    """Items of a project that were landed without a prediction. classes, guideline: those of the newest item."""

    items: Sequence[str] = ()
    classes: tuple[str, ...] = ()
    guideline: str | None = None


@dataclass(frozen=True)
class LabellingTask:
    """An item for one person. why_item, why_person: reasons in words. assigned: whether the item was assigned to the person before."""

    item: str
    why_item: str
    why_person: str
    score: float | None
    policy: str
    assigned: bool
    asked: bool


@dataclass(frozen=True)
class LabellingBoard:
    """The state of a project. answers: the newest label of each annotator for each item. counted: the answers that count for settling an
    item.

    probabilities: the model's probabilities of items. requests: open requests by item. gold: known answers by item. guideline: the newest
    guideline in use. given: open assignments (annotator, item, reason, score, policy), oldest first. taken: pairs that were labelled or
    skipped. further: number of landed items without a label that are not in the queue yet.
    """

    project: str
    model: Model | None
    classes: tuple[str, ...]
    answers: "DataFrame"
    crowd: Crowd | None
    policy: str
    probabilities: Mapping[str, tuple[float, ...]]
    requests: Mapping[str, Wanted]
    gold: Mapping[str, str]
    guideline: str | None
    given: tuple[tuple[str, str, str | None, float | None, str | None], ...]
    taken: frozenset[tuple[str, str]]
    further: int = 0

    @cached_property
    def queue(self) -> list[QueueItem]:
        """Items that wait for a label, most urgent first."""
        asked = {item: request.note for item, request in self.requests.items()}
        return label_work_queue(self.crowd, self.classes, self.probabilities, asked, self.policy)

    @cached_property
    def waiting(self) -> dict[str, QueueItem]:
        """The items of the queue by name."""
        return {each.item: each for each in self.queue}

    @property
    def load(self) -> Counter[str]:
        """Open assignments of each annotator."""
        return Counter(who for who, *_ in self.given)

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody who has labelled an item or has an open assignment."""
        return tuple(sorted({*map(str, self.answers["annotator"].unique()), *self.load}))


def labelling_board(
    project: str,
    model: Model | None,
    annotated: "DataFrame",
    assigned: "DataFrame",
    skipped: "DataFrame",
    sample: "DataFrame | None",
    requests: Iterable[Wanted],
    policy: str | None,
    landed: LandedItems = LandedItems(),
) -> LabellingBoard:
    """The state of a project from its records.

    Parameters
    ----------
    project : str
        Name.
    model : Model | None
        The model whose predictions are the items.
    annotated, assigned, skipped : DataFrame
        Records of the project of kinds `annotation`, `assignment` and `skip`.
    sample : DataFrame | None
        Predictions that may be labelled: `id` and the columns of `class_probabilities`.
    requests : Iterable[Wanted]
        Open requests to relabel.
    policy : str | None
        How the queue is ordered (metrics/labelling_work.py). None: by ActiveLab where probabilities are known, else by coverage.
    landed : LandedItems
        Items that were landed without a prediction.
    """
    answers = newest_answers(annotated)
    own = model.classes if model is not None else ()
    classes = tuple(dict.fromkeys((*own, *landed.classes, *sorted(answers["label"].unique()))))
    known: dict[str, tuple[float, ...]] = {}
    if own and sample is not None and len(sample):
        chances = class_probabilities(sample, model) if model is not None else np.empty((0, 0))
        extra = (0.0,) * (len(classes) - len(own))
        known = {str(item): (*map(float, row), *extra) for item, row in zip(sample["id"], chances, strict=True) if np.isfinite(row).all()}
    suggested = {item: tuple(row) for item, row in suggested_probabilities(answers, classes).items()}
    wanted = {request.prediction: request for request in requests if request.state == "open"}
    crowd = crowd_of(answers, classes, {**suggested, **known})
    done = {*_pairs(answers), *_pairs(skipped)}
    again = answers[answers["item"].isin(list(wanted))]
    done -= {pair for pair, at in zip(_pairs(again), again["at"], strict=True) if at < naive_utc(wanted[pair[0]].since)}
    fresh, further = _fresh_items(landed.items, set(answers["item"].astype(str).unique()) | known.keys())
    unlabelled = known | dict.fromkeys(fresh, ())
    unlabelled |= {str(item): known.get(str(item), ()) for item in assigned["item"].astype(str)}
    unlabelled |= {item: known.get(item, ()) for item in skipped["item"].astype(str)}
    gold = annotated[annotated["gold"].notna()][["item", "gold"]].drop_duplicates("item", keep="last")
    guidelines = annotated[annotated["guideline"].notna()].sort_values("at", kind="stable")["guideline"]
    given = _open_assignments(assigned, done)
    return LabellingBoard(
        project,
        model,
        classes,
        answers,
        crowd,
        policy or (ACTIVELAB if known or suggested else COVERAGE),
        unlabelled,
        wanted,
        {str(item): str(answer) for item, answer in zip(gold["item"].tolist(), gold["gold"].tolist(), strict=True)},
        str(guidelines.iloc[-1]) if len(guidelines) else landed.guideline,
        given,
        frozenset(done),
        further,
    )


def _fresh_items(items: Iterable[str], seen: Collection[str]) -> tuple[list[str], int]:
    """Landed items that nobody has labelled (at most MAX_FRESH, chosen by a hash of their names), and how many were left out."""
    fresh = [item for item in dict.fromkeys(items) if item not in seen]
    if len(fresh) <= MAX_FRESH:
        return fresh, 0
    return nsmallest(MAX_FRESH, fresh, key=lambda item: crc32(item.encode("utf-8", "surrogatepass"))), len(fresh) - MAX_FRESH


def _pairs(frame: "DataFrame") -> Iterable[tuple[str, str]]:
    """(item, annotator) of each row."""
    return zip(map(str, frame["item"].tolist()), map(str, frame["annotator"].tolist()), strict=True)


def _open_assignments(
    assigned: "DataFrame", done: Collection[tuple[str, str]]
) -> tuple[tuple[str, str, str | None, float | None, str | None], ...]:
    """The newest assignment of each (item, annotator) pair that was neither labelled nor skipped, oldest first."""
    found = {}
    for row in assigned.sort_values("at", kind="stable").to_dict("records"):
        pair = (str(row["item"]), str(row["annotator"]))
        if pair not in done:
            score = row.get("score")
            number = float(score) if score is not None and score == score else None
            found[pair] = (pair[1], pair[0], row.get("reason") or None, number, row.get("policy") or None)
    return tuple(found.values())


def next_task(board: LabellingBoard, who: str) -> LabellingTask | None:
    """The item that a person should label now: an open assignment whose item is not settled, else the most urgent item of the queue.

    None if nothing is left for this person.
    """
    for annotator, item, reason, score, policy in board.given:
        if annotator == who and (item in board.waiting or item not in (board.crowd.place if board.crowd else {})):
            urgent = board.waiting.get(item)
            why = urgent.reason if urgent else "It was assigned."
            return LabellingTask(item, why, reason or "Assigned to you.", score, policy or "assigned", True, item in board.requests)
    for each in board.queue:
        if (each.item, who) not in board.taken:
            _, words = annotator_skill(board.crowd, who, each.chances)
            why = f"{words}; next in the queue and not labelled by you."
            return LabellingTask(each.item, each.reason, why, None if each.asked else each.score, board.policy, False, each.asked)
    return None


def shows_suggestion(item: str, asked: bool) -> bool:
    """Whether an item shows its suggestion if suggestions are on. Items that a case asks to relabel never show it; neither do about a fifth
    of the other items.
    """
    return not asked and crc32(item.encode()) % BLIND_EVERY != 0


def suggestion_of(board: LabellingBoard, item: str) -> tuple[str, float] | None:
    """The class that the model suggests for an item, and its probability; None if unknown."""
    chances = board.probabilities.get(item, ())
    if not chances and board.crowd is not None and board.crowd.probabilities is not None and item in board.crowd.place:
        chances = tuple(board.crowd.probabilities[board.crowd.place[item]].tolist())
    if len(chances) != len(board.classes) or not chances:
        return None
    best = int(np.argmax(chances))
    return board.classes[best], float(chances[best])


def answer_records(
    board: LabellingBoard,
    task: LabellingTask,
    who: str,
    label: str,
    *,
    began: datetime,
    at: datetime,
    suggestion: tuple[str, float] | None,
    guideline: str | None,
    labels_model: bool,
) -> list[dict[str, Any]]:
    """The records of an answer: an `annotation`, its `assignment` if there was none, and a `label` where the answer settles the item.

    Parameters
    ----------
    board, task, who, label
        The project, the item, the person and the class that they chose.
    began, at : datetime
        When the item was shown, and when it was answered.
    suggestion : tuple[str, float] | None
        The suggestion and confidence that the person saw.
    guideline : str | None
        Version of the guideline.
    labels_model : bool
        Whether the item is a prediction of the model, so that it can have a label.
    """
    own = {"project": board.project, "item": task.item, "annotator": who}
    seconds = max((at - began).total_seconds(), 0.0)
    answer = {"kind": "annotation", **own, "at": at, "label": label, "seconds": round(seconds, 1), "gold": board.gold.get(task.item)}
    answer |= {"suggestion": suggestion[0], "suggestion_confidence": round(suggestion[1], 4)} if suggestion else {}
    found = [*assignment_record(board, task, who, began), answer | {"guideline": guideline}]
    settled = settled_label(board, task.item, who, label)
    if labels_model and settled is not None and board.model is not None:
        names = ", ".join(settled[1])
        text = {"source": "human", "annotator": names, "guideline": guideline}
        found.append({"kind": "label", "id": task.item, "at": at, "model": board.model.name, "value": settled[0], **text})
    return [{name: value for name, value in each.items() if value is not None} for each in found]


def skip_records(
    board: LabellingBoard, task: LabellingTask, who: str, reason: str, *, began: datetime, at: datetime
) -> list[dict[str, Any]]:
    """The records for an item that a person skips: a `skip`, and its `assignment` if there was none."""
    skip = {"kind": "skip", "project": board.project, "item": task.item, "annotator": who, "at": at, "reason": reason}
    return [*assignment_record(board, task, who, began), skip]


def assignment_record(board: LabellingBoard, task: LabellingTask, who: str, at: datetime) -> list[dict[str, Any]]:
    """The assignment of an item that a person took from the queue; empty if it was assigned before."""
    if task.assigned:
        return []
    record = {"kind": "assignment", "project": board.project, "item": task.item, "annotator": who, "at": at, "policy": task.policy}
    record |= {"reason": f"{task.why_item} {task.why_person}", "score": task.score}
    return [{name: value for name, value in record.items() if value is not None}]


def settled_label(board: LabellingBoard, item: str, who: str, label: str) -> tuple[str, tuple[str, ...]] | None:
    """The label that an answer settles, and the annotators who gave it. None if the answer does not settle the item, or if the item was
    already settled with the same label.

    If a case asks to relabel the item, only labels given after the request count.
    """
    rows = board.answers[board.answers["item"].astype(str) == item]
    if item in board.requests:
        rows = rows[rows["at"] > naive_utc(board.requests[item].since)]
    before = dict(zip(rows["annotator"].astype(str), rows["label"], strict=True))
    old, new = _settled(before), _settled({**before, who: label})
    if new is None or new == old:
        return None
    return new, tuple(sorted(name for name, value in {**before, who: label}.items() if value == new))


def _settled(votes: Mapping[str, str]) -> str | None:
    """The settled label of one item's votes; None if it is not settled."""
    counted = Counter(votes.values())
    names = sorted(counted)
    if not names or not settled_items(np.array([[counted[name] for name in names]], float))[0]:
        return None
    return max(names, key=lambda name: counted[name])
