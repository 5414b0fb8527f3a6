"""Slices in which a form of a model changes more decisions than elsewhere."""

from dataclasses import dataclass

from scipy.stats import hypergeom

from observability.metrics.trade_offs import FormResult, FormSlice
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.interval import Interval

TIMES, POINTS = 2.0, 0.01
"""How many times as high as in the other probes the rate of a slice must be, and by how much, so that it is told."""


@dataclass(frozen=True)
class SliceExcess:
    """A slice of a form: the rate of changed decisions less that of the other probes, and the p-value of so many by chance."""

    part: FormSlice
    difference: Interval
    rest: float
    p_value: float

    @property
    def rate(self) -> float:
        """The share of changed decisions in the slice."""
        return self.part.flips / self.part.n

    @property
    def relevant(self) -> bool:
        """Whether the excess is large enough to be told."""
        return self.rate >= TIMES * self.rest and self.rate - self.rest >= POINTS


def slice_excesses(form: FormResult) -> list[SliceExcess]:
    """The slices of a form against its other probes; none where they cannot be compared."""
    if form.probes is None or form.flips is None:
        return []
    found = []
    for part in form.slices:
        others, hits = form.probes - part.n, form.flips - part.flips
        if others <= 0 or not 0 <= hits <= others or not 0 <= part.flips <= part.n:
            continue
        p_value = float(hypergeom.sf(part.flips - 1, form.probes, form.flips, part.n))
        difference = rate_difference_interval(part.flips, part.n, hits, others)
        found.append(SliceExcess(part, difference, hits / others, p_value))
    return found
