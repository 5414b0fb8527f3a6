"""Column statistics of batches (`stats`) by device, the limits above which they are reported, and the clocks of devices. `device_kinds`
compares the statistics.

`device_kinds` compares them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.finding import Against, Severity
from observability.detection.own_history import ROUNDING, Array

if TYPE_CHECKING:
    from pandas import DataFrame

MEAN, STD, NULLS, STUCK, SATURATED, OUTSIDE = (
    "batch_mean",
    "batch_std",
    "batch_null_share",
    "batch_stuck_share",
    "batch_saturated_share",
    "batch_out_of_range_share",
)
SKEW = "batch_clock_skew"
NAMES: dict[str, tuple[str, ...]] = {
    MEAN: ("mean",),
    STD: ("std",),
    NULLS: ("null_share", "missing_share"),
    STUCK: ("stuck_share", "dead_share"),
    SATURATED: ("saturated_share", "saturation_share"),
    OUTSIDE: ("out_of_range_share",),
}
"""For each statistic of a column, the names under which `stats` may hold it."""
MIN_ROWS = 20
"""The statistics of a batch with fewer rows are not judged; for mean and standard deviation, only rows with a value count."""
MIN_DEVICES, MIN_BATCHES = 6, 3
"""A comparison of devices with each other needs at least this many devices of a kind, and this many batches of each in the window."""
MANY_DEVICES = 20
LIMITS: dict[str, tuple[float, float]] = {MEAN: (0.5, 1.0), STD: (2.0, 4.0)}
"""Limits for `watch` and `act`. A change of a mean is measured in standard deviations of the column; a change of a standard deviation is a
factor, in either direction.
"""
SHARE_LIMITS = ((1.5, 0.02), (2.0, 0.05))
"""Limits of a share for `watch` and `act`: (multiple of the usual share, increase of the share)."""
ALMOST_CONSTANT = 0.01
"""This fraction of the usual standard deviation is added to a standard deviation before the logarithm is taken."""
SKEW_LIMITS = (300.0, 1800.0)
"""A capture time this many seconds after the arrival of the batch counts as wrong: `watch` for one such batch, `act` for two."""
NORMAL_REACH = 1.5341
"""Distance, in standard deviations, from the median of a normal distribution to its 15/16 quantile."""
SIGNIFICANT = 1e-3
"""A single batch counts among the unusual batches of a device if its p-value is at most this."""
A_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class StatisticComparison:
    """One statistic of one column of a device in the window.

    batch: the most unusual batch; None for a median over the window's batches (against "peers"). effect: difference in the unit of LIMITS;
    for a share, its increase. p_value: the probability that any batch has a value at least as extreme. baseline_n: number of earlier
    batches, or of other devices. unusual: the equally extreme batches; first: arrival of the first of them. ongoing: in a comparison with
    peers, whether the device differed in its own past too. varies: the range to expect for the most unusual value of the window's batches,
    given the variation of earlier batches (or other devices).
    """

    source: str
    device: str | None
    metric: str
    column: str
    name: str
    batch: str | None
    at: datetime
    value: float
    usual: float
    effect: float
    p_value: float
    rows: int
    batches: int
    baseline_n: int
    against: Against
    first: datetime
    unusual: tuple[str, ...] = ()
    ongoing: bool = False
    varies: tuple[float, float] = (float("inf"), float("-inf"))

    @property
    def subject(self) -> str:
        """The subject of the finding about it: `source:S/device:D`; for batches without a device, `source:S`."""
        return device_subject(self.source, self.device)

    def exceeds(self, place: int) -> bool:
        """Whether the effect reaches the limit for `watch` (place 0) or `act` (1)."""
        return bool(reaches_limit(self.metric, self.value, self.usual, self.effect, place))


@dataclass(frozen=True)
class CaptureClock:
    """How far captures of a device end after the arrival of their batch. ahead: the batches for which this is too much; seconds: the
    largest difference; batch: the batch with this difference; first: arrival of the first batch that is ahead.
    """

    source: str
    device: str | None
    batches: int
    ahead: tuple[str, ...]
    seconds: float
    batch: str
    first: datetime

    @property
    def subject(self) -> str:
        """The subject of the finding about this device."""
        return device_subject(self.source, self.device)

    @property
    def severity(self) -> Severity:
        """The severity: `act` from two batches ahead and half an hour on, `watch` from one batch and five minutes on."""
        if self.seconds < SKEW_LIMITS[0]:
            return "ok"
        return "act" if self.seconds >= SKEW_LIMITS[1] and len(self.ahead) > 1 else "watch"


@dataclass(frozen=True)
class JudgedDevice:
    """How much data a device has, and whether it could be judged. judged: whether any statistic has enough past or peers."""

    source: str
    device: str | None
    batches: int
    earlier: int
    rows: int
    judged: bool


def device_subject(source: str, device: str | None) -> str:
    """The subject of findings about a device of a source."""
    return f"source:{source}" if device is None else f"source:{source}/device:{device}"


def with_marks(past: "DataFrame", current: "DataFrame") -> "DataFrame":
    """The batches of both spans in order of time, each once, with the columns `new` (in the window) and `unit` (number of the source and
    device).
    """
    import pandas as pd

    both = [each for each in (past.assign(new=False), current.assign(new=True)) if len(each)]
    if not both:
        return past.assign(new=False, unit=0)
    every = pd.concat(both, ignore_index=True).sort_values(["source", "device", "at", "batch"])
    every = every.drop_duplicates(["source", "device", "batch"], keep="last")
    devices = every["device"].astype(object).where(every["device"].notna(), None)
    every = every.assign(device=devices, unit=every.assign(device=devices.fillna("")).groupby(["source", "device"]).ngroup())
    return every.reset_index(drop=True)


def capture_clocks(batches: "DataFrame") -> Iterator[CaptureClock]:
    """For each device that states when captures end, yield by how much they end after the arrival of their batch."""
    new = batches[batches["new"].astype(bool) & batches["captured_to"].notna()].sort_values("unit", kind="stable")
    if new.empty:
        return
    ahead = (new["captured_to"] - new["at"]).dt.total_seconds().to_numpy(float)
    at: list[datetime] = new["at"].astype("datetime64[us]").to_numpy().tolist()
    sources, devices, names = (new[name].tolist() for name in ("source", "device", "batch"))
    begins = np.flatnonzero(np.diff(new["unit"].to_numpy(int), prepend=-1))
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(new)], strict=True):
        worst = begin + int(np.argmax(ahead[begin:end]))
        late = (begin + np.flatnonzero(ahead[begin:end] >= SKEW_LIMITS[0])).tolist()
        yield CaptureClock(
            str(sources[begin]),
            devices[begin],
            end - begin,
            tuple(str(names[place]) for place in late),
            float(ahead[worst]),
            str(names[worst]),
            at[late[0] if late else begin],
        )


def statistics_from_scale(metric: str, scaled: Array, rows: Array, std: Array, *, side: int) -> Array:
    """Return ends of ranges converted from the scale of a metric (`device_kinds`) to its unit, each widened by the rounding error.

    rows: number of rows of the batch; std: the usual standard deviation of the column; side: -1 for low ends, 1 for high ends.
    """
    if metric == MEAN:
        found = scaled
    elif metric == STD:
        found = np.maximum(np.exp(scaled) - ALMOST_CONSTANT * std, 0.0)
    else:
        n = np.maximum(rows, 2.0)
        found = np.clip((np.sin(np.clip(scaled, 0.0, np.pi / 2)) ** 2 * (n + 3 / 4) - 3 / 8) / n, 0.0, 1.0)
    return np.asarray(found + side * ROUNDING * np.abs(found))


def limit_effects(metric: str, value: Array, usual: Array, std: Array) -> Array:
    """Return differences in the unit of LIMITS: standard deviations (mean), a factor of at least 1 (standard deviation), or the increase of
    a share. std: above 0.
    """
    if metric == MEAN:
        return np.abs(value - usual) / std
    if metric == STD:
        usual = np.where((usual > 0) | (value <= 0), usual, std)
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.maximum(value / usual, usual / value)
        return np.where(value > 0, factor, np.where(usual > 0, np.inf, 1.0))
    return value - usual


def reaches_limit(metric: str, value: Any, usual: Any, effect: Any, place: int) -> Any:
    """Whether effects reach the limit for `watch` (place 0) or `act` (1)."""
    if metric in LIMITS:
        return effect >= LIMITS[metric][place]
    times, more = SHARE_LIMITS[place]
    return (value >= times * usual) & (value - usual >= more)
