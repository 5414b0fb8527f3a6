"""Does a model keep the service level that its owner stated, how much error budget is left, and is it being spent too fast?

Claims about all versions at once: the level is the service's. Two objectives: the share of ok answers, and 99 of 100 answers within a latency.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity, needs_action
from observability.detection.latency_sentences import share
from observability.metrics.traffic import Requests, at_hour, hour_number
from observability.stats.interval import Interval
from observability.stats.quantile import LOG_EDGES
from observability.stats.rate_change import surest_segment
from observability.stats.service_level import (
    BUDGET_DAYS,
    MINIMUM_BAD,
    MINIMUM_REQUESTS,
    RULES,
    Burn,
    Rule,
    budget_left,
    burn_interval,
    burns,
    firing,
)

NAME = "serving/latency"
LATENCY_TARGET = 0.99
"""`service_level_latency_ms` is what 99 of 100 answers take at most."""
BUDGET_WATCH = 0.25
URGENT = 6.0
"""A burn at this rate or faster needs somebody at once."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Objective:
    """One objective over the four weeks to the window's end, by consecutive hours from `first`. bad and n are requests; days: since the first one.

    subject: what findings call it. what: how a bad request is told, after "of 1,200 requests". begin: place of the window's first hour. until: its
    end; the hour that is not over yet is counted with the one before it.
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
        """When the hour at a place begins; after the last one the end."""
        return self.until if place >= self.n.size else at_hour(self.first + place)

    @property
    def budget(self) -> str:
        """What its budget is called."""
        return "error budget" if self.subject == "model" else "error budget of latency"

    @property
    def days(self) -> float:
        """Days since the first request, at most the budget's period."""
        served = np.flatnonzero(self.n > 0)
        return (self.n.size - int(served[0])) / 24 if served.size else 0.0

    @property
    def allowed(self) -> float:
        """The share that may be bad."""
        return 1 - self.target


def objectives(requests: Requests, context: Context) -> list[Objective]:
    """The objectives that the owner stated. requests: of the whole model by hour, from four weeks before the window to its end."""
    settings = context.model.settings
    until = min(context.window.end, max(context.now, context.window.start))
    end = max(hour_number(until), hour_number(context.window.start) + 1)
    first = end - 24 * BUDGET_DAYS
    begin = max(hour_number(context.window.start) - first, 0)
    inside = (requests.periods >= first) & (requests.periods <= end)
    place = np.minimum(requests.periods[inside], end - 1) - first

    def dense(values: Floats) -> Floats:
        return np.bincount(place, values[inside], end - first).astype(np.float64)

    found = []
    target = settings.service_level_availability
    if target is not None and 0 < target < 1:
        found.append(
            Objective(
                "model", "were not answered as they should be", target, first, dense(requests.failed), dense(requests.rows), begin, until
            )
        )
    limit = settings.service_level_latency_ms
    if limit:
        slow = requests.bins[:, int(np.searchsorted(LOG_EDGES, limit)) + 1 :].sum(axis=1)
        what = f"took longer than {limit:g} ms"
        found.append(Objective("latency_ms", what, LATENCY_TARGET, first, dense(slow), dense(requests.bins.sum(axis=1)), begin, until))
    return found


def claims(objective: Objective, context: Context) -> list[Finding]:
    """What is said about one objective: the budget that is left, and how fast it is being spent."""
    return [budget(objective, context), burning(objective, context)]


def budget(objective: Objective, context: Context) -> Finding:
    """How much of the error budget is left at the window's end."""
    n, bad = float(objective.n.sum()), float(objective.bad.sum())
    left = budget_left(bad, n, objective.target)
    base = about(context, objective, "error_budget_left", n)
    if n < MINIMUM_REQUESTS or left.value is None:
        return replace(
            base, because=f"The {objective.budget} cannot be told on {n:,.0f} requests; that needs about {MINIMUM_REQUESTS - n:,.0f} more."
        )
    severity: Severity = "ok"
    if bad >= MINIMUM_BAD and left.value < BUDGET_WATCH:
        severity = "act" if left.high is not None and left.high <= 0 else "watch"
    over = f"in the {objective.days:.0f} days" if objective.days < BUDGET_DAYS else f"in the {BUDGET_DAYS} days"
    said = (
        f"{share(max(left.value, 0.0))} of the {objective.budget} is left"
        if left.value > 0
        else f"The {objective.budget} is spent {1 - left.value:.1f} times over"
    )
    because = (
        f"{said}: {bad:,.0f} of {n:,.0f} requests {objective.what} {over} to {objective.until:%Y-%m-%d %H:%M} UTC, "
        f"{share(bad / n)} where {share(objective.allowed)} is allowed."
    )
    evidence = {
        "target": objective.target,
        "achieved": 1 - bad / n,
        "bad": round(bad),
        "allowed": objective.allowed * n,
        "days": objective.days,
    }
    return replace(
        base, value=left.value, low=left.low, high=left.high, limit=0.0 if severity == "act" else BUDGET_WATCH, severity=severity,
        because=because, evidence=evidence, likely_source=source(severity), rank=9.0 + min(max(-left.value, 0.0), 3.0),
    )  # fmt: skip


def burning(objective: Objective, context: Context) -> Finding:
    """The worst of the burn-rate alerts: one that is on at the window's end, else one that was on in the window, else how fast it burns."""
    now = burns(objective.bad, objective.n, objective.target)
    slowest = now[-1]
    base = about(context, objective, "burn_rate", slowest.n)
    if not slowest.enough or slowest.rate.value is None:
        more = max(MINIMUM_REQUESTS - slowest.n, 1)
        return replace(
            base, because=f"How fast the {objective.budget} is spent cannot be told on {slowest.n:,.0f} requests in {hours(slowest.rule.long)}; that needs about "
            f"{more:,.0f} more.",
        )  # fmt: skip
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
    said = f"the {hours(rule.long)} to {until:%Y-%m-%d %H:%M} UTC"
    counts = f"{bad:,.0f} of {n:,.0f} requests {objective.what}, {share(bad / n)} where {share(objective.allowed)} is allowed"
    spent = f"The {objective.budget} {'burns' if was is None else 'burned'} {rate.value:.3g} times as fast as allowed in {said}: {counts}"
    because = f"{spent}{'; it is over now' if was is not None else ''}."
    return replace(
        base, value=rate.value, low=rate.low, high=rate.high, n=round(n), limit=rule.factor, severity=severity, because=because,
        onset=began(objective, rule, end) if severity != "ok" else None, likely_source=source(severity),
        rank=10.0 + min(rate.value / 10, 5.0), evidence={"target": objective.target, "rules": [row(each) for each in now]},
    )  # fmt: skip


Fired = tuple[Rule, Interval, float, float, int]


def of_burn(burn: Burn, size: int) -> Fired:
    """A rule at the end of the hours: rule, rate, requests and bad ones of its long window, and the place where that ends."""
    return burn.rule, burn.rate, burn.n, burn.bad, size


def before_the_end(objective: Objective) -> Fired | None:
    """The urgent alert that was on in the window and is over; where it burned fastest. None where there was none."""
    for rule in RULES:
        if rule.factor < URGENT:
            break
        on = firing(objective.bad, objective.n, objective.target, rule)
        places = np.flatnonzero(on[objective.begin :]) + objective.begin
        if places.size:
            parts = [(objective.bad[max(place + 1 - rule.long, 0) : place + 1].sum(), objective.n[max(place + 1 - rule.long, 0) : place + 1].sum())
                     for place in places]  # fmt: skip
            worst = int(np.argmax([round(float(bad / n), 12) for bad, n in parts]))
            bad, n = (float(each) for each in parts[worst])
            return rule, burn_interval(bad, n, objective.target), n, bad, int(places[worst]) + 1
    return None


def began(objective: Objective, rule: Rule, end: int) -> datetime | None:
    """The hour in the long window from which bad requests were surely too many."""
    start = max(end - rule.long, 0)
    found = surest_segment(objective.bad[start:end], objective.n[start:end], objective.allowed)
    return None if found is None else objective.at(start + found[0])


def row(burn: Burn) -> list[Any]:
    """[factor, long hours, short hours, burn, low, high, burn of the short window, requests, bad, on] of one rule."""
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


def about(context: Context, objective: Objective, metric: str, n: float) -> Finding:
    """A finding about an objective, to be filled in."""
    return context.undecided(NAME, objective.subject, metric, round(n), "", against="level", whole_model=True)


def source(severity: Severity) -> Any:
    """Where a fault of service comes from."""
    return "system" if needs_action(severity) else None


def hours(n: int) -> str:
    """1 hour, 6 hours, 3 days."""
    return "hour" if n == 1 else f"{n} hours" if n < 48 else f"{n // 24} days"
