"""Energy and emissions of training runs, from records.

If a run has no readings, its energy is its duration times its cores times an assumed power. Power usage effectiveness and carbon intensity
are applied as in energy.py.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.metrics.energy_readings import JOULES_A_WH, SOURCES, is_accelerator, reading_energy, worst_source
from observability.metrics.prices import PriceScope, energy_factors, prices_at

if TYPE_CHECKING:
    from pandas import DataFrame

RUN_COLUMNS = ("run", "at", "event", "version", "hardware", "status", "dataset", "study", "params")
MAX_HOURS = 24 * 366
"""The carbon of a run up to this long, in hours, is computed hour by hour. For a longer run, the intensity at its end is used."""


def runs_ended_between(runs: "DataFrame", start: datetime | None, end: datetime | None) -> set[str]:
    """Names of the runs that ended in a time span whose end is excluded.

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

    A run has no duration if its end or its start is unknown. Joules are NaN if there are no readings, and duration or cores are unknown.

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
    """The mean carbon intensity over the hours of each run, and whether it is partly a fallback. If the hours of a run are unknown, the
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
    """The facts about one run, in the order of the columns of `training_run_energy`. records: in order of time."""
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
    """The first positive number among the named entries; NaN if there is none."""
    for name in names:
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
    return float("nan")
