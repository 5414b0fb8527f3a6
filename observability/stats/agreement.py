"""Agreement of annotators beyond chance, for nominal labels: Krippendorff's alpha, Cohen's and Fleiss' kappas.

Alpha is 1 - observed disagreement / expected disagreement over the items with two labels or more (Krippendorff 2011, Computing
Krippendorff's Alpha-Reliability). Any number of annotators may label any subset of the items. 1 is full agreement, 0 is chance
agreement, below 0 is less than chance. Labels are reliable from 0.8 on and tentatively so from 0.667 on (Krippendorff 2004).
"""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
from scipy.special import ndtri

from observability.stats.arrays import Floats
from observability.stats.interval import Interval

RELIABLE, TENTATIVE = 0.8, 0.667
DRAWS = 1000
MANY_ITEMS = 5_000
"""Number of items from which the interval is a normal one with jackknife variance, not a bootstrap interval."""
MIN_ITEMS = 10
"""Minimum number of items for an interval."""


def krippendorff_alpha(items: Sequence[Sequence[Hashable]], confidence: float = 0.95, seed: int = 0) -> Interval:
    """Krippendorff's alpha of labelled items, with a percentile bootstrap interval over items (1,000 draws).

    Parameters
    ----------
    items : Sequence[Sequence[Hashable]]
        Labels of each item. Items with fewer than two labels are ignored.
    confidence : float
        Coverage of the interval.
    seed : int
        Seed of the random draws.

    Returns
    -------
    Interval
        `n` is the number of items with two labels or more. All None without such items or where all labels are equal; no bounds
        below MIN_ITEMS items.

    References
    ----------
    * Krippendorff (2011), Computing Krippendorff's Alpha-Reliability.
    """
    paired = [item for item in items if len(item) > 1]
    levels = {label: place for place, label in enumerate(dict.fromkeys(label for each in paired for label in each))}
    counts = np.zeros((len(paired), len(levels)))
    for place, each in enumerate(paired):
        for label, times in Counter(each).items():
            counts[place, levels[label]] = times
    return krippendorff_alpha_of_counts(counts, confidence, seed)


def krippendorff_alpha_of_counts(counts: Floats, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Krippendorff's alpha of a table of counts; see `krippendorff_alpha`.

    Parameters
    ----------
    counts : Floats
        Items × levels: how often each item got each label. Items with fewer than two labels are ignored.
    confidence : float
        Coverage of the interval.
    seed : int
        Seed of the random draws.

    Returns
    -------
    Interval
        As `krippendorff_alpha`.
    """
    paired = counts[counts.sum(axis=1) > 1]
    n = len(paired)
    if (paired.sum(axis=0) > 0).sum() < 2:
        return Interval(None, None, None, n)
    value = float(_weighted_alpha(paired, np.ones((1, n)))[0])
    if n < MIN_ITEMS:
        return Interval(value, None, None, n)
    if n >= MANY_ITEMS:
        reach = float(ndtri((1 + confidence) / 2) * np.sqrt(alpha_with_variance(paired)[1]))
        return Interval(value, value - reach, min(value + reach, 1.0), n)
    ordered = paired[:, np.lexsort(((paired**2).sum(axis=0), paired.sum(axis=0)))]  # this makes draws independent of the order of labels
    alike, times = np.unique(ordered, axis=0, return_counts=True)  # a draw of items is a draw of how often each row of counts occurs
    drawn = _weighted_alpha(alike, np.random.default_rng(seed).multinomial(n, times / n, size=DRAWS).astype(np.float64))
    low, high = np.nanquantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, min(float(low), value), max(float(high), value), n)


def cohen_kappa(table: Floats) -> float:
    """Cohen's kappa of two annotators: agreement beyond the chance agreement that their own label frequencies give.

    Parameters
    ----------
    table : Floats
        Labels of the first × labels of the second: counts of items.

    Returns
    -------
    float
        NaN without items, or where both gave one and the same label throughout.

    References
    ----------
    * Cohen (1960), A coefficient of agreement for nominal scales.
    """
    n = float(table.sum())
    by_chance = float(table.sum(axis=0) @ table.sum(axis=1)) / n**2 if n else 1.0
    return (float(np.trace(table)) / n - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")


def fleiss_kappa_of_counts(counts: Floats) -> float:
    """Fleiss' kappa of items that all have the same number of labels.

    Parameters
    ----------
    counts : Floats
        Items × levels: how often each item got each label.

    Returns
    -------
    float
        NaN without items, below two labels an item, or where all labels are equal.

    Raises
    ------
    ValueError
        Where items have different numbers of labels.

    References
    ----------
    * Fleiss (1971), Measuring nominal scale agreement among many raters.
    """
    labels = counts.sum(axis=1)
    if len(labels) and (labels != labels[0]).any():
        raise ValueError(f"Fleiss' kappa needs equally many labels of each item; got {labels.min():g} to {labels.max():g}")
    if not len(labels) or labels[0] < 2:
        return float("nan")
    observed = float((((counts**2).sum(axis=1) - labels) / (labels * (labels - 1))).mean())
    by_chance = float(((counts.sum(axis=0) / labels.sum()) ** 2).sum())
    return (observed - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")


def alpha_with_variance(counts: Floats) -> tuple[float, float]:
    """Krippendorff's alpha and its jackknife variance over items.

    Parameters
    ----------
    counts : Floats
        Items × levels.

    Returns
    -------
    tuple[float, float]
        (alpha, variance); both NaN below MIN_ITEMS items with two labels or more, or where all labels are equal.

    References
    ----------
    * Efron and Stein (1981), The jackknife estimate of variance.
    """
    paired = counts[counts.sum(axis=1) > 1]
    n = len(paired)
    if n < MIN_ITEMS or (paired.sum(axis=0) > 0).sum() < 2:
        return float("nan"), float("nan")
    labels = paired.sum(axis=1)
    apart = (labels**2 - (paired**2).sum(axis=1)) / (labels - 1)
    observed, totals = apart.sum(), paired.sum(axis=0)
    value = 1 - observed / _expected_disagreement(totals[None])[0]
    left_out = 1 - (observed - apart) / _expected_disagreement(totals - paired)
    known = left_out[np.isfinite(left_out)]
    return float(value), float((n - 1) / n * ((known - known.mean()) ** 2).sum())


def _expected_disagreement(totals: Floats) -> Floats:
    """Disagreement expected by chance from the totals of each label (rows × levels); NaN if all labels are equal."""
    n = totals.sum(axis=1)
    found = (n**2 - (totals**2).sum(axis=1)) / (n - 1)
    return np.where(found > 0, found, np.nan)


def _weighted_alpha(counts: Floats, weights: Floats) -> Floats:
    """Alpha for each weighting of the items (weights: weightings × items); NaN if all labels are equal."""
    labels = counts.sum(axis=1)
    apart = (labels**2 - (counts**2).sum(axis=1)) / (labels - 1)
    return np.asarray(1 - (weights @ apart) / _expected_disagreement(weights @ counts), np.float64)
