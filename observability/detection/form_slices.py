"""Counts the decisions that change with another form of a model (another precision or runtime) or of its stored inputs, and finds the
slices in which more of them change than elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from observability.core.finding import SEVERITIES, Severity
from observability.core.formatting import plural
from observability.core.numerals import percent
from observability.metrics.trade_offs import FormResult, FormSlice
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.interval import Interval, rate_interval

FLIP_LIMIT = 0.01
"""A form in use is reported if more than this share of decisions changes."""
TIMES, POINTS = 2.0, 0.01
"""A slice is reported if its rate is at least this multiple of the rate of the other probes, and at least this much higher."""


@dataclass(frozen=True)
class SliceExcess:
    """A slice and a form: by how much its rate of changed decisions exceeds the rate of the other probes, and the p-value of this
    difference.
    """

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
        """Whether the excess is large enough to be reported."""
        return self.rate >= TIMES * self.rest and self.rate - self.rest >= POINTS


def slice_excesses(form: FormResult) -> list[SliceExcess]:
    """Each slice of a form compared with the form's other probes; empty if they cannot be compared."""
    from scipy.stats import hypergeom

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


@dataclass(frozen=True)
class WorstSlice:
    """The slice in which a form changes decisions most. others: number of further slices that are reported; compared: number of slices in
    total.
    """

    severity: Severity
    excess: SliceExcess
    p_adjusted: float
    others: int
    compared: int

    @property
    def rates(self) -> str:
        """Words for the share of changed decisions in the slice and in the other rows."""
        part = self.excess.part
        return f"{percent(self.excess.rate)} of {part.n:,} rows in {self.where}, {percent(self.excess.rest)} of the others"

    @property
    def where(self) -> str:
        """Words for the slice: its name if it is a watched slice, else its column and value."""
        part = self.excess.part
        return f"`{part.name}`" if part.is_watched else f"{part.column} `{part.level}`"

    @property
    def more(self) -> str:
        """A sentence, preceded by a space, with the number of further slices; empty if there are none."""
        return f" Also in {plural(self.others, 'more slice')}." if self.others else ""


def worst_slice(slices: Sequence[tuple[SliceExcess, float]], budget: float) -> WorstSlice | None:
    """The worst of the slices, judged by p-values that are adjusted for all comparisons; None without slices."""

    def severity(each: SliceExcess, p: float) -> Severity:
        if p > budget or not each.relevant:
            return "ok"
        low = rate_interval(each.part.flips, each.part.n).low
        return "act" if low is not None and low > FLIP_LIMIT else "watch"

    judged = sorted(((severity(*pair), *pair) for pair in slices), key=lambda each: (SEVERITIES.index(each[0]), each[2], -each[1].rate))
    if not judged:
        return None
    others = sum(each[0] != "ok" for each in judged[1:])
    return WorstSlice(*judged[0], others, len(judged))


def flip_severity(rate: Interval) -> Severity:
    """The severity of a share of changed decisions. It is `unknown` if the share is unknown, or if there are too few rows to exclude twice
    the limit.
    """
    if rate.value is None or rate.low is None or rate.high is None or (rate.value <= FLIP_LIMIT and rate.high > 2 * FLIP_LIMIT):
        return "unknown"
    return "act" if rate.low > FLIP_LIMIT else "watch" if rate.value > FLIP_LIMIT else "ok"


def missing_rows(rows: int) -> int:
    """The approximate number of further rows that are needed to judge a share of changed decisions."""
    return max(round(8 / FLIP_LIMIT) - rows, 1)
