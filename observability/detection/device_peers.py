"""Compares the devices of a training run with each other at the same times, to find a device that is hotter, fuller, less used or slower
than its peers.

Readings at the same moments are compared, so an effect on all devices (a phase, the weather, the load) is not a difference. The difference
from the median of the other devices is tested; the test takes the correlation of readings in time into account (stats/serial.py) and is
adjusted for all devices and readings of the run. The difference must also reach a minimum, and be larger than the differences among the
peers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from observability.detection.batch_statistics import MANY_DEVICES
from observability.detection.device_figures import (
    DEVICE_METRICS,
    MIN_READINGS,
    POWER,
    SAME_USE,
    SURE,
    USED,
    DeviceMetric,
    DeviceUse,
    compared_metrics,
    device_kind,
    gap_claim,
    lasting_unit,
    memory_size,
    most_telling,
)
from observability.detection.run_claims import RunClaim
from observability.stats.arrays import Bools, Floats
from observability.stats.blocks import BlockEstimate
from observability.stats.column_quantiles import column_medians
from observability.stats.dispersion import MAD_TO_SD
from observability.stats.multiple_testing import benjamini_hochberg
from observability.stats.serial import serial_median

if TYPE_CHECKING:
    from pandas import DataFrame

LATE_SHARE = 0.25
"""The last moments, this share of the common moments, are also compared separately: a device that changed late differs little in the median
over all moments.
"""
BEYOND_PEERS = 3.0
"""A difference must exceed this many standard deviations between the peers, so that a series of devices from cool to warm has no
outlier.
"""


@dataclass(frozen=True)
class PeerDifference:
    """The difference of a device from the median of its peers. gap: the median difference over common moments, in the unit of the claim.

    usual: the value of the peers, in the unit of the column; spread: standard deviation between the peers; limit: smallest difference that
    is reported. since: the first moment compared, if only the last moments are compared.
    """

    unit: str
    reading: DeviceMetric
    gap: BlockEstimate
    usual: float
    spread: float
    limit: float
    peers: int
    since: datetime | None

    @property
    def p_value(self) -> float:
        """The one-sided p-value of no difference in the worse direction."""
        worse = self.reading.worse
        return self.gap.p_above(0.0) if worse > 0 else BlockEstimate(-self.gap.value, self.gap.error, self.gap.freedom, 0, 0).p_above(0.0)

    @property
    def relative(self) -> float:
        """The difference in the worse direction, divided by its limit; it is reported if this is at least 1."""
        return self.reading.worse * self.gap.value / max(self.limit, BEYOND_PEERS * self.spread)


def claims_about_peers(use: DeviceUse, rows: "DataFrame", earlier: "DataFrame | None" = None) -> list[RunClaim]:
    """Return a claim for each device that differs from its peers, or one claim that none does. Empty if the run has only one device of each
    kind.

    rows: readings of the run, with `unit`. earlier: figures of the previous run of the same kind, by unit; they show whether a difference
    is new.
    """
    kinds: dict[str, list[str]] = {}
    for unit in rows["unit"].unique():
        kinds.setdefault(device_kind(unit), []).append(unit)
    several = [units for units in kinds.values() if len(units) > 1]
    if not several:
        return []
    found = [each for units in several for each in peer_differences(use, rows[rows["unit"].isin(units)])]
    if not found:
        most = max(int(rows["unit"].value_counts()[unit]) for units in several for unit in units)
        because = (
            f"The devices of {use.words} cannot be compared with each other yet: {most:,} readings of a device, about "
            f"{max(2 * MIN_READINGS - most, 1):,} more at the same times are needed."
        )
        return [RunClaim(DEVICE_METRICS[0].metric, most, "unknown", because, against="peers")]
    adjusted = benjamini_hochberg([each.p_value for each in found], SURE)[0]
    told: dict[tuple[str, str], PeerDifference] = {}
    for each, p in zip(found, adjusted, strict=True):
        if p <= SURE and each.relative >= 1:
            told.setdefault((each.unit, each.reading.metric), each)
    if not told:
        return [alike_peers_claim(use, found)]
    return most_telling([unlike_peer_claim(use, each, earlier) for each in told.values()])


@dataclass(frozen=True)
class CommonMoments:
    """The readings of devices of one kind by moment. starts: start of each moment, in seconds since 1970; values: for each column, moments
    × units, NaN if there is no reading.
    """

    units: tuple[str, ...]
    starts: Floats
    values: Mapping[str, Floats]

    def column(self, name: str, last: float = 1.0) -> tuple[Floats, float]:
        """The readings of a column at the moments at which at least two devices were read, and the start of the first of these moments.

        last: which part of these moments is kept, counted from the end; at least MIN_READINGS moments.
        """
        places = np.flatnonzero(np.isfinite(self.values[name]).sum(1) > 1)
        places = places[-max(int(last * len(places)), MIN_READINGS) :]
        return self.values[name][places], float(self.starts[places[0]]) if len(places) else 0.0


def common_moments(rows: "DataFrame") -> CommonMoments:
    """Return the readings of devices by moment. A moment is twice as long as the usual time between readings of the slowest device."""
    units, code = np.unique(rows["unit"].to_numpy(str), return_inverse=True)
    seconds = rows["at"].to_numpy("datetime64[us]").astype(np.int64) / 1e6
    own = [seconds[code == place] for place in range(len(units))]
    width = 2 * max(max((float(np.median(np.diff(each))) for each in own if len(each) > 1), default=0.0), 0.05)
    starts, moment = np.unique(np.floor(seconds / width), return_inverse=True)
    cell, shape = moment * len(units) + code, (len(starts), len(units))
    values = {}
    for each in DEVICE_METRICS:
        read = rows[each.column].to_numpy(float)
        known = np.isfinite(read)
        count, total = (np.bincount(cell[known], weights, shape[0] * shape[1]) for weights in (None, read[known]))
        with np.errstate(invalid="ignore"):
            values[each.column] = (total / count).reshape(shape)
    return CommonMoments(tuple(map(str, units)), starts * width, values)


def peer_differences(use: DeviceUse, rows: "DataFrame") -> Iterator[PeerDifference]:
    """Yield the differences between devices of one kind: over all common moments, and over the last of them if there are enough."""
    moments = common_moments(rows)
    for each in compared_metrics(moments.units[0]):
        for last in (1.0, LATE_SHARE):
            values, start = moments.column(each.column, last)
            if last == 1.0:
                every = len(values)
            elif len(values) == every:
                continue
            less_used = _less_used(moments, start) if each is POWER else np.zeros(len(moments.units), bool)
            since = datetime.fromtimestamp(start, UTC) if last < 1 else None
            yield from differences_between(use, each, moments.units, values, less_used, since)


def _less_used(moments: CommonMoments, start: float) -> Bools:
    """A mask of the devices that were used less than their peers since a time, and therefore draw less power."""
    use = column_medians(moments.values[USED.column][moments.starts >= start])
    found = np.zeros(len(use), bool)
    for place in np.flatnonzero(np.isfinite(use)):
        others = np.delete(use, place)
        found[place] = np.isfinite(others).any() and use[place] < np.nanmedian(others) - SAME_USE
    return found


def differences_between(
    use: DeviceUse, each: DeviceMetric, units: Sequence[str], values: Floats, left_out: Bools, since: datetime | None
) -> Iterator[PeerDifference]:
    """For each device with MIN_READINGS readings, yield how it differs from its peers at the same moments.

    values: moments × units. With MANY_DEVICES or more, the median of all devices is used as the median of the peers, because a single
    device does not move it.
    """
    middles = column_medians(values) if len(values) else np.full(len(units), np.nan)
    of_all = column_medians(values.T) if len(units) >= MANY_DEVICES else None
    for place, unit in enumerate(units):
        if left_out[place] or len(values) < MIN_READINGS:
            continue
        others = column_medians(np.delete(values, place, axis=1).T) if of_all is None else of_all
        known = np.isfinite(values[:, place]) & np.isfinite(others)
        if known.sum() < MIN_READINGS:
            continue
        usual = float(np.median(others[known]))
        scale = each.scale(usual, memory_size(use, unit))
        gap = serial_median((values[:, place] - others)[known] / scale)
        if gap is None:
            continue
        apart = np.delete(middles, place)
        apart = apart[np.isfinite(apart)]
        spread = MAD_TO_SD * float(np.median(np.abs(apart - np.median(apart)))) / scale
        yield PeerDifference(unit, each, gap, usual, spread, each.limit(usual), len(apart), since)


def unlike_peer_claim(use: DeviceUse, found: PeerDifference, earlier: "DataFrame | None") -> RunClaim:
    """Return the claim about a device that differs from its peers."""
    each, interval = found.reading, found.gap.interval()
    assert interval.value is not None and interval.low is not None and interval.high is not None
    near, far = sorted((abs(interval.low), abs(interval.high)))
    peers = "its one peer" if found.peers == 1 else f"the median of its {found.peers} peers"
    times = f"the {'same' if found.since is None else 'last'} {found.gap.n:,} times"
    compared = f"{peers} ({each.usual_words(found.usual)}) at {times} ({each.gap_words(near)} to {each.gap_words(far)})"
    standing, unit = False, lasting_unit(found.unit)
    if earlier is not None and unit in earlier.index:
        of_kind = earlier.loc[[device_kind(str(other)) == device_kind(unit) for other in earlier.index], each.column]
        usual = float(of_kind.drop(unit).median())
        standing = bool(each.worse * (of_kind[unit] - usual) / each.scale(usual, memory_size(use, unit)) >= found.limit)
    ends = (interval.value, interval.low, interval.high)
    evidence = {"peers": found.peers, "standing": standing}
    claim = gap_claim(use, found.unit, each, "peers", ends, found.usual, found.limit, found.gap.n, compared, evidence)
    return claim if found.since is None else replace(claim, onset=found.since)


def alike_peers_claim(use: DeviceUse, found: list[PeerDifference]) -> RunClaim:
    """Return the claim that no device differs from its peers; it names the largest difference."""
    most = max(found, key=lambda each: each.relative)
    interval, each = most.gap.interval(), most.reading
    largest, devices = each.gap_words(max(each.worse * most.gap.value, 0.0)), len({one.unit for one in found})
    because = (
        f"No device of {use.words} differs from its peers: {devices} devices were compared at the same times. "
        f"The largest unfavourable difference is {largest} at `{most.unit}` (limit {each.gap_words(most.limit)})."
    )
    return RunClaim(
        each.metric, most.gap.n, "ok", because, interval.value, interval.low, interval.high, limit=each.worse * most.limit, against="peers",
        evidence={"device": most.unit, "peers": most.peers},
    )  # fmt: skip
