"""Forecast of a sum that grows day by day, such as the month's cost, with its interval.

A local level with fixed weekday effects (from four weeks on), fitted by statsmodels in state space form: the level follows a shift of
traffic after some days, and the interval grows with the remaining days. The forecast is a sum over days. The errors of the days are
correlated, so the variance is computed for the sum; variances of days are not added up.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats

MIN_DAYS = 14
"""Least number of days of history for a forecast."""
WEEKDAY_DAYS = 28
"""Least number of days of history for weekday effects in the model."""
METHOD = "local level"
WITH_WEEKDAYS = "local level with weekday effects"
CONSTANT = "constant level"


@dataclass(frozen=True)
class Forecast:
    """Sum of the days to come, with an interval. All but n are None if there is too little history.

    by_day: cumulative sum after each day to come, as rows of (value, low, high). method: in words. n: days of history.
    """

    value: float | None
    low: float | None
    high: float | None
    by_day: Floats | None
    method: str | None
    n: int


def forecast_sum(history: ArrayLike, days: int, confidence: float = 0.95) -> Forecast:
    """Sum of the next days after a history of days without gaps.

    The interval is Student's t with known days minus estimated parameters as degrees of freedom. A constant history of n days does not show
    how much days vary. Then the variance is that of these n days and one imagined day that differs from their mean by the mean itself:
    mean² / (n + 1) for each day to come. The error of the mean is common to all days to come. Coverage is checked by simulation in the
    tests.

    Parameters
    ----------
    history : ArrayLike
        Values by day, oldest first; NaN for an unknown day.
    days : int
        Days to come.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Forecast
        Unknown below MIN_DAYS days.

    References
    ----------
    * Harvey (1989), Forecasting, Structural Time Series Models and the Kalman Filter, chapter 4.
    """
    from scipy.special import stdtrit

    series = np.asarray(history, np.float64).ravel()
    known = series[np.isfinite(series)]
    if known.size < MIN_DAYS:
        return Forecast(None, None, None, None, None, int(known.size))
    if days <= 0:
        return Forecast(0.0, 0.0, 0.0, np.zeros((0, 3)), METHOD, int(known.size))
    weekly = known.size >= WEEKDAY_DAYS
    scale = float(known.std())
    if scale <= 1e-9 * max(float(np.abs(known).max()), 1e-300):
        ahead = np.arange(1, days + 1)
        spread = np.abs(known.mean()) * np.sqrt((ahead + ahead**2 / known.size) / (known.size + 1))
        reach = float(stdtrit(known.size, 0.5 + confidence / 2)) * spread
        flat = np.stack([known.mean() * ahead, known.mean() * ahead - reach, known.mean() * ahead + reach], axis=1)
        value, low, high = (float(each) for each in flat[-1])
        return Forecast(value, low, high, flat, CONSTANT, int(known.size))
    means, variances, parameters = _cumulative_moments(series / scale, days, weekly)
    half = float(stdtrit(max(known.size - parameters, 2), 0.5 + confidence / 2)) * np.sqrt(variances)
    rows = scale * np.stack([means, means - half, means + half], axis=1)
    value, low, high = (float(end) for end in rows[-1])
    return Forecast(value, low, high, rows, WITH_WEEKDAYS if weekly else METHOD, int(known.size))


def _cumulative_moments(series: Floats, days: int, weekly: bool) -> tuple[Floats, Floats, int]:
    """Mean and variance of the cumulative sum after each day to come, and the number of estimated parameters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from statsmodels.tsa.statespace.structural import UnobservedComponents

        options: dict[str, Any] = {"seasonal": 7, "stochastic_seasonal": False} if weekly else {}
        fitted = UnobservedComponents(series, level="local level", **options).fit(disp=False, maxiter=200)
    system = fitted.model.ssm
    observe, step, select = system["design"][:, :], system["transition"][:, :], system["selection"][:, :]
    shock, noise = system["state_cov"][:, :], float(system["obs_cov"][0, 0])
    state, spread = fitted.predicted_state[:, -1], fitted.predicted_state_cov[:, :, -1]
    reach = [np.zeros_like(observe)]
    power = np.eye(step.shape[0])
    for _ in range(days):
        reach.append(reach[-1] + observe @ power)
        power = step @ power
    means = np.array([float((reach[k] @ state)[0]) for k in range(1, days + 1)])
    of_shocks = np.array([float((reach[k] @ select @ shock @ select.T @ reach[k].T)[0, 0]) for k in range(days)])
    variances = [float((reach[k] @ spread @ reach[k].T)[0, 0]) + of_shocks[:k].sum() + k * noise for k in range(1, days + 1)]
    return means, np.maximum(np.array(variances), 0.0), int(fitted.params.size) + (6 if weekly else 0) + 1
