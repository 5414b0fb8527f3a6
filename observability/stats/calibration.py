"""Do scores mean what they say: is an event that is given 0.3 seen 3 times in 10, or is it off by more than chance explains?

Rows come as counts by score bin: positive = Σw of the rows with the event, total = Σw, squares = Σw² (None: unweighted), scores = the score that
stands for each bin (its middle, stats/scores.py). What the bins cost: a row's score is known to half a bin, at most 1/400, so every figure here is
within 1/400 of that of the raw scores. The expected calibration error (ECE) of a model without fault is above zero (about 0.1 at 100 rows): it is
told with its null and never held against zero. The cumulative error (ECCE) needs no groups and has a p-value.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.group import rate_intervals
from observability.stats.interval import falling_root
from observability.stats.scores import SCORE_MIDDLES

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
GROUPS = 10
LEAST_IN_A_GROUP = 25
DRAWS = 4000
SEED = 20130612
"""The draws of the null distribution are the same in each run, so that a finding repeats."""
LEAST_CLUSTERS = 5
LEAST_INFORMATION = 5.0
"""Groups with a smaller Σ p (1 - p) are taken together with their neighbour before they are tested."""


@dataclass(frozen=True)
class Reliability:
    """Rows in groups of about equal mass, in order of their scores. Arrays hold one group a place; `index` the group of each bin.

    score: mean score. rate: share of positives, with low and high (Wilson, 95 %). n: Σw. effective: rows of an unweighted sample as informative.
    variance: of rate - score, were the model without fault. first, last: score bins at the ends of each group.
    """

    score: Floats
    rate: Floats
    low: Floats
    high: Floats
    n: Floats
    effective: Floats
    variance: Floats
    index: Places
    first: Places
    last: Places

    @cached_property
    def deviation(self) -> Floats:
        """Share of positives minus mean score; 0 where a group has no rows."""
        return np.nan_to_num(self.rate - self.score)

    @cached_property
    def share(self) -> Floats:
        """Share of all rows in each group."""
        return self.n / max(float(self.n.sum()), 1e-300)


@dataclass(frozen=True)
class CalibrationError:
    """An error of calibration, and what a model without fault shows at this size.

    value, low, high: with a conservative 95 % interval. null_mean, null_95: mean and 95 % point without fault. p_value: how often a model without
    fault shows as much (ECE: by simulation, not below 1 / 4001). n: effective rows. start, end: bins between which the ECCE gathers; gap: share of
    positives minus mean score between them, held: share of the rows there. ECE: start and end are None.
    """

    value: float
    low: float
    high: float
    null_mean: float
    null_95: float
    p_value: float
    n: float
    start: int | None = None
    end: int | None = None
    gap: float | None = None
    held: float | None = None

    @property
    def excess(self) -> float:
        """How far it lies above what a model without fault shows on average."""
        return self.value - self.null_mean


def reliability(
    positive: ArrayLike,
    total: ArrayLike,
    squares: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    *,
    groups: int = GROUPS,
    index: ArrayLike | None = None,
) -> Reliability | None:
    """Score against share of positives, in groups of equal mass, fewer than `groups` where rows are few or stand in few bins.

    index: the group of each bin, where they are given. None without rows.
    """
    hits, rows, weights = as_counts(positive, total, squares)
    if not rows.sum() > 0:
        return None
    values = SCORE_MIDDLES if scores is None else np.asarray(scores, np.float64)
    if index is None:
        effective = float(rows.sum() ** 2 / weights.sum())
        place = equal_mass(rows, int(np.clip(effective // LEAST_IN_A_GROUP, 1, groups)))
    else:
        place = np.asarray(index, np.int64)
    size = int(place.max()) + 1
    n, y, s, w2, variance = (
        np.asarray(np.bincount(place, each, size), np.float64)
        for each in (rows, hits, rows * values, weights, weights * values * (1 - values))
    )
    rate, low, high = rate_intervals(y, n, w2)
    held = n > 0
    one = np.where(held, n, 1.0)
    first, last = ends(place, rows, size)
    return Reliability(
        score=np.where(held, s / one, np.nan), rate=rate, low=low, high=high, n=n, effective=n**2 / np.where(w2 > 0, w2, 1.0),
        variance=variance / one**2, index=place, first=first, last=last,
    )  # fmt: skip


def as_counts(positive: ArrayLike, total: ArrayLike, squares: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """The three counts as arrays."""
    rows = np.asarray(total, np.float64)
    return np.asarray(positive, np.float64), rows, rows if squares is None else np.asarray(squares, np.float64)


def equal_mass(total: Floats, groups: int) -> Places:
    """The group of each bin, from 0 without gaps, so that each holds about the same mass; a bin is never cut in two."""
    middle = np.cumsum(total) - total / 2
    place = np.minimum((middle / total.sum() * groups).astype(np.int64), groups - 1)
    used = np.unique(place[total > 0])
    return np.clip(np.searchsorted(used, place), 0, used.size - 1).astype(np.int64)


def ends(place: Places, rows: Floats, groups: int) -> tuple[Places, Places]:
    """The first and the last bin of each group that hold rows; of an empty group, of its bins."""
    bins, held = np.arange(place.size), rows > 0
    first, last = np.full(groups, place.size), np.full(groups, -1)
    for some in (held, ~held & (np.bincount(place[held], minlength=groups)[place] == 0)):
        np.minimum.at(first, place[some], bins[some])
        np.maximum.at(last, place[some], bins[some])
    return np.where(last < 0, 0, first), np.maximum(last, 0)


def expected_calibration_error(found: Reliability) -> CalibrationError:
    """ECE on the groups: Σ share × |share of positives - mean score| (Naeini, Cooper and Hauskrecht 2015), with its null and an interval.

    Without fault the deviations of the groups are independent and about normal with known variance; the null follows from that. The interval adds
    and takes away the 95 % point of the noise alone, since |ECE - true ECE| is at most the noise's own: it holds the truth at least 95 times in 100.
    """
    share = found.share
    value = float(share @ np.abs(found.deviation))
    spread = share * np.sqrt(found.variance)
    smoothed = np.where(found.effective > 0, (found.rate * found.effective + 1) / (found.effective + 2), 0.5)
    own = share * np.sqrt(smoothed * (1 - smoothed) / np.maximum(found.effective, 1.0))
    drawn = np.stack([spread, own]) @ distances(spread.size)
    null_95, noise = (float(each) for each in np.quantile(drawn, 0.95, axis=1))
    return CalibrationError(
        value=value, low=max(value - noise, 0.0), high=min(value + noise, 1.0), null_mean=float(np.sqrt(2 / np.pi) * spread.sum()),
        null_95=null_95, p_value=float((1 + np.count_nonzero(drawn[0] >= value)) / (1 + DRAWS)),
        n=float(found.effective.sum()),
    )  # fmt: skip


@lru_cache(maxsize=32)
def distances(size: int) -> Floats:
    """How far size × DRAWS standard normal numbers lie from 0, always the same ones; not to be written to."""
    drawn = np.abs(np.random.default_rng([SEED, size]).standard_normal((DRAWS, size)).T.copy())
    drawn.flags.writeable = False
    return drawn


def cumulative_calibration_error(
    positive: ArrayLike, total: ArrayLike, squares: ArrayLike | None = None, scores: ArrayLike | None = None
) -> CalibrationError | None:
    """ECCE-R: the range of the cumulative differences between labels and scores, in order of the score (Kuiper; Arrieta-Ibarra et al. 2022).

    It is the largest |Σw (label - score)| / Σw over any interval of scores. Without fault the cumulative differences are a Brownian motion, whose
    range has a known distribution (Feller 1951). None where no row can be wrong (no rows, or every score 0 or 1).
    """
    hits, rows, weights = as_counts(positive, total, squares)
    values = SCORE_MIDDLES if scores is None else np.asarray(scores, np.float64)
    whole = float(rows.sum())
    if not whole > 0:
        return None
    scale = float(np.sqrt((weights * values * (1 - values)).sum())) / whole
    if not scale > 0:
        return None
    path = np.concatenate([[0.0], np.cumsum(hits - rows * values) / whole])
    low, high = int(path.argmin()), int(path.argmax())
    start, end = sorted((low, high))
    value = float(path[high] - path[low])
    rates = (hits + values) / (rows + 1)
    noise = BROWNIAN_95 * float(np.sqrt((weights * rates * (1 - rates)).sum())) / whole
    between = float(rows[start:end].sum())
    return CalibrationError(
        value=value, low=max(value - noise, 0.0), high=value + noise, null_mean=float(2 * np.sqrt(2 / np.pi)) * scale, null_95=BROWNIAN_95 * scale,
        p_value=brownian_range_p_value(value / scale), n=whole**2 / float(weights.sum()), start=start, end=max(end - 1, start),
        gap=float(path[end] - path[start]) * whole / between if between > 0 else 0.0, held=between / whole,
    )  # fmt: skip


def brownian_range_p_value(x: float) -> float:
    """How often the range of a standard Brownian motion on [0, 1] exceeds x (Feller 1951): 8 Σ (-1)^(k-1) k Φ(-k x), over k from 1."""
    from scipy.special import ndtr

    if x < 0.45:
        return 1.0
    k = np.arange(1, int(40 / x) + 2)
    return float(np.clip(8 * np.sum(np.where(k % 2 == 1, 1.0, -1.0) * k * ndtr(-k * x)), 0.0, 1.0))


BROWNIAN_95 = falling_root(brownian_range_p_value, 0.05, 0.5, 10.0)
"""What the range of a Brownian motion stays under 95 times in 100: 2.498."""


def calibration_change_p_value(now: Reliability, before: Reliability) -> float:
    """How easily chance makes the deviations of two samples differ as much, group by group, were they the same (χ² over the groups).

    Both on the same groups (`reliability(..., index=now.index)`). Groups with few events are taken together with the next. 1 where none is left.
    """
    from scipy.special import chdtrc

    variance = [binomial_variance(each) for each in (now, before)]
    known = (now.effective > 0) & (before.effective > 0)
    total, groups = 0.0, 0
    difference = spread = information = weight = 0.0
    for place in np.flatnonzero(known):
        share = now.share[place]
        difference += share * (now.deviation[place] - before.deviation[place])
        spread += share**2 * (variance[0][place] + variance[1][place])
        information += min(each.effective[place] ** 2 * part[place] for each, part in zip((now, before), variance))
        weight += share
        if information >= LEAST_INFORMATION and spread > 0:
            total, groups = total + difference**2 / spread, groups + 1
            difference = spread = information = weight = 0.0
    return float(chdtrc(groups, total)) if groups else 1.0


def binomial_variance(found: Reliability) -> Floats:
    """Variance of each group's share of positives, from the share itself with one success and one failure added; 0 without rows."""
    rate = (np.nan_to_num(found.rate) * found.effective + 1) / (found.effective + 2)
    return np.where(found.effective > 0, rate * (1 - rate) / np.maximum(found.effective, 1.0), 0.0)


def brier_parts(found: Reliability) -> tuple[float, float, float]:
    """Reliability, resolution, uncertainty (Murphy 1973): the Brier score on the groups is the first minus the second plus the third.

    Reliability is what miscalibration costs, resolution what telling rows apart gains, uncertainty what a constant score would have.
    """
    share, rate = found.share, np.nan_to_num(found.rate)
    base = float(share @ rate)
    return float(share @ found.deviation**2), float(share @ (rate - base) ** 2), base * (1 - base)


@dataclass(frozen=True)
class Line:
    """Truth against prediction by least squares. slope, low, high: with a 95 % interval. n: rows."""

    slope: float
    low: float
    high: float
    intercept: float
    n: int


def calibration_line(predictions: ArrayLike, truth: ArrayLike, clusters: ArrayLike | None = None) -> Line | None:
    """Does the truth rise by one where the prediction does? None below 10 rows, or where predictions do not vary.

    A slope below 1: predictions are too extreme; above 1: too timid. The interval allows for unequal variances (White 1980, HC1) and, where rows
    come in clusters that share their luck (days), for those (Liang and Zeger 1986), whichever is wider; clusters: a label a row, used from 5 on.
    """
    from scipy.special import stdtrit

    x, y = np.asarray(predictions, np.float64), np.asarray(truth, np.float64)
    n = int(x.size)
    centred = x - x.mean() if n else x
    square = float(centred @ centred)
    if n < 10 or not square > 1e-12 * max(float(x @ x), 1e-300):
        return None
    slope = float(centred @ y) / square
    part = centred * (y - y.mean() - slope * centred)
    half = float(stdtrit(n - 2, 0.975)) * float(np.sqrt(part @ part * n / (n - 2))) / square
    if clusters is not None:
        _, place = np.unique(np.asarray(clusters), return_inverse=True)
        sums = np.bincount(place, part)
        if sums.size >= LEAST_CLUSTERS:
            wide = float(np.sqrt(sums @ sums * sums.size / (sums.size - 1))) / square
            half = max(half, float(stdtrit(sums.size - 1, 0.975)) * wide)
    return Line(slope, slope - half, slope + half, float(y.mean() - slope * x.mean()), n)
