"""Compares the runs of each cleaning rule with its earlier runs, and finds groups of which a rule drops more rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.finding import Severity
from observability.detection.change import significant_severity
from observability.detection.own_history import MIN_SPREAD_OF_SHARES, Array, HistoryComparison, share_from_arcsine, usual_values
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

DROPPED, CHANGED, GAP = "cleaning_drop_rate", "cleaning_change_rate", "cleaning_group_gap"
WATCH, ACT = (1.5, 0.02), (2.0, 0.05)
"""Limits for `watch` and `act`: (multiple of the usual share, increase of the share)."""
LESS = 0.5
"""If a rule's share falls below this fraction of its usual share, and by at least two points, the rule is reported as no longer
effective.
"""
STANDS_OUT = 0.05
"""The most unusual run of a window stands out if the probability of such a run, given the rule's past, is at most this."""
GROUP = 0.05
"""A group is reported if its drop rate exceeds that of the other groups by this much."""
GROUP_ROWS = 30
"""Groups with fewer rows are not judged."""
A_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class CleaningComparison(HistoryComparison):
    """One share of one run, compared with the rule's earlier runs.

    rows: number of rows that came in; hits: number of them that were dropped (or changed). varies: the range of usual shares of such a run,
    given how earlier runs vary. reached: the smallest and largest share of the earlier runs. runs: number of runs of the rule in the
    window.
    """

    rows: int
    hits: int
    varies: tuple[float, float]
    reached: tuple[float, float]
    runs: int

    def severity(self, p_adjusted: float, budget: float) -> Severity:
        """Return the severity at a p-value that is adjusted for all comparisons.

        It is also `watch` if this p-value is not significant but the run stands out from its own past. It is `unknown` if the share is
        beyond its limit and beyond the variation of runs, but neither significant nor standing out.
        """
        if not self.known:
            return "unknown"
        act = self.value > self.usual and self.exceeds(ACT)
        low, high = self.limits
        severity = significant_severity(not low < self.value < high, act, p_adjusted, budget)
        if severity == "ok" and self.stands_out:
            return "watch"
        return "unknown" if severity == "ok" and not self.usual_range[0] < self.value < self.usual_range[1] else severity

    @property
    def stands_out(self) -> bool:
        """Whether the interval of the share is beyond the limit and beyond every earlier run, and such a run is rare (STANDS_OUT). The
        probability takes into account how runs differ and how many runs the window has.
        """
        share, (low, high) = rate_interval(self.hits, self.rows), self.limits
        if share.low is None or share.high is None or not self.p_value * self.runs <= STANDS_OUT:
            return False
        return share.low > max(high, self.reached[1]) or share.high < min(low, self.reached[0])

    @property
    def limits(self) -> tuple[float, float]:
        """The shares below and above which a run differs from earlier runs. A lower limit below 0 is never reached."""
        return min(LESS * self.usual, self.usual - WATCH[1]), max(WATCH[0] * self.usual, self.usual + WATCH[1])

    @property
    def usual_range(self) -> tuple[float, float]:
        """The limits, or the natural range of such runs if it is wider."""
        (low, high), (lowest, highest) = self.limits, self.varies
        return (min(low, lowest) if lowest > 0 else -1.0), max(high, highest)

    def limit(self, severity: Severity) -> float:
        """Return the limit on the side of the usual share on which the value lies. Without `watch` or `act`, it is the end of the natural
        range.
        """
        side = self.value > self.usual or severity == "ok"
        return (self.limits if severity in ("watch", "act") else self.usual_range)[side]


@dataclass(frozen=True)
class CleanedGroup:
    """One level of a column in all runs of the window, compared with the other levels. gap: difference of drop rates, with its interval."""

    column: str
    level: str
    rows: float
    dropped: float
    others: float
    others_dropped: float
    gap: Interval
    p_value: float


@dataclass(frozen=True)
class CleaningRule:
    """The comparisons of one rule on one dataset (None if the runs name no dataset). runs: number of runs in the window; earlier: number
    before it.
    """

    name: str
    dataset: str | None
    runs: int
    earlier: int
    comparisons: tuple[CleaningComparison, ...]
    groups: tuple[CleanedGroup, ...]

    @property
    def subject(self) -> str:
        """The subject of findings about this rule: `rule:NAME` or `dataset:D/rule:NAME`."""
        return f"rule:{self.name}" if self.dataset is None else f"dataset:{self.dataset}/rule:{self.name}"


def applied_runs(frame: "DataFrame") -> "DataFrame":
    """The runs that really dropped or changed rows. Runs of an audit only propose changes (`proposed` among the further fields) and are
    left out.
    """
    return frame[~_proposed(frame)]


def proposed_runs(frame: "DataFrame") -> "DataFrame":
    """The runs of an audit, which only propose changes."""
    return frame[_proposed(frame)]


def _proposed(frame: "DataFrame") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Mask of the runs that only propose; false for all if the frame has no further fields."""
    if "extra" not in frame.columns:
        return np.zeros(len(frame), dtype=bool)
    return np.array([isinstance(extra, Mapping) and extra.get("proposed") is True for extra in frame["extra"]], dtype=bool)


def rules_of(past: "DataFrame", current: "DataFrame") -> Iterator[CleaningRule]:
    """Yield each rule that ran in the window, by dataset and name."""
    import pandas as pd

    both = [each for each in (past.assign(new=False), current.assign(new=True)) if len(each)]
    if not both or current.empty:
        return
    every = pd.concat(both, ignore_index=True).sort_values(["at", "rows_in", "rows_dropped", "rows_changed"])
    names = every["dataset"].map(lambda each: each or "")
    for (dataset, rule), part in every.groupby([names, "rule"], sort=True):
        new = part["new"].to_numpy(bool)
        if new.any():
            found = [comparison for metric in (DROPPED, CHANGED) for comparison in cleaning_comparisons(metric, part, new)]
            groups = tuple(groups_of(part["groups"][new]))
            yield CleaningRule(str(rule), str(dataset) or None, int(new.sum()), int((~new).sum()), tuple(found), groups)


def cleaning_comparisons(metric: str, part: "DataFrame", new: Array) -> Iterator[CleaningComparison]:
    """Yield, for each run of the window, the comparison of one share with earlier runs, on the arcsine scale (Anscombe 1948)."""
    rows = part["rows_in"].to_numpy(float)
    hits = np.minimum(part["rows_dropped" if metric == DROPPED else "rows_changed"].to_numpy(float), rows)
    n = np.maximum(rows, 1.0)
    scaled, noise = np.arcsin(np.sqrt((hits + 3 / 8) / (n + 3 / 4))), 1 / (4 * n)
    days = np.floor(part["at"].astype("datetime64[us]").to_numpy().astype(np.int64) / 1e6 / A_DAY).astype(np.int64)
    moments: list[datetime] = part["at"].dt.to_pydatetime().tolist()
    places, old = np.flatnonzero(new & (rows > 0)), ~new & (rows > 0)
    found = usual_values(scaled[places], days[places], scaled[old], days[old], noise[places], noise[old], least=MIN_SPREAD_OF_SHARES)
    past = hits[old] / rows[old]
    reached = (float(past.min()), float(past.max())) if past.size else (0.0, 1.0)
    for i, place in enumerate(places.tolist()):
        p = min(2 * min(float(found.low[i]), float(found.high[i])), 1.0) if found.known else float("nan")
        own, of = int(hits[place]), int(rows[place])
        low, high = (
            share_from_arcsine(min(max(float(end[i]), 0.0), np.pi / 2), rows[place : place + 1]) for end in (found.lowest, found.highest)
        )
        usual = share_from_arcsine(float(found.middle[i]), n[old])
        yield CleaningComparison(
            metric=metric,
            at=moments[place],
            value=own / of,
            usual=usual,
            p_value=p,
            rows=of,
            hits=own,
            varies=(low, high),
            reached=reached,
            runs=len(places),
        )


def counts_of(groups: Any) -> dict[str, dict[str, tuple[float, float]]]:
    """Return the number of rows and of dropped rows by column and level, summed over runs; entries that are not a pair of counts are
    skipped.
    """
    total: dict[str, dict[str, tuple[float, float]]] = {}
    for each in groups:
        for column, levels in (each if isinstance(each, Mapping) else {}).items():
            for level, counts in (levels if isinstance(levels, Mapping) else {}).items():
                if (pair := pair_of(counts)) is not None:
                    rows, dropped = total.setdefault(str(column), {}).get(str(level), (0.0, 0.0))
                    total[str(column)][str(level)] = (rows + pair[0], dropped + pair[1])
    return total


def pair_of(counts: Any) -> tuple[float, float] | None:
    """Return rows and dropped rows from a mapping {"in": n, "dropped": n}; None for any other value."""
    if not isinstance(counts, Mapping):
        return None
    rows: Any = counts.get("in")
    dropped: Any = counts.get("dropped")
    for each in (rows, dropped):
        if isinstance(each, bool) or not isinstance(each, int | float):
            return None
    return (float(rows), float(dropped)) if 0 <= dropped <= rows < float("inf") else None


def groups_of(groups: Any) -> Iterator[CleanedGroup]:
    """Yield each level of each column with at least two levels, compared with the other levels of the column."""
    from scipy.stats import hypergeom

    for column, levels in sorted(counts_of(groups).items()):
        rows, dropped = (sum(each[place] for each in levels.values()) for place in (0, 1))
        for level, (own, gone) in sorted(levels.items()) if len(levels) > 1 else ():
            others, others_gone = rows - own, dropped - gone
            enough = min(own, others) >= GROUP_ROWS
            gap = rate_difference_interval(gone, own, others_gone, others) if own and others else Interval(None, None, None, 0.0)
            p = float(hypergeom.sf(gone - 1, rows, dropped, own)) if enough else float("nan")
            yield CleanedGroup(column, level, own, gone, others, others_gone, gap, p)
