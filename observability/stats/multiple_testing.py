"""Multiple testing: adjusted p-values and the false discovery rate of each look."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Bools, Floats

ACT_SHARE = 0.2
"""A finding of severity `act` may use a fifth of a run's budget of false discoveries, a finding of severity `watch` all of it."""


def benjamini_hochberg(p_values: ArrayLike, q: float = 0.1) -> tuple[Floats, Bools]:
    """Adjusted p-values, and a mask of those rejected at false discovery rate q.

    Parameters
    ----------
    p_values : ArrayLike
        P-values; NaN is not a test: it stays NaN and is not rejected.
    q : float
        False discovery rate.

    Returns
    -------
    tuple[Floats, Bools]
        (adjusted, rejected), in the order of the p-values.

    References
    ----------
    * Benjamini and Hochberg (1995), Controlling the false discovery rate.
    """
    p = np.asarray(p_values, np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    scaled = p[order] * order.size / np.arange(1, order.size + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    with np.errstate(invalid="ignore"):
        return adjusted, adjusted <= q


def benjamini_yekutieli(p_values: ArrayLike, tests: int) -> Callable[[float], float]:
    """Return a function that adjusts a p-value, valid under any dependence between the tests.

    Parameters
    ----------
    p_values : ArrayLike
        P-values of the tests.
    tests : int
        Number of tests, those without a p-value included (they count as 1).

    Returns
    -------
    Callable[[float], float]
        A value that is not among `p_values` is adjusted as if it were.

    References
    ----------
    * Benjamini and Yekutieli (2001), The control of the false discovery rate in multiple testing under dependency.
    """
    p = np.sort(np.asarray(p_values, np.float64))
    dependence = float((1 / np.arange(1, tests + 1)).sum()) if tests < 1_000_000 else float(np.log(tests) + np.euler_gamma)

    def adjust(value: float) -> float:
        rank = max(int(np.searchsorted(p, value, side="right")), 1)
        later = p[rank:] * tests * dependence / np.arange(rank + 1, p.size + 1)
        return float(min(value * tests * dependence / rank, later.min(initial=1.0), 1.0))

    return adjust


def fdr_per_look(q: float, runs: int, windows: int = 1, questions: int = 1) -> float:
    """False discovery rate of each look, so that the total in a week is q.

    Without a change, a family of tests at rate q' raises an alarm in at most the share q' of cases. So the rate q / (runs × windows ×
    questions) keeps the probability of any false alarm of the model in a week at q or below. Within a family (all columns, metrics, groups,
    and the looks of 1, 3 and 7 days of one analyzer) Benjamini and Hochberg's procedure shares it out.

    Parameters
    ----------
    q : float
        False discovery rate of the week.
    runs : int
        Looks in the week.
    windows : int
        Windows of each look.
    questions : int
        Separate families of tests.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        A number is below 1.
    """
    if min(runs, windows, questions) < 1:
        raise ValueError(f"runs, windows and questions must be at least 1, got {runs}, {windows} and {questions}")
    return q / (runs * windows * questions)
