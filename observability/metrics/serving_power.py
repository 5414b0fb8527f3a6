"""Energy of serving by batch size and precision; and the power, with its error, by which processor time is converted to joules.

If the machine has a readable meter, joules per processor second are measured while the load runs. Otherwise they come from a calibration of
the machine with a known error, or from an assumed power with a stated band.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtrit

from observability.core.questions import Records
from observability.core.settings import ModelSettings
from observability.core.time import aware_utc
from observability.metrics.energy_readings import Source
from observability.metrics.prices import WATTS_PER_CORE

if TYPE_CHECKING:
    from pandas import DataFrame

ENERGY_AUDITS = Records("audit", ("model", "version", "at", "audit", "results", "expires"), ever=True, only=(("audit", "energy"),))
BAND = (0.5, 2.5)
"""The true power of a busy core lies between these multiples of the assumed power. The range is 2 to 10 W around 4 W. It comes from the
design power of server and desktop processors, divided by their hardware threads.
"""


IDLE_OF_BUSY = (1 / 3, 1 / 9, 1.0)
"""Assumed idle power of a core as a multiple of the power that work adds to it: value, low, high. These are machines that use a quarter (a
tenth to a half) of their full power when idle. A half is the share that Barroso and Hölzle (2007, The case for energy-proportional
computing) state for servers of that time; newer servers use less.
"""


@dataclass(frozen=True)
class CorePower:
    """Watts of one busy core with the ends of its band, and watts of the idle machine if these are known."""

    watts: float
    low: float
    high: float
    idle: float | None
    source: Source

    @property
    def words(self) -> str:
        """The power with its band and its origin, in words."""
        how = {"measured": "measured", "estimated": "calibrated", "assumed": "assumed"}[self.source]
        return f"{how} {self.watts:.3g} W per busy core ({self.low:.3g} to {self.high:.3g} W)"


def core_power(settings: ModelSettings) -> CorePower:
    """The power of a busy core according to the settings of a model.

    Parameters
    ----------
    settings : ModelSettings
        `watts_per_core`, with `watts_per_core_error` where a calibration stated it, and `idle_watts`.

    Returns
    -------
    CorePower
        Estimated where the settings state an error, else assumed within `BAND`.
    """
    watts, error = settings.watts_per_core or WATTS_PER_CORE, settings.watts_per_core_error
    if settings.watts_per_core is None or error is None:
        return CorePower(watts, BAND[0] * watts, BAND[1] * watts, settings.idle_watts, "assumed")
    return CorePower(watts, watts * max(1 - error, 0.0), watts * (1 + error), settings.idle_watts, "estimated")


@dataclass(frozen=True)
class BatchEnergy:
    """Processor time and energy per thousand predictions of a form, in batches of one size, each with the ends of its interval."""

    form: str
    precision: str
    batch: int
    rows: int
    repeats: int
    cpu_seconds: tuple[float, float, float]
    joules: tuple[float, float, float]
    source: Source


@dataclass(frozen=True)
class EnergyAudit:
    """A measurement of the energy of serving. batches: by form and size; power: in words; hardware: the processor; expires: aware UTC."""

    model: str
    version: str
    at: datetime
    batches: tuple[BatchEnergy, ...]
    power: str
    hardware: str
    expires: datetime | None = None


def repeated_interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of repeated measurements with Student's interval. The ends equal the mean if there is only one measurement, and are never below
    0.

    Parameters
    ----------
    values : sequence of float
        Measurements, at least one.
    confidence : float
        Confidence of the interval.

    Returns
    -------
    tuple of float
        Mean, low, high.
    """
    given = np.asarray(values, float)
    mean = float(given.mean())
    if given.size < 2:
        return mean, mean, mean
    half = float(stdtrit(given.size - 1, 0.5 + confidence / 2) * given.std(ddof=1) / np.sqrt(given.size))
    return mean, max(mean - half, 0.0), mean + half


def batch_joules(cpu_seconds: tuple[float, float, float], power: CorePower) -> tuple[float, float, float]:
    """Joules from processor seconds. The lower end of the interval is the lower end of the time multiplied by the lower end of the power;
    likewise the upper end.

    Parameters
    ----------
    cpu_seconds : tuple of float
        Value, low, high.
    power : CorePower
        Watts of a busy core.

    Returns
    -------
    tuple of float
        Value, low, high.
    """
    value, low, high = cpu_seconds
    return value * power.watts, low * power.low, high * power.high


def energy_audits(frame: "DataFrame") -> list[EnergyAudit]:
    """Measurements of the energy of serving, oldest first. Results whose form differs are left out.

    Parameters
    ----------
    frame : DataFrame
        Answer to `ENERGY_AUDITS`.

    Returns
    -------
    list of EnergyAudit
    """
    found = []
    for row in frame.sort_values("at", kind="stable").to_dict("records"):
        results = row["results"] if isinstance(row["results"], Mapping) else {}
        try:
            batches = tuple(_batch_energy(each) for each in results["batches"])
            hardware = str((results.get("hardware") or {}).get("processor") or "an unnamed processor")
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
        at, until = aware_utc(row["at"]), row.get("expires")
        expires = None if until is None or until != until else aware_utc(until)
        found.append(EnergyAudit(str(row["model"]), str(row["version"]), at, batches, str(results.get("power") or ""), hardware, expires))
    return found


def _batch_energy(body: Mapping[str, Any]) -> BatchEnergy:
    """One size of one form from the results of an audit."""
    source: Source = body["source"] if body["source"] in ("measured", "estimated", "assumed") else "assumed"
    form, precision = str(body["form"]), str(body.get("precision") or "")
    batch, rows, repeats = (int(body[name]) for name in ("batch", "rows", "repeats"))
    return BatchEnergy(form, precision, batch, rows, repeats, _ends(body["cpu_seconds"]), _ends(body["joules"]), source)


def _ends(body: Mapping[str, Any]) -> tuple[float, float, float]:
    """A value and the ends of its interval. Raises ValueError if the value does not lie between the ends."""
    value, low, high = (float(body[name]) for name in ("value", "low", "high"))
    if not low <= value <= high:
        raise ValueError("the value does not lie in its interval")
    return value, low, high


def modelled_idle_share(busy_seconds: float, seconds: float, power: CorePower) -> tuple[float, float, float] | None:
    """Share of a machine's energy that it uses without work, computed from its idle power and the power of busy cores.

    Parameters
    ----------
    busy_seconds : float
        Processor seconds of work.
    seconds : float
        Time that the machine is on.
    power : CorePower
        Watts of a busy core and of the idle machine.

    Returns
    -------
    tuple of float or None
        Value, low, high; None if the idle power is not known or no time passed.
    """
    if power.idle is None or seconds <= 0:
        return None
    idle = power.idle * seconds

    def share(watts: float) -> float:
        total = idle + watts * busy_seconds
        return idle / total if total > 0 else 0.0

    return share(power.watts), share(power.high), share(power.low)


def assumed_idle_share(busy_seconds: float, seconds: float) -> tuple[float, float, float] | None:
    """Share of the energy that reserved cores use without work, if neither the machine's power nor its size is known.

    It assumes as few cores as the work needs, at least one, reserved for the service, and an idle power of `IDLE_OF_BUSY`. More cores only
    raise the share, so the high end is 1.

    Parameters
    ----------
    busy_seconds : float
        Processor seconds of work.
    seconds : float
        Time that the cores are reserved.

    Returns
    -------
    tuple of float or None
        Value, low, high; None if no time passed.
    """
    if seconds <= 0:
        return None
    busy = max(busy_seconds, 0.0) / seconds
    cores = max(ceil(busy), 1)
    value, low = (idle * cores / (idle * cores + busy) for idle in IDLE_OF_BUSY[:2])
    return value, low, 1.0
