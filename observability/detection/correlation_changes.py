"""Which two numbers no longer go together as they did, in the window or in its last days, although each alone stayed as it was?

Rank correlations within days of a bounded sample, of ranks over all rows that are compared, so that they differ by how numbers go together and not by their scale.
The window and its last 1 and 3 days are looked at side by side. How far a correlation strays from day to day is learned from the own past, and what
stood there is no news. A number that the rows of a day share (the weather) is left out: with it each day is one observation, and a month of them says
little about how numbers go together. Variance of Fisher's z of a rank correlation: (1 + r² / 2) / (n - 3) (Bonett and Wright 2000).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from observability.detection.onset import Since, since
from observability.stats.dispersion import LEAST_DAYS, Variation, share_left, variation

LOOKS = (1, 3)
WATCH, ACT = 0.1, 0.2
"""The smallest change of a rank correlation that matters."""
VARIES = 0.99
"""What a clean change stays under in so many of the cases is what a correlation varies up to by itself."""
LEAST_ROWS, LEAST_ROWS_A_DAY = 100, 20
REFERENCE_DAYS = 28
"""Days that the reference, which is stored without times, is taken to span at the most where its days are asked for."""
MOST_PAIRS = 300
SHARED = 0.1
"""Share of a number's variance that lies between days (intra-class correlation) from which it is one of the day and not of the row."""
EDGE = 0.999
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Numbers of a sample as centred ranks (rows × numbers, 0 where missing), where they are there, and the day of each row."""

    ranks: Floats
    there: NDArray[np.bool_]
    day: NDArray[np.int64]

    def at(self, kept: NDArray[np.bool_]) -> "Rows":
        """Some of the rows."""
        return Rows(self.ranks[kept], self.there[kept], self.day[kept])

    def correlations(self) -> tuple[Floats, Floats]:
        """Rank correlation of each two numbers within days, NaN where it is not defined, and the rows that have both, less one for each day but the first.

        Within days: two numbers that happen to be high on the same one of three days go together over these days, and in no row.
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


@dataclass(frozen=True)
class Pair:
    """Two numbers in one look. before, after: their rank correlation; p_value: of so large a change by rows and days; limits: from which it is watch and
    act; past: the correlation in the own past, None where not known; standing: beyond the limit, and no further from the own past.
    """

    names: tuple[str, str]
    places: tuple[int, int]
    days: float
    whole: bool
    before: float
    after: float
    n: int
    p_value: float
    varies: float
    past: float | None
    standing: bool

    @property
    def change(self) -> float:
        """How much it changed."""
        return abs(self.after - self.before)

    @property
    def interval(self) -> tuple[float, float]:
        """A 95 % interval of the correlation now, from its rows."""
        z, half = np.arctanh(self.after), 1.96 * np.sqrt(variance(self.after, self.n))
        return float(np.tanh(z - half)), float(np.tanh(z + half))


def variance(r: float | Floats, n: float | Floats) -> Floats:
    """Of Fisher's z of a rank correlation over n rows."""
    return np.asarray((1 + np.asarray(r) ** 2 / 2) / np.maximum(np.asarray(n, np.float64) - 3, 1.0), np.float64)


def prepared(samples: Sequence[Mapping[str, NDArray[np.float64]]], days: Sequence[NDArray[np.int64]]) -> list[Rows]:
    """Samples of the same numbers on one scale: ranks over all of them."""
    from scipy.stats import rankdata

    names = list(samples[0])
    values = np.concatenate([np.column_stack([each[name] for name in names]) for each in samples])
    there, ranks = np.isfinite(values), np.zeros(values.shape)
    for place in range(len(names)):
        own = there[:, place]
        ranks[own, place] = 2 * (rankdata(values[own, place]) - 0.5) / max(int(own.sum()), 1) - 1
    sizes = np.cumsum([each.size for each in days])[:-1]
    return [Rows(*parts) for parts in zip(np.split(ranks, sizes), np.split(there, sizes), days, strict=True)]


@dataclass(frozen=True)
class Together:
    """How each two of some numbers go together: in the reference, now, and in the own past by day. last: number of the window's last whole day."""

    names: tuple[str, ...]
    reference: Rows
    now: Rows
    past: Rows
    last: int
    window: float

    def of_rows(self) -> NDArray[np.bool_]:
        """Which numbers are those of a row, and not of a day that many rows share; where days are too few to tell, all of them."""
        rows = self.past if np.unique(self.past.day).size >= LEAST_DAYS else self.now
        days = np.unique(rows.day)
        if days.size < LEAST_DAYS:
            return np.ones(len(self.names), bool)
        parts = [rows.at(rows.day == day) for day in days]
        n = np.array([each.there.sum(axis=0) for each in parts], np.float64)
        known = n >= LEAST_ROWS_A_DAY
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.array([each.ranks.sum(axis=0) for each in parts]) / n
            whole = (rows.ranks**2).sum(axis=0) / n.sum(axis=0) - (rows.ranks.sum(axis=0) / n.sum(axis=0)) ** 2
            between = np.nanvar(np.where(known, means, np.nan), axis=0, ddof=1) - np.nanmean(np.where(known, whole / n, np.nan), axis=0)
        return np.asarray((known.sum(axis=0) >= LEAST_DAYS) & (between < SHARED * whole), bool)

    def left_out(self) -> list[str]:
        """Numbers of which pairs are not judged: rows of a day share them, or too few rows of a day have them."""
        return [name for name, own in zip(self.names, self.of_rows(), strict=True) if not own]

    def pairs(self, budget: float) -> list[Pair]:
        """Every pair that can be judged, in every look. budget: chance above which days are not asked about, since they only raise it."""
        before, n_before = self.reference.correlations()
        own, n_own = self.past.correlations() if self.past.day.size else (np.full(before.shape, np.nan), np.zeros(before.shape))
        left, right = np.triu_indices(len(self.names), 1)
        own_of_row = self.of_rows()
        left, right = left[own_of_row[left] & own_of_row[right]], right[own_of_row[left] & own_of_row[right]]
        strongest = np.argsort(-np.fmax(np.abs(before[left, right]), np.abs(self.now.correlations()[0][left, right])), kind="stable")
        left, right = left[strongest[:MOST_PAIRS]], right[strongest[:MOST_PAIRS]]
        found = []
        for days in (self.window, *(each for each in LOOKS if each < self.window)):
            kept = ((self.now.day > self.last - days) & (self.now.day <= self.last)) | (days == self.window)
            after, n = self.now.at(kept).correlations()
            for i, j in zip(left.tolist(), right.tolist(), strict=True):
                if np.isnan(after[i, j] + before[i, j]) or min(n[i, j], n_before[i, j]) < LEAST_ROWS:
                    continue
                past = None if np.isnan(own[i, j]) or n_own[i, j] < LEAST_ROWS else (float(own[i, j]), float(n_own[i, j]))
                found.append(
                    self.pair(i, j, days, (float(before[i, j]), float(n_before[i, j])), (float(after[i, j]), float(n[i, j])), past, budget)
                )
        return found

    def pair(
        self, i: int, j: int, days: float, before: tuple[float, float], now: tuple[float, float], past: tuple[float, float] | None, budget: float
    ) -> Pair:  # fmt: skip
        """One pair in one look: (correlation, rows) in the reference, now and in the past."""
        rows = float(variance(*now) + variance(*before))
        p_value, varies, standing = chance(now[0], before[0], rows, 0.0, 1e6), 0.0, False
        if abs(now[0] - before[0]) >= WATCH and p_value <= budget:
            known = self.variation(i, j)
            share = share_left(days, known.correlation) + share_left(REFERENCE_DAYS, known.correlation)
            added = float(known.between[0]) * share
            p_value = chance(now[0], before[0], rows, added, known.freedom)
            varies = strays(now[0], before[0], rows, added, known.freedom) if known.days >= LEAST_DAYS else 0.0
            if past is not None:
                by_past = chance(now[0], past[0], float(variance(*now) + variance(*past)), added, known.freedom)
                standing = by_past > budget or abs(now[0] - past[0]) < max(WATCH, varies)
            if known.days >= LEAST_DAYS and not standing:
                varies = max(varies, self.farthest(i, j, days, before[0], now[0] > before[0]))
        names = (self.names[i], self.names[j])
        whole = days == self.window
        return Pair(names, (i, j), days, whole, before[0], now[0], int(now[1]), p_value, varies, past and past[0], standing)

    def by_day(self, i: int, j: int, rows: Rows) -> tuple[NDArray[np.int64], Floats, Floats]:
        """Fisher's z of one pair by day, and its variance from rows."""
        days, values, variances = [], [], []
        for day in np.unique(rows.day):
            r, n = rows.at(rows.day == day).correlations()
            if n[i, j] >= LEAST_ROWS_A_DAY and np.isfinite(r[i, j]):
                days.append(int(day))
                values.append(float(np.arctanh(r[i, j])))
                variances.append(float(variance(float(r[i, j]), float(n[i, j]))))
        return np.array(days, np.int64), np.array(values), np.array(variances)

    def variation(self, i: int, j: int) -> Variation:
        """What days add to the variance of Fisher's z of one pair."""
        days, values, variances = self.by_day(i, j, self.past)
        return variation(values, variances, days) if days.size else Variation(np.zeros(1), 0.0, 0)

    def farthest(self, i: int, j: int, days: float, before: float, higher: bool) -> float:
        """How far stretches of as many days of the past went from a correlation, on one side: weather goes far in some weeks and not in others."""
        _, values, _ = self.by_day(i, j, self.past)
        length = min(max(round(days), 1), values.size)
        means = np.convolve(values, np.full(length, 1 / length), mode="valid")
        return float(max((np.tanh(means) - before).max() if higher else (before - np.tanh(means)).max(), 0.0))

    def since(self, pair: Pair, start: datetime) -> Since:
        """The day from which two numbers go together otherwise."""
        i, j = pair.places
        parts = [self.by_day(i, j, self.past), self.by_day(i, j, self.now)]
        days, values, variances = (np.concatenate([part[place] for part in parts]) for place in range(3))
        held = float(np.arctanh(pair.before))
        return since(
            [np.datetime64(int(each), "D") for each in days], values, np.sqrt(variances), start=start,
            before=None if parts[0][0].size >= LEAST_DAYS else (held, float(np.sqrt(variance(pair.before, self.reference.day.size)))),
            worse=1 if pair.after > pair.before else -1,
        )  # fmt: skip


def chance(now: float, before: float, rows: float, added: float, freedom: float) -> float:
    """Two-sided p-value of no change. rows, added: variance of the difference of Fisher's z from rows and from days."""
    from scipy.special import stdtr

    error = np.sqrt(rows + added)
    left = min(freedom * ((rows + added) / added) ** 2, 1e6) if added > 0 else 1e6
    return float(2 * stdtr(left, -abs(np.arctanh(now) - np.arctanh(before)) / error))


def strays(now: float, before: float, rows: float, added: float, freedom: float) -> float:
    """How far a clean correlation goes from that before in VARIES of the cases, on the side where it is now."""
    from scipy.special import stdtrit

    left = min(freedom * ((rows + added) / added) ** 2, 1e6) if added > 0 else 1e6
    reach = float(stdtrit(left, 0.5 + VARIES / 2)) * np.sqrt(rows + added)
    return float(abs(np.tanh(np.arctanh(before) + (reach if now > before else -reach)) - before))
