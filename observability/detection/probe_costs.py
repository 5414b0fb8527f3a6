"""The finding about the monthly cost of a model served by a third party, compared with its budget. The cost includes all fixed questions
and calls.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity, Source, needs_action
from observability.core.formatting import join_words
from observability.core.numerals import format_figure
from observability.core.time import naive_utc
from observability.detection.probe_claims import COST, undecided_set_finding
from observability.detection.probe_rounds import ProbeRounds, day_of_round
from observability.metrics.token_prices import DailyCallCosts
from observability.stats.arrays import Floats
from observability.stats.forecast import Forecast, forecast_sum

HISTORY_DAYS = 28
"""The rest of a month is forecast from this many days."""
CALLS_DAYS = HISTORY_DAYS + 31
"""Production calls are read for this many days: those of the longest month plus those needed for the forecast."""
MAX_PARTS = 4
"""Maximum number of cost parts that the sentence names."""
CALLS = "production calls"


def cost_findings(sets: Sequence[ProbeRounds], context: Context) -> Iterator[Finding]:
    """For each model of some sets, yield the finding about this month's cost: of all its sets, and of its production calls in the same
    currency, against the model's budget. Nothing for a model whose sets have no cost.
    """
    for model in dict.fromkeys(each.model for each in sets):
        own = [each for each in sets if each.model == model]
        parts = {f"set `{each.name}`": costs for each in own if (costs := set_costs(each, context))}
        if parts:
            yield _model_cost(model, own, parts, context)


def _model_cost(model: str, sets: Sequence[ProbeRounds], parts: Mapping[str, Mapping[int, float]], context: Context) -> Finding:
    """The finding about the cost of one model. parts: for each of its sets that has a cost, the cost by day."""
    budget, currency = (context.counters.get("budgets") or {}).get(model, (None, None))
    stated = {each.currency for each in sets if f"set `{each.name}`" in parts}
    only = next(iter(stated)) if len(stated) == 1 else None
    calls, calls_left_out = _production_costs(model, context), ""
    words = only or currency or (calls.currencies[0] if len(calls.currencies) == 1 else "(no currency stated)")
    if calls.by_day:
        of_sum = only or currency
        if not calls.currencies or (len(calls.currencies) == 1 and of_sum in (None, *calls.currencies)):
            parts = {**parts, CALLS: calls.by_day}
        else:
            calls_left_out = f", without production calls in {join_words(calls.currencies)}"
    end = naive_utc(context.window.end) - timedelta(microseconds=1)
    month = end.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    days = ((month + timedelta(days=32)).replace(day=1) - end.replace(hour=0, minute=0, second=0, microsecond=0)).days - 1
    of_month = (end - month).days + 1
    daily = daily_sum(parts, day_of_round(end))
    spent = {name: sum(amount for day, amount in costs.items() if day > day_of_round(end) - of_month) for name, costs in parts.items()}
    total = sum(spent.values())
    ahead = forecast_sum(daily[-HISTORY_DAYS:], days) if days else Forecast(0.0, 0.0, 0.0, None, None, len(daily))
    names = [f"{name} {format_figure(amount)}" for name, amount in sorted(spent.items(), key=lambda each: -each[1])]
    told = f"{join_words(names, MAX_PARTS)}{calls_left_out}"
    base = replace(undecided_set_finding(context, sets[0], COST, len(daily), ""), subject="model")
    if len(stated) > 1:
        what = "Some sets of `{}` state no currency, others do" if None in stated else "The sets of `{}` state several currencies"
        return replace(base, because=f"{what.format(model)} ({told}), so their cost is not compared with a budget.")
    if ahead.value is None or ahead.low is None or ahead.high is None:
        return replace(base, because=f"`{model}` cost {format_figure(total)} {words} this month ({told}); a forecast needs more days.")
    other = budget is not None and None not in (currency, only) and currency != only
    said = "no budget is set: set `budget_per_month` of the model"
    if other:
        said, budget = f"the budget of the model is in {currency}, so it is not compared", None
    elif budget is not None:
        said = f"the budget of the model is {format_figure(budget)} {words}"
    value, low, high = (total + max(each, 0.0) for each in (ahead.value, ahead.low, ahead.high))
    severity: Severity = "unknown" if budget is None else "ok" if value <= budget else "act" if low > budget else "watch"
    source: Source | None = "system" if needs_action(severity) else None
    return replace(
        base,
        severity=severity,
        because=(
            f"`{model}` costs {format_figure(value)} {words} in {end:%B %Y}, of which {format_figure(total)} is spent ({told}); {said}."
        ),
        value=value,
        low=low,
        high=high,
        limit=budget,
        against="level",
        basis="estimated",
        likely_source=source,
        evidence={"sets": [each.name for each in sets], "parts": spent} | ({"currency": words} if only or currency else {}),
    )


def _production_costs(model: str, context: Context) -> DailyCallCosts:
    """The cost of the model's production calls by day, up to the end of the window; empty if no cost is known."""
    read = context.counters.get("call_costs")
    return read(model, CALLS_DAYS) if read else DailyCallCosts({})


def set_costs(rounds: ProbeRounds, context: Context) -> dict[int, float]:
    """Cost of a set's questions by day, up to the end of the window; empty if no cost is known."""
    end, costs = naive_utc(context.window.end), dict[int, float]()
    for place, at in enumerate(rounds.times):
        line = rounds.cost[place]
        if at < end and np.isfinite(line).any():
            costs[day_of_round(at)] = costs.get(day_of_round(at), 0.0) + float(np.nansum(line))
    return costs


def daily_sum(parts: Mapping[str, Mapping[int, float]], last: int) -> Floats:
    """The total cost of each day, from the first day with a cost to the day `last`."""
    start = min(min(costs) for costs in parts.values())
    return np.array([sum(costs.get(day, 0.0) for costs in parts.values()) for day in range(start, last + 1)])
