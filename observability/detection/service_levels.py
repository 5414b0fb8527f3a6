"""Measures a model's error budget and burn rate against the service level that its owner set.

The findings cover all versions together, because the service level applies to the service as a whole. There are two objectives: the share
of requests that are ok, and the share of requests within the stated p99 latency.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity, needs_action
from observability.detection.latency_sentences import share_words
from observability.metrics.traffic import RequestCounts, epoch_hour, hour_start
from observability.stats.interval import Interval
from observability.stats.quantile import LOG_EDGES
from observability.stats.rate_change import elevated_segment
from observability.stats.service_level import (
    BUDGET_DAYS,
    MINIMUM_BAD,
    MINIMUM_REQUESTS,
    RULES,
    BurnRule,
    BurnState,
    alert_hours,
    burn_rate_interval,
    burn_states,
    error_budget_left,
)

NAME = "serving/latency"
LATENCY_TARGET = 0.99
"""Share of requests that must be within `service_level_latency_ms`, which is the stated p99 latency."""
BUDGET_WATCH = 0.25
URGENT = 6.0
"""A burn rate of at least this is `act`."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Objective:
    """One objective over the four weeks up to the end of the window, by consecutive hours starting with hour `first`.

    bad, n: number of bad requests and of all requests; days: days since the first request. subject: the objective's name in findings. what:
    the predicate for bad requests, which follows "of 1,200 requests". begin: index of the window's first hour. until: the end of the
    window; an unfinished hour is counted with the hour before it.
    """

    subject: str
    what: str
    target: float
    first: int
    bad: Floats
    n: Floats
    begin: int
    until: datetime

    def at(self, place: int) -> datetime:
        """Return the time at which the hour at this index begins; after the last hour, the end of the window."""
        return self.until if place >= self.n.size else hour_start(self.first + place)

    @property
    def budget(self) -> str:
        """The name of the objective's error budget for use in a sentence."""
        return "error budget" if self.subject == "model" else "error budget of latency"

    @property
    def days(self) -> float:
        """The number of days since the first request, at most the period of the budget."""
        served = np.flatnonzero(self.n > 0)
        return (self.n.size - int(served[0])) / 24 if served.size else 0.0

    @property
    def allowed(self) -> float:
        """The share of requests that may be bad."""
        return 1 - self.target


def stated_objectives(requests: RequestCounts, context: Context) -> list[Objective]:
    """Return the objectives that the owner set. requests: requests of the whole model by hour, from four weeks before the window up to its
    end.
    """
    settings = context.model.settings
    until = min(context.window.end, max(context.now, context.window.start))
    end = max(epoch_hour(until), epoch_hour(context.window.start) + 1)
    first = end - 24 * BUDGET_DAYS
    begin = max(epoch_hour(context.window.start) - first, 0)
    inside = (requests.periods >= first) & (requests.periods <= end)
    place = np.minimum(requests.periods[inside], end - 1) - first

    def dense(values: Floats) -> Floats:
        return np.bincount(place, values[inside], end - first).astype(np.float64)

    found = []
    target = settings.service_level_availability
    if target is not None and 0 < target < 1:
        found.append(Objective("model", "failed", target, first, dense(requests.failed), dense(requests.rows), begin, until))
    limit = settings.service_level_latency_ms
    if limit:
        slow = requests.bins[:, int(np.searchsorted(LOG_EDGES, limit)) + 1 :].sum(axis=1)
        what = f"took longer than {limit:g} ms"
        found.append(Objective("latency_ms", what, LATENCY_TARGET, first, dense(slow), dense(requests.bins.sum(axis=1)), begin, until))
    return found


def objective_claims(objective: Objective, context: Context) -> list[Finding]:
    """Return the findings about one objective: the remaining error budget, and the burn rate."""
    return [error_budget_finding(objective, context), burn_rate_finding(objective, context)]


def error_budget_finding(objective: Objective, context: Context) -> Finding:
    """Return the finding about the error budget that is left at the end of the window."""
    n, bad = float(objective.n.sum()), float(objective.bad.sum())
    left = error_budget_left(bad, n, objective.target)
    base = objective_finding(context, objective, "error_budget_left", n)
    if n < MINIMUM_REQUESTS or left.value is None:
        return replace(
            base,
            because=f"The {objective.budget} cannot be measured on {n:,.0f} requests; that needs about {MINIMUM_REQUESTS - n:,.0f} more.",
        )
    severity: Severity = "ok"
    if bad >= MINIMUM_BAD and left.value < BUDGET_WATCH:
        severity = "act" if left.high is not None and left.high <= 0 else "watch"
    over = f"in the {objective.days:.0f} days" if objective.days < BUDGET_DAYS else f"in the {BUDGET_DAYS} days"
    said = (
        f"{share_words(max(left.value, 0.0))} of the {objective.budget} is left"
        if left.value > 0
        else f"{100 * (1 - left.value):,.0f} % of the {objective.budget} is spent"
    )
    because = (
        f"{said}: {bad:,.0f} of {n:,.0f} requests {objective.what} {over} to {objective.until:%Y-%m-%d %H:%M} UTC, "
        f"{share_words(bad / n)} where {share_words(objective.allowed)} is allowed."
    )
    evidence = {
        "target": objective.target,
        "achieved": 1 - bad / n,
        "bad": round(bad),
        "allowed": objective.allowed * n,
        "days": objective.days,
    }
    return replace(
        base,
        value=left.value,
        low=left.low,
        high=left.high,
        limit=0.0 if severity == "act" else BUDGET_WATCH,
        severity=severity,
        because=because,
        evidence=evidence,
        likely_source=objective_source(severity),
        rank=9.0 + min(max(-left.value, 0.0), 3.0),
    )


def burn_rate_finding(objective: Objective, context: Context) -> Finding:
    """Return the finding about the worst burn-rate alert.

    An alert that is active at the end of the window has priority, then an alert that was active within the window, then the present burn
    rate.
    """
    now = burn_states(objective.bad, objective.n, objective.target)
    slowest = now[-1]
    base = objective_finding(context, objective, "burn_rate", slowest.n)
    if not slowest.enough or slowest.rate.value is None:
        more = max(MINIMUM_REQUESTS - slowest.n, 1)
        return replace(
            base,
            because=f"The burn rate of the {objective.budget} cannot be measured on {slowest.n:,.0f} requests in "
            f"{hours_words(slowest.rule.long)}; that needs about "
            f"{more:,.0f} more.",
        )
    on = next((each for each in now if each.fires), None)
    was = None if on else before_the_end(objective)
    severity: Severity = "ok"
    if on is not None:
        severity = "act" if on.rule.factor >= URGENT else "watch"
    elif was is not None:
        severity = "watch"
    rule, rate, n, bad, end = was if was is not None else of_burn(on or slowest, objective.n.size)
    assert rate.value is not None
    until = objective.at(end)
    said = f"the {hours_words(rule.long)} to {until:%Y-%m-%d %H:%M} UTC"
    counts = f"{bad:,.0f} of {n:,.0f} requests {objective.what}, {share_words(bad / n)} where {share_words(objective.allowed)} is allowed"
    spent = f"The {objective.budget} {'burns' if was is None else 'burned'} {rate.value:.3g} times as fast as allowed in {said}: {counts}"
    because = f"{spent}{'; no longer active' if was is not None else ''}."
    return replace(
        base,
        value=rate.value,
        low=rate.low,
        high=rate.high,
        n=round(n),
        limit=rule.factor,
        severity=severity,
        because=because,
        onset=burn_onset(objective, rule, end) if severity != "ok" else None,
        likely_source=objective_source(severity),
        rank=10.0 + min(rate.value / 10, 5.0),
        evidence={"target": objective.target, "rules": [objective_row(each) for each in now]},
    )


Fired = tuple[BurnRule, Interval, float, float, int]


def of_burn(burn: BurnState, size: int) -> Fired:
    """Return the state of a rule at the last hour: the rule, the burn rate, requests and bad requests in its long window, and the index at
    which this window ends.
    """
    return burn.rule, burn.rate, burn.n, burn.bad, size


def before_the_end(objective: Objective) -> Fired | None:
    """Return the urgent alert that was active within the window and has ended, at the time of its largest burn rate; None if there was
    none.
    """
    for rule in RULES:
        if rule.factor < URGENT:
            break
        on = alert_hours(objective.bad, objective.n, objective.target, rule)
        places = np.flatnonzero(on[objective.begin :]) + objective.begin
        if places.size:
            parts = [
                (
                    objective.bad[max(place + 1 - rule.long, 0) : place + 1].sum(),
                    objective.n[max(place + 1 - rule.long, 0) : place + 1].sum(),
                )
                for place in places
            ]
            worst = int(np.argmax([round(float(bad / n), 12) for bad, n in parts]))
            bad, n = (float(each) for each in parts[worst])
            return rule, burn_rate_interval(bad, n, objective.target), n, bad, int(places[worst]) + 1
    return None


def burn_onset(objective: Objective, rule: BurnRule, end: int) -> datetime | None:
    """Estimate the hour, within the long window, since which there have been significantly too many bad requests."""
    start = max(end - rule.long, 0)
    found = elevated_segment(objective.bad[start:end], objective.n[start:end], objective.allowed)
    return None if found is None else objective.at(start + found[0])


def objective_row(burn: BurnState) -> list[Any]:
    """Return [factor, long hours, short hours, burn, low, high, burn of the short window, requests, bad, on] of one rule."""
    return [
        burn.rule.factor,
        burn.rule.long,
        burn.rule.short,
        burn.rate.value,
        burn.rate.low,
        burn.rate.high,
        burn.short,
        round(burn.n),
        round(burn.bad),
        burn.fires,
    ]


def objective_finding(context: Context, objective: Objective, metric: str, n: float) -> Finding:
    """Return a finding about an objective, with fields still to be filled in."""
    return context.undecided(NAME, objective.subject, metric, round(n), "", against="level", whole_model=True)


def objective_source(severity: Severity) -> Any:
    """Return the likely source of a finding about a service level; None if it needs no action."""
    return "system" if needs_action(severity) else None


def hours_words(n: int) -> str:
    """Return a number of hours in words: `hour`, `6 hours`, `3 days`. The number is left out for a single hour."""
    return "hour" if n == 1 else f"{n} hours" if n < 48 else f"{n // 24} days"
