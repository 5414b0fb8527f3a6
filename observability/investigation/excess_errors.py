"""Compare the errors of a group of rows with the errors of other rows with the same scores. Rows of one day are correlated, so days are the
unit of the interval.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.numerals import percent
from observability.stats.arrays import Array, Bools, Floats

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_ROWS_OF_SIDE, NEIGHBOURS, MIN_DAYS, ENOUGH_DAYS = 20, 200, 3, 6
"""Four numbers: minimum rows inside and outside; maximum rows outside that are compared with one row inside; number of days from which days
are the unit; number of days below which an excess counts as none. With fewer days, all days agree by chance in at least one of 2⁵ / 2 = 16
cases.
"""
EVEN_DAYS = 4.0
"""Minimum effective number of days, (Σ rows of a day)² / Σ (rows of a day)². Six days have more than this if their numbers of rows differ
by at most a factor of four.
"""


@dataclass(frozen=True)
class ExcessErrors:
    """Errors of a group of rows. others: number of errors expected from the rows outside the group with the same scores. low: lower end of
    the 95 % interval of the excess, in errors. days, days_outside: number of days that the group's rows and the other rows are from (0 if
    rows are the unit). said: the word for the errors in a sentence, after `are`. even_days: effective number of the group's days; days with
    few rows hardly count.
    """

    n: int
    errors: int
    others: float
    low: float
    days: int
    days_outside: int = 0
    said: str = "errors"
    even_days: float = float("inf")

    @property
    def part(self) -> float:
        """The share of the errors that is in excess: the middle between the estimate and the lower end of its interval. It is 0 if the
        lower end is not positive, or if one event can explain the excess: fewer than ENOUGH_DAYS days, or nearly all rows on few days.
        """
        few = 0 < min(self.days, self.days_outside) < ENOUGH_DAYS or (self.days > 0 and self.even_days < EVEN_DAYS)
        return (self.errors - self.others + self.low) / 2 / self.errors if self.low > 0 and not few else 0.0

    @property
    def sentence(self) -> str:
        """The comparison in words. If there is no excess, it includes the reason."""
        days = f" on {self.days} UTC day{'' if self.days == 1 else 's'}" if self.days else ""
        compared = f"{percent(self.others / self.n, 2)} of the other rows with the nearest scores on either side"
        end = "." if self.part > 0 else f": {self._why_none}."
        return f"{percent(self.errors / self.n, 2)} of {self.n:,} rows{days} are {self.said}, {compared}{end}"

    @property
    def _why_none(self) -> str:
        if self.errors <= self.others:
            return "no excess"
        if not self.days:
            return "no significant excess"
        if self.days < ENOUGH_DAYS:
            return "too few days to tell"
        if self.days_outside < ENOUGH_DAYS:
            return f"the other rows are of {self.days_outside} day{'' if self.days_outside == 1 else 's'}, too few to tell"
        if self.low > 0:
            return "most of these rows are of few days, too few to tell"
        return "no significant excess (rows of one day are correlated)"


def excess_errors(frame: "DataFrame", inside: Bools, wrong: Bools, said: str = "errors") -> ExcessErrors | None:
    """How many more errors a group has than the rows outside with the nearest scores lead to expect. None if too few rows have a score.

    Parameters
    ----------
    frame : DataFrame
        Labelled rows of one decision (or of a regression), with `at` and `score`.
    inside, wrong : Bools
        Which rows are in the group, and which are errors.
    said : str
        What these errors are, in words.

    Each row inside is compared with the rows outside that are nearest by score, equally many above and below. The interval is Student's t
    over estimates that each leave out one day (the jackknife, valid even if one day has most of the rows). If the rows are from fewer than
    MIN_DAYS days, rows are the unit. The interval also allows for the random variation of the errors outside. Its degrees of freedom come
    from the side whose rows are from fewer days.
    """
    known = np.asarray(frame["score"].notna(), bool)
    score = frame["score"].to_numpy(np.float64)
    into, out = np.flatnonzero(inside & known), np.flatnonzero(~inside & known)
    if min(into.size, out.size) < MIN_ROWS_OF_SIDE:
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
    return ExcessErrors(int(into.size), errors, others, *_lower_end(frame, parts, into, out), said, _even_days(frame, into))


def expected_errors_by_score(frame: "DataFrame", wrong: Bools) -> Floats:
    """For each row, the error rate of the NEIGHBOURS other rows with the nearest scores; for a row without a score, the error rate of all
    rows.

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
    if k > MIN_ROWS_OF_SIDE:
        ordered = known[np.argsort(score[known], kind="stable")]
        sums = np.concatenate([[0.0], np.cumsum(flags[ordered])])
        first = np.clip(np.arange(ordered.size) - k // 2, 0, ordered.size - k)
        expected[ordered] = (sums[first + k] - sums[first] - flags[ordered]) / (k - 1)
    return expected


def _windows(sorted_scores: Floats, scores: Floats, k: int) -> Array:
    """The index of the first of the k rows around each score."""
    middle = (np.searchsorted(sorted_scores, scores, "left") + np.searchsorted(sorted_scores, scores, "right")) // 2
    return np.clip(middle - k // 2, 0, sorted_scores.size - k)


def _even_days(frame: "DataFrame", into: Array) -> float:
    """The effective number of days that some rows are from."""
    rows = frame["at"].iloc[into].dt.floor("D").value_counts().to_numpy(np.float64)
    return float(rows.sum() ** 2 / (rows**2).sum()) if rows.size else 0.0


def _lower_end(frame: "DataFrame", parts: Floats, into: Array, out: Array) -> tuple[float, int, int]:
    """Lower end of the interval of the summed excess inside, and the number of days inside and outside (0: rows are the unit)."""
    from scipy.stats import t

    day = np.asarray(frame["at"].dt.floor("D").astype("int64"))
    every = np.unique(day)
    total = float(parts[into].sum())
    apart = parts.copy()
    apart[into] -= total / into.size
    if every.size < MIN_DAYS:
        spread, degrees, days, others = float(np.sqrt((apart**2).sum())), into.size - 1, 0, 0
    else:
        days, others = (int(np.unique(day[rows]).size) for rows in (into, out))
        fewest = min(days, others)
        if fewest < MIN_DAYS:
            return 0.0, days, others
        without = np.zeros(every.size)
        for rows in (into, out):
            place = np.searchsorted(every, day[rows])
            share = np.bincount(place, minlength=every.size) / rows.size
            without += np.bincount(place, weights=apart[rows], minlength=every.size) / (1 - share)
        spread, degrees = float(np.sqrt((without**2).sum() * (fewest - 1) / fewest)), fewest - 1
    return total - float(t.ppf(0.975, degrees)) * spread, days, others
