"""Faults of a model that serves elsewhere: answers that change without a word, refusals, broken forms, failures, slow and long answers."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.probing.ask import answer_number
from observability.simulation.fault import NamedFault

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class VendorFaultPlant:
    """rows: the answers of the last rounds; others: by item, an answer of another item; items: those that the fault falls on, in order;
    spreads: of numbers, their standard deviation by item.
    """

    rows: "DataFrame"
    others: dict[str, str]
    items: tuple[str, ...]
    amount: float
    spreads: dict[str, float] = field(default_factory=dict)

    @property
    def hit(self) -> list[bool]:
        """Which rows are of the share of items that the amount says."""
        chosen = set(self.items[: max(round(self.amount * len(self.items)), 1)])
        return [extra.get("item") in chosen for extra in self.rows["extra"]]

    def with_extra(self, name: str, value: Any) -> "DataFrame":
        """The rows with a further field in those that are hit."""
        extras = [{**extra, name: value} if hit else extra for extra, hit in zip(self.rows["extra"], self.hit, strict=True)]
        return self.rows.assign(extra=type(self.rows["extra"])(extras, index=self.rows.index, dtype=object))


@dataclass(frozen=True)
class VendorFault(NamedFault):
    """A fault of a vendor."""

    section: str = "serving"


def silent_answer_change(plant: VendorFaultPlant) -> "DataFrame":
    """A vendor's model answers a share of the fixed questions otherwise; the declared version stays."""
    answers = [plant.others[extra["item"]] if hit else answer for answer, extra, hit in _triples(plant)]
    return plant.rows.assign(prediction=answers)


def _triples(plant: VendorFaultPlant) -> list[tuple[Any, dict[str, Any], bool]]:
    """Answer, extra fields and whether it is hit, of each row."""
    return list(zip(plant.rows["prediction"], plant.rows["extra"], plant.hit, strict=True))


def vendor_refuses(plant: VendorFaultPlant) -> "DataFrame":
    """A vendor's model refuses a share of the fixed questions."""
    return plant.with_extra("refused", True)


def vendor_breaks_form(plant: VendorFaultPlant) -> "DataFrame":
    """A share of a vendor's answers no longer has the form that was asked for."""
    return plant.with_extra("well_formed", False)


def vendor_fails(plant: VendorFaultPlant) -> "DataFrame":
    """A share of the fixed questions gets no answer."""
    return plant.rows.assign(status=np.where(plant.hit, "error", plant.rows["status"]).astype(object))


def vendor_numbers_shift(plant: VendorFaultPlant) -> "DataFrame":
    """All numbers that a vendor's model answers move by a multiple of their spread."""
    moved = [
        f"{value + plant.amount * plant.spreads.get(extra['item'], 0.0)!r}" if (value := answer_number(str(answer))) is not None else answer
        for answer, extra, _ in _triples(plant)
    ]
    return plant.rows.assign(prediction=moved)


def vendor_slows_down(plant: VendorFaultPlant) -> "DataFrame":
    """A vendor's answers take some times as long."""
    return plant.rows.assign(latency_ms=plant.rows["latency_ms"] * plant.amount)


FAULTS: dict[str, VendorFault] = {
    each.name: each
    for each in (
        VendorFault("silent_answer_change", (0.1, 0.2, 0.5), "share of questions", "answer_change_rate", silent_answer_change),
        VendorFault("vendor_refuses", (0.1, 0.2, 0.5), "share of questions", "refusal_rate", vendor_refuses),
        VendorFault("vendor_breaks_form", (0.1, 0.2, 0.5), "share of questions", "format_failure_rate", vendor_breaks_form),
        VendorFault("vendor_fails", (0.1, 0.2, 0.4), "share of questions", "probe_failure_rate", vendor_fails),
        VendorFault("vendor_numbers_shift", (0.5, 2.0, 8.0), "of their spreads", "answer_shift", vendor_numbers_shift),
        VendorFault("vendor_slows_down", (1.5, 3.0, 10.0), "times as long", "probe_latency", vendor_slows_down),
    )
}
