"""Do rows of a group err more than other rows of the same score? Rows of one day are correlated, so days are the unit of the interval."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.numerals import percent
from observability.stats.arrays import Array, Bools, Floats

if TYPE_CHECKING:
    from pandas import DataFrame

FEWEST, NEIGHBOURS, FEWEST_DAYS = 20, 200, 3
"""Minimum rows inside and outside; most rows outside that are compared with one inside; days from which days are the unit."""


@dataclass(frozen=True)
class ExcessErrors:
    """Errors of a group of rows. others: errors that rows outside it with the same scores would have. low: lower end of the 95 % interval
    of the excess, in errors. days: days on which the group has rows (0 where the rows are of too few days to tell).
    """

    n: int
    errors: int
    others: float
    low: float
    days: int

    @property
    def part(self) -> float:
        """Part of the errors that is in excess: the middle between the estimate and the lower end; 0 where that end is not positive."""
        return (self.errors - self.others + self.low) / 2 / self.errors if self.low > 0 else 0.0

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        days = f" on {self.days} day{'' if self.days == 1 else 's'}" if self.days else ""
        compared = f"{percent(self.others / self.n, 2)} of the other rows with the nearest scores on either side"
        end = "." if self.low > 0 else f": no significant excess{self._by_days}."
        return f"{percent(self.errors / self.n, 2)} of {self.n:,} rows{days} are errors, {compared}{end}"

    @property
    def _by_days(self) -> str:
        if 0 < self.days < FEWEST_DAYS:
            return f" (rows of {FEWEST_DAYS} days or more are needed)"
        return " (rows of one day are correlated)" if self.days else ""


def excess_errors(frame: "DataFrame", inside: Bools, wrong: Bools) -> ExcessErrors | None:
    """Errors inside a group beyond those of the rows outside with the nearest scores. None where too few rows have a score.

    Parameters
    ----------
    frame : DataFrame
        Labelled rows of one decision (or of a regression), with `at` and `score`.
    inside, wrong : Bools
        Which rows are in the group, and which are errors.

    Each row inside is compared with the rows outside that are next to it by score, as many above as below. The interval is Student's t over
    the sums of days (over rows, where all rows are of fewer than FEWEST_DAYS days); it counts the errors of the rows outside as well. Its
    degrees of freedom are those of the side with rows on fewer days.
    """
    known = np.asarray(frame["score"].notna(), bool)
    score = frame["score"].to_numpy(np.float64)
    into, out = np.flatnonzero(inside & known), np.flatnonzero(~inside & known)
    if min(into.size, out.size) < FEWEST:
        return None
    out = out[np.argsort(score[out], kind="stable")]
    k = min(NEIGHBOURS, out.size)
    sums = np.concatenate([[0.0], np.cumsum(wrong[out].astype(np.float64))])
    first = _windows(score[out], score[into], k)
    rate = (sums[first + k] - sums[first]) / k
    own = _windows(score[out], score[out], k)
    weight = np.bincount(first, minlength=out.size + 1)[: out.size].astype(np.float64)
    covering = np.cumsum(weight)
    covering[k:] -= np.cumsum(weight)[:-k]
    parts = np.zeros(len(frame))
    parts[into] = wrong[into] - rate
    parts[out] = -covering / k * (wrong[out] - (sums[own + k] - sums[own]) / k)
    errors, others = int(wrong[into].sum()), float(rate.sum())
    low, days = _lower_end(frame, parts, into, out)
    return ExcessErrors(int(into.size), errors, others, low, days)


def expected_errors_by_score(frame: "DataFrame", wrong: Bools) -> Floats:
    """The error rate of the NEIGHBOURS other rows with the nearest scores, of each row; of rows without a score that of all rows.

    Parameters
    ----------
    frame : DataFrame
        Labelled rows with `score`.
    wrong : Bools
        Which rows are errors.

    Returns
    -------
    Floats
        Rates, 0 to 1.
    """
    flags = wrong.astype(np.float64)
    expected = np.full(len(frame), flags.mean() if flags.size else 0.0)
    score = frame["score"].to_numpy(np.float64) if "score" in frame else np.full(len(frame), np.nan)
    known = np.flatnonzero(np.isfinite(score))
    k = min(NEIGHBOURS + 1, known.size)
    if k > FEWEST:
        ordered = known[np.argsort(score[known], kind="stable")]
        sums = np.concatenate([[0.0], np.cumsum(flags[ordered])])
        first = np.clip(np.arange(ordered.size) - k // 2, 0, ordered.size - k)
        expected[ordered] = (sums[first + k] - sums[first] - flags[ordered]) / (k - 1)
    return expected


def _windows(sorted_scores: Floats, scores: Floats, k: int) -> Array:
    """Where the k rows begin that are around each score."""
    middle = (np.searchsorted(sorted_scores, scores, "left") + np.searchsorted(sorted_scores, scores, "right")) // 2
    return np.clip(middle - k // 2, 0, sorted_scores.size - k)


def _lower_end(frame: "DataFrame", parts: Floats, into: Array, out: Array) -> tuple[float, int]:
    """Lower end of the interval of the sum of parts inside, and the days inside (0: rows are the unit)."""
    from scipy.stats import t

    day = np.asarray(frame["at"].dt.floor("D").astype("int64"))
    every = np.unique(day)
    total = float(parts[into].sum())
    if every.size < FEWEST_DAYS:
        spread, degrees, days = float(np.sqrt((parts**2).sum())), into.size - 1, 0
    else:
        days, others = (int(np.unique(day[rows]).size) for rows in (into, out))
        fewest = min(days, others)
        if fewest < FEWEST_DAYS:
            return 0.0, days
        by_day = np.bincount(np.searchsorted(every, day), weights=parts)
        spread, degrees = float(np.sqrt((by_day**2).sum() * fewest / (fewest - 1))), fewest - 1
    return total - float(t.ppf(0.975, degrees)) * spread, days
