"""Faults of what comes in: values, columns, lines, arrival."""

import numpy as np

from observability.core.questions import ABSENT, WRONG_TYPE
from observability.simulation.fault import Fault, Plant, equal
from observability.simulation.fault_targets import counts, plain
from observability.simulation.log_rows import Array, Rows, joined


def everywhere(rows: Rows) -> Array:
    """All rows."""
    return np.ones(len(rows), bool)


def scaled(rows: Rows, plant: Plant, where: Array) -> Rows:
    """A number in another unit: multiplied so that its mean moves by `amount` standard deviations."""
    name = plant.part("number")
    mean, spread = plant.scale(name)
    factor = 1 + plant.amount * spread / max(abs(mean), spread / 4)
    return rows.changed(name, where, rows[name][where] * factor)


def unit_change(rows: Rows, plant: Plant) -> Rows:
    """A number comes in another unit."""
    return scaled(rows, plant, everywhere(rows))


def unit_change_in_slice(rows: Rows, plant: Plant) -> Rows:
    """A number comes in another unit in one slice."""
    return scaled(rows, plant, plant.inside(rows))


def null_surge(rows: Rows, plant: Plant) -> Rows:
    """A number is missing more often."""
    return rows.changed(plant.part("number"), plant.some(everywhere(rows), plant.amount), np.nan)


def null_surge_in_group(rows: Rows, plant: Plant) -> Rows:
    """A number is missing more often for one group."""
    return rows.changed(plant.part("number"), plant.some(plant.inside(rows, "group"), plant.amount), np.nan)


def stuck_value(rows: Rows, plant: Plant) -> Rows:
    """A number stays at one value in the last hours of each day."""
    name = plant.part("number")
    since = rows["at"].astype("datetime64[D]") + np.timedelta64(round((24 - plant.amount) * 60), "m")
    frozen = rows["at"] >= since
    known = rows[name][np.isfinite(rows[name])]
    return rows.changed(name, frozen, np.median(known)) if known.size else rows


def unseen_category(rows: Rows, plant: Plant) -> Rows:
    """A category comes that the model never saw."""
    return rows.changed(plant.part("category"), plant.some(everywhere(rows), plant.amount), "lab-new-level")


def swapped_categories(rows: Rows, plant: Plant) -> Rows:
    """Two categories are taken for each other."""
    name = plant.part("category")
    shares = {level: share for level, share in counts(plant.scene.base.pool[name]).items() if share >= 0.02}
    most, least = max(shares, key=lambda level: shares[level]), min(shares, key=lambda level: shares[level])
    chosen = plant.some(everywhere(rows), plant.amount)
    first, second = chosen & equal(rows[name], most), chosen & equal(rows[name], least)
    return rows.changed(name, first, least).changed(name, second, most)


def covariate_shift(rows: Rows, plant: Plant) -> Rows:
    """Other cases come than in the reference; the model is as right about each as before."""
    name = plant.part("number")
    mean, spread = plant.scale(name)
    z = np.nan_to_num((rows[name] - mean) / spread)
    tilt = tilted(z, plant.amount)
    weights = np.exp(tilt * z - (tilt * z).max())
    places = plant.rng.choice(len(rows), size=len(rows), p=weights / weights.sum())
    fresh = rows.take(places)
    kept = {each: rows[each] for each in ("id", "at", "arrived")}
    late = fresh["label_arrived"] - fresh["at"]
    return fresh.put(kept | {"label_arrived": rows["at"] + late})


def tilted(z: Array, shift: float) -> float:
    """The exponent that moves the mean of z by `shift`, as far as its values allow."""
    low, high = 0.0, 8.0
    for _ in range(40):
        middle = (low + high) / 2
        weights = np.exp(middle * z - (middle * z).max())
        low, high = (middle, high) if (weights * z).sum() / weights.sum() - z.mean() < shift else (low, middle)
    return low


def correlation_broken(rows: Rows, plant: Plant) -> Rows:
    """A number is joined to the wrong rows; its own distribution stays."""
    name = plant.part("number")
    places = np.flatnonzero(plant.some(everywhere(rows), plant.amount))
    values = rows[name].copy()
    values[places] = values[plant.rng.permutation(places)]
    return rows.put({name: values})


def outliers(rows: Rows, plant: Plant) -> Rows:
    """Wild values in a number."""
    name = plant.part("number")
    mean, spread = plant.scale(name)
    chosen = plant.some(everywhere(rows), plant.amount)
    return rows.changed(name, chosen, mean + spread * plant.rng.uniform(20, 200, int(chosen.sum())))


def resends(rows: Rows, plant: Plant) -> Rows:
    """Lines come twice."""
    return rows.put({"copies": plant.some(everywhere(rows), plant.amount).astype(np.int64)})


def renamed_feature(rows: Rows, plant: Plant) -> Rows:
    """A number comes under another name."""
    name = plant.part("number")
    chosen = plant.some(everywhere(rows), plant.amount)
    own = plain(name)
    return rows.put({f"mark.{own}": np.where(chosen, ABSENT, 0).astype(np.int8), f"extra.{own}_v2": np.where(chosen, rows[name], np.nan)})


def wrong_type(rows: Rows, plant: Plant) -> Rows:
    """A number comes as text."""
    chosen = plant.some(everywhere(rows), plant.amount)
    return rows.put({f"mark.{plain(plant.part('number'))}": np.where(chosen, WRONG_TYPE, 0).astype(np.int8)})


def swapped_features(rows: Rows, plant: Plant) -> Rows:
    """Two numbers are taken for each other."""
    first, second = plant.part("number"), plant.part("partner")
    chosen = plant.some(everywhere(rows), plant.amount)
    return rows.changed(first, chosen, rows[second][chosen]).changed(second, chosen, rows[first][chosen])


def sign_flip(rows: Rows, plant: Plant) -> Rows:
    """A number has the wrong sign."""
    name = plant.part("number")
    chosen = plant.some(everywhere(rows), plant.amount)
    return rows.changed(name, chosen, -rows[name][chosen])


def time_zone_shift(rows: Rows, plant: Plant) -> Rows:
    """An hour of the day is told in another time zone."""
    name = plant.part("hour")
    return rows.put({name: (rows[name] + plant.amount) % 24})


def slow_ramp(rows: Rows, plant: Plant) -> Rows:
    """A number drifts a little more every day."""
    name = plant.part("number")
    return rows.put({name: rows[name] + plant.amount * (plant.day + 1) * plant.scale(name)[1]})


def coarse_device(rows: Rows, plant: Plant) -> Rows:
    """One device rounds a number coarsely."""
    name, spread = plant.part("number"), plant.scale(plant.part("number"))[1]
    where = equal(rows["device"], plant.part("device"))
    return rows.changed(name, where, np.round(rows[name][where] / (plant.amount * spread)) * plant.amount * spread)


def stale_feature(rows: Rows, plant: Plant) -> Rows:
    """A cache repeats a few values of a number all day."""
    name = plant.part("number")
    known = rows[name][np.isfinite(rows[name])]
    if not known.size:
        return rows
    read = plant.rng.choice(known, size=max(round(1 / plant.amount), 1))
    return rows.put({name: read[plant.rng.integers(read.size, size=len(rows))]})


def late_arrivals(rows: Rows, plant: Plant) -> Rows:
    """Half of the records come late."""
    chosen = plant.some(everywhere(rows), 0.5)
    return rows.put({"arrived": np.where(chosen, rows["arrived"] + np.timedelta64(round(plant.amount * 3600), "s"), rows["arrived"])})


def volume_drop(rows: Rows, plant: Plant) -> Rows:
    """Fewer predictions come."""
    return rows.take(~plant.some(everywhere(rows), plant.amount))


def volume_surge(rows: Rows, plant: Plant) -> Rows:
    """More predictions come."""
    more = plant.rng.integers(len(rows), size=round((plant.amount - 1) * len(rows)))
    extra = rows.take(more)
    names = np.array([f"{each}-more{place}" for place, each in enumerate(extra["id"])], object)
    return in_time(joined([rows, extra.put({"id": names})]))


def outage(rows: Rows, plant: Plant) -> Rows:
    """Nothing comes for some hours."""
    until = rows["at"].min().astype("datetime64[D]") - np.timedelta64(plant.day, "D") + np.timedelta64(round(plant.amount * 60), "m")
    return rows.take(rows["at"] >= until)


def clock_skew(rows: Rows, plant: Plant) -> Rows:
    """One device's clock is behind."""
    where = equal(rows["device"], plant.part("device"))
    return in_time(rows.changed("at", where, rows["at"][where] - np.timedelta64(round(plant.amount * 3600), "s")))


def query_burst(rows: Rows, plant: Plant) -> Rows:
    """One subject sends near copies of one query."""
    size = round(plant.amount / (1 - plant.amount) * len(rows))
    places = np.sort(plant.rng.integers(len(rows), size=size))
    seed = plant.rng.integers(len(rows))
    probe = rows.take(np.full(size, seed))
    jitter = {name: probe[name] + plant.rng.normal(0, 0.01, size) * spread for name, (_, spread) in plant.scene.scales.items()}
    names = np.array([f"{rows['id'][0]}-probe{place}" for place in range(size)], object)
    own = {"id": names, "at": rows["at"][places], "arrived": rows["arrived"][places], "label_arrived": rows["label_arrived"][places]}
    probe = probe.put(jitter | own | {"subject": np.full(size, plant.part("subject"), object)})
    return in_time(joined([rows, probe]))


def in_time(rows: Rows) -> Rows:
    """Rows in order of time."""
    return rows.take(np.argsort(rows["at"], kind="stable"))


SD, SHARE, HOURS = "standard deviations", "share of rows", "hours"
FAULTS = (
    Fault("unit_change", "data", (0.3, 1.0, 3.0), SD, ("number",), unit_change, rescored=True),
    Fault("unit_change_in_slice", "data", (0.3, 1.0, 3.0), SD, ("number", "slice"), unit_change_in_slice, rescored=True),
    Fault("null_surge", "data", (0.05, 0.15, 0.5), SHARE, ("number",), null_surge, rescored=True),
    Fault("null_surge_in_group", "data", (0.05, 0.2, 0.6), SHARE, ("number", "group"), null_surge_in_group, rescored=True),
    Fault("stuck_value", "data", (6, 12, 24), HOURS, ("number",), stuck_value, rescored=True),
    Fault("unseen_category", "data", (0.05, 0.15, 0.4), SHARE, ("category",), unseen_category, rescored=True),
    Fault("swapped_categories", "data", (0.3, 0.6, 1.0), SHARE, ("category",), swapped_categories, rescored=True),
    Fault("covariate_shift", "serving", (0.3, 0.6, 1.2), SD, ("number",), covariate_shift),
    Fault("correlation_broken", "serving", (0.3, 0.6, 1.0), SHARE, ("number", "partner"), correlation_broken, rescored=True),
    Fault("outliers", "data", (0.01, 0.05, 0.15), SHARE, ("number",), outliers, rescored=True),
    Fault("resends", "data", (0.05, 0.2, 0.6), SHARE, (), resends),
    Fault("renamed_feature", "data", (0.05, 0.3, 1.0), SHARE, ("number",), renamed_feature, rescored=True),
    Fault("wrong_type", "data", (0.05, 0.3, 1.0), SHARE, ("number",), wrong_type, rescored=True),
    Fault("swapped_features", "data", (0.1, 0.4, 1.0), SHARE, ("number", "partner"), swapped_features, rescored=True),
    Fault("sign_flip", "data", (0.1, 0.4, 1.0), SHARE, ("number",), sign_flip, rescored=True),
    Fault("time_zone_shift", "data", (1, 3, 6), HOURS, ("hour",), time_zone_shift, rescored=True),
    Fault("slow_ramp", "serving", (0.05, 0.15, 0.4), f"{SD} a day", ("number",), slow_ramp, rescored=True),
    Fault("coarse_device", "data", (0.7, 1.5, 3.0), SD, ("number", "device"), coarse_device, rescored=True),
    Fault("stale_feature", "data", (0.02, 0.1, 0.5), "1 / values a day", ("number",), stale_feature, rescored=True),
    Fault("late_arrivals", "data", (6, 24, 72), HOURS, (), late_arrivals),
    Fault("volume_drop", "data", (0.3, 0.5, 0.8), SHARE, (), volume_drop),
    Fault("volume_surge", "data", (1.6, 2.5, 5.0), "times", (), volume_surge),
    Fault("outage", "data", (6, 18, 60), HOURS, (), outage),
    Fault("clock_skew", "data", (4, 12, 36), HOURS, ("device",), clock_skew),
    Fault("query_burst", "serving", (0.03, 0.1, 0.3), SHARE, ("subject", "number"), query_burst),
)  # fmt: skip
