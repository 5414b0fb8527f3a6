"""How often was each value of a column there: in which bin, on which day?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.aggregate import ABSENT, NAN, NULL, UNSEEN, WRONG_TYPE
from observability.catalog import Edges
from observability.stats.interval import effective_n

if TYPE_CHECKING:
    from pandas import DataFrame

CHECKS = {
    "null_rate": NULL,
    "nan_rate": NAN,
    "absent_rate": ABSENT,
    "wrong_type_rate": WRONG_TYPE,
    "unseen_rate": UNSEEN,
    "out_of_range_rate": None,
}
"""Rates that are looked at, and the special bin of each; out of range is the first and the last bin of a number."""
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
class Counts:
    """The rows of one column in a histogram answer, in any order: bin, day (empty where it was not asked by day), n, Σw, Σw²."""

    bins: NDArray[np.int64]
    days: NDArray[np.datetime64]
    n: NDArray[np.int64]
    w: NDArray[np.float64]
    w2: NDArray[np.float64]

    @property
    def rows(self) -> int:
        """Rows in all."""
        return int(self.n.sum())

    def where(self, kept: NDArray[np.bool_]) -> "Counts":
        """Some of them."""
        return Counts(self.bins[kept], self.days[kept] if self.days.size else self.days, self.n[kept], self.w[kept], self.w2[kept])

    def by_day(self) -> Iterator[tuple[np.datetime64, "Counts"]]:
        """Each day with its rows, in order."""
        for day in np.unique(self.days):
            yield day, self.where(self.days == day)

    def share(self, metric: str, edges: Edges) -> Share:
        """The share of one check: special bins of all rows, out of range of the values."""
        special = CHECKS[metric]
        counted = self if special is not None else self.values()
        hit = counted.bins == special if special is not None else outside(counted.bins, edges)
        return Share(float(counted.w[hit].sum()), float(counted.w.sum()), float(counted.w2.sum()), counted.rows)

    def shares(self, metric: str, edges: Edges) -> list[tuple[np.datetime64, Share]]:
        """The share of one check on each day, in order."""
        special = CHECKS[metric]
        kept = np.ones(self.bins.size, bool) if special is not None else self.bins >= 0
        return self.of_days(kept & (self.bins == special if special is not None else outside(self.bins, edges)), kept)

    def of_days(self, hit: NDArray[np.bool_], kept: NDArray[np.bool_]) -> list[tuple[np.datetime64, Share]]:
        """The share that some of the kept rows have on each day, in order."""
        days, place = np.unique(self.days, return_inverse=True)
        of = [
            np.bincount(place[rows], values[rows].astype(np.float64), days.size).tolist()
            for values, rows in ((self.w, hit), (self.w, kept), (self.w2, kept), (self.n, kept))
        ]
        return [(day, Share(hits, total, squares, int(rows))) for day, hits, total, squares, rows in zip(days, *of, strict=True)]

    def values(self) -> "Counts":
        """The rows with an ordinary value: not null, NaN, absent, of another type or unseen."""
        return self.where(self.bins >= 0)

    def by_bin(self) -> dict[int, float]:
        """Σw of each bin."""
        names, places = np.unique(self.bins, return_inverse=True)
        return dict(zip(names.tolist(), np.bincount(places, self.w, names.size).tolist())) if names.size else {}


def counted(frame: "DataFrame") -> dict[str, Counts]:
    """A histogram answer by column."""
    import pandas as pd

    places, names = pd.factorize(frame["column"].to_numpy(object), sort=True)
    order = np.argsort(places, kind="stable")
    ends = np.cumsum(np.bincount(places, minlength=len(names))).tolist()
    days = frame["period"].to_numpy("datetime64[D]")[order] if "period" in frame else np.empty(0, "datetime64[D]")
    bins, n = (frame[each].to_numpy(np.int64)[order] for each in ("bin", "n"))
    w, w2 = (frame[each].to_numpy(np.float64)[order] for each in ("w", "w2"))
    parts = zip(map(str, names), map(slice, [0, *ends], ends))
    return {name: Counts(bins[part], days[part], n[part], w[part], w2[part]) for name, part in parts}


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
