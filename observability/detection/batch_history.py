"""Compares each batch of a source with earlier batches of the same device, and the time between deliveries of the source with the usual
time.

Each batch has four metrics: hours since the previous delivery, hours since its data were captured, its number of rows, and the share of
rejected rows. Batches that arrive together are one delivery. A device with enough past is compared with its own past; the batches of all
other devices are compared together. Each metric is compared on a variance-stabilized scale. An unusual batch must also differ by a minimum
amount (`LIMITS`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.finding import Severity
from observability.detection.change import significant_severity
from observability.detection.own_history import (
    MIN_PAST_VALUES,
    MIN_SPREAD,
    MIN_SPREAD_OF_SHARES,
    ROUNDING,
    Array,
    HistoryComparison,
    UsualValues,
    share_from_arcsine,
    usual_values,
)

if TYPE_CHECKING:
    from pandas import DataFrame, Series

GAP, DELAY, ROWS, REJECTED = "batch_gap_hours", "batch_delay_hours", "batch_rows", "batch_rejected_rate"
HOUR = 3600.0
A_DAY = 86_400.0
FLOOR = {GAP: 0.25, DELAY: 0.25, ROWS: 1.0}
"""Added to a value before its logarithm is taken, so that differences of minutes, or between 0 and 1 row, remain small."""
LIMITS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    GAP: ((1.5, 1.0), (1.8, 2.0)),
    DELAY: ((1.5, 1.0), (2.0, 2.0)),
    ROWS: ((0.75, 0.0), (0.5, 0.0)),
    REJECTED: ((1.5, 0.02), (2.0, 0.05)),
}
"""Limits for `watch` and `act`: (multiple of the usual value, absolute increase in hours or share); for rows, fractions of the usual
number. A single missing batch makes a gap of about twice the usual length.
"""
DELAY_P95 = "batch_delay_p95_hours"
OWNERS_LIMITS = {GAP: 2.0, DELAY: 2.0, DELAY_P95: 2.0, ROWS: 0.5, REJECTED: 0.05}
"""For each metric, the default value of the limit that an owner can set: hours or share above the usual value; for rows, a fraction of the
usual number.
"""
MANY = 1.5
"""A batch with at least this multiple of the usual number of rows is `watch`, for example a batch that was delivered twice."""
TOGETHER = 0.1
"""A batch belongs to the same delivery as the batch before it, if the time between them is at most this share of the usual time between
deliveries.
"""


def delivery_limit(metric: str, usual: float, place: int, owner: float | None = None) -> float:
    """Return the value from which a metric of LIMITS is `watch` (place 0) or `act` (place 1), given its usual value.

    owner: the owner's limit, which replaces the limit for `act`. The limit for `watch` is never beyond the owner's limit.
    """
    times, more = LIMITS[metric][place]
    if metric == ROWS:
        stated = times if owner is None else owner if place else max(times, owner)
        return stated * usual
    usually = max(times * usual, usual + more)
    return usually if owner is None else usual + owner if place else min(usually, usual + owner)


@dataclass(frozen=True, kw_only=True)
class BatchComparison(HistoryComparison):
    """One metric of one batch, compared with earlier batches. batch: the name of the batch; None for the overdue batch. device: the device
    whose past is the baseline; None for the past of several devices. few: whether the batch has fewer rows than usual. varies: the range of
    usual values, given how earlier batches vary. owner: the owner's limit; None without one.
    """

    batch: str | None
    device: str | None = None
    few: bool = False
    rows: int = 0
    varies: tuple[float, float] = (float("inf"), float("-inf"))
    owner: float | None = None

    def severity(self, p_adjusted: float, budget: float) -> Severity:
        """Return the severity at a p-value that is adjusted for all comparisons.

        The severity is `unknown` if the value is beyond its limit and beyond the natural variation of batches, but the p-value is not
        significant.
        """
        if not self.known:
            return "unknown"
        severity = significant_severity(self.beyond(self.watch), self.act, p_adjusted, budget)
        return "unknown" if severity == "ok" and self.beyond(self.limit("ok")) else severity

    def beyond(self, limit: float) -> bool:
        """Return whether the value reaches a limit: whether it is at least the limit, or at most the limit for a batch with fewer rows than
        usual.
        """
        return self.value <= limit if self.low else self.value >= limit

    @property
    def low(self) -> bool:
        """Whether low values are unusual; this is the case for a batch with fewer rows than usual."""
        return self.metric == ROWS and self.few

    @property
    def watch(self) -> float:
        """The value from which the batch is `watch`, on the side on which the value lies."""
        return MANY * self.usual if self.metric == ROWS and not self.few else delivery_limit(self.metric, self.usual, 0, self.owner)

    @property
    def act(self) -> bool:
        """Whether the value reaches the limit for `act`. Always False for more rows than usual, which are at most `watch`."""
        return (self.metric != ROWS or self.few) and self.beyond(delivery_limit(self.metric, self.usual, 1, self.owner))

    def limit(self, severity: Severity) -> float:
        """Return the limit that was applied, on the side on which the value lies. Without `watch` or `act`, it is the end of the natural
        variation of such batches if that is farther away.
        """
        if severity == "act":
            return delivery_limit(self.metric, self.usual, 1, self.owner)
        if severity == "watch":
            return self.watch
        return min(self.watch, self.varies[0]) if self.low else max(self.watch, self.varies[1])


@dataclass(frozen=True)
class BatchSource:
    """The comparisons of one source.

    batches: number of batches in the window; earlier: number before the window; comparisons: one for each metric of each batch in the
    window, oldest first.
    """

    name: str
    batches: int
    earlier: int
    comparisons: tuple[BatchComparison, ...]


def sources_of(past: "DataFrame", current: "DataFrame", now: datetime, owner: Mapping[str, float] | None = None) -> Iterator[BatchSource]:
    """Yield each source with a batch, by name. now: naive UTC, the end of a gap that is still open. owner: owner's limits by metric."""
    import pandas as pd

    both = [each for each in (past.assign(new=False), current.assign(new=True)) if len(each)]
    if not both:
        return
    every = pd.concat(both, ignore_index=True).sort_values(["source", "at", "batch"])
    every = every.drop_duplicates(["source", "device", "batch"], keep="last")
    for name, part in every.groupby("source", sort=True):
        yield source_of(str(name), part.reset_index(drop=True), now, owner or {})


@dataclass(frozen=True)
class DeliveredBatches:
    """Batches in order of time, as arrays. at, captured: seconds since 1970, NaN if unknown; new: whether each batch is in the window."""

    names: Array
    at: Array
    captured: Array
    rows: Array
    rejected: Array
    new: Array

    def select(self, places: Array) -> "DeliveredBatches":
        """The batches at these places."""
        return DeliveredBatches(*(getattr(self, each.name)[places] for each in fields(self)))


def delivered_batches(part: "DataFrame") -> DeliveredBatches:
    """The batches of a frame."""
    rejected = part["rejected_rows"].astype("float64").to_numpy(float)
    names, rows = part["batch"].astype(object).to_numpy(), part["rows"].to_numpy(float)
    return DeliveredBatches(
        names, epoch_seconds(part["at"]), epoch_seconds(part["captured_to"]), rows, rejected, part["new"].to_numpy(bool)
    )


def source_of(name: str, part: "DataFrame", now: datetime, owner: Mapping[str, float]) -> BatchSource:
    """Return the comparisons of one source. part: its batches in order of time; owner: owner's limits by metric."""
    every = delivered_batches(part)
    groups = {device: every.select(places) for device, places in places_by_device(part["device"], every.new).items()}
    found: list[BatchComparison] = []
    for metric in (GAP, DELAY, ROWS, REJECTED):
        compared = groups | {None: every} if metric == GAP else groups
        every_one = (each for device, own in compared.items() for each in batch_comparisons(metric, own, now, device))
        found += [replace(each, owner=owner.get(metric)) for each in every_one]
    return BatchSource(name, int(every.new.sum()), int((~every.new).sum()), tuple(found))


def places_by_device(devices: "Series[Any]", new: Array) -> "dict[str | None, Array]":
    """Return the positions of the batches of each device with enough past. The batches of all other devices are together under None."""
    codes, names = devices.factorize()
    earlier = np.bincount(codes[~new & (codes >= 0)], minlength=len(names))
    several = len(names) > 1
    known = sorted((str(names[code]), code) for code in np.flatnonzero(earlier >= MIN_PAST_VALUES).tolist()) if several else []
    others = np.flatnonzero(~np.isin(codes, [code for _, code in known]))
    groups: dict[str | None, Array] = {None: others} if len(others) else {}
    return groups | {name: np.flatnonzero(codes == code) for name, code in known}


def batch_comparisons(metric: str, own: DeliveredBatches, now: datetime, device: str | None = None) -> Iterator[BatchComparison]:
    """Yield the comparison of each batch of the window in one metric. For gaps, the batch that is due next is compared too.

    own: the batches that are compared with each other, in order of time. device: the device that sent them; None for several devices.
    """
    values, at, new, rows = batch_values(metric, own), own.at, own.new, own.rows
    if metric == GAP and epoch_second(now) > at[-1]:
        values, at, new = np.append(values, (epoch_second(now) - at[-1]) / HOUR), np.append(at, epoch_second(now)), np.append(new, True)
        rows = np.append(rows, 0.0)
    known = np.isfinite(values)
    old = known & ~new
    scaled, noise = on_scale(metric, values, rows)
    days = np.floor(at / A_DAY).astype(np.int64)
    places = np.flatnonzero(known & new)
    found = usual_values(
        scaled[places],
        days[places],
        scaled[old],
        days[old],
        noise[places],
        noise[old],
        least=MIN_SPREAD_OF_SHARES if metric == REJECTED else MIN_SPREAD,
    )
    for i, place in enumerate(places.tolist()):
        few = bool(scaled[place] < found.middle[i])
        yield BatchComparison(
            metric=metric,
            batch=str(own.names[place]) if place < len(own.names) else None,
            device=device,
            at=time_of_seconds(float(at[place])) if place < len(own.names) else now,
            value=float(values[place]),
            usual=from_scale(metric, float(found.middle[i]), rows[old]),
            p_value=batch_p_value(metric, found, i, few),
            few=few,
            rows=int(rows[place]),
            varies=(
                from_scale(metric, float(found.lowest[i]), rows[place : place + 1]) * (1 - ROUNDING),
                from_scale(metric, float(found.highest[i]), rows[place : place + 1]) * (1 + ROUNDING),
            ),
        )


def batch_p_value(metric: str, found: UsualValues, place: int, few: bool) -> float:
    """Return the p-value of a value: two-sided for rows, one-sided (high) for all other metrics."""
    if metric != ROWS:
        return float(found.high[place])
    return float(min(2 * (found.low if few else found.high)[place], 1.0))


def batch_values(metric: str, own: DeliveredBatches) -> Array:
    """Return the value of the metric for each batch, NaN if it has none."""
    if metric == GAP:
        return delivery_gaps(np.concatenate([[np.nan], np.diff(own.at) / HOUR]), own.new)
    if metric == DELAY:
        return np.asarray((own.at - own.captured) / HOUR, float)
    if metric == ROWS:
        return own.rows
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(own.rows > 0, np.minimum(own.rejected / own.rows, 1.0), np.nan), float)


def delivery_gaps(gaps: Array, new: Array) -> Array:
    """Return the hours before the first batch of each delivery; NaN for the other batches of the delivery.

    The usual gap is the median gap, weighted by the length of the gaps. If the devices of a source deliver together, it is the time between
    these deliveries, no matter how many batches a delivery contains.
    """
    past = np.sort(gaps[~new & np.isfinite(gaps)])
    if not past.size:
        return gaps
    usual = past[np.searchsorted(np.cumsum(past), past.sum() / 2)]
    return np.where(gaps <= TOGETHER * usual, np.nan, gaps)


def on_scale(metric: str, values: Array, rows: Array) -> tuple[Array, Array]:
    """Return the values on a variance-stabilized scale (logarithm; arcsine for shares, Anscombe 1948), and the sampling variance of
    each.
    """
    if metric != REJECTED:
        return np.log(np.maximum(values, 0.0) + FLOOR[metric]), np.zeros(values.size)
    n = np.maximum(rows, 1.0)
    return np.arcsin(np.sqrt((values * n + 3 / 8) / (n + 3 / 4))), 1 / (4 * n)


def from_scale(metric: str, middle: float, rows: Array) -> float:
    """Return a median, or an end of a range, converted from the scale back to the unit of the metric. rows: the numbers of rows of the
    batches behind it.
    """
    if metric != REJECTED:
        return max(float(np.exp(middle)) - FLOOR[metric], 0.0)
    return share_from_arcsine(min(max(middle, 0.0), np.pi / 2), rows)


def epoch_seconds(times: Any) -> Array:
    """Return naive UTC times as seconds since 1970; NaN for a missing time."""
    whole = times.astype("datetime64[us]").to_numpy()
    return np.where(np.isnat(whole), np.nan, whole.astype(np.int64) / 1e6)


def time_of_seconds(moment: float) -> datetime:
    """Return seconds since 1970 as a naive UTC time."""
    return datetime(1970, 1, 1) + timedelta(microseconds=round(moment * 1e6))


def epoch_second(moment: datetime) -> float:
    """Return seconds since 1970 of a naive UTC time."""
    return (moment - datetime(1970, 1, 1)).total_seconds()
