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
    if len(levels) < 2:
        return Interval(None, None, None, len(paired))
    counts = np.zeros((len(paired), len(levels)))
    for place, each in enumerate(paired):
        for label, times in Counter(each).items():
            counts[place, levels[label]] = times
    value = float(alpha(counts, np.ones((1, len(paired))))[0])
    if len(paired) < LEAST_ITEMS:
        return Interval(value, None, None, len(paired))
    weights = np.random.default_rng(seed).multinomial(len(paired), np.full(len(paired), 1 / len(paired)), size=DRAWS).astype(np.float64)
    drawn = alpha(counts, weights)
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), len(paired))


def alpha(counts: Floats, weights: Floats) -> Floats:
    """Alpha of each weighting of the items; NaN where all labels are the same. counts: items by levels; weights: weightings by items."""
    labels = counts.sum(axis=1)
    apart = (labels**2 - (counts**2).sum(axis=1)) / (labels - 1)
    observed = weights @ apart
    totals = weights @ counts
    n = totals.sum(axis=1)
    expected = (n**2 - (totals**2).sum(axis=1)) / (n - 1)
    return np.asarray(1 - np.divide(observed, expected, out=np.full(n.shape, np.nan), where=expected > 0), np.float64)
