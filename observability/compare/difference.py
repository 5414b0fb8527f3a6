"""One difference between two sides, with its verdict: whether it is beyond chance, and whether it is large enough to matter."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from observability.core.questions import Question
from observability.core.window import Window
from observability.stats.interval import Interval
from observability.stats.multiple_testing import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

Section = Literal["inputs", "score", "decisions", "performance", "pairs", "fairness", "latency", "cost"]
SECTIONS: tuple[Section, ...] = ("pairs", "performance", "fairness", "decisions", "latency", "cost", "score", "inputs")
"""The order of sections in sentences: correctness first, inputs last."""
Verdict = Literal["differs", "slight", "alike", "unknown"]
VERDICTS: dict[Verdict, str] = {"differs": "Differs", "slight": "Slight", "alike": "Alike", "unknown": "Undecided"}
"""Meanings, in this order: significant and large enough; significant but too small to matter; certainly too small to matter; undecided."""
FALSE_DISCOVERY_RATE = 0.05
"""The expected share of false discoveries among the reported differences (Benjamini and Hochberg 1995)."""
AskEngine = Callable[[Question, Window], "DataFrame"]
"""Answers a question about a window: `Engine.ask`, or a cache of it."""
NO_INTERVAL = Interval(None, None, None, 0.0)


@dataclass(frozen=True)
class Difference:
    """One comparison.

    a, b: both sides with their 95 % intervals; for a distribution, only n is set. change: a - b; for a distribution, the distance between
    both sides. least: the smallest change that matters, in the unit of the metric. p_value: NaN if it cannot be tested. adjusted: the
    p-value corrected for all comparisons. why: the reason why there is no verdict, if it is known. more: about how many more rows would be
    needed for a verdict.
    """

    section: Section
    subject: str
    metric: str
    unit: str
    a: Interval
    b: Interval
    change: Interval
    least: float
    p_value: float
    adjusted: float = float("nan")
    verdict: Verdict = "unknown"
    why: str | None = None
    more: int | None = None
    distance: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def relative(self) -> float | None:
        """The change in units of the smallest change that matters; None if it is unknown."""
        return None if self.change.value is None or not self.least > 0 else self.change.value / self.least


def unavailable_difference(
    section: Section, subject: str, metric: str, unit: str, why: str, a: Interval = NO_INTERVAL, b: Interval = NO_INTERVAL
) -> Difference:
    """A comparison that cannot be made, with the reason."""
    return Difference(section, subject, metric, unit, a, b, NO_INTERVAL, float("nan"), float("nan"), why=why)


def with_verdicts(found: Sequence[Difference], q: float = FALSE_DISCOVERY_RATE) -> list[Difference]:
    """The differences with their verdicts. The false discovery rate is controlled over all of them."""
    adjusted, _ = benjamini_hochberg([float("nan") if each.why else each.p_value for each in found], q)
    ps = map(float, adjusted)
    return [Difference(**{**vars(each), "adjusted": p, **_verdict(each, p, q)}) for each, p in zip(found, ps, strict=True)]


def _verdict(each: Difference, adjusted: float, q: float) -> dict[str, Any]:
    """The verdict of a difference with this corrected p-value, and the reason if it is undecided, as fields of a Difference."""
    value, low, high = each.change.value, each.change.low, each.change.high
    if each.why or value is None or np.isnan(adjusted):
        return {"verdict": "unknown"}
    if adjusted <= q:
        return {"verdict": "differs" if abs(value) >= each.least else "slight"}
    if each.distance:
        small = value < each.least
        return {"verdict": "alike" if small else "unknown", "why": None if small else "not distinguishable from chance"}
    if low is not None and high is not None and -each.least < low and high < each.least:
        return {"verdict": "alike"}
    return {"verdict": "unknown", "more": _additional_rows(each), "why": "too few rows to detect a difference that matters"}


def _additional_rows(each: Difference) -> int | None:
    """About how many more rows each side needs to distinguish a change of `least` from no change; None if it is unknown."""
    low, high, value = each.change.low, each.change.high, each.change.value
    if low is None or high is None or value is None or not each.least > 0:
        return None
    reach, wanted = (high - low) / 2, max(each.least - abs(value), each.least / 2)
    return max(int(np.ceil(each.change.n * ((reach / wanted) ** 2 - 1))), 1) if np.isfinite(reach) else None
