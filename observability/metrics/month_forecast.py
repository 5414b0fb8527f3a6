"""Forecast of the month's cost, and its comparison with the budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from observability.core.analyzer import Context
from observability.core.finding import Severity
from observability.core.time import naive_utc
from observability.metrics.cost import CostPart
from observability.metrics.cost_periods import daily_cost, month_bounds
from observability.stats.forecast import MIN_DAYS, Forecast, forecast_sum

Say = Callable[[float | None, str | None], str]
HISTORY_DAYS = 63


@dataclass(frozen=True)
class MonthForecast:
    """The month that contains the last day of the window.

    spent: amount on the days that have passed completely. value, low, high: forecast for the end of the month (None: unknown). rows: [day,
    cost up to that day or its forecast, low, high] by day; low and high are None on past days. needed: number of days of history that a
    forecast needs. end: start of the next month. by_part: `spent` by part.
    """

    spent: float
    value: float | None
    low: float | None
    high: float | None
    rows: list[list[Any]]
    days_left: int
    forecast: Forecast
    end: datetime
    by_part: Mapping[str, float]
    needed: int = MIN_DAYS


def forecast_month_cost(parts: list[CostPart], past: list[CostPart], currency: str, context: Context) -> MonthForecast:
    """Cost of the month's complete days, and the forecast for its remaining days, from a history of at most HISTORY_DAYS complete days.

    The history begins with the first day with spending. Days without spending count as 0.

    Parameters
    ----------
    parts : list[CostPart]
        Cost of the window by part.
    past : list[CostPart]
        Cost of the time before by part.
    currency : str
        Currency.
    context : Context
        Context of the check.

    Returns
    -------
    MonthForecast
    """
    end = naive_utc(context.window.end)
    start, whole, next_month = month_bounds(end)
    by_day = daily_cost([*past, *parts], currency, whole - timedelta(days=HISTORY_DAYS), whole)
    by_part = {str(name): float(amount) for name, amount in by_day[by_day.index >= start].sum().items()}
    frame = by_day.sum(axis=1)
    days_left = max((next_month - whole).days, 0)
    paid = frame.to_numpy() > 0
    history = frame.to_numpy()[paid.argmax() :] if paid.any() else frame.to_numpy()[:0]
    so_far = frame[frame.index >= start]
    spent = float(so_far.sum())
    ahead = forecast_sum(history, days_left) if days_left else Forecast(0.0, 0.0, 0.0, None, None, len(history))
    rows: list[list[Any]] = [[str(day)[:10], float(amount), None, None] for day, amount in so_far.cumsum().items()]
    if ahead.value is None or ahead.low is None or ahead.high is None:
        return MonthForecast(spent, None, None, None, rows, days_left, ahead, next_month, by_part)
    for number, (value, low, high) in enumerate(ahead.by_day.tolist() if ahead.by_day is not None else []):
        day = whole + timedelta(days=number)
        rows.append([str(day)[:10], spent + max(value, 0.0), spent + max(low, 0.0), spent + max(high, 0.0)])
    value, low, high = (spent + max(each, 0.0) for each in (ahead.value, ahead.low, ahead.high))
    return MonthForecast(spent, value, low, high, rows, days_left, ahead, next_month, by_part)


def month_cost_claim(found: MonthForecast, budget: float | None, currency: str, say: Say) -> tuple[Severity, str]:
    """The severity compared with the budget (unknown if there is none), and the sentence.

    Parameters
    ----------
    found : MonthForecast
        Forecast.
    budget : float | None
        Budget of the month; None without one.
    currency : str
        Currency.
    say : Say
        Function that writes an amount of money.

    Returns
    -------
    tuple[Severity, str]
    """
    last = found.end - timedelta(days=1)
    assert found.value is not None and found.low is not None and found.high is not None
    forecast = (
        f"forecast {say(found.value, currency)} by {last.day} {last:%B %Y} ({say(found.low, currency)} to {say(found.high, currency)};"
        f" {say(found.spent, currency)} spent, {found.days_left} days to come, {found.forecast.method} on {found.forecast.n} days)"
    )
    if found.days_left == 0:
        forecast = f"{say(found.value, currency)} spent in the month to {last.day} {last:%B %Y}"
    if budget is None:
        return "unknown", f"Month cost: {forecast}; no budget is set: set `budget_per_month`."
    limit = f"the budget of {say(budget, currency)}"
    if found.low > budget:
        return "act", f"Month cost is above {limit}: {forecast}."
    if found.value > budget:
        return "watch", f"Month cost is probably above {limit}: {forecast}."
    probably = "probably " if found.high > budget else ""
    return "ok", f"Month cost is {probably}within {limit}: {forecast}."
