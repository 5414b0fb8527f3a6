"""Judges the column statistics of batches (`stats`) of each device, against the device's own past and against the other devices of its
kind.

Devices are of one kind if their batches have the same columns. Against the past, a statistic of a batch is unusual if it is outside the
device's earlier values. If two or more other devices of the kind delivered on that day, the difference from these devices must also be
outside its earlier values, because a change of weather at every station is not the fault of one device. A device that follows three or more
others is judged by this difference alone, because a season can hide a wrong reading among the device's earlier values. The difference is
taken from the median of the other devices' deviations from their own levels. The median over the window is also compared with the past, to
detect changes that all batches of the window share. Against the kind, this median is compared with those of the other devices. Every
statistic is compared on a variance-stabilized scale (`usual_batches`), and must also differ by a minimum amount
(`batch_statistics.LIMITS`). Batches with few rows are not judged. Comparisons are kept in arrays, because 100 devices with 200 columns have
120,000 of them; an object is made only for a comparison that is reported.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr

from observability.core.named_numbers import NamedNumbers, named_numbers, number_tables
from observability.detection.batch_statistics import (
    A_DAY,
    ALMOST_CONSTANT,
    LIMITS,
    MANY_DEVICES,
    MEAN,
    MIN_BATCHES,
    MIN_DEVICES,
    MIN_ROWS,
    NAMES,
    NULLS,
    SIGNIFICANT,
    STD,
    JudgedDevice,
    limit_effects,
    reaches_limit,
    statistics_from_scale,
)
from observability.detection.device_comparisons import ComparisonTable, PastOfDevice, StatisticValues
from observability.detection.own_history import (
    MAX_FREEDOM,
    MIN_PAST_VALUES,
    MIN_SPREAD,
    MIN_SPREAD_OF_SHARES,
    NATURAL,
    OF_A_MEDIAN,
    Array,
)
from observability.detection.usual_batches import (
    MAX_FAULTY,
    PastBatches,
    SortedValues,
    median_and_spread,
    median_of_window,
    past_batches,
    robust_spread,
    student_quantiles,
    usual_batches,
)
from observability.records.kinds import BATCH_STATISTICS
from observability.stats.column_quantiles import (
    column_medians,
    medians_of_repeated,
    quantiles_of_others,
    quantiles_of_sorted,
    sorted_values,
    value_at,
)

if TYPE_CHECKING:
    from pandas import DataFrame

PastPair = tuple[PastBatches, PastBatches]
FOLLOWED, FOLLOWS = 3, 0.5
"""A device follows the others if at least FOLLOWED others delivered on each day, and if the spread of its difference from them is at most
the share FOLLOWS of its own spread. Two others are too few, because a fault of one of them moves their median by half of the fault.
"""


def statistic_comparisons(batches: "DataFrame") -> tuple[list[ComparisonTable], list[JudgedDevice]]:
    """Return the comparisons of every statistic of every column of each device in the window, and how much data each device has and whether
    it could be judged.

    batches: as returned by `with_marks`, with `rows`, `source`, `device`, `batch`, `at`, and `stats` (as logged, or as numbers).
    """
    found: list[ComparisonTable] = []
    devices: list[JudgedDevice] = []
    stats = [each if isinstance(each, NamedNumbers) else named_numbers(each, BATCH_STATISTICS) for each in batches["stats"]]
    units = batches["unit"].to_numpy(int)
    for columns, of_kind in sorted(units_of_kinds(units.tolist(), stats).items(), key=lambda kind: sorted(kind[0])):
        of_this = set(of_kind)
        own = np.array([unit in of_this for unit in units.tolist()])
        kind = DeviceKind(batches[own].reset_index(drop=True), [stats[place] for place in np.flatnonzero(own)], sorted(columns))
        tables = [table for metric in NAMES for table in kind.compared(metric)]
        found += tables
        devices += kind.devices({table.devices[row] for table in tables for row in np.flatnonzero(np.isfinite(table.p_values).any(1))})
    return found, devices


def units_of_kinds(units: Sequence[Hashable], stats: Sequence[NamedNumbers]) -> dict[frozenset[str], list[Hashable]]:
    """Return the devices of each kind, by the columns that their batches have. units: the device of each batch; stats: the statistics of
    each batch.
    """
    columns_of: dict[Hashable, frozenset[str]] = {}
    for unit, names in {(unit, each.names) for unit, each in zip(units, stats, strict=True)}:
        columns_of[unit] = columns_of.get(unit, frozenset()).union(names)
    found: dict[frozenset[str], list[Hashable]] = {}
    for unit, columns in columns_of.items():
        if columns:
            found.setdefault(columns, []).append(unit)
    return found


class DeviceKind:
    """The batches of the devices of one kind. stats: the statistics of each batch; columns: the columns that the batches have."""

    def __init__(self, batches: "DataFrame", stats: Sequence[NamedNumbers], columns: Sequence[str]) -> None:
        self.batches, self.stats, self.columns = batches, stats, columns
        self.new = batches["new"].to_numpy(bool)
        self.units = batches["unit"].to_numpy(int)
        self.rows = batches["rows"].to_numpy(float)[:, None]
        self.days = np.floor(batches["at"].astype("datetime64[us]").to_numpy().astype(np.int64) / 1e6 / A_DAY).astype(np.int64)
        self.names = [str(each) for each in batches["batch"]]
        self.times: list[datetime] = batches["at"].astype("datetime64[us]").to_numpy().tolist()
        self.current = {unit: np.flatnonzero(self.new & (self.units == unit)) for unit in np.unique(self.units[self.new]).tolist()}
        self.earlier = {unit: np.flatnonzero(~self.new & (self.units == unit)) for unit in self.current}
        owners = zip(batches["source"].map(str), batches["device"], strict=True)
        self.owners: dict[int, tuple[str, str | None]] = dict(zip(self.units.tolist(), owners, strict=True))
        self.logged = number_tables(stats, columns, BATCH_STATISTICS)
        self.std = self._values(STD)[0]

    def _values(self, metric: str) -> tuple[Array, list[str]]:
        """The value of a statistic for every batch and column (NaN if missing), and for each column the name of the statistic.

        This is the first of the statistic's possible names that any batch has.
        """
        values: Array | None = None
        names = [NAMES[metric][0]] * len(self.columns)
        for name in (each for each in reversed(NAMES[metric]) if each in self.logged):
            held = ~np.isnan(self.logged[name]).all(0)
            names = [name if has else earlier for has, earlier in zip(held.tolist(), names, strict=True)]
            own = self.logged[name]
            values = own if held.all() else np.where(held, own, np.nan if values is None else values)
        if values is None:
            values = np.full((len(self.stats), len(self.columns)), np.nan)
        return values, names

    def devices(self, judged: set[tuple[str, str | None]]) -> Iterator[JudgedDevice]:
        """For each device with a batch in the window, yield how much data it has and whether it could be judged. judged: source and name of
        the devices with a comparison.
        """
        for unit, new in self.current.items():
            who = self.owners[unit]
            yield JudgedDevice(*who, len(new), len(self.earlier[unit]), int(self.rows[new].sum()), who in judged)

    def compared(self, metric: str) -> Iterator[ComparisonTable]:
        """Yield the comparisons of one statistic: of each device with its own past, and of the devices with each other."""
        if not any(name in self.logged for name in NAMES[metric]):
            return
        values, names = self._values(metric)
        n = self._rows_with_value if metric in (MEAN, STD) else self.rows
        values = np.where((n >= MIN_ROWS) & np.isfinite(values), values, np.nan)
        if not np.isfinite(values[self.new]).any():
            return
        scaled, peers = self._on_scale(metric, values), np.full(values.shape, np.nan)
        ordered = {unit: sorted_values(scaled[old]) for unit, old in self.earlier.items() if len(old)}
        if len(np.unique(self.units)) >= 3:
            above = self._levels(scaled, ordered)
            self._add_medians_of_peers(np.subtract(scaled, above, out=above), peers)
        statistic = StatisticValues(metric, names, values, scaled, n, self._floor(metric), np.subtract(scaled, peers, out=peers))
        told: dict[tuple[str, str | None], Array] = {}
        found = {unit: self._past_of_unit(unit, statistic, past) for unit, past in ordered.items()}
        if found:
            past = self._with_past(statistic, found)
            yield past
            if (window := self._window_with_past(statistic, found)) is not None:
                yield window
            with np.errstate(invalid="ignore"):
                told = dict(zip(past.devices, (past.p_values <= SIGNIFICANT) & past.reaches(0), strict=True))
        if (others := self._with_each_other(statistic, ordered, told)) is not None:
            yield others

    @cached_property
    def _rows_with_value(self) -> Array:
        """The number of rows of each batch that have a value in each column."""
        nulls = np.nan_to_num(self._values(NULLS)[0])
        np.subtract(1, nulls, out=nulls)
        return np.multiply(nulls, self.rows, out=nulls)

    def _on_scale(self, metric: str, values: Array) -> Array:
        """The values on a variance-stabilized scale. Computed in place where possible, because allocating so much memory takes longer than
        the computation.
        """
        if metric == MEAN:
            return values
        if metric == STD:
            usual, row, _ = self._usual_of_units
            found = usual[row]
            found *= ALMOST_CONSTANT
            found += values
            return np.log(found, out=found)
        n = np.maximum(self.rows, 2.0)
        found = np.clip(values, 0, 1)
        found *= n
        found += 3 / 8
        found /= n + 3 / 4
        with np.errstate(invalid="ignore"):
            return np.arcsin(np.sqrt(found, out=found), out=found)

    def _noise(self, metric: str, n: Array, std: Array) -> Array:
        """The sampling variance of values on their scale. n: number of rows with a value; std: standard deviations of the same batches."""
        n = np.maximum(n, 2.0)
        if metric == MEAN:
            return np.asarray(np.nan_to_num(np.square(std) / n))
        return np.asarray(1 / (2 * (n - 1)) if metric == STD else 1 / (4 * n))

    @cached_property
    def _usual_of_units(self) -> tuple[Array, Array, Array]:
        """The usual standard deviation by device and column: the median of the device's earlier positive ones; if it has none, that of the
        kind.

        Also returns the row of each batch's device, and the number of batches of each device.
        """
        units, row, count = np.unique(self.units, return_inverse=True, return_counts=True)
        earlier = (self.std[self.earlier.get(unit, self.units == unit)] for unit in units.tolist())
        usual = np.array(
            [column_medians(np.where(own > 0, own, np.nan)) if len(own) else np.full(len(self.columns), np.nan) for own in earlier]
        )
        if not np.isfinite(usual).all():
            of_kind = column_medians(np.where(self.std > 0, self.std, np.nan))
            usual = np.where(np.isfinite(usual), usual, np.where(np.isfinite(of_kind), of_kind, 1.0))
        return usual, row, count

    def _usual_rows(self, batches: Sequence[Array]) -> Array:
        """The median of the rows of each device's batches, devices × 1."""
        return np.array([[float(np.median(self.rows[own]))] for own in batches])

    @cached_property
    def _others(self) -> Array:
        """The number of other devices of the kind that delivered on the day of each batch."""
        days, row = np.unique(self.days, return_inverse=True)
        seen = np.unique(np.column_stack([row, self.units]), axis=0)[:, 0]
        return np.asarray(np.bincount(seen, minlength=len(days))[row] - 1)

    def _levels(self, scaled: Array, ordered: Mapping[int, SortedValues]) -> Array:
        """For each batch, the median of the earlier values of its device; NaN without earlier values. ordered: earlier values by device."""
        units, row = np.unique(self.units, return_inverse=True)
        found = np.full((len(units), len(self.columns)), np.nan)
        for place, unit in enumerate(units.tolist()):
            if unit in ordered:
                found[place] = quantiles_of_sorted(*ordered[unit], (1 / 2,))[0]
            elif unit not in self.current:
                found[place] = column_medians(scaled[self.units == unit])
        return np.asarray(found[row])

    def _add_medians_of_peers(self, scaled: Array, found: Array) -> None:
        """Write to `found`, for each batch, the median of the other devices of the kind on the day of the batch. Writes nothing if there
        are fewer than two others.

        With MANY_DEVICES or more, it is the median of all devices, because a single device does not move it.
        """
        for day in np.unique(self.days):
            own = np.flatnonzero(self.days == day)
            units = self.units[own]
            if len(np.unique(units)) < 3:
                continue
            if len(np.unique(units)) >= MANY_DEVICES:
                found[own] = column_medians(scaled[own])
                continue
            for unit in np.unique(units):
                others = scaled[own[units != unit]]
                middle = column_medians(others)
                found[own[units == unit]] = np.where(np.isfinite(others).sum(0) >= 2, middle, np.nan)

    def _with_past(self, statistic: StatisticValues, of_units: Mapping[int, PastOfDevice]) -> ComparisonTable:
        """The comparisons of each column of each device with its own past. of_units: by unit, the result of `_past_of_unit`."""
        found = list(of_units.values())
        who, metric = tuple(map(self.owners.__getitem__, of_units)), statistic.metric
        p, value, usual, effect, low, high = (
            np.array([getattr(each, name) for each in found]) for name in ("p", "value", "usual", "effect", "low", "high")
        )

        def about(row: int, place: int) -> dict[str, Any]:
            own = found[row]
            worst, extreme = int(own.worst[place]), own.new[np.flatnonzero(own.unusual[:, place])]
            return {
                "batch": self.names[worst],
                "at": self.times[worst],
                "rows": int(self.rows[worst, 0]),
                "batches": int(own.tests[place]),
                "baseline_n": int(own.earlier[place]),
                "against": "past",
                "first": self.times[min(extreme.min(initial=worst), worst)],
                "unusual": tuple(self.names[each] for each in extreme),
            }

        return ComparisonTable(
            metric=metric,
            devices=who,
            columns=self.columns,
            names=statistic.names,
            p_values=p,
            value=value,
            usual=usual,
            effect=effect,
            varies=(low, high),
            about=about,
        )

    def _past_of_unit(self, unit: int, statistic: StatisticValues, past: SortedValues) -> PastOfDevice:
        """The comparison of a device with its own past, by column. past: the device's earlier values on the scale."""
        metric, upward, new, old = statistic.metric, statistic.metric not in LIMITS, self.current[unit], self.earlier[unit]
        usual_std, row, _ = self._usual_of_units
        floor, columns = statistic.floor[row[new[0]]], np.arange(len(self.columns))
        noise = self._noise(metric, statistic.n[new], self.std[new])
        own, rest = past_batches(statistic.scaled[old], past), past_batches(statistic.rest[old])
        of_own = usual_batches(statistic.scaled[new], own, noise, floor, upward=upward)
        relative = usual_batches(statistic.rest[new], rest, noise, floor, upward=upward)
        follows = (self._others[new] >= FOLLOWED)[:, None] & (rest.spread <= FOLLOWS * own.spread)
        p = np.where(np.isfinite(relative), np.where(follows, relative, np.maximum(of_own, relative)), of_own)
        tests, lowest = np.isfinite(p).sum(0), np.argmin(np.where(np.isfinite(p), p, np.inf), axis=0)
        worst = new[lowest]
        value, median = statistic.values[worst, columns], own.middle if metric == MEAN else column_medians(statistic.values[old])
        usual = median
        shift = statistic.scaled[worst, columns] - statistic.rest[worst, columns]
        if metric == MEAN:
            shared = shift + rest.middle
            usual = np.where(np.isfinite(shared), shared, usual)
        rows, std = self.rows[worst, 0], usual_std[row[worst], columns]
        ordinary, ordinary_rest = (each.without(self._faulty(metric, each, self.rows[old], usual_std[row[new[0]]])) for each in (own, rest))
        of_worst = np.broadcast_to(noise, p.shape)[lowest, columns], floor, tests
        ends = zip(ordinary.reach(*of_worst), (shift + end for end in ordinary_rest.reach(*of_worst)), (np.fmin, np.fmax), strict=True)
        alone, beside = ~np.isfinite(relative[lowest, columns]), follows[lowest, columns]
        low, high = (np.where(alone, of_past, np.where(beside, of_rest, wider(of_past, of_rest))) for of_past, of_rest, wider in ends)
        window = None
        if len(new) >= MIN_BATCHES and len(old) >= MIN_PAST_VALUES:
            window = self._median_of_unit(statistic, new, median, (own, ordinary), (rest, ordinary_rest))
        return PastOfDevice(
            p=np.where(tests > 0, np.minimum(p[lowest, columns] * tests, 1.0), np.nan),
            value=value,
            usual=usual,
            effect=limit_effects(metric, value, usual, std),
            low=statistics_from_scale(metric, low, rows, std, side=-1),
            high=statistics_from_scale(metric, high, rows, std, side=1),
            worst=worst,
            tests=tests,
            earlier=np.isfinite(statistic.values[old]).sum(0),
            new=new,
            unusual=np.nan_to_num(p * tests, nan=1.0) <= SIGNIFICANT,
            window=window,
        )

    def _faulty(self, metric: str, past: PastBatches, rows: Array, std: Array) -> Array:
        """A mask of the past batches that were themselves beyond the critical limit, past batches × columns. A seasonal change of means is
        not a fault.

        rows: rows of the batches; std: the usual standard deviation of each column.
        """
        usual, (ordered, known) = statistics_from_scale(metric, past.middle, np.median(rows, 0), std, side=0), past.ordered
        if not len(ordered):
            return np.zeros(ordered.shape, bool)

        def beyond(scaled: Array, n: Array) -> Array:
            values = statistics_from_scale(metric, scaled, n, std, side=0)
            return np.asarray(reaches_limit(metric, values, usual, limit_effects(metric, values, usual, std), 1))

        ends = ordered[0], value_at(ordered, np.maximum(known - 1, 0))
        if not any(beyond(end, n).any() for end in ends for n in (rows.min(0), rows.max(0))):
            return np.zeros(ordered.shape, bool)  # no value between is farther from the usual value
        found = beyond(past.values, rows)
        return found & (found.sum(0) <= MAX_FAULTY * known) if metric in LIMITS else found

    def _window_with_past(self, statistic: StatisticValues, of_units: Mapping[int, PastOfDevice]) -> ComparisonTable | None:
        """The comparison of each device's median over the window with its own past; it is at most a warning. None if no device has such a
        comparison.

        This finds a difference that all batches of the window share but that is too small to stand out in a single batch. Consecutive
        batches are treated as correlated, so that a seasonal change is not reported as a fault. of_units: by unit, the result of
        `_past_of_unit`.
        """
        medians = {unit: past.window for unit, past in of_units.items() if past.window is not None}
        if not medians:
            return None
        units, found = list(medians), list(medians.values())
        who, metric = tuple(map(self.owners.__getitem__, units)), statistic.metric
        p, value, usual, effect, low, high = (
            np.array([each[name] for each in found]) for name in ("p", "value", "usual", "effect", "low", "high")
        )

        def about(row: int, place: int) -> dict[str, Any]:
            new = self.current[units[row]]
            return self._about_window(new) | {"baseline_n": len(self.earlier[units[row]]), "against": "past"}

        return ComparisonTable(
            metric=metric,
            devices=who,
            columns=self.columns,
            names=statistic.names,
            p_values=p,
            value=value,
            usual=usual,
            effect=effect,
            varies=(low, high),
            about=about,
            watch_only=True,
        )

    def _about_window(self, batches: Array) -> dict[str, Any]:
        """The evidence of a comparison that covers all batches of a device in the window."""
        return {
            "batch": None,
            "at": self.times[batches[0]],
            "rows": int(self.rows[batches].sum()),
            "batches": len(batches),
            "first": self.times[batches[0]],
            "unusual": tuple(self.names[each] for each in batches),
        }

    def _median_of_unit(self, statistic: StatisticValues, new: Array, usual: Array, past: PastPair, rest: PastPair) -> dict[str, Array]:
        """The comparison of the median over a device's batches in the window with the device's earlier batches, by column.

        new: positions of the device's batches in the window; usual: the median of its past values; past: its past batches, all and those
        without faults; rest: the same, with the common deviation of the other devices removed.
        """
        metric = statistic.metric
        usual_std, row, _ = self._usual_of_units
        std, floor = usual_std[row[new[0]]], statistic.floor[row[new[0]]]
        own, apart = (
            median_of_window(each[new], *before, floor, upward=metric not in LIMITS)
            for each, before in ((statistic.scaled, past), (statistic.rest, rest))
        )
        beside = bool((self._others[new] >= FOLLOWED).all()) & (rest[0].spread <= FOLLOWS * past[0].spread)
        known = np.isfinite(apart.p_value)
        p = np.where(known, np.where(beside, apart.p_value, np.maximum(own.p_value, apart.p_value)), own.p_value)
        shift = own.median - apart.median
        low, high = (
            np.where(known, np.where(beside, shift + of_rest, wider(of_past, shift + of_rest)), of_past)
            for of_past, of_rest, wider in zip(own.ends, apart.ends, (np.fmin, np.fmax), strict=True)
        )
        value = own.median if metric == MEAN else column_medians(statistic.values[new])
        usual = np.where(known, shift + rest[0].middle, usual) if metric == MEAN else usual
        rows = float(np.median(self.rows[new]))
        return {
            "p": p,
            "value": value,
            "usual": usual,
            "effect": limit_effects(metric, value, usual, std),
            "low": statistics_from_scale(metric, low, np.asarray(rows), std, side=-1),
            "high": statistics_from_scale(metric, high, np.asarray(rows), std, side=1),
        }

    def _floor(self, metric: str) -> Array:
        """The minimum standard deviation of a statistic between batches, on its scale, by device and column."""
        if metric == MEAN:
            return np.asarray(0.05 * self._usual_of_units[0])
        return np.full(self._usual_of_units[0].shape, MIN_SPREAD if metric == STD else MIN_SPREAD_OF_SHARES)

    def _with_each_other(
        self, statistic: StatisticValues, ordered: Mapping[int, SortedValues], told: Mapping[tuple[str, str | None], Array]
    ) -> ComparisonTable | None:
        """The comparison of each device's median over the window with the medians of the other devices; None if there are few devices.

        ordered: past values on the scale, by unit. told: for each device, the columns that the comparison with its own past already
        reports.
        """
        units = [unit for unit, own in self.current.items() if len(own) >= MIN_BATCHES]
        if len(units) < MIN_DEVICES:
            return None
        metric, scaled = statistic.metric, statistic.scaled
        batches = [self.current[unit] for unit in units]
        middles, spreads = (
            np.array(each) for each in zip(*(median_and_spread(sorted_values(scaled[own])) for own in batches), strict=True)
        )
        shown = middles if metric == MEAN else np.array([column_medians(statistic.values[own]) for own in batches])
        usual_of_units, _, count = self._usual_of_units
        floor, usual_std = (medians_of_repeated(each, count) for each in (statistic.floor, usual_of_units))
        single = np.max(np.nan_to_num(spreads), axis=0)
        known, (centre, low, high) = quantiles_of_others(middles, (1 / 2, 1 / 16, 15 / 16))
        usual = centre if metric == MEAN else quantiles_of_others(shown, (1 / 2,))[1][0]
        deviation = np.array([column_medians(np.abs(np.delete(middles, row, 0) - centre[row])) for row in range(len(units))])
        between = np.maximum(np.nan_to_num(robust_spread(deviation, low, high)), floor) ** 2 * (1 + OF_A_MEDIAN / np.maximum(known, 1))
        counts = np.array([len(own) for own in batches])[:, None]
        error = np.sqrt(between + single**2 * OF_A_MEDIAN / counts)
        t = (middles - centre) / error
        freedom = np.maximum(np.minimum(known - 1, MAX_FREEDOM), 1)
        p = stdtr(freedom, -t) if metric not in LIMITS else np.minimum(2 * stdtr(freedom, -np.abs(t)), 1.0)
        ongoing = np.zeros(middles.shape, bool)
        for row, unit in enumerate(units):
            if unit in ordered and len(ordered[unit][0]) >= MIN_PAST_VALUES:
                ongoing[row] = np.abs(quantiles_of_sorted(*ordered[unit], (1 / 2,))[0] - middles[row]) <= np.abs(t[row]) * error[row] / 2
        who = tuple(map(self.owners.__getitem__, units))
        for row, each in enumerate(who):
            p[row, told.get(each, np.zeros(len(self.columns), bool))] = np.nan
        effect = limit_effects(metric, shown, usual, usual_std)
        reach, n = student_quantiles(freedom, 1 - NATURAL / 2) * error, self._usual_rows(batches)
        low, high = (statistics_from_scale(metric, centre + side * reach, n, usual_std, side=side) for side in (-1, 1))

        def about(row: int, place: int) -> dict[str, Any]:
            others = {"baseline_n": int(known[row, place]), "against": "peers", "ongoing": bool(ongoing[row, place])}
            return self._about_window(batches[row]) | others

        return ComparisonTable(
            metric=metric,
            devices=who,
            columns=self.columns,
            names=statistic.names,
            p_values=np.where((known >= MIN_DEVICES - 1) & np.isfinite(middles), p, np.nan),
            value=shown,
            usual=usual,
            effect=effect,
            varies=(low, high),
            about=about,
        )
