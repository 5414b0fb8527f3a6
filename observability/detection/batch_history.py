"""What did each source deliver, and how does each batch compare with the source's own earlier ones?

Four questions a batch: how long after the one before it did it come, how long after its data were captured, with how many rows, and how many of them were
rejected. Each is asked on a scale on which batches stray alike; what is unusual must be large as well (`LIMITS`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.finding import Severity
from observability.detection.own_history import LEAST_SPREAD, LEAST_SPREAD_OF_SHARES, Array, Beside, beside, share_of

if TYPE_CHECKING:
    from pandas import DataFrame

GAP, DELAY, ROWS, REJECTED = "batch_gap_hours", "batch_delay_hours", "batch_rows", "batch_rejected_rate"
HOUR = 3600.0
A_DAY = 86_400.0
FLOOR = {GAP: 0.25, DELAY: 0.25, ROWS: 1.0}
"""Added before the logarithm: minutes are one thing, and so are no row and one."""
LIMITS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    GAP: ((1.5, 1.0), (1.8, 2.0)),
    DELAY: ((1.5, 1.0), (2.0, 2.0)),
    ROWS: ((0.75, 0.0), (0.5, 0.0)),
    REJECTED: ((1.5, 0.02), (2.0, 0.05)),
}
"""So many times the usual, and so much more (hours, share), is reported, and needs somebody; of rows: so small a part of the usual. One batch that fails to
come makes a gap of twice the usual, more or less."""
MANY = 1.5
"""So many times the usual rows is reported: it may be a batch twice over. It needs nobody by itself."""


@dataclass(frozen=True)
class Look:
    """One question about one batch. batch: its name, None for the one that has not come yet. value: in the metric's unit, usual: what the source's earlier
    batches had, p_value: how often chance alone strays so far; `few`: it has fewer rows than usual. NaN where the past does not tell.
    """

    metric: str
    batch: str | None
    at: datetime
    value: float
    usual: float
    p_value: float
    few: bool = False
    rows: int = 0

    def severity(self, adjusted: float, watch: float, act: float) -> Severity:
        """How bad it is, at a p-value that is corrected for all that was looked at."""
        if np.isnan(self.usual):
            return "unknown"
        looked, needed = LIMITS[self.metric]
        if self.metric == ROWS and not self.few:
            return "watch" if self.value >= MANY * self.usual and adjusted <= watch else "ok"
        if self.beyond(needed) and adjusted <= act:
            return "act"
        return "watch" if self.beyond(looked) and adjusted <= watch else "ok"

    def beyond(self, limit: tuple[float, float]) -> bool:
        """Whether it is so far from the usual as a limit says."""
        if self.metric == ROWS:
            return self.value <= limit[0] * self.usual
        return self.value >= limit[0] * self.usual and self.value - self.usual >= limit[1]


@dataclass(frozen=True)
class Source:
    """What one source did. batches: in the window; earlier: before it; looks: every question about every batch of the window, oldest first."""

    name: str
    batches: int
    earlier: int
    looks: tuple[Look, ...]

    def about(self, metric: str) -> list[Look]:
        """The looks of one question."""
        return [each for each in self.looks if each.metric == metric]


def sources_of(past: "DataFrame", current: "DataFrame", now: datetime) -> Iterator[Source]:
    """Each source with a batch, by name. now: naive UTC; until then the next batch is waited for."""
    import pandas as pd

    both = [each for each in (past.assign(new=False), current.assign(new=True)) if len(each)]
    if not both:
        return
    every = pd.concat(both, ignore_index=True).sort_values(["source", "at", "batch"]).drop_duplicates(["source", "batch"], keep="last")
    for name, part in every.groupby("source", sort=True):
        yield source_of(str(name), part.reset_index(drop=True), now)


def source_of(name: str, part: "DataFrame", now: datetime) -> Source:
    """What one source did; part: its batches in order of time."""
    new = part["new"].to_numpy(bool)
    looks = [look for metric in (GAP, DELAY, ROWS, REJECTED) for look in looked_at(metric, part, new, now)]
    return Source(name, int(new.sum()), int((~new).sum()), tuple(looks))


def looked_at(metric: str, part: "DataFrame", new: Array, now: datetime) -> Iterator[Look]:
    """One question about each batch of the window, and of the gap, about the batch that has not come."""
    at = seconds(part["at"])
    values, rows = values_of(metric, part, at), part["rows"].to_numpy(float)
    names = [str(each) for each in part["batch"]]
    moments: list[datetime] = part["at"].dt.to_pydatetime().tolist()
    if metric == GAP and now > moments[-1]:
        values, at, new = np.append(values, (instant(now) - at[-1]) / HOUR), np.append(at, instant(now)), np.append(new, True)
        rows, moments = np.append(rows, 0.0), [*moments, now]
    known = np.isfinite(values)
    old = known & ~new
    scaled, noise = on_scale(metric, values, rows)
    days = np.floor(at / A_DAY).astype(np.int64)
    places = np.flatnonzero(known & new)
    found = beside(
        scaled[places],
        days[places],
        scaled[old],
        days[old],
        noise[places],
        noise[old],
        least=LEAST_SPREAD_OF_SHARES if metric == REJECTED else LEAST_SPREAD,
    )
    for i, place in enumerate(places.tolist()):
        few = bool(scaled[place] < found.middle[i])
        yield Look(
            metric, names[place] if place < len(names) else None, moments[place], float(values[place]), back(metric, float(found.middle[i]), rows[old]),
            p_value(metric, found, i, few), few, int(rows[place]),
        )  # fmt: skip


def p_value(metric: str, found: Beside, place: int, few: bool) -> float:
    """How often chance strays so far to the side that matters; of rows to either side. A batch that did not come yet is only ever late."""
    if metric != ROWS:
        return float(found.high[place])
    return float(min(2 * (found.low if few else found.high)[place], 1.0))


def values_of(metric: str, part: "DataFrame", at: Array) -> Array:
    """The value of each batch, NaN where it says none."""
    if metric == GAP:
        return np.concatenate([[np.nan], np.diff(at) / HOUR])
    if metric == DELAY:
        return np.asarray((at - seconds(part["captured_to"])) / HOUR, float)
    rows = part["rows"].to_numpy(float)
    if metric == ROWS:
        return rows
    rejected = part["rejected_rows"].astype("float64").to_numpy(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(rows > 0, np.minimum(rejected / rows, 1.0), np.nan), float)


def on_scale(metric: str, values: Array, rows: Array) -> tuple[Array, Array]:
    """Values on a scale on which they stray alike, and their variance from rows alone there: logarithms; of shares the arcsine of the root (Anscombe 1948)."""
    if metric != REJECTED:
        return np.log(np.maximum(values, 0.0) + FLOOR[metric]), np.zeros(values.size)
    n = np.maximum(rows, 1.0)
    return np.arcsin(np.sqrt((values * n + 3 / 8) / (n + 3 / 4))), 1 / (4 * n)


def back(metric: str, middle: float, rows: Array) -> float:
    """A middle in the metric's unit. rows: of the batches that it is the middle of."""
    if metric != REJECTED:
        return max(float(np.exp(middle)) - FLOOR[metric], 0.0)
    return share_of(middle, rows)


def seconds(times: Any) -> Array:
    """Seconds since 1970 of naive times in UTC, NaN where there is none."""
    whole = times.astype("datetime64[us]").to_numpy()
    return np.where(np.isnat(whole), np.nan, whole.astype(np.int64) / 1e6)


def instant(moment: datetime) -> float:
    """Seconds since 1970 of a naive time in UTC."""
    return (moment - datetime(1970, 1, 1)).total_seconds()
