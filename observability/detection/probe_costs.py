"""The finding about the monthly cost of fixed questions, compared with the budget of their model."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity, Source, needs_action
from observability.core.numerals import format_figure
from observability.core.time import naive_utc
from observability.detection.probe_claims import COST, undecided_set
from observability.detection.probe_rounds import ProbeRounds, day_of_round
from observability.stats.arrays import Floats
from observability.stats.forecast import Forecast, forecast_sum

HISTORY_DAYS = 28
"""Days from which the rest of a month is forecast."""


def cost_findings(rounds: ProbeRounds, context: Context) -> Iterator[Finding]:
    """Yield the finding about the month's cost of the probes against the model's budget."""
    daily = daily_costs(rounds, context)
    if not daily.size:
        return
    end = naive_utc(context.window.end) - timedelta(microseconds=1)
    month = end.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    days = ((month + timedelta(days=32)).replace(day=1) - end.replace(hour=0, minute=0, second=0, microsecond=0)).days - 1
    of_month = (end - month).days + 1
    spent = float(daily[-of_month:].sum())
    ahead = forecast_sum(daily[-HISTORY_DAYS:], days) if days else Forecast(0.0, 0.0, 0.0, None, None, len(daily))
    budget, currency = (context.counters.get("budgets") or {}).get(rounds.model, (None, None))
    words = rounds.currency or currency or "(no currency stated)"
    other = budget is not None and None not in (currency, rounds.currency) and currency != rounds.currency
    if other:
        said = f"the budget of the model is in {currency}, so it is not compared"
        budget = None
    if ahead.value is None or ahead.low is None or ahead.high is None:
        because = f"Probes of set `{rounds.name}` cost {format_figure(spent)} {words} this month; a forecast needs more days with rounds."
        yield undecided_set(context, rounds, COST, len(daily), because)
        return
    value, low, high = (spent + max(each, 0.0) for each in (ahead.value, ahead.low, ahead.high))
    severity: Severity = "unknown" if budget is None else "ok" if value <= budget else "act" if low > budget else "watch"
    unset = "no budget is set: set `budget_per_month` of the model"
    limit = said if other else unset if budget is None else f"the budget of the model is {format_figure(budget)} {words}"
    because = (
        f"Probes of set `{rounds.name}` cost {format_figure(value)} {words} in {end:%B %Y}, of which {format_figure(spent)} is spent; "
        f"{limit}."
    )
    base = undecided_set(context, rounds, COST, len(daily), because)
    source: Source | None = "system" if needs_action(severity) else None
    yield replace(
        base,
        severity=severity,
        value=value,
        low=low,
        high=high,
        limit=budget,
        against="level",
        basis="estimated",
        likely_source=source,
        evidence={"set": rounds.name} | ({"currency": words} if rounds.currency or currency else {}),
    )


def daily_costs(rounds: ProbeRounds, context: Context) -> Floats:
    """Cost of the probes of each day, from the first one with a cost to the end of the window; empty where none is known."""
    start, end = None, naive_utc(context.window.end)
    costs: dict[int, float] = {}
    for place, at in enumerate(rounds.times):
        line = rounds.cost[place]
        if at < end and np.isfinite(line).any():
            costs[day_of_round(at)] = costs.get(day_of_round(at), 0.0) + float(np.nansum(line))
            start = day_of_round(at) if start is None else start
    if start is None:
        return np.zeros(0)
    last = day_of_round(end - timedelta(microseconds=1))
    return np.array([costs.get(day, 0.0) for day in range(start, last + 1)])
