"""Drift of the logged calls of a language model: each input and the tokens of the answers, against the weeks before.

Such a model has no reference. A column moved where its PSI is large, beyond chance, and beyond that of each earlier week against the
others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.stats.arrays import Array, Floats
from observability.stats.distance import psi, psi_by_row, psi_null_quantile

if TYPE_CHECKING:
    from pandas import DataFrame

LEAST_CALLS, LEAST_WEEKS, MOST_BINS, MOST_LEVELS = 100, 2, 10, 20
"""Calls of a week and of the window, weeks before, bins of a number (missing is one more), and levels that are kept apart."""
MOVED = 0.1
"""Smallest PSI that counts as moved."""


@dataclass(frozen=True)
class CallDrift:
    """The drift of one column. psi: in nats; usual: of the most unusual earlier week against the others; chance: exceeded by one window in
    a thousand without change. before, now: the mean of a number, else the share of the level that is most frequent before (`level`).
    """

    column: str
    psi: float
    usual: float
    chance: float
    before: float
    now: float
    level: str | None
    calls: int

    @property
    def moved(self) -> bool:
        """Whether the column moved."""
        return self.psi > max(MOVED, self.usual, self.chance)


def call_drifts(now: "DataFrame", before: "DataFrame", columns: Sequence[str]) -> list[CallDrift]:
    """The drift of each column, the largest PSI first; empty where there are too few calls or weeks.

    Parameters
    ----------
    now : DataFrame
        Calls of the window, with the columns.
    before : DataFrame
        Calls of the weeks before, with the columns and `at` (naive UTC).
    columns : sequence of str
        References of the columns.

    Returns
    -------
    list of CallDrift
    """
    if len(now) < LEAST_CALLS or before.empty:
        return []
    weeks = (before["at"].max() - before["at"]).dt.days.to_numpy() // 7
    sizes = np.bincount(weeks)
    kept = np.flatnonzero(sizes >= LEAST_CALLS)
    if len(kept) < LEAST_WEEKS:
        return []
    held, week = before[np.isin(weeks, kept)], np.searchsorted(kept, weeks[np.isin(weeks, kept)])
    found = [_column_drift(name, now[name].to_numpy(object), held[name].to_numpy(object), week, len(kept)) for name in columns]
    return sorted(found, key=lambda each: -each.psi)


def _column_drift(name: str, now: Array, before: Array, week: Array, weeks: int) -> CallDrift:
    """The drift of one column. week: of each earlier call."""
    numeric = all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in _known(before))
    codes_now, codes_before, bins = _number_codes(now, before) if numeric else _level_codes(now, before)
    counts = np.bincount(week * bins + codes_before, minlength=weeks * bins).reshape(weeks, bins)
    total, current = counts.sum(axis=0), np.bincount(codes_now, minlength=bins)
    held = int(((total > 0) | (current > 0)).sum())
    usual = float(psi_by_row(total - counts, counts).max())
    chance = psi_null_quantile(float(total.sum()), float(current.sum()), held, 0.999)
    level = None if numeric else str(_most_frequent(before))
    means = [_mean_of(values) if numeric else float(np.mean([str(value) == level for value in values])) for values in (before, now)]
    return CallDrift(name.removeprefix("feature."), psi(total, current), usual, chance, means[0], means[1], level, int(current.sum()))


def _known(values: Array) -> list[Any]:
    """The values that are not missing."""
    return [value for value in values if value is not None and value == value]


def _mean_of(values: Array) -> float:
    """The mean of the known numbers; NaN without one."""
    known = np.array(_known(values), np.float64)
    return float(known.mean()) if known.size else float("nan")


def _most_frequent(values: Array) -> Any:
    """The most frequent value."""
    names, counts = np.unique(np.array([str(value) for value in values]), return_counts=True)
    return names[int(counts.argmax())]


def _number_codes(now: Array, before: Array) -> tuple[Array, Array, int]:
    """Bins of numbers by the quantiles before; the last bin is of missing values."""
    sides: list[Floats] = [np.array([np.nan if value is None else value for value in side], np.float64) for side in (now, before)]
    known = sides[1][np.isfinite(sides[1])]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, MOST_BINS + 1)[1:-1])) if known.size else np.empty(0)
    bins = len(edges) + 2
    codes = [np.where(np.isfinite(side), np.searchsorted(edges, side, side="right"), bins - 1) for side in sides]
    return codes[0], codes[1], bins


def _level_codes(now: Array, before: Array) -> tuple[Array, Array, int]:
    """Codes of the most frequent levels before; all others are one."""
    names, counts = np.unique(np.array([str(value) for value in before]), return_counts=True)
    levels = {str(name): place for place, name in enumerate(names[np.argsort(-counts, kind="stable")][:MOST_LEVELS])}
    codes = [np.array([levels.get(str(value), len(levels)) for value in side], np.int64) for side in (now, before)]
    return codes[0], codes[1], len(levels) + 1
