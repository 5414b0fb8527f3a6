"""How often was each value of a column there: in which bin, on which day?"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Edges
from observability.core.questions import ABSENT, NAN, NULL, UNSEEN, WRONG_TYPE
from observability.stats.interval import effective_n

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
CHECKS = {
    "null_rate": NULL,
    "nan_rate": NAN,
    "absent_rate": ABSENT,
    "wrong_type_rate": WRONG_TYPE,
    "unseen_rate": UNSEEN,
    "out_of_range_rate": None,
}
"""Rates that are looked at, and the special bin of each; out of range is the first and the last bin of a number."""
FIRST_BIN = min(NULL, NAN, ABSENT, WRONG_TYPE, UNSEEN)
OF_NUMBERS, OF_CATEGORIES = ("null_rate", "nan_rate", "absent_rate", "wrong_type_rate"), ("null_rate", "absent_rate", "wrong_type_rate")


@dataclass(frozen=True)
class Share:
    """Some rows of others: Σw of those, Σw and Σw² of all, and how many rows all are."""

    hits: float
    total: float
    squares: float
    rows: int

    @property
    def value(self) -> float:
        """The share; NaN without rows."""
        return self.hits / self.total if self.total > 0 else float("nan")

    @property
    def n(self) -> float:
        """Effective rows."""
        return effective_n(self.total, self.squares)


@dataclass(frozen=True)
class Shares:
    """A share on each of some days: the days, in order, and the same figures as in `Share` of each."""

    days: NDArray[np.datetime64]
    hits: Floats
    total: Floats
    squares: Floats
    rows: Floats

    @cached_property
    def value(self) -> Floats:
        """The share on each day; NaN without rows."""
        return np.divide(self.hits, self.total, out=np.full(self.days.size, np.nan), where=self.total > 0)

    @cached_property
    def n(self) -> Floats:
        """Effective rows of each day."""
        return np.divide(self.total**2, self.squares, out=np.zeros(self.days.size), where=self.total > 0)

    def at(self, kept: NDArray[np.bool_]) -> "Shares":
        """Some of the days."""
        return Shares(self.days[kept], self.hits[kept], self.total[kept], self.squares[kept], self.rows[kept])

    def then(self, later: "Shares") -> "Shares":
        """Two series as one; of a day that both have a part of, the later one's."""
        first = self.at(~np.isin(self.days, later.days))
        return Shares(*(np.concatenate([getattr(each, one.name) for each in (first, later)]) for one in fields(Shares)))


NO_DAYS = Shares(np.empty(0, "datetime64[D]"), *(np.zeros(0) for _ in range(4)))


@dataclass(frozen=True)
class Counts:
    """The rows of one column in a histogram answer, laid out by day and bin. days: those with rows, in order (one that is not a time where it was not asked by day);
    bins: their numbers, from FIRST_BIN on; table: (Σw, Σw², rows) × days × bins.
    """

    days: NDArray[np.datetime64]
    bins: NDArray[np.int64]
    table: Floats

    @cached_property
    def sums(self) -> tuple[float, float, int]:
        """Σw, Σw² and rows in all."""
        total, squares, rows = self.by_bin.sum(axis=1).tolist()
        return total, squares, int(rows)

    @property
    def rows(self) -> int:
        """Rows in all."""
        return self.sums[2]

    @property
    def total(self) -> float:
        """Σw of all rows."""
        return self.sums[0]

    @property
    def n(self) -> float:
        """Effective rows."""
        return effective_n(*self.sums[:2])

    @cached_property
    def by_bin(self) -> Floats:
        """Σw, Σw² and rows of each bin."""
        return np.asarray(self.table.sum(axis=1))

    @cached_property
    def by_day(self) -> Floats:
        """Σw, Σw² and rows of each day."""
        return np.asarray(self.table.sum(axis=2))

    @cached_property
    def values(self) -> "Counts":
        """The rows with an ordinary value: not null, NaN, absent, of another type or unseen."""
        return Counts(self.days, self.bins[-FIRST_BIN:], self.table[:, :, -FIRST_BIN:])

    @cached_property
    def weights(self) -> dict[int, float]:
        """Σw of each bin, by its number."""
        return dict(zip(self.bins.tolist(), self.by_bin[0].tolist()))

    def on(self, place: int) -> "Counts":
        """One of the days, by its place among them."""
        return Counts(self.days[place : place + 1], self.bins, self.table[:, place : place + 1])

    def share(self, metric: str, edges: Edges) -> Share:
        """The share of one check: special bins of all rows, out of range of the values."""
        counted = self.counted(metric)
        return Share(float(counted.by_bin[0, hit(metric, counted.bins, edges)].sum()), *counted.sums)

    def shares(self, metric: str, edges: Edges) -> Shares:
        """The share of one check on each day."""
        counted = self.counted(metric)
        return counted.of_days(hit(metric, counted.bins, edges))

    def counted(self, metric: str) -> "Counts":
        """The rows that a check is about."""
        return self.values if CHECKS[metric] is None else self

    def of_days(self, kept: NDArray[np.bool_]) -> Shares:
        """The share that some of the bins have on each day."""
        return Shares(self.days, self.table[0, :, kept].sum(axis=0), *self.by_day)


NO_ROWS = Counts(np.empty(0, "datetime64[D]"), np.empty(0, np.int64), np.zeros((3, 0, 0)))


def counted(frame: "DataFrame") -> dict[str, Counts]:
    """A histogram answer by column."""
    import pandas as pd

    places, names = pd.factorize(frame["column"].to_numpy(object), sort=True)
    order = np.argsort(places, kind="stable")
    ends = np.cumsum(np.bincount(places, minlength=len(names))).tolist()
    timeless = np.zeros(len(frame), np.int64), np.array(["NaT"], "datetime64[D]")
    at, days = pd.factorize(frame["period"].to_numpy(), sort=True) if "period" in frame else timeless
    dates, day, bins = np.asarray(days, "datetime64[D]"), at[order], frame["bin"].to_numpy(np.int64)[order]
    figures = [frame[each].to_numpy(np.float64)[order] for each in ("w", "w2", "n")]
    parts = zip(map(str, names), map(slice, [0, *ends], ends))
    return {name: laid_out(dates, day[part], bins[part], [each[part] for each in figures]) for name, part in parts}


def laid_out(dates: NDArray[np.datetime64], day: NDArray[np.int64], bins: NDArray[np.int64], figures: Sequence[Floats]) -> Counts:
    """Rows in any order as a table. day: the place of each among the dates; figures: Σw, Σw² and rows of each."""
    numbers = np.arange(FIRST_BIN, bins.max() + 1)
    shape = dates.size, numbers.size
    cell = day * numbers.size + bins - FIRST_BIN
    table = np.array([np.bincount(cell, each, dates.size * numbers.size).reshape(shape) for each in figures])
    there = table[2].any(axis=1)
    return Counts(dates, numbers, table) if there.all() else Counts(dates[there], numbers, table[:, there])


def hit(metric: str, bins: NDArray[np.int64], edges: Edges) -> NDArray[np.bool_]:
    """Which bins a check is about: its special one, or those outside of the reference's range."""
    special = CHECKS[metric]
    return outside(bins, edges) if special is None else np.asarray(bins == special, bool)


def outside(bins: NDArray[np.int64], edges: Edges) -> NDArray[np.bool_]:
    """Which ordinary bins of a number lie outside of the reference's range."""
    return np.asarray((bins == 0) | (bins == len(edges.edges)), bool)


def interior(bins: NDArray[np.int64], edges: Edges) -> NDArray[np.bool_]:
    """Which bins hold values of one kind: a level, or a number inside the reference's range (outside of it a bin has no end)."""
    return np.asarray((bins >= 0) & ~outside(bins, edges) if edges.edges else bins >= 0, bool)


def checks_of(kind: str, edges: Edges, *, feature: bool = True) -> tuple[str, ...]:
    """The rates that can be told of a column: of its kind, and of the edges that it has."""
    if not feature:
        return ("null_rate", "nan_rate", *(("out_of_range_rate",) if edges.edges else ()))
    if kind == "number":
        return (*OF_NUMBERS, *(("out_of_range_rate",) if edges.edges else ()))
    return (*OF_CATEGORIES, *(("unseen_rate",) if edges.levels else ()))
