"""Energy and emissions of a model, from records and sums.

This is the only computation of energy. The analyzer, the page, the tables and the sentences all use it.

**No energy is counted twice.** A record of a run is training, any other record of the model is serving. If serving devices have records,
these give the energy. The energy that predictions carry (`energy_j`) is then a part of it, and the rest is the idle share. Without such
records, the energy of serving is the mean `energy_j` of the predictions that carry it, else their latency times an assumed power.
Overlapping readings of one device of one host are counted once. A run without readings is its duration times its cores times an assumed
power.

**The source of a number** is measured, estimated or assumed; a sum has the source of its worst part. The energy is the energy at the
device times the power usage effectiveness (PUE) of the building. Emissions (gCO₂e) are the energy times the carbon intensity of the hour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.core.questions import Aggregate, Bucket, By, Records
from observability.metrics.performance import Columns, answer_columns
from observability.metrics.prices import PriceScope, energy_factors, prices_at

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Source = Literal["measured", "estimated", "assumed"]
SOURCES: tuple[Source, ...] = ("measured", "estimated", "assumed")
"""The sources of a number, best first."""
JOULES_A_WH = 3600.0
GAP = 3.0
LONGEST_GAP_S = 900.0
"""Readings of watts without a duration are joined if their distance is at most GAP times the usual distance of the series, and at most
LONGEST_GAP_S seconds."""
RESOURCE_COLUMNS = ("at", "device", "watts", "utilisation", "run", "version", "host", "energy_j", "seconds", "source")
PLACES_IN_A_RUN = ("phase", "step")
RUN_COLUMNS = ("run", "at", "event", "version", "hardware", "status", "dataset", "study", "params")
RESOURCES, RUNS = Records("resource", RESOURCE_COLUMNS), Records("run", RUN_COLUMNS, ever=True)
MAX_HOURS = 24 * 366
"""Longest run in hours whose carbon is computed hour by hour; a longer run uses the intensity at its end."""
GPU_NAMES = ("gpu", "cuda", "nvidia", "rocm", "tpu", "mps")


def served_question() -> Aggregate:
    """The query for the number of served predictions, by hour and version.

    Returns
    -------
    Aggregate
    """
    return Aggregate("predictions", keys=(Bucket("hour"), By("version")))


def consumption_question(*more: str) -> Aggregate:
    """The query for sums of the predictions' own energy and latency, by hour and version. more: further sums."""
    return Aggregate("predictions", keys=(Bucket("hour"), By("version")), sums=("energy_j", "latency_ms", *more))


def is_accelerator(device: object) -> bool:
    """Whether a device is an accelerator, by its name.

    Parameters
    ----------
    device : object
        Name of the device.

    Returns
    -------
    bool
    """
    return str(device or "").lower().startswith(GPU_NAMES)


def is_processor(device: object) -> bool:
    """Whether a device is a processor or the memory beside it, by the names that `PowerMeter` gives.

    Parameters
    ----------
    device : object
        Name of the device.

    Returns
    -------
    bool
    """
    return str(device or "").lower().startswith(("cpu", "memory"))


def worst_source(sources: Sequence[Any]) -> Source:
    """The worst of some sources. A source that is not stated counts as measured, because the number was logged.

    Parameters
    ----------
    sources : Sequence[Any]
        Sources.

    Returns
    -------
    Source
    """
    known = [SOURCES.index(source) for source in sources if source in SOURCES]
    return SOURCES[max(known, default=0)]


def reading_energy(resources: "DataFrame") -> "DataFrame":
    """Energy of each reading.

    The energy is `energy_j` if it is given, else watts × `seconds`; else watts between two readings of the same device are integrated by
    the trapezoid rule, without bridging gaps. If readings of one device (of one host, else of one run) overlap, the part that is already
    covered is left out. Readings without watts and energy are left out.

    Parameters
    ----------
    resources : DataFrame
        Resource records.

    Returns
    -------
    DataFrame
        Columns run, version, host, device, source, and at (middle of the interval), seconds, joules; and phase and step, where the
        records have them.
    """
    import pandas as pd

    texts = {
        name: resources[name].astype(object).where(resources[name].notna(), "").astype(str)
        for name in ("run", "version", "host", "device", "source")
    }
    more = [name for name in PLACES_IN_A_RUN if name in resources]
    frame = pd.DataFrame({**texts, **{name: resources[name] for name in ("at", "watts", "energy_j", "seconds", *more)}})
    frame["place"] = frame["host"].where(frame["host"] != "", "run " + frame["run"] + " " + frame["version"])
    frame = frame.sort_values(["place", "device", "at", "seconds", "watts", "energy_j", "run", "version", "source"], ignore_index=True)
    frame["seconds"], frame["joules"] = _integrated_watts(frame)
    frame = frame[frame["joules"].notna()]
    end = frame["at"].to_numpy("datetime64[us]").astype(np.int64) / 1e6
    frame = frame.assign(end=end, start=end - frame["seconds"])
    frame = frame.sort_values(["place", "device", "start", "end", "joules", "run", "version"], ignore_index=True)
    covered = frame.groupby(["place", "device"], sort=False)["end"].transform(lambda ends: ends.cummax().shift(1))
    fresh = (frame["end"] - np.maximum(frame["start"], covered.fillna(-np.inf))).clip(lower=0)
    share = (fresh / frame["seconds"]).where(frame["seconds"] > 0, 1.0).clip(upper=1.0)
    middle = frame["at"] - pd.to_timedelta(frame["seconds"] / 2, unit="s")
    frame = frame.assign(at=middle.astype("datetime64[us]"), seconds=frame["seconds"] * share, joules=frame["joules"] * share)
    return frame[["run", "version", "host", "device", "source", "at", "seconds", "joules", *more]]


def energy_by_phase(resources: "DataFrame") -> "DataFrame":
    """Energy of the readings of one run in each phase, most energy first.

    Parameters
    ----------
    resources : DataFrame
        Resource records of the run.

    Returns
    -------
    DataFrame
        phase ("" where not stated), readings, seconds (of all devices), joules, source, first and last (steps, NaN if not
        stated).
    """
    import pandas as pd

    readings = reading_energy(resources)
    readings = readings.assign(step=readings["step"].astype("float64"))
    rows = []
    for phase, part in readings.groupby(readings["phase"].map(lambda phase: phase if isinstance(phase, str) else ""), sort=True):
        seconds, joules, step = part["seconds"].sum(), part["joules"].sum(), part["step"]
        rows.append((str(phase), len(part), seconds, joules, worst_source(list(part["source"])), step.min(), step.max()))
    frame = pd.DataFrame(rows, columns=["phase", "readings", "seconds", "joules", "source", "first", "last"])
    frame = frame.astype({"seconds": float, "joules": float, "first": float, "last": float})
    return frame.sort_values(["joules", "phase"], ascending=[False, True], ignore_index=True)


def _integrated_watts(frame: "DataFrame") -> "tuple[Series[Any], Series[Any]]":
    """Seconds and joules of each reading. The readings are in order of place, device and time; joules are NaN if unknown."""
    joules = frame["energy_j"].where(frame["energy_j"].notna(), frame["watts"] * frame["seconds"])
    bare = frame[frame["energy_j"].isna() & frame["seconds"].isna() & frame["watts"].notna()]
    if bare.empty:
        return frame["seconds"].fillna(0.0), joules
    series = bare.groupby(["place", "device", "run"], sort=False)
    step = series["at"].diff().dt.total_seconds()
    usual = step.where(step > 0).groupby([bare["place"], bare["device"], bare["run"]], sort=False).transform("median")
    joined = (step > 0) & (step <= np.minimum(GAP * usual, LONGEST_GAP_S))
    area = (bare["watts"] + series["watts"].shift(1)) / 2 * step
    seconds = frame["seconds"].fillna(0.0)
    seconds.loc[bare.index] = step.where(joined, 0.0)
    joules = joules.copy()
    joules.loc[bare.index] = area.where(joined)
    return seconds, joules


@dataclass(frozen=True)
class ServingEnergy:
    """Energy of serving.

    method: "resources", "predictions", "latency" or None without data. source: source of the energy. hours: one value per hour of period
    (naive UTC), served (Σ weight that the energy belongs to), wh (with PUE), grams, embodied grams, and the PUE. rows: number of stored
    predictions behind it. served: Σ weight of all predictions. covered: the share of them that the energy belongs to. idle_share: None if
    unknown. assumed_pue, assumed_carbon: whether wh or grams depend on a fallback.
    """

    method: str | None
    source: Source
    hours: Columns
    rows: int
    served: float
    covered: float
    idle_share: float | None = None
    assumed_pue: bool = False
    assumed_carbon: bool = False

    @property
    def wh(self) -> float:
        """Wh of all served predictions. Predictions without a measurement are assumed to consume the same."""
        return float(self.hours["wh"].sum()) / self.covered if self.covered > 0 else 0.0

    @property
    def grams(self) -> float:
        """Operational gCO₂e of all served predictions, under the same assumption."""
        return float(self.hours["grams"].sum()) / self.covered if self.covered > 0 else 0.0

    @property
    def carbon_source(self) -> Source:
        """Source of the grams: assumed if they use a fallback."""
        return "assumed" if self.assumed_carbon or self.assumed_pue else self.source

    @property
    def by_hour(self) -> Columns:
        """The hours, with `emitted`: operational and embodied grams together."""
        return {**self.hours, "emitted": self.hours["grams"] + self.hours["embodied"]}

    def parts(self, *columns: str) -> "DataFrame":
        """Sums by day, or by hour if there are fewer than three days. The interval of a ratio is computed from these parts."""
        import pandas as pd

        hours = self.by_hour
        days = hours["period"].astype("datetime64[D]")
        sums = sums_by_period(days if np.unique(days).size >= 3 else hours["period"], {name: hours[name] for name in ("served", *columns)})
        return pd.DataFrame(sums).set_index("period")


METHODS = ("resources", "predictions", "latency")


def serving_energy(
    served: "DataFrame",
    use: "DataFrame",
    resources: "DataFrame",
    prices: "DataFrame",
    place: PriceScope,
    *,
    version: str | None = None,
    method: str | None = None,
) -> ServingEnergy:
    """Energy of serving in a window, by the best method that the records allow.

    Readings that name no version are divided between the versions by the predictions of each in that hour.

    Parameters
    ----------
    served : DataFrame
        Answer to `served_question` over every version.
    use : DataFrame
        Answer to `consumption_question` over every version.
    resources : DataFrame
        Resource records.
    prices : DataFrame
        Price records.
    place : PriceScope
        Model and settings that select prices and fallbacks.
    version : str | None
        Version; None for all.
    method : str | None
        Method to use; None for the best.

    Returns
    -------
    ServingEnergy
    """
    shares = _served_by_hour(served, version)
    readings = reading_energy(resources) if len(resources) else None
    hourly = _device_energy_by_hour(readings, shares, version) if readings is not None else None
    logged: Source = "measured" if readings is None else worst_source(sorted(set(readings.loc[readings["run"] == "", "source"])))
    for each in METHODS if method is None else (method,):
        if each == "resources" and hourly is not None:
            return _with_factors(each, logged, hourly, shares, use, prices, place, version)
        rows = logged_by_hour(use, "energy_j" if each == "predictions" else "latency_ms", version)
        if each != "resources" and rows["served"].sum() > 0:
            scale = 1.0 if each == "predictions" else place.watts_per_core / 1000.0
            by_time: Source = "estimated" if place.power_is_calibrated else "assumed"
            source: Source = by_time if each == "latency" else logged
            return _with_factors(each, source, {**rows, "joules": rows["total"] * scale}, shares, use, prices, place, version)
    nothing = {name: np.zeros(0) for name in ("served", "wh", "grams", "embodied", "pue")}
    return ServingEnergy(None, "assumed", {"period": shares["period"][:0], **nothing}, 0, float(shares["served"].sum()), 0.0)


def _served_by_hour(served: "DataFrame", version: str | None) -> Columns:
    """One value per hour: period, served (predictions of the version), everyone (of all versions), n."""
    own = np.ones(len(served), bool) if version is None else served["version"].to_numpy(object) == version
    w, n = served["w"].to_numpy(float), served["n"].to_numpy(float)
    return sums_by_period(served["period"], {"everyone": w, "served": w * own, "n": n * own})


def logged_by_hour(use: "DataFrame", measure: str, version: str | None) -> Columns:
    """Sums of a measure that predictions carry, by hour.

    Parameters
    ----------
    use : DataFrame
        Answer to `consumption_question` over every version.
    measure : str
        "energy_j", "latency_ms" or "cost".
    version : str | None
        Version; None for all.

    Returns
    -------
    Columns
        period, served (Σ weight of the predictions that carry it), total, n.
    """
    own = use["measure"].to_numpy(object) == measure
    if version is not None:
        own &= use["version"].to_numpy(object) == version
    return sums_by_period(use["period"], {"served": use["w"], "total": use["total"], "n": use["n"]}, own)


def sums_by_period(periods: ArrayLike, figures: Mapping[str, ArrayLike], kept: NDArray[np.bool_] | None = None) -> Columns:
    """Sums of some figures by period.

    Parameters
    ----------
    periods : ArrayLike
        Period of each row.
    figures : Mapping[str, ArrayLike]
        Figures of each row.
    kept : NDArray[np.bool_] | None
        Mask of the rows that count.

    Returns
    -------
    Columns
        period, in order, and one value of each figure for each period.
    """
    chosen = slice(None) if kept is None else kept
    unique, place = np.unique(np.asarray(periods, "datetime64[us]")[chosen], return_inverse=True)
    sums = {name: np.bincount(place, np.asarray(figure, float)[chosen], unique.size) for name, figure in figures.items()}
    return {"period": unique, **sums}


def _device_energy_by_hour(readings: "DataFrame", shares: Columns, version: str | None) -> Columns | None:
    """One value for each hour with readings of the service's devices: period, served, joules, n; None without readings."""
    import pandas as pd

    own = readings[readings["run"] == ""]
    if version is not None:
        own = own[own["version"].isin(["", version])]
    if own.empty or not own["joules"].sum() > 0:
        return None
    at = own["at"].dt.floor("h")
    frame = own.assign(
        period=at, shared=own["joules"].where(own["version"] == "", 0.0), named=own["joules"].where(own["version"] != "", 0.0)
    )
    hours = frame.groupby("period")[["shared", "named"]].sum().reset_index().merge(pd.DataFrame(shares), on="period", how="left")
    hours = hours.fillna({"served": 0.0, "everyone": 0.0, "n": 0})
    everyone = float(shares["everyone"].sum())
    usual = float(shares["served"].sum()) / everyone if everyone > 0 else 1.0
    share = (hours["served"] / hours["everyone"]).where(hours["everyone"] > 0, usual)
    own_share = share if version is not None else 1.0
    return answer_columns(hours.assign(joules=hours["shared"] * own_share + hours["named"])[["period", "served", "joules", "n"]])


def _with_factors(
    method: str,
    source: Source,
    hours: Columns,
    shares: Columns,
    use: "DataFrame",
    prices: "DataFrame",
    place: PriceScope,
    version: str | None,
) -> ServingEnergy:
    """The energy of serving from joules by hour: with PUE, carbon and embodied carbon, the covered share of predictions, and the idle
    share. hours: in order.
    """
    of = energy_factors(prices, hours["period"], place)
    wh = hours["joules"] / JOULES_A_WH * of.pue
    known = {
        "period": hours["period"],
        "served": hours["served"],
        "wh": wh,
        "grams": wh / 1000.0 * of.intensity,
        "embodied": _embodied_grams(hours, wh, use, prices, place, version),
        "pue": of.pue,
    }
    total, held = float(shares["served"].sum()), float(hours["served"].sum())
    idle = None
    if method == "resources":
        carried = logged_by_hour(use, "energy_j", version)
        read = np.isin(carried["period"], hours["period"])
        if carried["served"][read].sum() > 0 and held > 0:
            active = float(carried["total"][read].sum()) / float(carried["served"][read].sum()) * held
            idle = min(max(1.0 - active / float(hours["joules"].sum()), 0.0), 1.0)
    rows, covered = int(hours["n"].sum()), min(held / total, 1.0) if total > 0 else 0.0
    assumed = bool(of.assumed_pue.any()), bool(of.assumed_intensity.any())
    return ServingEnergy(method, source, known, rows, total, covered, idle, *assumed)


def _embodied_grams(hours: Columns, wh: Any, use: "DataFrame", prices: "DataFrame", place: PriceScope, version: str | None) -> Any:
    """Embodied grams of each hour: `embodied_g` of the price records, per request, kWh, and hour of a busy core."""
    import pandas as pd

    if not prices["embodied_g"].notna().any():
        return np.zeros(hours["period"].size)
    of = {
        resource: prices_at(prices, "embodied_g", hours["period"], place, resource=resource)[0]
        for resource in ("request", "kwh", "cpu_hour")
    }
    busy = logged_by_hour(use, "latency_ms", version)
    core_hours = pd.Series(busy["total"] / 3.6e6, busy["period"]).reindex(hours["period"], fill_value=0.0).to_numpy(float)
    amounts = {"request": hours["served"], "kwh": wh / 1000.0, "cpu_hour": core_hours}
    return sum(np.nan_to_num(of[name]) * amounts[name] for name in of)


def runs_ended_between(runs: "DataFrame", start: datetime | None, end: datetime | None) -> set[str]:
    """Names of the runs that ended in a half-open span.

    Parameters
    ----------
    runs : DataFrame
        Run records.
    start : datetime | None
        Start (naive UTC); None: no limit.
    end : datetime | None
        End (naive UTC); None: no limit.

    Returns
    -------
    set[str]
    """
    ended = runs["event"].to_numpy(object) == "end"
    at = runs["at"].to_numpy("datetime64[us]")
    for limit, inside in ((start, np.greater_equal), (end, np.less)):
        if limit is not None:
            ended &= inside(at, np.datetime64(limit, "us"))
    return set(runs["run"].to_numpy(object)[ended])


def training_run_energy(runs: "DataFrame", resources: "DataFrame", prices: "DataFrame", place: PriceScope) -> "DataFrame":
    """Energy of each training run, ordered by its end.

    A run without an end or a known start has no duration. Joules are NaN if neither readings nor duration and cores are known.

    Parameters
    ----------
    runs : DataFrame
        Run records.
    resources : DataFrame
        Readings of these runs, whenever they came.
    prices : DataFrame
        Price records.
    place : PriceScope
        Model and settings that select prices and fallbacks.

    Returns
    -------
    DataFrame
        run, version, study, started, ended, seconds, cores, gpus, joules, source, wh, grams, embodied, assumed_pue, assumed_carbon,
        devices (how many were read).
    """
    import pandas as pd

    readings = dict(iter(reading_energy(resources).groupby("run"))) if len(resources) else {}
    records: dict[str, list[dict[Any, Any]]] = {}
    for row in runs.sort_values(["run", "at", "event"])[["run", "at", "event", "version", "study", "hardware"]].to_dict("records"):
        records.setdefault(row["run"], []).append(row)
    rows = [_run_facts(name, own, readings.get(name), place) for name, own in records.items()]
    columns = ["run", "version", "study", "started", "ended", "seconds", "cores", "gpus", "joules", "source", "devices"]
    frame = pd.DataFrame(rows, columns=columns)
    frame = frame.astype(
        {"started": "datetime64[us]", "ended": "datetime64[us]", "joules": float, "seconds": float, "cores": float, "gpus": float}
    )
    at = frame["ended"].fillna(frame["started"]).fillna(pd.Timestamp(0))
    of = energy_factors(prices, at, place)
    wh = frame["joules"].to_numpy(float) / JOULES_A_WH * of.pue
    hours = frame["seconds"].to_numpy(float) / 3600.0
    held = {
        resource: np.nan_to_num(prices_at(prices, "embodied_g", at, place, resource=resource)[0])
        for resource in ("kwh", "cpu_hour", "gpu_hour")
    }
    made = held["kwh"] * np.nan_to_num(wh) / 1000.0
    made = made + held["cpu_hour"] * np.nan_to_num(hours * frame["cores"].to_numpy(float))
    made = made + held["gpu_hour"] * np.nan_to_num(hours * frame["gpus"].to_numpy(float))
    intensity, assumed = _intensity_of_runs(frame, prices, place)
    frame = frame.assign(wh=wh, grams=wh / 1000.0 * intensity, embodied=made, assumed_pue=of.assumed_pue, assumed_carbon=assumed)
    return frame.sort_values(["ended", "run"], ignore_index=True)


def _intensity_of_runs(frame: "DataFrame", prices: "DataFrame", place: PriceScope) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The mean carbon intensity over the hours of each run, and whether a part of it is a fallback. If the hours of a run are unknown, the
    intensity at its end is used.
    """
    import pandas as pd

    hour = np.timedelta64(1, "h")
    runs: list[NDArray[np.int64]] = []
    moments: list[NDArray[np.datetime64]] = []
    weights: list[NDArray[np.float64]] = []
    for row, (started, ended) in enumerate(zip(frame["started"], frame["ended"], strict=True)):
        last = next((each for each in (ended, started) if not pd.isna(each)), pd.Timestamp(0)).to_datetime64().astype("datetime64[us]")
        first = last if pd.isna(started) or pd.isna(ended) else started.to_datetime64().astype("datetime64[us]")
        if not first < last or last - first > MAX_HOURS * hour:
            first = last
        hours = np.arange(first.astype("datetime64[h]"), last.astype("datetime64[h]") + hour)
        covered = (np.minimum(hours + hour, last) - np.maximum(hours, first)) / hour
        runs.append(np.full(hours.size, row))
        moments.append(np.maximum(hours, first))
        weights.append(covered if covered.sum() > 0 else np.ones(hours.size))
    if not runs:
        return np.zeros(0), np.zeros(0, bool)
    place_of, weight = np.concatenate(runs), np.concatenate(weights)
    of = energy_factors(prices, np.concatenate(moments), place)
    total = np.bincount(place_of, weight)
    assumed = np.bincount(place_of, weight * of.assumed_intensity) > 0
    return np.bincount(place_of, weight * of.intensity) / total, assumed


def _run_facts(name: str, records: Sequence[dict[Any, Any]], readings: "DataFrame | None", place: PriceScope) -> list[Any]:
    """Facts of one run, in the order of the columns of `training_run_energy`. records: in the order of time."""
    starts = [each for each in records if each["event"] == "start"]
    started = starts[0]["at"] if starts else None
    ended = next((each["at"] for each in reversed(records) if each["event"] == "end"), None)
    seconds = max((ended - started).total_seconds(), 0.0) if started is not None and ended is not None else np.nan
    hardware: dict[str, Any] = next((each["hardware"] for each in starts if isinstance(each["hardware"], dict)), {})
    cores = _first_positive(hardware, "cores_usable", "cores")
    devices = sorted({(host, device) for host, device in zip(readings["host"], readings["device"])}) if readings is not None else []
    gpus = _first_positive(hardware, "gpus", "gpu_count")
    gpus = float(sum(is_accelerator(device) for _, device in devices)) if np.isnan(gpus) else gpus
    named = [next((each[column] for each in records if each[column] is not None), None) for column in ("version", "study")]
    if readings is not None and readings["joules"].sum() > 0:
        joules, source = float(readings["joules"].sum()), worst_source(sorted(set(readings["source"])))
    else:
        joules, source = seconds * cores * place.watts_per_core, SOURCES[2]
    return [name, *named, started, ended, seconds, cores, gpus, joules, source, len(devices)]


def _first_positive(values: dict[str, Any], *names: str) -> float:
    """The first positive number among some entries; NaN without one."""
    for name in names:
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
    return float("nan")
