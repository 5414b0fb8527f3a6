"""Compares the deliveries of each device with those of the other devices of the same source: rejected rows, number of rows, and delay after
capture.

For each device, the figure over its batches of the window is the median (for the delay also the 95 % quantile). It is compared with the
figures of the source's other devices, in the same way as column statistics (device_kinds): on a variance-stabilized scale, with a robust
spread between devices and the usual variation of a device's batches. A difference must also reach the limits of batch_history. If the
device already had the difference before, the severity is the same, but the difference counts as ongoing. If the difference is by design,
the owner can set a limit; a device within it is not reported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr

from observability.core.finding import Severity
from observability.detection.batch_history import (
    DELAY,
    DELAY_P95,
    REJECTED,
    ROWS,
    Array,
    DeliveredBatches,
    batch_values,
    delivered_batches,
    delivery_limit,
    from_scale,
    on_scale,
    time_of_seconds,
)
from observability.detection.batch_statistics import MIN_BATCHES, MIN_DEVICES, NORMAL_REACH, with_marks
from observability.detection.change import significant_severity
from observability.detection.own_history import (
    MAX_FREEDOM,
    MIN_PAST_VALUES,
    MIN_SPREAD,
    MIN_SPREAD_OF_SHARES,
    OF_A_MEDIAN,
    HistoryComparison,
)
from observability.stats.column_quantiles import column_medians, quantiles_of_others
from observability.stats.dispersion import MAD_TO_SD

if TYPE_CHECKING:
    from pandas import DataFrame

FIGURES: dict[str, tuple[str, float, float]] = {
    REJECTED: (REJECTED, 0.5, OF_A_MEDIAN),
    ROWS: (ROWS, 0.5, OF_A_MEDIAN),
    DELAY: (DELAY, 0.5, OF_A_MEDIAN),
    DELAY_P95: (DELAY, 0.95, 4.47),
}
"""For each metric: the value of a batch, the quantile over a device's batches, and the variance of this quantile as a multiple of the
variance of a mean (for normal values).
"""


@dataclass(frozen=True, kw_only=True)
class PeerBatches(HistoryComparison):
    """One metric of one device over the window, compared with the other devices. at: time of the device's first batch in the window; usual:
    the median of the other devices.

    ongoing: whether the device's earlier batches had the same difference. owner: the owner's limit, None without one.
    """

    source: str
    device: str
    batches: tuple[str, ...]
    peers: int
    ongoing: bool
    owner: float | None = None

    def limit(self, place: int) -> float:
        """Return the value from which the device is `watch` (place 0) or `act` (place 1). Values up to the owner's limit are OK."""
        return delivery_limit(FIGURES[self.metric][0], self.usual, place if self.owner is None else 1, self.owner)

    def severity(self, p_adjusted: float, budget: float) -> Severity:
        """Return the severity at a p-value that is adjusted for all comparisons. How long the difference has lasted does not matter."""
        watch, act = (self.value <= limit if self.metric == ROWS else self.value >= limit for limit in (self.limit(0), self.limit(1)))
        return significant_severity(watch, act, p_adjusted, budget)


def peer_batches(past: "DataFrame", current: "DataFrame", owner: Mapping[str, float] | None = None) -> Iterator[PeerBatches]:
    """Yield the comparisons of the devices of each source that has MIN_DEVICES devices with MIN_BATCHES batches each in the window.

    owner: owner's limits by metric.
    """
    marked = with_marks(past, current)
    for source, part in marked[marked["device"].notna()].groupby("source", sort=True):
        every, (codes, names) = delivered_batches(part), part["device"].astype(str).factorize(sort=True)
        own = {str(name): every.select(np.flatnonzero(codes == code)) for code, name in enumerate(names)}
        groups = {device: batches for device, batches in own.items() if batches.new.any()}
        if len(groups) >= MIN_DEVICES:
            for metric in FIGURES:
                yield from (replace(each, owner=(owner or {}).get(metric)) for each in _compared_devices(str(source), metric, groups))


def _compared_devices(source: str, metric: str, groups: dict[str, DeliveredBatches]) -> Iterator[PeerBatches]:
    """Yield the comparison of each device of a source in one metric."""
    value, quantile, of_quantile = FIGURES[metric]
    least = MIN_SPREAD_OF_SHARES if value == REJECTED else MIN_SPREAD
    held: dict[str, tuple[Array, Array, Array]] = {}
    for device, batches in groups.items():
        values = batch_values(value, batches)
        known = np.isfinite(values)
        if (known & batches.new).sum() >= MIN_BATCHES:
            held[device] = values, on_scale(value, values, batches.rows)[0], known
    if len(held) < MIN_DEVICES:
        return
    new = [groups[device].new & known for device, (_, _, known) in held.items()]
    scaled = [each[1][mask] for each, mask in zip(held.values(), new, strict=True)]
    middles = np.array([np.quantile(each, quantile) for each in scaled])
    single = float(np.median([MAD_TO_SD * np.median(np.abs(each - np.median(each))) for each in scaled]))
    others, (centre, low, high) = quantiles_of_others(middles[:, None], (1 / 2, 1 / 16, 15 / 16))
    away = np.abs(middles[:, None] - centre[:, 0])  # distance of each other device, by column, from the median of a device's peers
    np.fill_diagonal(away, np.nan)
    between = np.maximum(np.maximum(MAD_TO_SD * column_medians(away), (high - low)[:, 0] / (2 * NORMAL_REACH)), least)
    counts = np.array([len(each) for each in scaled])
    error = np.sqrt(between**2 * (1 + OF_A_MEDIAN / others[:, 0]) + single**2 * of_quantile / counts)
    t = (middles - centre[:, 0]) / error
    p_values = stdtr(np.minimum(others[:, 0] - 1, MAX_FREEDOM), t if metric == ROWS else -t)
    for place, (device, (values, every, known)) in enumerate(held.items()):
        own, mask = groups[device], new[place]
        before = every[known & ~own.new]
        reach = abs(float(t[place])) * float(error[place]) / 2
        ongoing = len(before) >= MIN_PAST_VALUES and abs(float(np.quantile(before, quantile)) - middles[place]) <= reach
        yield PeerBatches(
            metric=metric,
            at=time_of_seconds(float(own.at[mask][0])),
            value=float(np.quantile(values[mask], quantile)),
            usual=from_scale(value, float(centre[place, 0]), own.rows),
            p_value=float(p_values[place]),
            source=source,
            device=device,
            batches=tuple(map(str, own.names[mask])),
            peers=int(others[place, 0]),
            ongoing=bool(ongoing),
        )
