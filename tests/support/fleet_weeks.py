"""Simulated weeks of a fleet: daily statistics of correlated models, in which faults are planted, and what is alarmed."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from observability.incidents.shared_faults import SHARED_MODELS
from observability.monitoring.fleet_alarms import FLEET_BUDGET, MODEL_BUDGET, SHARED_BUDGET
from observability.stats.fleet_budget import fleet_threshold, peer_adjusted_p_values, shared_p_value

DAYS, FIRST_DAY = 7, 2
WINDOWS = (1, 3, 7)
FAULTY = 50
"""One model in so many has a fault."""


@dataclass(frozen=True)
class FleetWeeks:
    """Means over the weeks. false_*: false alarms of a fleet-week; power_*: share of faulty models alarmed; alone: each model by itself.

    shared_*: of weeks in which a third of the models have one fault: alarms (one is right), and the share of weeks that alarm.
    """

    false_alone: float
    false_fleet: float
    power_alone: float
    power_fleet: float
    shared_alarms: float
    shared_found: float


def daily_p_values(rng: np.random.Generator, models: int, correlation: float, faulty: np.ndarray, effect: float) -> np.ndarray:
    """Two-sided p-values, (days, models): of the largest of the mean changes over the last 1, 3 and 7 days, for three looks."""
    days = DAYS + WINDOWS[-1] - 1
    x = np.sqrt(correlation) * rng.normal(size=(days, 1)) + np.sqrt(1 - correlation) * rng.normal(size=(days, models))
    x[days - DAYS + FIRST_DAY :, faulty] += effect
    total = np.vstack([np.zeros((1, models)), np.cumsum(x, axis=0)])
    ends = np.arange(days - DAYS, days) + 1
    z = np.max([np.abs(total[ends] - total[ends - width]) / np.sqrt(width) for width in WINDOWS], axis=0)
    return np.asarray(-np.expm1(len(WINDOWS) * np.log1p(-2 * norm.sf(z))))


def alarms_of_day(p: np.ndarray, looks: int) -> tuple[np.ndarray, bool]:
    """The models that alarm by themselves in the fleet, and whether those that changed alarm together."""
    models = p.size
    alone = p * looks <= MODEL_BUDGET
    if alone.sum() >= SHARED_MODELS and shared_p_value(p[alone] * looks, models) <= SHARED_BUDGET:
        return np.zeros(models, bool), True
    limit = fleet_threshold(MODEL_BUDGET, FLEET_BUDGET, models)
    return alone if limit >= MODEL_BUDGET else alone & (peer_adjusted_p_values(p) * looks <= limit), False


def simulate_fleet_weeks(models: int, correlation: float, *, weeks: int, effect: float, seed: int) -> FleetWeeks:
    """Simulate weeks of a fleet, and judge each day of each."""
    rng = np.random.default_rng(seed)
    sums = np.zeros(6)
    for _ in range(weeks):
        faulty = rng.choice(models, max(models // FAULTY, 1), replace=False)
        sums[:4] += _singles(daily_p_values(rng, models, correlation, faulty, effect), faulty)
        together = rng.choice(models, max(models // 3, SHARED_MODELS), replace=False)
        days = daily_p_values(rng, models, correlation, together, effect)
        told = [alarms_of_day(p, DAYS) for p in days]
        apart = np.any([mask for mask, _ in told], axis=0)
        apart[together] = False
        sums[4:] += [float(apart.sum()) + float(any(shared for _, shared in told)), float(any(shared for _, shared in told[FIRST_DAY:]))]
    return FleetWeeks(*(sums / weeks))


def _singles(days: np.ndarray, faulty: np.ndarray) -> list[float]:
    """False alarms alone and in the fleet, and the shares of faulty models found, of one week."""
    wrong = np.ones(days.shape[1], bool)
    wrong[faulty] = False
    alone = (days * DAYS <= MODEL_BUDGET).any(axis=0)
    found = np.zeros(days.shape[1], bool)
    shared_wrong = 0
    for p in days:
        mask, shared = alarms_of_day(p, DAYS)
        changed = p * DAYS <= MODEL_BUDGET
        if shared and changed[faulty].any():
            found |= changed & ~wrong
        elif shared:
            shared_wrong = 1
        found |= mask
    return [alone[wrong].sum(), found[wrong].sum() + shared_wrong, alone[faulty].mean(), found[faulty].mean()]
