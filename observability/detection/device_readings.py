"""Checks the devices of a model: accelerators that are idle, and devices that run hot.

Utilisation is judged only for accelerators: an idle processor costs little, and a service waits for requests anyway. A device is hot if one
reading in twenty is above a limit, so that a single reading does not decide.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from observability.core.finding import Severity
from observability.core.settings import ModelSettings
from observability.detection.change import stated_limits
from observability.detection.device_figures import device_unit, lasting_unit
from observability.detection.run_claims import RunClaim
from observability.metrics.energy_readings import is_accelerator, is_processor
from observability.stats.interval import Moments, mean_interval

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "operations/energy"
UTILISATION = 0.3
"""A mean utilisation of an accelerator below this share gives a warning (limit `operations/energy/utilisation`; 0 accepts any)."""
TEMPERATURE_WATCH, TEMPERATURE_ACT = 90.0, 95.0
"""Temperatures in °C from which the severity is `watch` and `act`, for serving devices (limit `operations/energy/temperature_c`) and for
training devices. Accelerators throttle at these temperatures.
"""
PROCESSOR_ALLOWANCE_C = 10.0
"""A processor may be this many degrees hotter, unless the owner sets a limit. Most processors slow down at 95 to 105 °C."""
HOT_SHARE = 0.95
MIN_READINGS = 20
"""The utilisation or temperature of a device is judged only if it has at least this many readings."""


def device_claims(readings: "DataFrame", settings: ModelSettings) -> Iterator[RunClaim]:
    """Yield a claim about the utilisation of each accelerator and about the temperature of each device that has such readings.

    readings: the resource records of a window, with `utilisation`, `temperature_c` and `memory_gb`. Memory is judged only if the owner sets
    a limit.
    """
    names = np.array([lasting_unit(device_unit(*pair)) for pair in zip(readings["device"], readings["host"], strict=True)], object)
    for device in sorted(set(names)):
        part = readings[names == device]
        shares = finite_values(part, "utilisation")
        if len(shares) and is_accelerator(device):
            yield utilisation_claim(str(device), shares, settings)
        degrees = finite_values(part, "temperature_c")
        if len(degrees):
            yield temperature_claim(str(device), degrees, settings)
        held, limit = finite_values(part, "memory_gb"), settings.limits.get(f"{NAME}/memory_gb")
        if len(held) and limit is not None:
            yield memory_claim(str(device), held, limit)


def finite_values(readings: "DataFrame", column: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return the finite values of a column, sorted."""
    values = readings[column].to_numpy(float)
    return np.sort(values[np.isfinite(values)])


def utilisation_claim(device: str, shares: "np.ndarray[tuple[int], np.dtype[np.float64]]", settings: ModelSettings) -> RunClaim:
    """Return the claim about the mean utilisation of an accelerator; at most a warning."""
    n, limit = len(shares), settings.limits.get(f"{NAME}/utilisation", UTILISATION)
    if shares[-1] > 1.5:
        because = f"The utilisation of `{device}` is unknown: readings go up to {shares[-1]:.3g}, where a share from 0 to 1 is expected."
        return RunClaim("utilisation", n, "unknown", because, subject=f"device={device}")
    if n < MIN_READINGS:
        return too_few_readings(device, "utilisation", n)
    found = mean_interval(Moments(float(n), float(shares.sum()), float((shares**2).sum()), float(n)))
    assert found.value is not None and found.high is not None
    low = found.high < limit
    because = f"`{device}` was used {100 * found.value:.0f} % of its time on average ({n:,} readings), "
    because += f"less than the {100 * limit:.0f} % expected of an accelerator." if low else f"{100 * limit:.0f} % are expected."
    return RunClaim(
        "utilisation", n, "watch" if low else "ok", because, found.value, found.low, found.high, limit, subject=f"device={device}"
    )


def temperature_limits(device: object) -> tuple[float, float]:
    """Return the default temperatures from which a device has the severity `watch` and `act`."""
    more = PROCESSOR_ALLOWANCE_C if is_processor(device) else 0.0
    return TEMPERATURE_WATCH + more, TEMPERATURE_ACT + more


def temperature_claim(device: str, degrees: "np.ndarray[tuple[int], np.dtype[np.float64]]", settings: ModelSettings) -> RunClaim:
    """Return the claim about the temperature that a device reaches or exceeds in one of twenty readings."""
    n, (watch, act) = len(degrees), stated_limits(settings, f"{NAME}/temperature_c", *temperature_limits(device))
    if n < MIN_READINGS:
        return too_few_readings(device, "temperature_c", n)
    value = float(np.quantile(degrees, HOT_SHARE, method="inverted_cdf"))
    severity: Severity = "act" if value >= act else "watch" if value >= watch else "ok"
    level = act if severity == "act" else watch
    because = f"`{device}` was at {value:.3g} °C or more in one of twenty readings ({n:,} readings, at most {degrees[-1]:.3g} °C), "
    because += f"beyond the limit of {level:.3g} °C." if severity != "ok" else f"below the limit of {level:.3g} °C."
    return RunClaim("temperature_c", n, severity, because, value, value, float(degrees[-1]), level, subject=f"device={device}")


def memory_claim(device: str, held: "np.ndarray[tuple[int], np.dtype[np.float64]]", limit: float) -> RunClaim:
    """Return the claim about the memory that a device reaches or exceeds in one of twenty readings, compared with the limit that the owner
    sets.
    """
    n = len(held)
    if n < MIN_READINGS:
        return too_few_readings(device, "memory_gb", n)
    value = float(np.quantile(held, HOT_SHARE, method="inverted_cdf"))
    severity: Severity = "act" if value >= limit else "ok"
    because = f"`{device}` held {value:.3g} GB or more in one of twenty readings ({n:,} readings, at most {held[-1]:.3g} GB), "
    because += f"{'beyond' if severity == 'act' else 'below'} the limit of {limit:.3g} GB."
    return RunClaim("memory_gb", n, severity, because, value, value, float(held[-1]), limit, subject=f"device={device}")


def too_few_readings(device: str, metric: str, n: int) -> RunClaim:
    """Return the claim that a device cannot be judged yet."""
    what = {"utilisation": "utilisation", "temperature_c": "temperature", "memory_gb": "memory"}[metric]
    because = f"The {what} of `{device}` cannot be judged on {n:,} readings: about {MIN_READINGS - n:,} more are needed."
    return RunClaim(metric, n, "unknown", because, subject=f"device={device}")
