"""Estimate the power of a processor from its load. Idle watts, and watts for each busy core, are fitted to readings of a meter."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

MIN_READINGS = 8


@dataclass(frozen=True)
class PowerFit:
    """Watts = idle + per_core × busy cores. error: 95th percentile of the relative error in the energy of readings that the fit has not
    seen.

    n: number of readings that the fit is based on.
    """

    idle: float
    per_core: float
    error: float
    n: int


def fitted_power(cpu_seconds: ArrayLike, seconds: ArrayLike, joules: ArrayLike) -> PowerFit | None:
    """Fit the power of a processor to readings of a meter, by least squares without negative powers.

    The error is a leave-one-out error, so it is measured on loads that the fit has not seen.

    Parameters
    ----------
    cpu_seconds : ArrayLike
        Busy CPU seconds of each reading.
    seconds : ArrayLike
        Duration of each reading in seconds, above 0.
    joules : ArrayLike
        Energy of each reading.

    Returns
    -------
    PowerFit or None
        None below 8 readings, or where all of them have the same load.
    """
    from scipy.optimize import nnls

    busy, wall, drawn = (np.asarray(values, float) for values in (cpu_seconds, seconds, joules))
    known = np.isfinite(busy) & np.isfinite(drawn) & (wall > 0) & (drawn > 0)
    busy, wall, drawn = busy[known], wall[known], drawn[known]
    if drawn.size < MIN_READINGS or np.ptp(busy / wall) < 0.05:
        return None
    # divided by the seconds, so that a long reading weighs no more than a short one
    design, watts = np.column_stack([np.ones(drawn.size), busy / wall]), drawn / wall
    coefficients, _ = nnls(design, watts)
    errors = []
    for place in range(drawn.size):
        rest = np.arange(drawn.size) != place
        left, _ = nnls(design[rest], watts[rest])
        errors.append(abs(float(design[place] @ left) - watts[place]) / watts[place])
    idle, per_core = (float(value) for value in coefficients)
    return PowerFit(idle, per_core, float(np.quantile(errors, 0.95)), int(drawn.size))
