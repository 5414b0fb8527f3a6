"""Types of a fault, and of the place in which it is planted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from observability.simulation.fault_targets import FaultTargets
from observability.simulation.log_rows import LogRows
from observability.stats.arrays import Array, Bools

Strength = Literal["weak", "middle", "strong"]
STRENGTHS: tuple[Strength, ...] = ("weak", "middle", "strong")


@dataclass(frozen=True)
class FaultPlant:
    """Where and how strongly a fault is planted. amount: the size of the fault at the chosen strength, in the fault's own unit. day: number
    of days since the onset, from 0.
    """

    scene: FaultTargets
    amount: float
    day: int
    rng: np.random.Generator

    @property
    def is_weekday_of_onset(self) -> bool:
        """Whether the day has the weekday on which the fault began."""
        return self.day % 7 == 0

    def some(self, among: Bools, share: float) -> Bools:
        """A random share of the rows of a mask, as a mask."""
        return among & (self.rng.random(among.size) < share)

    def part(self, role: str) -> str:
        """The column reference or name that is the target for a part."""
        found = getattr(self.scene, role)
        assert isinstance(found, str)
        return found

    def inside(self, rows: LogRows, role: str = "slice") -> Bools:
        """A mask of the rows in the target slice or group."""
        reference, level = getattr(self.scene, role)
        return equals_level(rows[reference], level)

    def scale(self, reference: str) -> tuple[float, float]:
        """Mean and standard deviation of a number in the clean log."""
        return self.scene.scales[reference]


UNIT_WORDS: dict[str, Callable[[float], str]] = {
    "standard deviations": lambda amount: "1 standard deviation" if amount == 1 else f"{amount:g} standard deviations",
    "hours": lambda amount: "1 hour" if amount == 1 else f"{amount:g} hours",
    "points": lambda amount: f"{100 * amount:g} points",
    "growth of the error": lambda amount: f"{100 * amount:g} % growth of the error",
    "1 / values a day": lambda amount: f"{1 / amount:g} values a day",
}
"""How amounts with certain units are written, if not simply as number and unit."""


class DescribedFault:
    """What every fault has: a name, the part of the product to which it belongs, its amounts, and the function that plants it."""

    name: str
    section: str
    amounts: tuple[float, float, float]
    unit: str
    plant: Callable[..., object]

    @property
    def description(self) -> str:
        """The fault in one sentence, which is the first line of the docstring of its function."""
        return (self.plant.__doc__ or self.title).strip().splitlines()[0]

    @property
    def title(self) -> str:
        """The name of the fault as words."""
        return self.name.replace("_", " ").capitalize()

    def amount(self, strength: Strength) -> float:
        """The amount at a strength."""
        return self.amounts[STRENGTHS.index(strength)]

    def size(self, strength: Strength) -> str:
        """The amount at a strength in words: 5 % of rows, 1 standard deviation, 1.5 times as long."""
        amount = self.amount(strength)
        if self.unit in UNIT_WORDS:
            return UNIT_WORDS[self.unit](amount)
        if self.unit.startswith(("share of ", "of ")):
            return f"{100 * amount:g} % of {self.unit.split('of ', 1)[1]}"
        return f"{amount:g} {self.unit}"


@dataclass(frozen=True)
class NamedFault(DescribedFault):
    """A fault in records that is named by one finding. amounts: weak, middle, strong, in `unit`. metric: the metric of that finding. plant:
    a function that returns the records with the fault in them; the first line of its docstring is shown on the page.
    """

    name: str
    amounts: tuple[float, float, float]
    unit: str
    metric: str
    plant: Callable[[Any], Any]


@dataclass(frozen=True)
class ServingFault(DescribedFault):
    """A fault of served predictions that is known from practice.

    section: the part of the product to which it belongs. amounts: weak, middle and strong, in `unit`; weak is the smallest effect that
    matters. needs: target parts (fault_targets.TARGET_PARTS). plant: a function that changes the rows of a day; the first line of its
    docstring is shown on the page. rescored: whether the model's scores follow the changed inputs.
    """

    name: str
    section: Literal["data", "serving", "trust", "operations", "training"]
    amounts: tuple[float, float, float]
    unit: str
    needs: tuple[str, ...]
    plant: Callable[[LogRows, FaultPlant], LogRows]
    rescored: bool = False

    def planted(self, rows: LogRows, plant: FaultPlant) -> LogRows:
        """The rows of one day with the fault in them."""
        after = self.plant(rows, plant)
        return plant.scene.response.rescored(rows, after) if self.rescored else after


def equals_level(values: Array, level: str) -> Bools:
    """A mask of the rows in which a text column has a level."""
    return np.equal(values, level).astype(bool)
