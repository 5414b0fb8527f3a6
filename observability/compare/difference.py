"""What is one difference between two sides, and is it more than chance, and large enough to matter?"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from observability.core.questions import Question
from observability.core.window import Window
from observability.stats.interval import Interval
from observability.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

Section = Literal["inputs", "score", "decisions", "performance", "pairs", "fairness", "latency", "cost"]
SECTIONS: tuple[Section, ...] = ("pairs", "performance", "fairness", "decisions", "latency", "cost", "score", "inputs")
"""In the order in which they are spoken of: first who is right, last what came in."""
Verdict = Literal["differs", "slight", "alike", "unknown"]
VERDICTS: dict[Verdict, str] = {"differs": "Differs", "slight": "Slight", "alike": "Alike", "unknown": "Cannot tell"}
"""Beyond chance and large enough; beyond chance and too small to matter; surely too small to matter; none of these."""
FALSE_DISCOVERIES = 0.05
"""The share of the differences spoken of that may be chance, over all that is compared at once (Benjamini and Hochberg 1995)."""
Asker = Callable[[Question, Window], "DataFrame"]
"""Where the answers come from: the store itself, or what keeps them."""
NONE = Interval(None, None, None, 0.0)


@dataclass(frozen=True)
class Difference:
    """One thing that was compared.

    a, b: both sides with their 95 % intervals; of a distribution, nothing but n. change: a - b; of a distribution the distance between the two.
    least: the smallest change that matters, in its unit. p_value: how often chance alone does as much (NaN: not testable), adjusted: the same,
    corrected for all that was compared. why: why it cannot be told, where that is known beforehand. more: about how many more rows would tell.
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
        """The change in units of the smallest that matters; None where it is not known."""
        return None if self.change.value is None or not self.least > 0 else self.change.value / self.least


def blocked(section: Section, subject: str, metric: str, unit: str, why: str, a: Interval = NONE, b: Interval = NONE) -> Difference:
    """A comparison that cannot be made, with the reason."""
    return Difference(section, subject, metric, unit, a, b, NONE, float("nan"), float("nan"), why=why)


def judged(found: Sequence[Difference], q: float = FALSE_DISCOVERIES) -> list[Difference]:
    """The same with their verdicts, the false discovery rate held over all of them."""
    adjusted, _ = benjamini_hochberg([float("nan") if each.why else each.p_value for each in found], q)
    return [judge(replace(each, adjusted=float(p)), q) for each, p in zip(found, adjusted, strict=True)]


def judge(each: Difference, q: float) -> Difference:
    """The verdict on one difference."""
    value, low, high = each.change.value, each.change.low, each.change.high
    if each.why or value is None or np.isnan(each.adjusted):
        return replace(each, verdict="unknown")
    if each.adjusted <= q:
        return replace(each, verdict="differs" if abs(value) >= each.least else "slight")
    if each.distance:
        return replace(
            each, verdict="alike" if value < each.least else "unknown", why=None if value < each.least else "chance alone does as much"
        )
    if low is not None and high is not None and -each.least < low and high < each.least:
        return replace(each, verdict="alike")
    return replace(each, verdict="unknown", more=rows_more(each), why="too few rows to tell a difference that matters from none")


def rows_more(each: Difference) -> int | None:
    """About how many more rows on each side would tell a change of `least` from none; None where that is not known."""
    low, high, value = each.change.low, each.change.high, each.change.value
    if low is None or high is None or value is None or not each.least > 0:
        return None
    reach, wanted = (high - low) / 2, max(each.least - abs(value), each.least / 2)
    return max(int(np.ceil(each.change.n * ((reach / wanted) ** 2 - 1))), 1) if np.isfinite(reach) else None
