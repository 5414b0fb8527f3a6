"""Judge the column statistics of batches (`stats`) of each device, against its own past and against the devices of its kind.

Devices are of one kind where their batches hold the same columns. A statistic of a batch is unusual against the past where it is outside
the device's earlier values and, with two or more devices of the kind that delivered on that day, the difference from their median is
outside its earlier values as well: weather that changes at every station is no fault of one. Against the kind, the median over the
window is compared with those of the other devices. Every statistic is compared on a variance-stabilized scale, and must also differ by a
minimum amount (`LIMITS`). Batches of few rows are not judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr

from observability.core.finding import Against, Severity
from observability.detection.change import significant_severity
from observability.detection.own_history import LEAST, LEAST_SPREAD, LEAST_SPREAD_OF_SHARES, MOST_FREEDOM, OF_A_MEDIAN, SEEN, Array

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
"""The names under which `stats` may hold each statistic of a column."""
LEAST_ROWS = 20
"""Rows below which the statistics of a batch are not judged; of mean and standard deviation, rows with a value."""
LEAST_DEVICES, LEAST_BATCHES = 6, 3
"""Devices of a kind, and batches of each in the window, for a comparison of devices with each other."""
MANY_DEVICES = 20
LIMITS: dict[str, tuple[float, float]] = {MEAN: (0.5, 1.0), STD: (2.0, 4.0)}
"""Limits for `watch` and `act`: of a mean in standard deviations of the column; of a standard deviation as a factor, up or down."""
SHARE_LIMITS = ((1.5, 0.02), (2.0, 0.05))
"""Limits of a share: (multiple of the usual share, increase)."""
ALMOST_CONSTANT = 0.01
"""Part of the usual standard deviation that is added before the logarithm."""
SKEW_LIMITS = (300.0, 1800.0)
"""Seconds by which the capture of a batch may end after its arrival: from there `watch`, and `act` where two batches do so."""
NORMAL_REACH = 1.5341
"""Standard deviations of a normal distribution from its median to the quantile 15/16."""
SIGNIFICANT = 1e-3
"""P-value up to which a single batch counts among the unusual ones of a device."""
A_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class StatisticComparison:
    """One statistic of one column of a device in the window.

    batch: the most unusual batch; None for a median over the window's batches (against "peers"). effect: difference in the unit of LIMITS;
    of a share its increase. p_value: of a value at least as extreme in any batch. baseline_n: earlier batches, or other devices.
    unusual: batches that are as extreme; first: when the first of them came. ongoing: against peers, the device was so in its own past.
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

    @property
    def subject(self) -> str:
        """Subject of its finding: `source:S/device:D`, of batches without a device `source:S`."""
        return device_subject(self.source, self.device)

    def exceeds(self, place: int) -> bool:
        """Whether the effect reaches the limit for `watch` (place 0) or `act` (1)."""
        if self.metric in LIMITS:
            return self.effect >= LIMITS[self.metric][place]
        times, more = SHARE_LIMITS[place]
        return self.value >= times * self.usual and self.value - self.usual >= more

    def severity(self, p_adjusted: float, budget: float) -> Severity:
        """The severity at a p-value that is adjusted for all comparisons; at most `watch` where the device was always so."""
        return significant_severity(self.exceeds(0), self.exceeds(1) and not self.ongoing, p_adjusted, budget)


@dataclass(frozen=True)
class CaptureClock:
    """Batches of a device whose capture ends after they arrived. seconds: the longest; batch: its name; first: when the first arrived."""

    source: str
    device: str | None
    batches: int
    ahead: tuple[str, ...]
    seconds: float
    batch: str
    first: datetime

    @property
    def subject(self) -> str:
        """Subject of its finding."""
        return device_subject(self.source, self.device)

    @property
    def severity(self) -> Severity:
        """`act` from two batches and half an hour on, `watch` from one and five minutes."""
        if self.seconds < SKEW_LIMITS[0]:
            return "ok"
        return "act" if self.seconds >= SKEW_LIMITS[1] and len(self.ahead) > 1 else "watch"


@dataclass(frozen=True)
class JudgedDevice:
    """How much of a device could be judged. judged: whether any statistic has enough past or peers."""

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
    """Batches of both spans in order of time, each once, with `new` (in the window) and `unit` (index of source and device)."""
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
    """Yield, for each device that says when captures end, how far they end after the arrival of their batch."""
    new = batches[batches["new"].astype(bool) & batches["captured_to"].notna()]
    for _, part in new.groupby("unit", sort=True):
        ahead = (part["captured_to"] - part["at"]).dt.total_seconds().to_numpy(float)
        worst = int(np.argmax(ahead))
        late = part[ahead >= SKEW_LIMITS[0]]
        first = (late if len(late) else part)["at"].iloc[0]
        names = tuple(map(str, late["batch"]))
        device = part["device"].iloc[0]
        yield CaptureClock(
            str(part["source"].iloc[0]),
            device,
            len(part),
            names,
            float(ahead[worst]),
            str(part["batch"].iloc[worst]),
            first.to_pydatetime(),
        )


def statistic_comparisons(batches: "DataFrame") -> tuple[list[StatisticComparison], list[JudgedDevice]]:
    """Return the comparisons of every statistic of every column of each device in the window, and how far each device could be judged.

    batches: of `with_marks`, with `rows`, `stats`, `source`, `device`, `batch`, `at`.
    """
    found: list[StatisticComparison] = []
    devices: list[JudgedDevice] = []
    stats = [each if isinstance(each, Mapping) else {} for each in batches["stats"]]
    keys = [frozenset(name for name, value in each.items() if type(value) is dict or isinstance(value, Mapping)) for each in stats]
    units = batches["unit"].to_numpy(int)
    columns_of: dict[int, frozenset[str]] = {}
    for unit, key in zip(units.tolist(), keys, strict=True):
        columns_of[unit] = columns_of.get(unit, frozenset()) | key
    for columns in sorted({each for each in columns_of.values() if each}, key=sorted):
        own = np.isin(units, [unit for unit, held in columns_of.items() if held == columns])
        kind = DeviceKind(batches[own].reset_index(drop=True), [stats[place] for place in np.flatnonzero(own)], sorted(columns))
        comparisons = [comparison for metric in NAMES for comparison in kind.compared(metric)]
        found += comparisons
        devices += kind.devices({each.subject for each in comparisons})
    return found, devices


class DeviceKind:
    """The batches of the devices of one kind. stats: of each batch; columns: what they hold."""

    def __init__(self, batches: "DataFrame", stats: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        self.batches, self.stats, self.columns = batches, stats, columns
        self.new = batches["new"].to_numpy(bool)
        self.units = batches["unit"].to_numpy(int)
        self.rows = batches["rows"].to_numpy(float)[:, None]
        self.days = np.floor(batches["at"].astype("datetime64[us]").to_numpy().astype(np.int64) / 1e6 / A_DAY).astype(np.int64)
        self.names = [str(each) for each in batches["batch"]]
        self.times = [each.to_pydatetime() for each in batches["at"]]
        self.logged: dict[str, set[str]] = {column: set() for column in columns}
        for each in stats:
            for column, own in each.items():
                if column in self.logged and (type(own) is dict or isinstance(own, Mapping)):
                    self.logged[column].update(own)
        self.read: dict[str, tuple[Array, list[str]]] = {}
        self.nulls = np.nan_to_num(self._values(NULLS)[0])
        self.std = self._values(STD)[0]

    def _values(self, metric: str) -> tuple[Array, list[str]]:
        """The statistic of every batch and column (NaN where it has none), and the name under which each column has it."""
        if metric not in self.read:
            self.read[metric] = self._read_values(metric)
        return self.read[metric]

    def _read_values(self, metric: str) -> tuple[Array, list[str]]:
        """The values and names of a statistic, from `stats`; a statistic that nothing logs is not looked for."""
        names = [next((name for name in NAMES[metric] if name in self.logged[column]), None) for column in self.columns]
        values = np.full((len(self.stats), len(self.columns)), np.nan)
        for name in sorted({name for name in names if name is not None}):
            places = [place for place, own in enumerate(names) if own == name]
            columns = [self.columns[place] for place in places]
            values[:, places] = [_numbers_or_nan(each, columns, name) for each in self.stats]
        return values, [name or NAMES[metric][0] for name in names]

    def devices(self, judged: set[str]) -> Iterator[JudgedDevice]:
        """Yield how far each device with a batch in the window could be judged. judged: subjects with a comparison."""
        for unit in np.unique(self.units[self.new]).tolist():
            own = self.units == unit
            source, device = self._who(unit)
            new, rows = int((own & self.new).sum()), int(self.rows[own & self.new].sum())
            yield JudgedDevice(source, device, new, int((own & ~self.new).sum()), rows, device_subject(source, device) in judged)

    def _who(self, unit: int) -> tuple[str, str | None]:
        place = int(np.argmax(self.units == unit))
        return str(self.batches["source"].iloc[place]), self.batches["device"].iloc[place]

    def compared(self, metric: str) -> Iterator[StatisticComparison]:
        """Yield the comparisons of one statistic: with each device's own past, and of the devices with each other."""
        values, names = self._values(metric)
        with_value = self.rows * (1 - self.nulls) if metric in (MEAN, STD) else np.broadcast_to(self.rows, values.shape)
        values = np.where((with_value >= LEAST_ROWS) & np.isfinite(values), values, np.nan)
        if not np.isfinite(values[self.new]).any():
            return
        scaled, noise = self._on_scale(metric, values, with_value)
        rest = scaled - self._of_peers(scaled)
        told: set[tuple[int, int]] = set()
        floor = self._floor(metric)
        for unit in np.unique(self.units[self.new]).tolist():
            for comparison, place in self._with_past(unit, metric, names, values, scaled, rest, noise, floor):
                if comparison.p_value <= SIGNIFICANT and comparison.exceeds(0):
                    told.add((unit, place))
                yield comparison
        yield from self._with_each_other(metric, names, values, scaled, told)

    def _on_scale(self, metric: str, values: Array, n: Array) -> tuple[Array, Array]:
        """Values on a variance-stabilized scale and their sampling variance."""
        n = np.maximum(n, 2.0)
        if metric == MEAN:
            return values, np.nan_to_num(np.square(self.std) / n)
        if metric == STD:
            return np.log(values + ALMOST_CONSTANT * self._usual_std), 1 / (2 * (n - 1))
        with np.errstate(invalid="ignore"):
            return np.arcsin(np.sqrt((np.clip(values, 0, 1) * n + 3 / 8) / (n + 3 / 4))), 1 / (4 * n)

    @cached_property
    def _usual_std(self) -> Array:
        """The usual standard deviation of each batch's device and column: the median of its earlier positive ones, else of the kind's."""
        positive = np.where(self.std > 0, self.std, np.nan)
        usual = np.ones(self.std.shape)
        of_kind = _median(positive)
        for unit in np.unique(self.units):
            own = self.units == unit
            earlier = positive[own & ~self.new]
            middle = _median(earlier) if len(earlier) else of_kind
            usual[own] = np.where(np.isfinite(middle), middle, np.where(np.isfinite(of_kind), of_kind, 1.0))
        return usual

    def _of_peers(self, scaled: Array) -> Array:
        """For each batch the median of the other devices of the kind on its day; NaN with fewer than two.

        With MANY_DEVICES or more it is the median of all, which one device does not move.
        """
        found = np.full(scaled.shape, np.nan)
        if len(np.unique(self.units)) < 3:
            return found
        for day in np.unique(self.days):
            own = np.flatnonzero(self.days == day)
            units = self.units[own]
            if len(np.unique(units)) < 3:
                continue
            if len(np.unique(units)) >= MANY_DEVICES:
                found[own] = _median(scaled[own])
                continue
            for unit in np.unique(units):
                others = scaled[own[units != unit]]
                middle = _median(others)
                found[own[units == unit]] = np.where(np.isfinite(others).sum(0) >= 2, middle, np.nan)
        return found

    def _with_past(
        self, unit: int, metric: str, names: Sequence[str], values: Array, scaled: Array, rest: Array, noise: Array, floor: Array
    ) -> Iterator[tuple[StatisticComparison, int]]:
        """Yield the comparison of each column of a device with its own past, with the column's index."""
        own = self.units == unit
        new, old = np.flatnonzero(own & self.new), own & ~self.new
        if not old.any():
            return
        p = unusual_p_values(scaled[new], scaled[old], noise[new], floor[new], upward=metric not in LIMITS)
        relative = unusual_p_values(rest[new], rest[old], noise[new], floor[new], upward=metric not in LIMITS)
        p = np.where(np.isfinite(relative), np.maximum(p, relative), p)
        source, device = self._who(unit)
        usual_std = self._usual_std[new]
        middle, middle_rest, baselines = _median(values[old]), _median(rest[old]), np.isfinite(values[old]).sum(0)
        tests, lowest = np.isfinite(p).sum(0), np.argmin(np.where(np.isfinite(p), p, np.inf), axis=0)
        unusual = np.nan_to_num(p * tests, nan=1.0) <= SIGNIFICANT
        for place, column in enumerate(self.columns):
            tested, worst = int(tests[place]), int(lowest[place])
            if not tested:
                continue
            reference = float(middle[place])
            if np.isfinite(rest[new[worst], place]) and np.isfinite(middle_rest[place]) and metric == MEAN:
                reference = float(values[new[worst], place] - rest[new[worst], place] + middle_rest[place])
            value = float(values[new[worst], place])
            extreme = new[np.flatnonzero(unusual[:, place])]
            first = min(extreme.min(initial=new[worst]), new[worst])
            yield (
                StatisticComparison(
                    source=source,
                    device=device,
                    metric=metric,
                    column=column,
                    name=names[place],
                    batch=self.names[new[worst]],
                    at=self.times[new[worst]],
                    value=value,
                    usual=reference,
                    effect=_effect(metric, value, reference, float(usual_std[worst, place])),
                    p_value=min(float(p[worst, place]) * tested, 1.0),
                    rows=int(self.rows[new[worst], 0]),
                    batches=tested,
                    baseline_n=int(baselines[place]),
                    against="past",
                    first=self.times[first],
                    unusual=tuple(self.names[each] for each in extreme),
                ),
                place,
            )

    def _floor(self, metric: str) -> Array:
        """The smallest standard deviation of a statistic's values between batches, on its scale."""
        if metric == MEAN:
            return 0.05 * self._usual_std
        return np.full(self.std.shape, LEAST_SPREAD if metric == STD else LEAST_SPREAD_OF_SHARES)

    def _with_each_other(
        self, metric: str, names: Sequence[str], values: Array, scaled: Array, told: set[tuple[int, int]]
    ) -> Iterator[StatisticComparison]:
        """Yield the comparison of each device's median over the window with those of the other devices. told: known from their past."""
        units = [unit for unit in np.unique(self.units[self.new]).tolist() if (self.new & (self.units == unit)).sum() >= LEAST_BATCHES]
        if len(units) < LEAST_DEVICES:
            return
        masks = [self.new & (self.units == unit) for unit in units]
        middles = np.array([_median(scaled[mask]) for mask in masks])
        shown = np.array([_median(values[mask]) for mask in masks])
        floor = _median(self._floor(metric))
        single = np.fmax.reduce([np.nan_to_num(_spread(scaled[mask])) for mask in masks])
        usual_std = _median(self._usual_std)
        for row, (unit, mask) in enumerate(zip(units, masks, strict=True)):
            others = np.delete(middles, row, 0)
            known = np.isfinite(others).sum(0)
            centre, spread = _median(others), _spread(others)
            between = np.maximum(np.nan_to_num(spread), floor) ** 2 * (1 + OF_A_MEDIAN / np.maximum(known, 1))
            error = np.sqrt(between + single**2 * OF_A_MEDIAN / mask.sum())
            t = (middles[row] - centre) / error
            freedom = np.maximum(np.minimum(known - 1, MOST_FREEDOM), 1)
            p = stdtr(freedom, -t) if metric not in LIMITS else np.minimum(2 * stdtr(freedom, -np.abs(t)), 1.0)
            source, device = self._who(unit)
            past = scaled[(self.units == unit) & ~self.new]
            before = _median(past) if len(past) >= LEAST else np.full(len(self.columns), np.nan)
            of_others, places = _median(np.delete(shown, row, 0)), np.flatnonzero(mask)
            first, rows, batches = self.times[places[0]], int(self.rows[mask].sum()), tuple(self.names[each] for each in places)
            for place, column in enumerate(self.columns):
                if known[place] < LEAST_DEVICES - 1 or not np.isfinite(middles[row, place]) or (unit, place) in told:
                    continue
                value, usual = float(shown[row, place]), float(of_others[place])
                ongoing = bool(np.isfinite(before[place]) and abs(before[place] - middles[row, place]) <= abs(t[place]) * error[place] / 2)
                yield StatisticComparison(
                    source=source,
                    device=device,
                    metric=metric,
                    column=column,
                    name=names[place],
                    batch=None,
                    at=first,
                    value=value,
                    usual=usual,
                    effect=_effect(metric, value, usual, float(usual_std[place])),
                    p_value=float(p[place]),
                    rows=rows,
                    batches=len(batches),
                    baseline_n=int(known[place]),
                    against="peers",
                    first=first,
                    unusual=batches,
                    ongoing=ongoing,
                )


def unusual_p_values(values: Array, past: Array, noise: Array, floor: Array, *, upward: bool) -> Array:
    """Return the p-value of each value given the past values of its column; NaN where the value or enough past is missing.

    values: new batches × columns; past: earlier batches × columns; noise: sampling variance of each value; floor: smallest standard
    deviation. The spread is the larger of the median absolute deviation and the range of the central seven eighths, each as a standard
    deviation, so that a second mode (weekends) counts as usual and a fault of a few past days does not. A value that an eighth of the past
    values reached is not unusual. Student's t with one degree of freedom less than past values, at most 12.
    """
    known = np.isfinite(past).sum(0)
    if not known.size or known.max() < LEAST:
        return np.full(values.shape, np.nan)
    middle, spread = _median(past), _spread(past)
    error = np.sqrt(np.maximum(np.nan_to_num(spread), floor) ** 2 * (1 + OF_A_MEDIAN / np.maximum(known, 1)) + noise)
    t = (values - middle) / error
    freedom = np.maximum(np.minimum(known - 1, MOST_FREEDOM), 1)
    with np.errstate(invalid="ignore"):
        above = (past[None, :, :] >= values[:, None, :]).sum(1) / np.maximum(known, 1)
        below = (past[None, :, :] <= values[:, None, :]).sum(1) / np.maximum(known, 1)
        high = np.where(above <= SEEN, stdtr(freedom, -t), 1.0)
        low = np.where(below <= SEEN, stdtr(freedom, t), 1.0)
        p = high if upward else np.minimum(2 * np.minimum(high, low), 1.0)
    return np.where((known >= LEAST) & np.isfinite(values), p, np.nan)


def _spread(past: Array) -> Array:
    """Robust standard deviation of each column: from the median absolute deviation or the central seven eighths, the larger."""
    middle = _median(past)
    deviation = 1.4826 * _median(np.abs(past - middle))
    low, high = _quantiles(past, (1 / 16, 15 / 16))
    return np.fmax(deviation, (high - low) / (2 * NORMAL_REACH))


def _quantiles(values: Array, shares: Sequence[float]) -> list[Array]:
    """Quantiles over known values along the first axis, linear between neighbours, NaN where there is none."""
    if not len(values):
        return [np.full(values.shape[1:], np.nan) for _ in shares]
    ordered, known = np.sort(values, axis=0), (~np.isnan(values)).sum(0)
    found = []
    for share in shares:
        place = share * np.maximum(known - 1, 0)
        low = np.floor(place).astype(int)
        ends = [np.take_along_axis(ordered, each[None], 0)[0] for each in (low, np.minimum(low + 1, np.maximum(known - 1, 0)))]
        found.append(np.where(known > 0, ends[0] + (ends[1] - ends[0]) * (place - low), np.nan))
    return found


def _median(values: Array) -> Array:
    """The median over known values along the first axis, NaN where there is none. Faster than numpy's for many small arrays."""
    ordered = np.sort(values, axis=0)
    known = (~np.isnan(values)).sum(0)
    if not len(values):
        return np.full(values.shape[1:], np.nan)
    low, high = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, len(values) - 1)
    ends = [np.take_along_axis(ordered, place[None], 0)[0] for place in (low, high)]
    return np.where(known > 0, (ends[0] + ends[1]) / 2, np.nan)


def _effect(metric: str, value: float, usual: float, std: float) -> float:
    """The difference in the unit of LIMITS: standard deviations, a factor (at least 1), or the increase of a share."""
    if metric == MEAN:
        return abs(value - usual) / std if std > 0 else float(value != usual) * np.inf
    if metric == STD:
        usual = usual if usual > 0 or value <= 0 else std
        return max(value / usual, usual / value) if value > 0 else np.inf if usual > 0 else 1.0
    return value - usual


def _numbers_or_nan(stats: Mapping[str, Any], columns: Sequence[str], name: str) -> Sequence[float]:
    """A statistic of each column of a batch; NaN where it is no number."""
    read: list[Any] = [own.get(name) if type(own) is dict else None for own in map(stats.get, columns)]
    if {float, int}.issuperset(map(type, read)):
        return read
    return [_number_or_nan(stats.get(column), name) for column in columns]


def _number_or_nan(column: Any, name: str) -> float:
    """A statistic of a column as a number; NaN where it is none."""
    value = column.get(name) if isinstance(column, Mapping) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")
