"""Decide which item is labelled next and by whom, with the reasons, and estimate what a policy gains.

The queue is ordered by ActiveLab's score, or by the margin between the two most probable classes. Among the annotators with the least open
work, an item goes to the one who is most accurate on its most probable class. Policies are replayed on labels that were given, and compared
with random order.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.numerals import percent
from observability.metrics.crowd_quality import SETTLED_BY, SMOOTHING, Crowd
from observability.stats.arrays import Array, Floats, Integers
from observability.stats.crowd_labels import Votes, active_learning_scores, dawid_skene, gain_of_another_label
from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame

ACTIVELAB, MARGIN, RANDOM, COVERAGE = "ActiveLab", "margin", "random", "coverage"
POLICIES = (ACTIVELAB, MARGIN, RANDOM, COVERAGE)
"""The policies. COVERAGE takes items with the fewest labels first, drawn at random among equals."""
CHANCE_WORDS = {RANDOM: "drawn at random", COVERAGE: "items with the fewest labels come first"}
"""The reasons that policies give if they do not use probabilities."""
LOAD_STEP = 5
"""How many more open items one annotator may have than the least loaded one, before the next item goes to somebody else."""
MIN_KNOWN = 20
"""An annotator's accuracy is given as a reason only if they gave at least this many labels."""
NEXT = 100
"""Number of labels whose value is estimated."""
MIN_REPLAYED = 50
"""A policy is replayed only if at least this many items have two or more labels."""
REPLAYS = 200


@dataclass(frozen=True)
class QueueItem:
    """An item that waits for a label. score: the policy's score, lower is more urgent. reason: why a label for this item is wanted. asked:
    whether a case asks for it.

    chances: probabilities of the classes, if known. labels: number of labels so far that count.
    """

    item: str
    score: float
    reason: str
    asked: bool
    chances: tuple[float, ...]
    labels: int


def label_work_queue(
    crowd: Crowd | None,
    classes: Sequence[str],
    unlabelled: Mapping[str, Sequence[float]],
    asked: Mapping[str, str],
    policy: str = ACTIVELAB,
) -> list[QueueItem]:
    """The items that wait for a label. Items that cases ask for come first; all others are ordered by the policy's score. Settled items are
    left out.

    Parameters
    ----------
    crowd : Crowd | None
        Labels so far.
    classes : Sequence[str]
        Classes of the probabilities.
    unlabelled : Mapping[str, Sequence[float]]
        Items without a label and their probabilities; empty if unknown.
    asked : Mapping[str, str]
        Items that cases ask to relabel, with the words of the request.
    policy : str
        One of POLICIES.

    Returns
    -------
    list[QueueItem]
        Most urgent first, each with its reason.
    """
    found = [
        QueueItem(item, -1.0, f"A case asks for it: {text}" if text else "A case asks for it.", True, (), 0) for item, text in asked.items()
    ]
    rest: list[QueueItem] = []
    open_items = [item for item in unlabelled if item not in asked and (crowd is None or item not in crowd.place)]
    chances = np.array([_chances(unlabelled[item], len(classes)) for item in open_items], float).reshape(-1, max(len(classes), 1))
    labelled, new = _queue_scores(crowd, chances, policy)
    for item, own, score in zip(open_items, chances, new, strict=True):
        known = own if len(unlabelled[item]) == len(classes) else own[:0]
        rest.append(QueueItem(item, float(score), _reason(known, 0, False, policy), False, tuple(own.tolist()), 0))
    if crowd is not None:
        counts, settled = crowd.votes.counts, crowd.settled
        for place in np.flatnonzero(~settled):
            if crowd.items[place] not in asked:
                own, n = crowd.posterior[place], int(counts[place].sum())
                reason = _reason(own, n, bool((counts[place] > 0).sum() > 1), policy)
                rest.append(QueueItem(crowd.items[place], float(labelled[place]), reason, False, tuple(own.tolist()), n))
    return [*found, *sorted(rest, key=lambda each: (each.score, each.item))]


def _chances(given: Sequence[float], classes: int) -> Sequence[float]:
    """The probabilities of the classes for one item; the same for all classes if they are unknown."""
    return given if len(given) == classes else [1 / max(classes, 1)] * classes


def _queue_scores(crowd: Crowd | None, chances: Floats, policy: str) -> tuple[Floats, Floats]:
    """Scores of labelled and of unlabelled items; a lower score is more urgent."""
    votes = crowd.votes if crowd else None
    if policy == RANDOM:
        rng = np.random.default_rng(0)
        return rng.random(votes.items if votes else 0), rng.random(len(chances))
    if policy == COVERAGE:
        rng = np.random.default_rng(0)
        given = votes.by_item if votes else np.zeros(0)
        return given + rng.random(len(given)), rng.random(len(chances))
    if policy == ACTIVELAB and crowd is not None and crowd.ranked is not None:
        return active_learning_scores(crowd.votes, crowd.ranked, chances)
    held = crowd.posterior if crowd is not None else np.empty((0, 2))
    return _margins(held), _margins(chances)


def _margins(chances: Floats) -> Floats:
    """Difference of the two largest probabilities of each row."""
    if chances.shape[1] < 2:
        return np.zeros(len(chances))
    ordered = np.sort(chances, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2], np.float64)


def _reason(chances: Array, labels: int, differ: bool, policy: str) -> str:
    """Why an item waits. The reason names no class, because its reader may be asked to label the item without knowing what others chose."""
    given = "No label yet" if not labels else "Labels differ" if differ else "1 label" if labels == 1 else f"{labels} equal labels"
    if policy in CHANCE_WORDS:
        return f"{given}; {CHANCE_WORDS[policy]}."
    return f"{given}; most likely class {percent(float(np.max(chances)))}." if len(chances) else f"{given}."


@dataclass(frozen=True)
class Appointment:
    """An item that is assigned to an annotator. reason: why to this person."""

    item: str
    annotator: str
    reason: str
    score: float


def appoint_annotators(
    queue: Sequence[QueueItem], people: Sequence[str], crowd: Crowd | None, load: Mapping[str, int], taken: Collection[tuple[str, str]]
) -> list[Appointment]:
    """Assign each item to as many different people as its label needs to be settled.

    An item goes to the person who is most often right on its most probable class. Only people count who have not had the item and have at
    most LOAD_STEP more open items than the least loaded person. New annotators count as average.

    Parameters
    ----------
    queue : Sequence[QueueItem]
        Items, most urgent first.
    people : Sequence[str]
        Annotators who may get work.
    crowd : Crowd | None
        Labels so far.
    load : Mapping[str, int]
        Open items of each annotator.
    taken : Collection[tuple[str, str]]
        (item, annotator) pairs that were labelled, skipped or are assigned already.

    Returns
    -------
    list[Appointment]
        Item and person with the reason; fewer than needed where too few people are left.
    """
    held = {who: int(load.get(who, 0)) for who in people}
    done = set(taken)
    given: dict[str, int] = {}
    for item, _ in done:
        given[item] = given.get(item, 0) + 1
    found = []
    for each in queue:
        waiting = max(given.get(each.item, 0) - each.labels, 0)
        for _ in range(max(SETTLED_BY - each.labels, 1) - waiting):
            free = [who for who in people if (each.item, who) not in done]
            if not free:
                break
            least = min(held[who] for who in free)
            near = [who for who in free if held[who] <= least + LOAD_STEP]
            skill = {who: annotator_skill(crowd, who, each.chances) for who in near}
            best = max(near, key=lambda who: (skill[who][0], -held[who], who))
            reason = f"{skill[best][1]}; {held[best]} open."
            found.append(Appointment(each.item, best, reason, each.score))
            held[best] += 1
            done.add((each.item, best))
    return found


def annotator_skill(crowd: Crowd | None, who: str, chances: Sequence[float]) -> tuple[float, str]:
    """The probability that an annotator is right on an item with these class probabilities (Dawid and Skene), and the same in words."""
    if crowd is None or who not in crowd.people:
        usual = float(crowd.fitted.accuracy.mean()) if crowd is not None else 0.0
        return usual, "New here, counted as the average"
    confusion = crowd.fitted.confusion[crowd.people.index(who)]
    held = np.asarray(chances if len(chances) == len(crowd.classes) else crowd.fitted.prior)
    right = float((confusion.diagonal() * held).sum() / max(held.sum(), 1e-12))
    given = int((crowd.votes.annotator == crowd.people.index(who)).sum())
    if given < MIN_KNOWN:
        return right, f"{given} label{'s' if given > 1 else ''} so far, counted near the average"
    return right, f"Right on {percent(right)} of items like this"


@dataclass(frozen=True)
class NextLabels:
    """The expected effect of the next labels. n: number of labels; scored, random: expected number of consensus labels that they correct,
    in the queue's order and in random order. wrong: expected number of wrong consensus labels now; items: number of items that count.
    """

    n: int
    scored: float
    random: float
    wrong: float
    items: int


def next_labels_value(crowd: Crowd, n: int = NEXT) -> NextLabels:
    """The expected number of consensus labels that the next `n` labels correct, with one label per item. It is estimated with the model
    that is fitted to the present labels.

    If the next label of an item cannot change its consensus, the gain is 0.
    """
    usual = crowd.fitted.confusion.mean(axis=0)
    gains = np.sort(gain_of_another_label(crowd.fitted.posterior, usual))[::-1]
    wrong = float((1 - crowd.fitted.posterior.max(axis=1)).sum())
    taken = min(n, len(gains))
    return NextLabels(taken, float(gains[:taken].sum()), float(gains.mean() * taken) if len(gains) else 0.0, wrong, len(gains))


@dataclass(frozen=True)
class PolicyReplay:
    """Replay of the second and later labels. curve: policy, share of the extra labels, errors (wrong labels that remain), low, high (of
    random order).

    items: number of replayed items; extra: number of labels beyond the first; wrong: number of first labels that the reference contradicts;
    fixed: by policy, how many labels half of the extra labels correct, minus how many they make wrong. reference: the source of the true
    labels.
    """

    curve: "DataFrame"
    items: int
    extra: int
    wrong: int
    fixed: Mapping[str, float]
    reference: str


def replay_policies(crowd: Crowd, answers: "DataFrame", truth: Mapping[str, str]) -> PolicyReplay | None:
    """For each policy, how many wrong first labels remain after each share of the later labels; None if there are too few items.

    Each item begins with its first label. A policy chooses which items get their later labels. The label of these items is then the
    majority; a tie keeps the first label. Random order is the mean of REPLAYS orders, with the range that contains 95 % of them.

    Parameters
    ----------
    crowd : Crowd
        `crowd_of` the answers.
    answers : DataFrame
        Answers with `at`.
    truth : Mapping[str, str]
        By item, the known answer. Items without one are left out.

    Returns
    -------
    PolicyReplay | None
        Wrong labels that are left by share of the later labels spent, for each policy and for random order.
    """
    import pandas as pd

    rows = answers.sort_values("at", kind="stable")
    rows = rows[rows["item"].isin(truth.keys()) & rows["item"].isin(list(crowd.place))]
    sizes = rows.groupby("item")["label"].transform("size")
    rows = rows[sizes > 1]
    first = rows.drop_duplicates("item").set_index("item")
    n = len(first)
    if n < MIN_REPLAYED:
        return None
    later = rows[rows.duplicated("item")].groupby("item").size().reindex(first.index).to_numpy(int)
    counts = pd.crosstab(rows["item"], rows["label"]).reindex(first.index)
    most = counts.max(axis=1)
    clear = counts.eq(most, axis=0).sum(axis=1) == 1
    after = np.where(clear, counts.idxmax(axis=1), first["label"])
    known = np.array([truth[item] for item in first.index])
    before_wrong, after_wrong = first["label"].to_numpy() != known, after != known
    change = after_wrong.astype(int) - before_wrong.astype(int)
    orders = {ACTIVELAB: _first_label_order(crowd, first), MARGIN: _margin_order(crowd, first)}
    grid = np.linspace(0, 1, 21)
    lines, fixed = [], {}
    for name, order in orders.items():
        if order is None:
            continue
        left = _errors_left(before_wrong.sum(), change, later, order, grid)
        lines += [[name, share, value, np.nan, np.nan] for share, value in zip(grid, left, strict=True)]
        fixed[name] = float(before_wrong.sum() - left[10])
    rng = np.random.default_rng(0)
    many = np.array([_errors_left(before_wrong.sum(), change, later, rng.permutation(n), grid) for _ in range(REPLAYS)])
    low, high = np.quantile(many, [0.025, 0.975], axis=0)
    lines += [[RANDOM, *each] for each in zip(grid, many.mean(axis=0), low, high, strict=True)]
    fixed[RANDOM] = float(before_wrong.sum() - many.mean(axis=0)[10])
    curve = pd.DataFrame(lines, columns=["policy", "share", "errors", "low", "high"])
    return PolicyReplay(curve, n, int(later.sum()), int(before_wrong.sum()), fixed, "gold")


def _first_label_votes(crowd: Crowd, first: "DataFrame") -> Votes:
    """The votes of a crowd if only the first label of each item counted."""
    number = {name: place for place, name in enumerate(crowd.classes)}
    who = {name: place for place, name in enumerate(crowd.people)}
    return Votes(
        np.arange(len(first)),
        np.array([who[name] for name in first["annotator"].astype(str)]),
        np.array([number[name] for name in first["label"]]),
        len(first),
        len(crowd.people),
        len(crowd.classes),
    )


def _first_label_order(crowd: Crowd, first: "DataFrame") -> Integers | None:
    """The items in the order of ActiveLab's score, computed from their first label and the model with known weights of the annotators;
    None without a model.

    The weights come from all labels of the project, as they would in a project that runs for long.
    """
    if crowd.ranked is None or crowd.probabilities is None:
        return None
    votes, own = _first_label_votes(crowd, first), crowd.probabilities[[crowd.place[item] for item in first.index]]
    weight = crowd.ranked.annotator_weight[votes.annotator]
    hit = float(crowd.votes.counts.max(axis=1).sum() / max(len(crowd.votes.item), 1))
    rows = np.full((votes.items, votes.classes), (1 - hit) / max(votes.classes - 1, 1))
    rows[np.arange(votes.items), votes.label] = hit
    posterior = (own * crowd.ranked.model_weight + rows * weight[:, None]) / (weight + crowd.ranked.model_weight)[:, None]
    return np.asarray(posterior.max(axis=1).argsort(kind="stable"), np.int64)


def _margin_order(crowd: Crowd, first: "DataFrame") -> Integers | None:
    """The items in the order of the model's margin; None without a model."""
    if crowd.probabilities is None:
        return None
    own = crowd.probabilities[[crowd.place[item] for item in first.index]]
    return np.asarray(_margins(own).argsort(kind="stable"), np.int64)


def _errors_left(wrong: int, change: Array, later: Array, order: Array, grid: Floats) -> Floats:
    """Number of wrong labels that remain after each share of the extra labels, if these are spent on the items in the given order."""
    spent = np.concatenate([[0], np.cumsum(later[order])]) / max(later.sum(), 1)
    left = wrong + np.concatenate([[0], np.cumsum(change[order])])
    return np.asarray(left[np.searchsorted(spent, grid + 1e-9, side="right") - 1], np.float64)


@dataclass(frozen=True)
class SkillReplay:
    """The accuracy of labels if the annotator is chosen by skill, the accuracy of a random annotator's labels, and the difference, on `n`
    later items.

    balanced: accuracy if the most skilled annotator is chosen among those that LOAD_STEP permits. busiest: by policy ("skill", "balanced",
    "random"), the number of items of the annotator who gets most items.
    """

    skilled: float
    random: float
    difference: Interval
    n: int
    balanced: float
    busiest: Mapping[str, int]


def replay_assignment(answers: "DataFrame", truth: Mapping[str, str], classes: Sequence[str], seed: int = 0) -> SkillReplay | None:
    """How giving items to annotators by skill compares with giving them at random; None if there are too few items.

    Skill is estimated from the earlier half of the labels. It is tested on items of the later half that have a known answer and at least
    two labels: the label of the most skilled of their annotators is compared with the mean over all their annotators.
    """
    rows = answers.sort_values("at", kind="stable").reset_index(drop=True)
    begins = rows.groupby("item")["at"].transform("min")
    middle = begins.sort_values().iloc[len(rows) // 2] if len(rows) else None
    past, later = rows[begins < middle], rows[(begins >= middle) & rows["item"].isin(truth.keys())]
    later = later[later.groupby("item")["label"].transform("size") > 1]
    if past.empty or later["item"].nunique() < MIN_REPLAYED:
        return None
    item, items = past["item"].astype(str).factorize()
    who, people = past["annotator"].astype(str).factorize()
    number = {name: place for place, name in enumerate(classes)}
    votes = Votes(
        np.asarray(item, np.int64),
        np.asarray(who, np.int64),
        np.array([number[name] for name in past["label"]], np.int64),
        len(items),
        len(people),
        len(classes),
    )
    fitted = dawid_skene(votes, SMOOTHING)
    skill = dict(zip(people, fitted.accuracy, strict=True))
    later = later.assign(skill=[skill.get(str(name), float(fitted.accuracy.mean())) for name in later["annotator"]])
    later = later.assign(right=[label == truth[name] for label, name in zip(later["label"], later["item"], strict=True)])
    best = (
        later.sort_values(["skill", "annotator"], ascending=[False, True]).drop_duplicates("item").set_index("item")["right"].astype(float)
    )
    usual = later.groupby("item")["right"].mean().reindex(best.index)
    gap = (best - usual).to_numpy(float)
    draws = np.random.default_rng(seed).integers(0, len(gap), (1000, len(gap)))
    low, high = np.quantile(gap[draws].mean(axis=1), [0.025, 0.975])
    balanced, busiest = _replay_load(later, seed)
    found = Interval(float(gap.mean()), float(low), float(high), len(gap))
    return SkillReplay(float(best.mean()), float(usual.mean()), found, len(gap), balanced, busiest)


def _replay_load(later: "DataFrame", seed: int) -> tuple[float, dict[str, int]]:
    """Accuracy if annotators are chosen by skill under the load rule, and by policy the number of items of the busiest annotator. Each item
    goes to one of the people who labelled it.

    later: answers in order of time with `skill` and `right`. All work counts as open until the end, which gives the load rule its largest
    effect.
    """
    rng, right, items = np.random.default_rng(seed), 0, 0
    held: dict[str, dict[str, int]] = {"skill": {}, "balanced": {}, "random": {}}
    for _, part in later.groupby("item", sort=False):
        people = list(zip(part["annotator"].astype(str), part["skill"], part["right"], strict=True))
        load = held["balanced"]
        least = min(load.get(who, 0) for who, _, _ in people)
        near = [each for each in people if load.get(each[0], 0) <= least + LOAD_STEP]
        chosen = {
            "skill": min(people, key=lambda each: (-each[1], each[0])),
            "balanced": min(near, key=lambda each: (-each[1], load.get(each[0], 0), each[0])),
            "random": people[rng.integers(len(people))],
        }
        for policy, (who, _, _) in chosen.items():
            held[policy][who] = held[policy].get(who, 0) + 1
        right, items = right + int(chosen["balanced"][2]), items + 1
    return right / items, {policy: max(counts.values()) for policy, counts in held.items()}
