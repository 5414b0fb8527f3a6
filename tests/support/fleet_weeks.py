"""Simulated weeks of a fleet: daily statistics of correlated models with planted faults, and the alarms that they cause."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from observability.alerts.alert_decisions import shared_alerts
from observability.incidents.shared_faults import SHARED_MODELS
from observability.monitoring.check import RUNS_A_WEEK
from observability.monitoring.fleet_alarms import MODEL_BUDGET, fleet_alarms, is_confirmed
from tests.support.fleet_incidents import drift_incident

DAYS, FIRST_DAY = RUNS_A_WEEK, 2
WINDOWS = (1, 3, 7)
FAULTY = 50
"""One model in this many has a fault."""


@dataclass(frozen=True)
class FleetWeeks:
    """Means over the weeks. false_*: false alarms per fleet-week; power_*: share of the faulty models with an alarm. alone: each model
    judged by itself. shared_*: in weeks with one fault in a third of the models, the number of alarms (one is right) and the share of weeks
    with an alarm.
    """

    false_alone: float
    false_fleet: float
    power_alone: float
    power_fleet: float
    shared_alarms: float
    shared_found: float


def daily_p_values(rng: np.random.Generator, models: int, correlation: float, faulty: np.ndarray, effect: float) -> np.ndarray:
    """Two-sided p-values by day and model. Each belongs to the largest of the mean changes over the last 1, 3 and 7 days, corrected for
    three looks.
    """
    days = DAYS + WINDOWS[-1] - 1
    x = np.sqrt(correlation) * rng.normal(size=(days, 1)) + np.sqrt(1 - correlation) * rng.normal(size=(days, models))
    x[days - DAYS + FIRST_DAY :, faulty] += effect
    total = np.vstack([np.zeros((1, models)), np.cumsum(x, axis=0)])
    ends = np.arange(days - DAYS, days) + 1
    z = np.max([np.abs(total[ends] - total[ends - width]) / np.sqrt(width) for width in WINDOWS], axis=0)
    return np.asarray(-np.expm1(len(WINDOWS) * np.log1p(-2 * norm.sf(z))))


def alarms_of_day(p: np.ndarray) -> tuple[np.ndarray, bool]:
    """The models with their own alert, and whether a shared alert reports the models that changed together.

    The product's own functions decide. All changes are about one input and dated to one day, so that chance findings are shared as often as
    possible.
    """
    incidents = {place: drift_incident(f"m{place}", evidence=evidence_of(p[place])) for place in np.flatnonzero(p * DAYS <= MODEL_BUDGET)}
    if not incidents:
        return np.zeros(p.size, bool), False
    some = next(iter(incidents.values())).lead
    findings = {f"m{place}": [replace(some, model=f"m{place}", evidence=evidence_of(each))] for place, each in enumerate(p)}
    fleet = fleet_alarms(list(incidents.values()), findings, analyzers=1)
    _, quiet = shared_alerts(list(incidents.values()), fleet, {}, {})
    alerts = sum(incident.id not in quiet for incident in incidents.values())
    if any(is_confirmed(fault, 1, p.size) for fault in fleet.shared):
        assert alerts == 1, "one owner gets one alert for a shared fault"
        return np.zeros(p.size, bool), True
    alone = np.zeros(p.size, bool)
    alone[[place for place, incident in incidents.items() if incident.id not in fleet.unconfirmed]] = True
    assert (alerts > 0) == alone.any(), "alarms that the fleet confirms are sent"
    return alone, False


def evidence_of(p: float) -> dict[str, float]:
    """The evidence of a finding whose analyzer made no other test."""
    return {"p_value": float(p), "p_adjusted": float(p)}


def simulate_fleet_weeks(models: int, correlation: float, *, weeks: int, effect: float, seed: int) -> FleetWeeks:
    """Simulate weeks of a fleet, and judge each day of every week."""
    rng = np.random.default_rng(seed)
    sums = np.zeros(6)
    for _ in range(weeks):
        faulty = rng.choice(models, max(models // FAULTY, 1), replace=False)
        sums[:4] += _singles(daily_p_values(rng, models, correlation, faulty, effect), faulty)
        together = rng.choice(models, max(models // 3, SHARED_MODELS), replace=False)
        days = daily_p_values(rng, models, correlation, together, effect)
        told = [alarms_of_day(p) for p in days]
        apart = np.any([mask for mask, _ in told], axis=0)
        apart[together] = False
        sums[4:] += [float(apart.sum()) + float(any(shared for _, shared in told)), float(any(shared for _, shared in told[FIRST_DAY:]))]
    return FleetWeeks(*(sums / weeks))


def _singles(days: np.ndarray, faulty: np.ndarray) -> list[float]:
    """For one week: the numbers of false alarms alone and in the fleet, and the shares of faulty models that were found."""
    wrong = np.ones(days.shape[1], bool)
    wrong[faulty] = False
    alone = (days * DAYS <= MODEL_BUDGET).any(axis=0)
    found = np.zeros(days.shape[1], bool)
    shared_wrong = 0
    for p in days:
        mask, shared = alarms_of_day(p)
        changed = p * DAYS <= MODEL_BUDGET
        if shared and changed[faulty].any():
            found |= changed & ~wrong
        elif shared:
            shared_wrong = 1
        found |= mask
    return [alone[wrong].sum(), found[wrong].sum() + shared_wrong, alone[faulty].mean(), found[faulty].mean()]
