"""Faults of a model that a vendor runs: answers change or are reworded without notice, scores from a judge fall, answers are refusals, lack
their format, fail or are slow.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.detection.probe_claims import RUBRIC, SHIFT, SIMILAR
from observability.detection.probe_rounds import ProbeRounds
from observability.probing.answer_vectors import EMBEDDING
from observability.probing.ask import answer_number
from observability.simulation.fault import NamedFault

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class VendorFaultPlant:
    """rows: the answers in the last rounds; others: for each item, an answer to another item, with its vector if an encoder made one;
    items: the items that the fault affects, in order; spreads: the standard deviation of numbers, by item; words: the words of all answers
    before the fault.
    """

    rows: "DataFrame"
    others: dict[str, tuple[str, Any]]
    items: tuple[str, ...]
    amount: float
    spreads: dict[str, float] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    rng: np.random.Generator = field(default_factory=np.random.default_rng)

    @property
    def hit(self) -> list[bool]:
        """Mask of the rows whose items are changed; the amount is the share of items."""
        chosen = set(self.items[: max(round(self.amount * len(self.items)), 1)])
        return [extra.get("item") in chosen for extra in self.rows["extra"]]

    def with_extra(self, name: str, value: Any) -> "DataFrame":
        """The rows, with an additional field in those that the fault affects."""
        extras = [{**extra, name: value} if hit else extra for extra, hit in zip(self.rows["extra"], self.hit, strict=True)]
        return self.rows.assign(extra=type(self.rows["extra"])(extras, index=self.rows.index, dtype=object))


@dataclass(frozen=True)
class VendorFault(NamedFault):
    """A fault of a model that a vendor runs."""

    section: str = "serving"

    def fits(self, rounds: ProbeRounds) -> bool:
        """Whether the answers of a set can have the fault: shifts need numbers, rewording needs free texts that are compared by letters,
        falling scores need a rubric.
        """
        if self.metric == SIMILAR:
            return rounds.free_text and not any(rounds.encoders)
        return bool(rounds.rubric) if self.metric == RUBRIC else self.metric != SHIFT or rounds.values is not None


def silent_answer_change(plant: VendorFaultPlant) -> "DataFrame":
    """A vendor's model gives other answers to a share of the fixed questions, while the declared version stays the same."""
    answers, extras = [], []
    for answer, extra, hit in _triples(plant):
        text, vector = plant.others[extra["item"]] if hit else (answer, extra.get(EMBEDDING))
        answers.append(text)
        extras.append({**extra, EMBEDDING: vector} if EMBEDDING in extra else extra)
    return plant.rows.assign(prediction=answers, extra=type(plant.rows["extra"])(extras, index=plant.rows.index, dtype=object))


def vendor_rewords(plant: VendorFaultPlant) -> "DataFrame":
    """A vendor's model rewords all of its free texts: a share of the words in each text is replaced."""
    answers = []
    for answer, _, _ in _triples(plant):
        words = str(answer).split()
        for place in plant.rng.choice(len(words), min(max(round(plant.amount * len(words)), 1), len(words)), replace=False):
            words[place] = str(plant.rng.choice(plant.words))
        answers.append(" ".join(words))
    return plant.rows.assign(prediction=answers)


def vendor_scores_fall(plant: VendorFaultPlant) -> "DataFrame":
    """The scores that a judge gives to a vendor's answers fall by a share, in every part of the rubric."""
    kept, fallen = 1 - plant.amount, []
    for extra in plant.rows["extra"]:
        scores = extra.get("rubric")
        numbers = {name: value for name, value in scores.items() if isinstance(value, int | float)} if isinstance(scores, dict) else {}
        fallen.append({name: value * kept for name, value in numbers.items()} or scores)
    extras = [{**extra, "rubric": each} for extra, each in zip(plant.rows["extra"], fallen, strict=True)]
    return plant.rows.assign(extra=type(plant.rows["extra"])(extras, index=plant.rows.index, dtype=object))


def _triples(plant: VendorFaultPlant) -> list[tuple[Any, dict[str, Any], bool]]:
    """For each row: the answer, the additional fields, and whether the fault affects it."""
    return list(zip(plant.rows["prediction"], plant.rows["extra"], plant.hit, strict=True))


def vendor_refuses(plant: VendorFaultPlant) -> "DataFrame":
    """A vendor's model refuses a share of the fixed questions."""
    return plant.with_extra("refused", True)


def vendor_breaks_form(plant: VendorFaultPlant) -> "DataFrame":
    """A share of a vendor's answers no longer has the requested format."""
    return plant.with_extra("well_formed", False)


def vendor_fails(plant: VendorFaultPlant) -> "DataFrame":
    """A share of the fixed questions gets no answer."""
    return plant.rows.assign(status=np.where(plant.hit, "error", plant.rows["status"]).astype(object))


def vendor_numbers_shift(plant: VendorFaultPlant) -> "DataFrame":
    """All numbers in a vendor's answers move by a multiple of their spread."""
    moved = [
        f"{value + plant.amount * plant.spreads.get(extra['item'], 0.0)!r}" if (value := answer_number(str(answer))) is not None else answer
        for answer, extra, _ in _triples(plant)
    ]
    return plant.rows.assign(prediction=moved)


def vendor_slows_down(plant: VendorFaultPlant) -> "DataFrame":
    """A vendor's answers take a multiple of the time."""
    return plant.rows.assign(latency_ms=plant.rows["latency_ms"] * plant.amount)


FAULTS: dict[str, VendorFault] = {
    each.name: each
    for each in (
        VendorFault("silent_answer_change", (0.1, 0.2, 0.5), "share of questions", "answer_change_rate", silent_answer_change),
        VendorFault("vendor_refuses", (0.1, 0.2, 0.5), "share of questions", "refusal_rate", vendor_refuses),
        VendorFault("vendor_breaks_form", (0.1, 0.2, 0.5), "share of questions", "format_failure_rate", vendor_breaks_form),
        VendorFault("vendor_fails", (0.1, 0.2, 0.4), "share of questions", "probe_failure_rate", vendor_fails),
        VendorFault("vendor_numbers_shift", (0.5, 2.0, 8.0), "of their spreads", SHIFT, vendor_numbers_shift),
        VendorFault("vendor_rewords", (0.1, 0.3, 0.6), "share of words", SIMILAR, vendor_rewords),
        VendorFault("vendor_scores_fall", (0.05, 0.25, 0.5), "share of the scores", RUBRIC, vendor_scores_fall),
        VendorFault("vendor_slows_down", (1.5, 3.0, 10.0), "times as long", "probe_latency", vendor_slows_down),
    )
}
