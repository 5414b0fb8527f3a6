"""Which of many tests still count, when chance alone would raise some of them?"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

ACT_SHARE = 0.2
"""An act may spend a fifth of a run's budget of false discoveries, a watch all of it."""


def benjamini_hochberg(p_values: ArrayLike, q: float = 0.1) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Adjusted p-values, and which are rejected at false discovery rate q (Benjamini and Hochberg 1995).

    NaN is no test: it counts for nothing, stays NaN and is not rejected. Order is kept.
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    scaled = p[order] * order.size / np.arange(1, order.size + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    with np.errstate(invalid="ignore"):
        return adjusted, adjusted <= q


def adjusted_any(p_values: ArrayLike, tests: int) -> Callable[[float], float]:
    """Adjusted p-values of tests that depend on each other in any way (Benjamini and Yekutieli 2001), as a function of a p-value.

    tests: how many there were, those without a p-value included (they count as 1). A value that is not among `p_values` is adjusted as if it were.
    """
    p = np.sort(np.asarray(p_values, np.float64))
    dependence = float((1 / np.arange(1, tests + 1)).sum()) if tests < 1_000_000 else float(np.log(tests) + np.euler_gamma)

    def adjust(value: float) -> float:
        rank = max(int(np.searchsorted(p, value, side="right")), 1)
        later = p[rank:] * tests * dependence / np.arange(rank + 1, p.size + 1)
        return float(min(value * tests * dependence / rank, later.min(initial=1.0), 1.0))

    return adjust


def spend(q: float, runs: int, windows: int = 1, questions: int = 1) -> float:
    """The false discovery rate for each single look, where a week has `runs` looks at `windows` windows each with `questions` separate families of
    tests, and q for all of them.

    When nothing has changed, a family at rate q' raises something in at most a share q' of the cases, so q / (runs × windows × questions) keeps the
    chance of any false alarm of the model in that week at q. Within a family (all columns, metrics, groups, and the looks of 1, 3 and 7 days of one
    analyzer) Benjamini and Hochberg's procedure shares it out.
    """
    if min(runs, windows, questions) < 1:
        raise ValueError(f"runs, windows and questions must be at least 1, got {runs}, {windows} and {questions}")
    return q / (runs * windows * questions)
