"""Faults of inputs: in their values, columns, lines or arrival."""

import numpy as np

from observability.core.questions import ABSENT, WRONG_TYPE
from observability.simulation.fault import FaultPlant, ServingFault, equals_level
from observability.simulation.fault_targets import column_level_shares, column_short_name
from observability.simulation.log_rows import LogRows, joined_rows
from observability.stats.arrays import Array


def all_rows(rows: LogRows) -> Array:
    """All rows."""
    return np.ones(len(rows), bool)


def _scaled_number(rows: LogRows, plant: FaultPlant, where: Array) -> LogRows:
    """A number multiplied so that its mean moves by `amount` standard deviations."""
    name = plant.part("number")
    mean, spread = plant.scale(name)
    factor = 1 + plant.amount * spread / max(abs(mean), spread / 4)
    return rows.changed(name, where, rows[name][where] * factor)


def unit_change(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number arrives in another unit."""
    return _scaled_number(rows, plant, all_rows(rows))


def unit_change_in_slice(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number arrives in another unit in one slice."""
    return _scaled_number(rows, plant, plant.inside(rows))


def unit_change_on_weekday(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number arrives in another unit on one weekday."""
    return unit_change(rows, plant) if plant.is_weekday_of_onset else rows


def null_surge(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number is missing more often."""
    return rows.changed(plant.part("number"), plant.some(all_rows(rows), plant.amount), np.nan)


def null_surge_in_group(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number is missing more often for one group."""
    return rows.changed(plant.part("number"), plant.some(plant.inside(rows, "group"), plant.amount), np.nan)


def stuck_value(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number stays at one value in the last hours of each day."""
    name = plant.part("number")
    since = rows["at"].astype("datetime64[D]") + np.timedelta64(round((24 - plant.amount) * 60), "m")
    frozen = rows["at"] >= since
    known = rows[name][np.isfinite(rows[name])]
    return rows.changed(name, frozen, np.median(known)) if known.size else rows


def unseen_category(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A category arrives that the model never saw."""
    return rows.changed(plant.part("category"), plant.some(all_rows(rows), plant.amount), "lab-new-level")


def personal_data(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Texts with e-mail addresses arrive in a category."""
    where = plant.some(all_rows(rows), plant.amount)
    texts = np.array([f"write to lab{place}@mail.example" for place in np.flatnonzero(where)], object)
    return rows.changed(plant.part("category"), where, texts)


def swapped_categories(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Two categories are swapped."""
    name = plant.part("category")
    shares = {level: share for level, share in column_level_shares(plant.scene.base.pool[name]).items() if share >= 0.02}
    most, least = max(shares, key=lambda level: shares[level]), min(shares, key=lambda level: shares[level])
    chosen = plant.some(all_rows(rows), plant.amount)
    first, second = chosen & equals_level(rows[name], most), chosen & equals_level(rows[name], least)
    return rows.changed(name, first, least).changed(name, second, most)


def covariate_shift(rows: LogRows, plant: FaultPlant) -> LogRows:
    """The mix of cases changes; the model's accuracy on each case stays."""
    name = plant.part("number")
    mean, spread = plant.scale(name)
    z = np.nan_to_num((rows[name] - mean) / spread)
    tilt = _tilting_exponent(z, plant.amount)
    weights = np.exp(tilt * z - (tilt * z).max())
    places = plant.rng.choice(len(rows), size=len(rows), p=weights / weights.sum())
    fresh = rows.take(places)
    kept = {each: rows[each] for each in ("id", "at", "arrived")}
    late = fresh["label_arrived"] - fresh["at"]
    return fresh.put(kept | {"label_arrived": rows["at"] + late})


def _tilting_exponent(z: Array, shift: float) -> float:
    """The exponent that moves the mean of z by `shift`; if the values of z do not permit such a shift, the largest exponent."""
    low, high = 0.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        weights = np.exp(middle * z - (middle * z).max())
        low, high = (middle, high) if (weights * z).sum() / weights.sum() - z.mean() < shift else (low, middle)
    return low


def correlation_broken(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number is joined to the wrong rows; its own distribution stays."""
    name = plant.part("number")
    places = np.flatnonzero(plant.some(all_rows(rows), plant.amount))
    values = rows[name].copy()
    values[places] = values[plant.rng.permutation(places)]
    return rows.put({name: values})


def outliers(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number has extreme values."""
    name = plant.part("number")
    mean, spread = plant.scale(name)
    chosen = plant.some(all_rows(rows), plant.amount)
    return rows.changed(name, chosen, mean + spread * plant.rng.uniform(20, 200, int(chosen.sum())))


def resends(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Lines are sent twice."""
    return rows.put({"copies": plant.some(all_rows(rows), plant.amount).astype(np.int64)})


def renamed_feature(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number arrives under another name."""
    name = plant.part("number")
    chosen = plant.some(all_rows(rows), plant.amount)
    own = column_short_name(name)
    return rows.put({f"mark.{own}": np.where(chosen, ABSENT, 0).astype(np.int8), f"extra.{own}_v2": np.where(chosen, rows[name], np.nan)})


def wrong_type(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number arrives as text."""
    chosen = plant.some(all_rows(rows), plant.amount)
    return rows.put({f"mark.{column_short_name(plant.part('number'))}": np.where(chosen, WRONG_TYPE, 0).astype(np.int8)})


def swapped_features(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Two numbers are swapped."""
    first, second = plant.part("number"), plant.part("partner")
    chosen = plant.some(all_rows(rows), plant.amount)
    return rows.changed(first, chosen, rows[second][chosen]).changed(second, chosen, rows[first][chosen])


def sign_flip(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number has the wrong sign."""
    name = plant.part("number")
    chosen = plant.some(all_rows(rows), plant.amount)
    return rows.changed(name, chosen, -rows[name][chosen])


def time_zone_shift(rows: LogRows, plant: FaultPlant) -> LogRows:
    """An hour of the day is given in another time zone."""
    name = plant.part("hour")
    return rows.put({name: (rows[name] + plant.amount) % 24})


def slow_ramp(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A number drifts a little more every day."""
    name = plant.part("number")
    return rows.put({name: rows[name] + plant.amount * (plant.day + 1) * plant.scale(name)[1]})


def coarse_device(rows: LogRows, plant: FaultPlant) -> LogRows:
    """One device rounds a number coarsely."""
    name, spread = plant.part("number"), plant.scale(plant.part("number"))[1]
    where = equals_level(rows["device"], plant.part("device"))
    return rows.changed(name, where, np.round(rows[name][where] / (plant.amount * spread)) * plant.amount * spread)


def stale_feature(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A cache repeats a few values of a number all day."""
    name = plant.part("number")
    known = rows[name][np.isfinite(rows[name])]
    if not known.size:
        return rows
    read = plant.rng.choice(known, size=max(round(1 / plant.amount), 1))
    return rows.put({name: read[plant.rng.integers(read.size, size=len(rows))]})


def late_arrivals(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Half of the records arrive late."""
    chosen = plant.some(all_rows(rows), 0.5)
    return rows.put({"arrived": np.where(chosen, rows["arrived"] + np.timedelta64(round(plant.amount * 3600), "s"), rows["arrived"])})


def volume_drop(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Fewer predictions arrive."""
    return rows.take(~plant.some(all_rows(rows), plant.amount))


def volume_surge(rows: LogRows, plant: FaultPlant) -> LogRows:
    """More predictions arrive."""
    more = plant.rng.integers(len(rows), size=round((plant.amount - 1) * len(rows)))
    extra = rows.take(more)
    names = np.array([f"{each}-more{place}" for place, each in enumerate(extra["id"])], object)
    return in_time_order(joined_rows([rows, extra.put({"id": names})]))


def outage(rows: LogRows, plant: FaultPlant) -> LogRows:
    """No predictions arrive for some hours."""
    until = rows["at"].min().astype("datetime64[D]") - np.timedelta64(plant.day, "D") + np.timedelta64(round(plant.amount * 60), "m")
    return rows.take(rows["at"] >= until)


def clock_skew(rows: LogRows, plant: FaultPlant) -> LogRows:
    """One device's clock is behind."""
    where = equals_level(rows["device"], plant.part("device"))
    return in_time_order(rows.changed("at", where, rows["at"][where] - np.timedelta64(round(plant.amount * 3600), "s")))


def query_burst(rows: LogRows, plant: FaultPlant) -> LogRows:
    """One subject sends near copies of one query."""
    size = round(plant.amount / (1 - plant.amount) * len(rows))
    places = np.sort(plant.rng.integers(len(rows), size=size))
    seed = plant.rng.integers(len(rows))
    probe = rows.take(np.full(size, seed))
    jitter = {name: probe[name] + plant.rng.normal(0, 0.01, size) * spread for name, (_, spread) in plant.scene.scales.items()}
    names = np.array([f"{rows['id'][0]}-probe{place}" for place in range(size)], object)
    own = {"id": names, "at": rows["at"][places], "arrived": rows["arrived"][places], "label_arrived": rows["label_arrived"][places]}
    probe = probe.put(jitter | own | {"subject": np.full(size, plant.part("subject"), object)})
    return in_time_order(joined_rows([rows, probe]))


def in_time_order(rows: LogRows) -> LogRows:
    """Rows in order of time."""
    return rows.take(np.argsort(rows["at"], kind="stable"))


SD, SHARE, HOURS = "standard deviations", "share of rows", "hours"
FAULTS = (
    ServingFault("unit_change", "data", (0.3, 1.0, 3.0), SD, ("number",), unit_change, rescored=True),
    ServingFault("unit_change_in_slice", "data", (0.3, 1.0, 3.0), SD, ("number", "slice"), unit_change_in_slice, rescored=True),
    ServingFault("unit_change_on_weekday", "data", (0.3, 1.0, 3.0), SD, ("number",), unit_change_on_weekday, rescored=True),
    ServingFault("null_surge", "data", (0.05, 0.15, 0.5), SHARE, ("number",), null_surge, rescored=True),
    ServingFault("null_surge_in_group", "data", (0.05, 0.2, 0.6), SHARE, ("number", "group"), null_surge_in_group, rescored=True),
    ServingFault("stuck_value", "data", (6, 12, 24), HOURS, ("number",), stuck_value, rescored=True),
    ServingFault("unseen_category", "data", (0.05, 0.15, 0.4), SHARE, ("category",), unseen_category, rescored=True),
    ServingFault("personal_data", "data", (0.02, 0.05, 0.2), SHARE, ("category",), personal_data, rescored=True),
    ServingFault("swapped_categories", "data", (0.3, 0.6, 1.0), SHARE, ("category",), swapped_categories, rescored=True),
    ServingFault("covariate_shift", "serving", (0.3, 0.6, 1.2), SD, ("number",), covariate_shift),
    ServingFault("correlation_broken", "serving", (0.3, 0.6, 1.0), SHARE, ("number", "partner"), correlation_broken, rescored=True),
    ServingFault("outliers", "data", (0.01, 0.05, 0.15), SHARE, ("number",), outliers, rescored=True),
    ServingFault("resends", "data", (0.05, 0.2, 0.6), SHARE, (), resends),
    ServingFault("renamed_feature", "data", (0.05, 0.3, 1.0), SHARE, ("number",), renamed_feature, rescored=True),
    ServingFault("wrong_type", "data", (0.05, 0.3, 1.0), SHARE, ("number",), wrong_type, rescored=True),
    ServingFault("swapped_features", "data", (0.1, 0.4, 1.0), SHARE, ("number", "partner"), swapped_features, rescored=True),
    ServingFault("sign_flip", "data", (0.1, 0.4, 1.0), SHARE, ("number",), sign_flip, rescored=True),
    ServingFault("time_zone_shift", "data", (1, 3, 6), HOURS, ("hour",), time_zone_shift, rescored=True),
    ServingFault("slow_ramp", "serving", (0.05, 0.15, 0.4), f"{SD} a day", ("number",), slow_ramp, rescored=True),
    ServingFault("coarse_device", "data", (0.7, 1.5, 3.0), SD, ("number", "device"), coarse_device, rescored=True),
    ServingFault("stale_feature", "data", (0.02, 0.1, 0.5), "1 / values a day", ("number",), stale_feature, rescored=True),
    ServingFault("late_arrivals", "data", (6, 24, 72), HOURS, (), late_arrivals),
    ServingFault("volume_drop", "data", (0.3, 0.5, 0.8), SHARE, (), volume_drop),
    ServingFault("volume_surge", "data", (1.6, 2.5, 5.0), "times", (), volume_surge),
    ServingFault("outage", "data", (6, 18, 60), HOURS, (), outage),
    ServingFault("clock_skew", "data", (4, 12, 36), HOURS, ("device",), clock_skew),
    ServingFault("query_burst", "serving", (0.03, 0.1, 0.3), SHARE, ("subject", "number"), query_burst),
)  # fmt: skip
