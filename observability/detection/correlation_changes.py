"""Finds pairs of numbers whose rank correlation changed, in the window or in its last days, although neither number drifted.

Rank correlations are computed within days of a sample of limited size, on ranks over all compared rows. This way only the dependence can
differ, not the scale. The variance of a correlation between days is estimated from the model's own past. A number that all rows of a day
share (the weather) is left out: each day is then a single observation, and a month has too few. Variance of Fisher's z of a rank
correlation: (1 + r² / 2) / (n - 3) (Bonett and Wright 2000).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.core.finding import Severity
from observability.detection.change import DifferenceError, Limits, WindowChange, at_least
from observability.detection.days_beyond import evidence_of_days_beyond
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.detection.windows import last_day_masks
from observability.stats.dispersion import MIN_DAYS, DayVariation, estimate_day_variation

LAST_DAYS = (1, 3)
WATCH, ACT = 0.1, 0.2
"""Changes of a rank correlation from which the severity is `watch` and `act`."""
MIN_ROWS, MIN_ROWS_A_DAY = 100, 20
REFERENCE_DAYS = 28
"""The reference is stored without times; for the variance between days it is assumed to span at most this many days."""
MAX_PAIRS = 300
SHARED = 0.1
"""If this share of a number's variance lies between days (intra-class correlation), the number is a property of the day and not of the row.
"""
EDGE = 0.999
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RankedRows:
    """The numbers of a sample as centred ranks (rows × numbers, 0 if missing), a mask of the values that are present, and the day of each
    row.
    """

    ranks: Floats
    there: NDArray[np.bool_]
    day: NDArray[np.int64]

    def at(self, kept: NDArray[np.bool_]) -> "RankedRows":
        """Return the rows that the mask selects."""
        return RankedRows(self.ranks[kept], self.there[kept], self.day[kept])

    def correlations(self) -> tuple[Floats, Floats]:
        """Return the rank correlations within days of all pairs, and the number of rows of each pair.

        A correlation is NaN if it is undefined. The number of rows counts rows that have both numbers, minus one for each day after the
        first. Two numbers that are both high on one of three days correlate over these days, but not within a day.
        """
        size = self.ranks.shape[1]
        rows, squares, shared, lost = (np.zeros((size, size)) for _ in range(4))
        for day in np.unique(self.day):
            kept = self.day == day
            there, ranks = self.there[kept].astype(np.float64), self.ranks[kept]
            n = there.T @ there
            means = (ranks.T @ there) / np.maximum(n, 1)
            squares += (ranks**2).T @ there - n * means**2
            shared += ranks.T @ ranks - n * means * means.T
            rows += n
            lost += n > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            found = shared / np.sqrt(squares * squares.T)
        return np.clip(found, -EDGE, EDGE), rows - np.maximum(lost - 1, 0)


@dataclass(frozen=True, kw_only=True)
class CorrelationChange(WindowChange):
    """Two numbers in one window; the effect is the change of their rank correlation.

    before, after: the correlation in the reference and in the window; past: the correlation in the model's own past, None if unknown;
    standing: whether the window does not differ from the own past.
    """

    names: tuple[str, str]
    places: tuple[int, int]
    before: float
    after: float
    n: int
    past: float | None
    standing: bool

    @property
    def order(self) -> tuple[float, ...]:
        """Sort key: the most significant first, then the largest."""
        return round(float(np.log(max(self.p_value, 1e-300))), 6), -self.effect

    def is_new(self, severity: Severity, budget: float) -> bool:
        """Whether the correlation differs from the model's own past."""
        return not self.standing

    @property
    def interval(self) -> tuple[float, float]:
        """A 95 % interval of the present correlation, from its number of rows."""
        z, half = np.arctanh(self.after), 1.96 * np.sqrt(fisher_z_variance(self.after, self.n))
        return float(np.tanh(z - half)), float(np.tanh(z + half))


def fisher_z_variance(r: float | Floats, n: float | Floats) -> Floats:
    """Return the variance of Fisher's z of a rank correlation over n rows."""
    return np.asarray((1 + np.asarray(r) ** 2 / 2) / np.maximum(np.asarray(n, np.float64) - 3, 1.0), np.float64)


def ranked_samples(samples: Sequence[Mapping[str, NDArray[np.float64]]], days: Sequence[NDArray[np.int64]]) -> list[RankedRows]:
    """Return samples of the same numbers with ranks on one scale: ranks over all samples together."""
    from scipy.stats import rankdata

    names = list(samples[0])
    values = np.concatenate([np.column_stack([each[name] for name in names]) for each in samples])
    there, ranks = np.isfinite(values), np.zeros(values.shape)
    for place in range(len(names)):
        own = there[:, place]
        ranks[own, place] = 2 * (rankdata(values[own, place]) - 0.5) / max(int(own.sum()), 1) - 1
    sizes = np.cumsum([each.size for each in days])[:-1]
    return [RankedRows(*parts) for parts in zip(np.split(ranks, sizes), np.split(there, sizes), days, strict=True)]


@dataclass(frozen=True)
class Correlations:
    """The correlations between some numbers: in the reference, in the window, and in the model's own past by day.

    last: the number of the window's last whole day. stated: the changes from which a pair is `watch` and `act`.
    """

    names: tuple[str, ...]
    reference: RankedRows
    now: RankedRows
    past: RankedRows
    last: int
    window: float
    stated: Limits

    def of_rows(self) -> NDArray[np.bool_]:
        """A mask of the numbers that vary between rows and not only between days; all numbers if there are too few days to estimate
        this.
        """
        rows = self.past if np.unique(self.past.day).size >= MIN_DAYS else self.now
        days = np.unique(rows.day)
        if days.size < MIN_DAYS:
            return np.ones(len(self.names), bool)
        parts = [rows.at(rows.day == day) for day in days]
        n = np.array([each.there.sum(axis=0) for each in parts], np.float64)
        known = n >= MIN_ROWS_A_DAY
        held, every = np.maximum(n, 1), np.maximum(n.sum(axis=0), 1)
        count = np.maximum(known.sum(axis=0), 2)
        means = np.array([each.ranks.sum(axis=0) for each in parts]) / held
        whole = (rows.ranks**2).sum(axis=0) / every - (rows.ranks.sum(axis=0) / every) ** 2
        off = np.where(known, means - np.where(known, means, 0.0).sum(axis=0) / count, 0.0)
        between = (off**2).sum(axis=0) / (count - 1) - (known * whole / held).sum(axis=0) / count
        return np.asarray((known.sum(axis=0) >= MIN_DAYS) & (between < SHARED * whole), bool)

    def left_out(self) -> list[str]:
        """Numbers whose pairs are not tested, because all rows of a day share the same value, or because too few rows of a day have one."""
        return [name for name, own in zip(self.names, self.of_rows(), strict=True) if not own]

    def changes(self, budget: float) -> list[CorrelationChange]:
        """Return the change of every pair that can be compared, in every window.

        budget: for p-values above this, the variance between days is not computed, because it only raises the p-value.
        """
        before, n_before = self.reference.correlations()
        own, n_own = self.past.correlations() if self.past.day.size else (np.full(before.shape, np.nan), np.zeros(before.shape))
        left, right = np.triu_indices(len(self.names), 1)
        own_of_row = self.of_rows()
        left, right = left[own_of_row[left] & own_of_row[right]], right[own_of_row[left] & own_of_row[right]]
        strongest = np.argsort(-np.fmax(np.abs(before[left, right]), np.abs(self.now.correlations()[0][left, right])), kind="stable")
        left, right = left[strongest[:MAX_PAIRS]], right[strongest[:MAX_PAIRS]]
        found = []
        day = self.now.day
        whole = (self.window, np.ones(day.size, bool))
        for days, kept in (whole, *last_day_masks(day, self.last, self.window, counts=LAST_DAYS)):
            after, n = self.now.at(kept).correlations()
            for i, j in zip(left.tolist(), right.tolist(), strict=True):
                if np.isnan(after[i, j] + before[i, j]) or min(n[i, j], n_before[i, j]) < MIN_ROWS:
                    continue
                past = None if np.isnan(own[i, j]) or n_own[i, j] < MIN_ROWS else (float(own[i, j]), float(n_own[i, j]))
                sides = (float(before[i, j]), float(n_before[i, j])), (float(after[i, j]), float(n[i, j])), past
                found.append(self.change(i, j, days, *sides, budget))
        return found

    def change(
        self,
        i: int,
        j: int,
        days: float,
        before: tuple[float, float],
        now: tuple[float, float],
        past: tuple[float, float] | None,
        budget: float,
    ) -> CorrelationChange:
        """Return the change of one pair in one window. before, now, past: (correlation, rows) in the reference, in the window and in the
        past.
        """
        shift = float(np.arctanh(now[0]) - np.arctanh(before[0]))
        p_value, varies, standing = z_error(now, before).p_value(shift), 0.0, False
        if abs(now[0] - before[0]) >= WATCH and p_value <= budget:
            known = self.variation(i, j)
            from_days = float((known.of_mean(days) + known.of_mean(REFERENCE_DAYS))[0])
            error = z_error(now, before, from_days, known.freedom)
            p_value = error.p_value(shift)
            if known.days >= MIN_DAYS:
                varies = float(abs(np.tanh(np.arctanh(before[0]) + np.copysign(error.reach, now[0] - before[0])) - before[0]))
            if past is not None:
                by_past = z_error(now, past, from_days, known.freedom).p_value(float(np.arctanh(now[0]) - np.arctanh(past[0])))
                standing = by_past > budget or abs(now[0] - past[0]) < max(WATCH, varies)
            if known.days >= MIN_DAYS and not standing:
                varies = max(varies, self.farthest(i, j, days, before[0], now[0] > before[0]))
        return CorrelationChange(
            days=days,
            whole=days == self.window,
            effect=abs(now[0] - before[0]),
            p_value=p_value,
            limits=self.stated if days == self.window else at_least(self.stated, varies),
            varies=varies,
            names=(self.names[i], self.names[j]),
            places=(i, j),
            before=before[0],
            after=now[0],
            n=int(now[1]),
            past=past and past[0],
            standing=standing,
        )

    def by_day(self, i: int, j: int, rows: RankedRows) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Return Fisher's z of one pair for each day, and its variance from the number of rows."""
        days, values, variances = [], [], []
        for day in np.unique(rows.day):
            r, n = rows.at(rows.day == day).correlations()
            if n[i, j] >= MIN_ROWS_A_DAY and np.isfinite(r[i, j]):
                days.append(int(day))
                values.append(float(np.arctanh(r[i, j])))
                variances.append(float(fisher_z_variance(float(r[i, j]), float(n[i, j]))))
        return np.array(days, np.int64), np.array(values), np.array(variances)

    def variation(self, i: int, j: int) -> DayVariation:
        """Return the variance between days of Fisher's z of one pair."""
        days, values, variances = self.by_day(i, j, self.past)
        return estimate_day_variation(values, variances, days) if days.size else DayVariation(np.zeros(1), 0.0, 0)

    def farthest(self, i: int, j: int, days: float, before: float, higher: bool) -> float:
        """Return the largest one-sided distance from a correlation, over all periods of past days that are as long as the window.

        The largest one counts, because weather varies much more in some weeks than in others.
        """
        _, values, _ = self.by_day(i, j, self.past)
        length = min(max(round(days), 1), values.size)
        means = np.convolve(values, np.full(length, 1 / length), mode="valid")
        return float(max((np.tanh(means) - before).max() if higher else (before - np.tanh(means)).max(), 0.0))

    def standing(self, change: CorrelationChange, limit: float) -> dict[str, Any]:
        """Return, as evidence of a finding, since when the correlation of a pair has been farther than a limit from the reference."""
        i, j = change.places
        sides = zip(self.by_day(i, j, self.past), self.by_day(i, j, self.now), strict=True)
        days, values, variances = (np.concatenate(side) for side in sides)
        side = 1.0 if change.after > change.before else -1.0
        level = float(np.arctanh(np.clip(change.before + side * limit, -EDGE, EDGE)))
        return evidence_of_days_beyond(days, side * (values - level), np.sqrt(variances))

    def onset(self, change: CorrelationChange, start: datetime) -> OnsetEstimate:
        """Return the estimated date on which the correlation of a pair changed."""
        i, j = change.places
        parts = [self.by_day(i, j, self.past), self.by_day(i, j, self.now)]
        days, values, variances = (np.concatenate([part[place] for part in parts]) for place in range(3))
        level = float(np.arctanh(change.before)), float(np.sqrt(fisher_z_variance(change.before, self.reference.day.size)))
        before = None if parts[0][0].size >= MIN_DAYS else level
        return estimate_onset(days, values, np.sqrt(variances), start=start, before=before, worse=1 if change.after > change.before else -1)


def z_error(
    now: tuple[float, float], before: tuple[float, float], from_days: float = 0.0, freedom: float = float("inf")
) -> DifferenceError:
    """Return the standard error of the difference between Fisher's z of two correlations, from their numbers of rows. from_days: additional
    variance between days.
    """
    return DifferenceError(float(np.sqrt(fisher_z_variance(*now) + fisher_z_variance(*before))), from_days, freedom)
