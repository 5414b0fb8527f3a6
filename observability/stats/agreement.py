"""Do annotators agree more than chance would make them?

Krippendorff's alpha for nominal labels: 1 - observed disagreement / expected disagreement, over items with two labels or more (Krippendorff 2011,
Computing Krippendorff's Alpha-Reliability). Any number of annotators, any of them may leave any item out. 1 is full agreement, 0 is what chance does,
below 0 is less than chance. From 0.8 on labels are relied upon, from 0.667 on tentatively (Krippendorff 2004).
"""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from observability.stats.interval import Interval

RELIABLE, TENTATIVE = 0.8, 0.667
DRAWS = 1000
LEAST_ITEMS = 10
"""Items below which no interval is told: so few cannot stand for others."""
Floats = NDArray[np.float64]


def agreement(items: Sequence[Sequence[Hashable]], confidence: float = 0.95, seed: int = 0) -> Interval:
    """Alpha with its percentile interval of a bootstrap over items (1,000 draws). items: the labels that each item got; those with fewer than two count for nothing.

    n: items with two labels or more. None where there is none, or every label is the same: nothing could have disagreed. No interval below LEAST_ITEMS items.
    """
    paired = [each for each in items if len(each) > 1]
    levels = {label: place for place, label in enumerate(dict.fromkeys(label for each in paired for label in each))}
    counts = np.zeros((len(paired), len(levels)))
    for place, each in enumerate(paired):
        for label, times in Counter(each).items():
            counts[place, levels[label]] = times
    return agreement_of(counts, confidence, seed)


def agreement_of(counts: Floats, confidence: float = 0.95, seed: int = 0) -> Interval:
    """The same from items by levels: how often each item got each label. Items with fewer than two labels count for nothing."""
    paired = counts[counts.sum(axis=1) > 1]
    n = len(paired)
    if (paired.sum(axis=0) > 0).sum() < 2:
        return Interval(None, None, None, n)
    value = float(alpha(paired, np.ones((1, n)))[0])
    if n < LEAST_ITEMS:
        return Interval(value, None, None, n)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=DRAWS).astype(np.float64)
    drawn = alpha(paired, weights)
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), n)


def alpha_with_variance(counts: Floats) -> tuple[float, float]:
    """Alpha and its variance by the jackknife over items (Efron and Stein 1981); both NaN below LEAST_ITEMS items with two labels or more, or where every
    label is the same. counts: items by levels.
    """
    paired = counts[counts.sum(axis=1) > 1]
    n = len(paired)
    if n < LEAST_ITEMS or (paired.sum(axis=0) > 0).sum() < 2:
        return float("nan"), float("nan")
    labels = paired.sum(axis=1)
    apart = (labels**2 - (paired**2).sum(axis=1)) / (labels - 1)
    observed, totals = apart.sum(), paired.sum(axis=0)
    value = 1 - observed / expected_of(totals[None])[0]
    left_out = 1 - (observed - apart) / expected_of(totals - paired)
    known = left_out[np.isfinite(left_out)]
    return float(value), float((n - 1) / n * ((known - known.mean()) ** 2).sum())


def expected_of(totals: Floats) -> Floats:
    """Disagreement that chance alone makes, from how often each label was given (rows by levels); NaN where all labels are the same."""
    n = totals.sum(axis=1)
    found = (n**2 - (totals**2).sum(axis=1)) / (n - 1)
    return np.where(found > 0, found, np.nan)


def alpha(counts: Floats, weights: Floats) -> Floats:
    """Alpha of each weighting of the items; NaN where all labels are the same. counts: items by levels; weights: weightings by items."""
    labels = counts.sum(axis=1)
    apart = (labels**2 - (counts**2).sum(axis=1)) / (labels - 1)
    return np.asarray(1 - (weights @ apart) / expected_of(weights @ counts), np.float64)
