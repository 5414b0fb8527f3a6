"""Energy computed from the readings of devices, and the source of a number (measured, estimated or assumed).

If readings of one device on one host overlap, the overlap is counted once.

**The source of a number** is measured, estimated or assumed; a sum has the source of its worst part.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Source = Literal["measured", "estimated", "assumed"]
SOURCES: tuple[Source, ...] = ("measured", "estimated", "assumed")
"""The sources of a number, best first."""
JOULES_A_WH = 3600.0
GAP = 3.0
LONGEST_GAP_S = 900.0
"""Readings of watts without a duration are integrated over the time between them, if that time is at most GAP times the usual distance in
the series, and at most LONGEST_GAP_S seconds.
"""
RESOURCE_COLUMNS = ("at", "device", "watts", "utilisation", "run", "version", "host", "energy_j", "seconds", "source")
PLACES_IN_A_RUN = ("phase", "step")
GPU_NAMES = ("gpu", "cuda", "nvidia", "rocm", "tpu", "mps")


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
    """Whether a device is a processor or its memory, according to the names that `PowerMeter` uses.

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
    """The worst of some sources. A source that is not stated counts as measured, because a number without a source was logged.

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

    The energy is `energy_j` if it is given, else watts × `seconds`; else watts are integrated between two readings of the same device by
    the trapezoid rule, without bridging gaps. If readings of one device (on one host, else in one run) overlap, the part that is already
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
    """Energy in each phase of one run, from its readings; phases with most energy first.

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
    """Seconds and joules of each reading. The readings must be in order of place, device and time; joules are NaN if unknown."""
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
