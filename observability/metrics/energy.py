"""How much energy did a model draw, and what was emitted for it, from records and sums?

The one computation behind every figure of energy: the analyzer, the page, the tables and the sentences all call it.

**What is counted once.** A record of a run is training, another record of the model is serving. Serving that has records of its devices is what
those say: energy that predictions carry (`energy_j`) is then a part of it, and the rest is the idle share. Without such records serving is the
mean `energy_j` of the predictions that carry it, else their latency times an assumed power. Readings of one device of one host that overlap are
counted once. A run without readings is its duration times its cores times an assumed power.

**Where a number comes from** is measured, estimated or assumed; a sum is as good as its worst part. Energy at the device times the power usage
effectiveness (PUE) of the building is energy; times the carbon intensity of the hour it is emissions (gCO₂e).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.core.questions import Aggregate, Bucket, By, Records
from observability.metrics.performance import Columns, columns_of
from observability.metrics.prices import Place, factors, in_force

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Source = Literal["measured", "estimated", "assumed"]
SOURCES: tuple[Source, ...] = ("measured", "estimated", "assumed")
"""Best first."""
JOULES_A_WH = 3600.0
GAP = 3.0
LONGEST_GAP_S = 900.0
"""Readings of watts that do not say how long they cover are joined up to so many times the usual distance of the series, and never beyond this."""
RESOURCE_COLUMNS = ("at", "device", "watts", "utilisation", "run", "version", "host", "energy_j", "seconds", "source")
PLACES_IN_A_RUN = ("phase", "step")
RUN_COLUMNS = ("run", "at", "event", "version", "hardware", "status", "dataset", "study")
RESOURCES, RUNS = Records("resource", RESOURCE_COLUMNS), Records("run", RUN_COLUMNS, ever=True)
GPU_NAMES = ("gpu", "cuda", "nvidia", "rocm", "tpu", "mps")


def served_question() -> Aggregate:
    """How many predictions were served, by hour and version."""
    return Aggregate("predictions", keys=(Bucket("hour"), By("version")))


def use_question(*more: str) -> Aggregate:
    """Sums of what predictions say of themselves, by hour and version."""
    return Aggregate("predictions", keys=(Bucket("hour"), By("version")), sums=("energy_j", "latency_ms", *more))


def is_gpu(device: object) -> bool:
    """Whether a device's name says that it is an accelerator."""
    return str(device or "").lower().startswith(GPU_NAMES)


def worst(sources: Sequence[Any]) -> Source:
    """The worst of some sources; a source that is not said counts as measured, as it was logged."""
    known = [SOURCES.index(each) for each in sources if each in SOURCES]
    return SOURCES[max(known, default=0)]


def drawn(resources: "DataFrame") -> "DataFrame":
    """The energy of each reading: the columns run, version, host, device, source, and at (middle of what it covers), seconds, joules; and its phase and
    step, where those are asked for.

    `energy_j` where it is given, else watts × `seconds`; else watts between two readings of the same device by the trapezoid rule, gaps not
    bridged. Of readings of one device (of one host, else of one run) that overlap, the part already covered is left out. Readings without watts
    and energy hold no energy and are left out.
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
    frame["seconds"], frame["joules"] = integrated(frame)
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


def by_phase(resources: "DataFrame") -> "DataFrame":
    """What the readings of one run drew in each phase: phase ("" where none is said), readings, seconds (of all devices), joules, source, first and last (steps,
    NaN where none is said); most energy first.
    """
    import pandas as pd

    readings = drawn(resources)
    readings = readings.assign(step=readings["step"].astype("float64"))
    rows = [
        (
            str(phase),
            len(part),
            part["seconds"].sum(),
            part["joules"].sum(),
            worst(list(part["source"])),
            part["step"].min(),
            part["step"].max(),
        )
        for phase, part in readings.groupby(readings["phase"].map(lambda each: each if isinstance(each, str) else ""), sort=True)
    ]
    frame = pd.DataFrame(rows, columns=["phase", "readings", "seconds", "joules", "source", "first", "last"])
    frame = frame.astype({"seconds": float, "joules": float, "first": float, "last": float})
    return frame.sort_values(["joules", "phase"], ascending=[False, True], ignore_index=True)


def integrated(frame: "DataFrame") -> "tuple[Series[Any], Series[Any]]":
    """Seconds that each reading covers, and joules, of readings in order of place, device and time; NaN joules where there are none."""
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
class Serving:
    """What serving drew.

    method: "resources", "predictions", "latency" or None where nothing tells. source: of the energy. hours: one value an hour of period (naive
    UTC), served (Σ weight that the energy belongs to), wh (with PUE), grams, embodied grams, and the PUE. rows: predictions stored behind it. served:
    Σ weight of all predictions. covered: the share of them that the energy belongs to. idle_share: None where not known. assumed_pue,
    assumed_carbon: a fallback stands behind wh, behind grams.
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
        """Wh of all predictions served: what is not covered is taken to draw the same."""
        return float(self.hours["wh"].sum()) / self.covered if self.covered > 0 else 0.0

    @property
    def grams(self) -> float:
        """Operational gCO₂e of all predictions served, in the same way."""
        return float(self.hours["grams"].sum()) / self.covered if self.covered > 0 else 0.0

    @property
    def carbon_source(self) -> Source:
        """Where the grams come from: assumed as soon as a fallback stands behind them."""
        return "assumed" if self.assumed_carbon or self.assumed_pue else self.source

    @property
    def by_hour(self) -> Columns:
        """The hours, with `emitted`: operational and embodied grams together."""
        return {**self.hours, "emitted": self.hours["grams"] + self.hours["embodied"]}

    def parts(self, *columns: str) -> "DataFrame":
        """Sums by day, by hour where there are fewer than three days: the parts that an interval rests on."""
        import pandas as pd

        hours = self.by_hour
        days = hours["period"].astype("datetime64[D]")
        sums = added_up(days if np.unique(days).size >= 3 else hours["period"], {name: hours[name] for name in ("served", *columns)})
        return pd.DataFrame(sums).set_index("period")


METHODS = ("resources", "predictions", "latency")


def serving(
    served: "DataFrame", use: "DataFrame", resources: "DataFrame", prices: "DataFrame", place: Place, *, version: str | None = None,
    method: str | None = None,
) -> Serving:  # fmt: skip
    """What serving drew in a window, of one version or of all, by the best method that the records allow (or by the one that is named).

    served, use: answers of `served_question` and `use_question` over every version; resources: readings of the window. Readings that name no
    version are divided between the versions by what each served in that hour.
    """
    shares = by_hour(served, version)
    readings = drawn(resources) if len(resources) else None
    hourly = by_resources(readings, shares, version) if readings is not None else None
    for each in METHODS if method is None else (method,):
        if each == "resources" and hourly is not None:
            source = worst(sorted(set(readings.loc[readings["run"] == "", "source"]))) if readings is not None else "measured"
            return complete(each, source, hourly, shares, use, prices, place, version)
        rows = by_predictions(use, "energy_j" if each == "predictions" else "latency_ms", version)
        if each != "resources" and rows["served"].sum() > 0:
            scale = 1.0 if each == "predictions" else place.watts_per_core / 1000.0
            source = "assumed" if each == "latency" else source_of_predictions(readings)
            return complete(each, source, {**rows, "joules": rows["total"] * scale}, shares, use, prices, place, version)
    nothing = {name: np.zeros(0) for name in ("served", "wh", "grams", "embodied", "pue")}
    return Serving(None, "assumed", {"period": shares["period"][:0], **nothing}, 0, float(shares["served"].sum()), 0.0)


def source_of_predictions(readings: "DataFrame | None") -> Source:
    """Where the energy that predictions carry comes from: as the readings of the service say, else measured, as it was logged."""
    return "measured" if readings is None else worst(sorted(set(readings.loc[readings["run"] == "", "source"])))


def by_hour(served: "DataFrame", version: str | None) -> Columns:
    """period, served (of the version), everyone (of all), n: one value an hour."""
    own = np.ones(len(served), bool) if version is None else served["version"].to_numpy(object) == version
    w, n = served["w"].to_numpy(float), served["n"].to_numpy(float)
    return added_up(served["period"], {"everyone": w, "served": w * own, "n": n * own})


def by_predictions(use: "DataFrame", measure: str, version: str | None) -> Columns:
    """period, served (Σ weight of the predictions that carry it), total, n: one value an hour."""
    own = use["measure"].to_numpy(object) == measure
    if version is not None:
        own &= use["version"].to_numpy(object) == version
    return added_up(use["period"], {"served": use["w"], "total": use["total"], "n": use["n"]}, own)


def added_up(periods: ArrayLike, figures: Mapping[str, ArrayLike], kept: NDArray[np.bool_] | None = None) -> Columns:
    """period, in order, and the sums of some figures: one value for each period. kept: which rows count."""
    chosen = slice(None) if kept is None else kept
    unique, place = np.unique(np.asarray(periods, "datetime64[us]")[chosen], return_inverse=True)
    sums = {name: np.bincount(place, np.asarray(each, float)[chosen], unique.size) for name, each in figures.items()}
    return {"period": unique, **sums}


def by_resources(readings: "DataFrame", shares: Columns, version: str | None) -> Columns | None:
    """period, served, joules, n: one value for each hour in which devices of the service were read; None where there is none."""
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
    return columns_of(hours.assign(joules=hours["shared"] * own_share + hours["named"])[["period", "served", "joules", "n"]])


def complete(
    method: str,
    source: Source,
    hours: Columns,
    shares: Columns,
    use: "DataFrame",
    prices: "DataFrame",
    place: Place,
    version: str | None,
) -> Serving:
    """Joules by hour with PUE, carbon and embodied carbon; what share of the predictions they belong to; the idle share. hours: in order."""
    of = factors(prices, hours["period"], place)
    wh = hours["joules"] / JOULES_A_WH * of.pue
    known = {
        "period": hours["period"],
        "served": hours["served"],
        "wh": wh,
        "grams": wh / 1000.0 * of.intensity,
        "embodied": embodied(hours, wh, use, prices, place, version),
        "pue": of.pue,
    }
    total, held = float(shares["served"].sum()), float(hours["served"].sum())
    idle = None
    if method == "resources":
        carried = by_predictions(use, "energy_j", version)
        read = np.isin(carried["period"], hours["period"])
        if carried["served"][read].sum() > 0 and held > 0:
            active = float(carried["total"][read].sum()) / float(carried["served"][read].sum()) * held
            idle = min(max(1.0 - active / float(hours["joules"].sum()), 0.0), 1.0)
    return Serving(
        method, source, known, int(hours["n"].sum()), total,
        min(held / total, 1.0) if total > 0 else 0.0, idle, bool(of.assumed_pue.any()), bool(of.assumed_intensity.any()),
    )  # fmt: skip


def embodied(hours: Columns, wh: Any, use: "DataFrame", prices: "DataFrame", place: Place, version: str | None) -> Any:
    """Embodied grams of each hour: `embodied_g` of the price records, for a request, a kWh, and an hour of a busy core."""
    import pandas as pd

    if not prices["embodied_g"].notna().any():
        return np.zeros(hours["period"].size)
    of = {
        resource: in_force(prices, "embodied_g", hours["period"], place, resource=resource)[0]
        for resource in ("request", "kwh", "cpu_hour")
    }
    busy = by_predictions(use, "latency_ms", version)
    core_hours = pd.Series(busy["total"] / 3.6e6, busy["period"]).reindex(hours["period"], fill_value=0.0).to_numpy(float)
    amounts = {"request": hours["served"], "kwh": wh / 1000.0, "cpu_hour": core_hours}
    return sum(np.nan_to_num(of[name]) * amounts[name] for name in of)


def ended_between(runs: "DataFrame", start: datetime | None, end: datetime | None) -> set[str]:
    """Names of the runs that ended in a half-open span (naive UTC; None: no limit)."""
    ended = runs["event"].to_numpy(object) == "end"
    at = runs["at"].to_numpy("datetime64[us]")
    for limit, inside in ((start, np.greater_equal), (end, np.less)):
        if limit is not None:
            ended &= inside(at, np.datetime64(limit, "us"))
    return set(runs["run"].to_numpy(object)[ended])


def runs_of(runs: "DataFrame", resources: "DataFrame", prices: "DataFrame", place: Place) -> "DataFrame":
    """What each training run drew: a row a run, by its end: run, version, study, started, ended, seconds, cores, gpus, joules, source, wh, grams,
    embodied, assumed_pue, assumed_carbon, devices (how many were read).

    A run that has not ended, or whose start is not known, has no duration; joules are NaN where neither readings nor duration and cores tell.
    resources: readings of these runs, whenever they came.
    """
    import pandas as pd

    readings = drawn(resources) if len(resources) else None
    rows = []
    for name, part in runs.sort_values(["run", "at", "event"]).groupby("run", sort=True):
        starts, ends = part[part["event"] == "start"], part[part["event"] == "end"]
        own = readings[readings["run"] == name] if readings is not None else None
        rows.append(one_run(str(name), part, starts, ends, own, place))
    columns = ["run", "version", "study", "started", "ended", "seconds", "cores", "gpus", "joules", "source", "devices"]
    frame = pd.DataFrame(rows, columns=columns)
    frame = frame.astype(
        {"started": "datetime64[us]", "ended": "datetime64[us]", "joules": float, "seconds": float, "cores": float, "gpus": float}
    )
    at = frame["ended"].fillna(frame["started"]).fillna(pd.Timestamp(0))
    of = factors(prices, at, place)
    wh = frame["joules"].to_numpy(float) / JOULES_A_WH * of.pue
    hours = frame["seconds"].to_numpy(float) / 3600.0
    held = {
        resource: np.nan_to_num(in_force(prices, "embodied_g", at, place, resource=resource)[0])
        for resource in ("kwh", "cpu_hour", "gpu_hour")
    }
    made = held["kwh"] * np.nan_to_num(wh) / 1000.0
    made = made + held["cpu_hour"] * np.nan_to_num(hours * frame["cores"].to_numpy(float))
    made = made + held["gpu_hour"] * np.nan_to_num(hours * frame["gpus"].to_numpy(float))
    frame = frame.assign(
        wh=wh, grams=wh / 1000.0 * of.intensity, embodied=made, assumed_pue=of.assumed_pue, assumed_carbon=of.assumed_intensity,
    )  # fmt: skip
    return frame.sort_values(["ended", "run"], ignore_index=True)


def one_run(name: str, part: "DataFrame", starts: "DataFrame", ends: "DataFrame", readings: "DataFrame | None", place: Place) -> list[Any]:
    """The facts of one run, in the order of the columns of `runs_of`."""
    started = starts["at"].min() if len(starts) else None
    ended = ends["at"].max() if len(ends) else None
    seconds = max((ended - started).total_seconds(), 0.0) if started is not None and ended is not None else np.nan
    hardware: dict[str, Any] = next((each for each in starts["hardware"] if isinstance(each, dict)), {})
    cores = numeric(hardware, "cores_usable", "cores")
    devices = sorted({(host, device) for host, device in zip(readings["host"], readings["device"])}) if readings is not None else []
    gpus = numeric(hardware, "gpus", "gpu_count")
    gpus = float(sum(is_gpu(device) for _, device in devices)) if np.isnan(gpus) else gpus
    named = [next((each for each in part[column] if each is not None), None) for column in ("version", "study")]
    if readings is not None and readings["joules"].sum() > 0:
        joules, source = float(readings["joules"].sum()), worst(sorted(set(readings["source"])))
    else:
        joules, source = seconds * cores * place.watts_per_core, SOURCES[2]
    return [name, *named, started, ended, seconds, cores, gpus, joules, source, len(devices)]


def numeric(values: dict[str, Any], *names: str) -> float:
    """The first of some entries that is a positive number; NaN where none is."""
    for name in names:
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
    return float("nan")
