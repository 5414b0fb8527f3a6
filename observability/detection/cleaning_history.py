"""What did each cleaning rule do in its runs, how do they compare with its own earlier ones, and does it drop rows of one group more often?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import hypergeom

from observability.core.finding import Severity
from observability.detection.own_history import LEAST_SPREAD_OF_SHARES, Array, beside, share_of
from observability.stats.interval import Interval, rate_difference_interval

if TYPE_CHECKING:
    from pandas import DataFrame

DROPPED, CHANGED, GAP = "cleaning_drop_rate", "cleaning_change_rate", "cleaning_group_gap"
WATCH, ACT = (1.5, 0.02), (2.0, 0.05)
"""So many times the usual share, and so many points more, is reported, and needs somebody."""
LESS = 0.5
"""So small a part of the usual share, and two points less: the rule may have stopped to find what it is there for."""
GROUP = 0.05
"""Where a group loses so much more of its rows than the others do, it is reported."""
GROUP_ROWS = 30
"""A group of fewer rows is not judged."""
A_DAY = 86_400.0


@dataclass(frozen=True)
class Look:
    """One share of one run beside the rule's earlier runs. rows, hits: those that came in, and those that were dropped (or changed); usual: NaN where the
    past does not tell.
    """

    metric: str
    at: datetime
    rows: int
    hits: int
    usual: float
    p_value: float

    @property
    def share(self) -> float:
        """The share of the rows."""
        return self.hits / self.rows

    def severity(self, adjusted: float, watch: float, act: float) -> Severity:
        """How bad it is, at a p-value that is corrected for all that was looked at."""
        if np.isnan(self.usual):
            return "unknown"
        if self.share < self.usual:
            gone = self.share <= LESS * self.usual and self.usual - self.share >= WATCH[1]
            return "watch" if gone and adjusted <= watch else "ok"
        if self.beyond(ACT) and adjusted <= act:
            return "act"
        return "watch" if self.beyond(WATCH) and adjusted <= watch else "ok"

    def beyond(self, limit: tuple[float, float]) -> bool:
        """Whether it is so far above the usual."""
        return self.share >= limit[0] * self.usual and self.share - self.usual >= limit[1]


@dataclass(frozen=True)
class Group:
    """One level of a column in all runs of the window, against the other levels together. gap: its drop rate less theirs, with its interval."""

    column: str
    level: str
    rows: float
    dropped: float
    others: float
    others_dropped: float
    gap: Interval
    p_value: float


@dataclass(frozen=True)
class Rule:
    """What one rule did to one dataset (None: it names none). runs: in the window; earlier: before it."""

    name: str
    dataset: str | None
    runs: int
    earlier: int
    looks: tuple[Look, ...]
    groups: tuple[Group, ...]

    @property
    def subject(self) -> str:
        """What a finding is about: `rule:NAME`, or `dataset:D/rule:NAME`."""
        return f"rule:{self.name}" if self.dataset is None else f"dataset:{self.dataset}/rule:{self.name}"


def rules_of(past: "DataFrame", current: "DataFrame") -> Iterator[Rule]:
    """Each rule that ran in the window, by dataset and name."""
    import pandas as pd

    both = [each for each in (past.assign(new=False), current.assign(new=True)) if len(each)]
    if not both or current.empty:
        return
    every = pd.concat(both, ignore_index=True).sort_values(["at", "rows_in", "rows_dropped", "rows_changed"])
    names = every["dataset"].map(lambda each: each or "")
    for (dataset, rule), part in every.groupby([names, "rule"], sort=True):
        new = part["new"].to_numpy(bool)
        if new.any():
            looks = [look for metric in (DROPPED, CHANGED) for look in looked_at(metric, part, new)]
            groups = tuple(groups_of(part["groups"][new]))
            yield Rule(str(rule), str(dataset) or None, int(new.sum()), int((~new).sum()), tuple(looks), groups)


def looked_at(metric: str, part: "DataFrame", new: Array) -> Iterator[Look]:
    """One share of each run of the window beside the runs before, on the scale on which shares stray alike (Anscombe 1948)."""
    rows = part["rows_in"].to_numpy(float)
    hits = np.minimum(part["rows_dropped" if metric == DROPPED else "rows_changed"].to_numpy(float), rows)
    n = np.maximum(rows, 1.0)
    scaled, noise = np.arcsin(np.sqrt((hits + 3 / 8) / (n + 3 / 4))), 1 / (4 * n)
    days = np.floor(part["at"].astype("datetime64[us]").to_numpy().astype(np.int64) / 1e6 / A_DAY).astype(np.int64)
    moments: list[datetime] = part["at"].dt.to_pydatetime().tolist()
    places, old = np.flatnonzero(new & (rows > 0)), ~new & (rows > 0)
    found = beside(scaled[places], days[places], scaled[old], days[old], noise[places], noise[old], least=LEAST_SPREAD_OF_SHARES)
    for i, place in enumerate(places.tolist()):
        p = min(2 * min(float(found.low[i]), float(found.high[i])), 1.0) if found.known else float("nan")
        yield Look(metric, moments[place], int(rows[place]), int(hits[place]), share_of(float(found.middle[i]), n[old]), p)


def counts_of(groups: Any) -> dict[str, dict[str, tuple[float, float]]]:
    """Rows and dropped rows by column and level, summed over runs; what is no pair of counts is left out, since the field is free."""
    total: dict[str, dict[str, tuple[float, float]]] = {}
    for each in groups:
        for column, levels in (each if isinstance(each, Mapping) else {}).items():
            for level, counts in (levels if isinstance(levels, Mapping) else {}).items():
                if (pair := pair_of(counts)) is not None:
                    rows, dropped = total.setdefault(str(column), {}).get(str(level), (0.0, 0.0))
                    total[str(column)][str(level)] = (rows + pair[0], dropped + pair[1])
    return total


def pair_of(counts: Any) -> tuple[float, float] | None:
    """Rows and dropped rows of {"in": n, "dropped": n}; None where it is no such thing."""
    if not isinstance(counts, Mapping):
        return None
    rows: Any = counts.get("in")
    dropped: Any = counts.get("dropped")
    for each in (rows, dropped):
        if isinstance(each, bool) or not isinstance(each, int | float):
            return None
    return (float(rows), float(dropped)) if 0 <= dropped <= rows < float("inf") else None


def groups_of(groups: Any) -> Iterator[Group]:
    """Each level of each column that has two or more, against the others of its column."""
    for column, levels in sorted(counts_of(groups).items()):
        rows, dropped = (sum(each[place] for each in levels.values()) for place in (0, 1))
        for level, (own, gone) in sorted(levels.items()) if len(levels) > 1 else ():
            others, others_gone = rows - own, dropped - gone
            enough = min(own, others) >= GROUP_ROWS
            gap = rate_difference_interval(gone, own, others_gone, others) if own and others else Interval(None, None, None, 0.0)
            p = float(hypergeom.sf(gone - 1, rows, dropped, own)) if enough else float("nan")
            yield Group(column, level, own, gone, others, others_gone, gap, p)
