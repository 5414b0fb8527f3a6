"""Where will the month's cost stand at its end, and is that within the budget?"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from observability.core.analyzer import Context
from observability.core.finding import Severity
from observability.core.time import naive_utc
from observability.metrics.cost import Part, daily, month_of
from observability.stats.forecast import LEAST_DAYS, Forecast, sum_ahead

Say = Callable[[float | None, str | None], str]
HISTORY_DAYS = 63


@dataclass(frozen=True)
class Month:
    """The month of the window's last day. spent: on its whole days so far. value, low, high: at its end (None: cannot be told). rows: [day, cost so
    far or its forecast, low, high] by day, low and high None on days that are over. needed: days of history for a forecast. end: the next month.
    """

    spent: float
    value: float | None
    low: float | None
    high: float | None
    rows: list[list[Any]]
    days_left: int
    forecast: Forecast
    end: datetime
    needed: int = LEAST_DAYS


def month(parts: list[Part], past: list[Part], currency: str, context: Context) -> Month:
    """Spent on the month's whole days, and the sum of the days to come from the history of at most HISTORY_DAYS whole days.

    The history begins with the first day on which something was spent. Days on which nothing was spent count as nothing.
    """
    end = naive_utc(context.window.end)
    start, whole, next_month = month_of(end)
    frame = daily([*past, *parts], currency, whole - timedelta(days=HISTORY_DAYS), whole).sum(axis=1)
    days_left = max((next_month - whole).days, 0)
    paid = frame.to_numpy() > 0
    history = frame.to_numpy()[paid.argmax() :] if paid.any() else frame.to_numpy()[:0]
    so_far = frame[frame.index >= start]
    spent = float(so_far.sum())
    ahead = sum_ahead(history, days_left) if days_left else Forecast(0.0, 0.0, 0.0, None, None, len(history))
    rows: list[list[Any]] = [[str(day)[:10], float(amount), None, None] for day, amount in so_far.cumsum().items()]
    if ahead.value is None or ahead.low is None or ahead.high is None:
        return Month(spent, None, None, None, rows, days_left, ahead, next_month)
    for number, (value, low, high) in enumerate(ahead.by_day.tolist() if ahead.by_day is not None else []):
        day = whole + timedelta(days=number)
        rows.append([str(day)[:10], spent + max(value, 0.0), spent + max(low, 0.0), spent + max(high, 0.0)])
    value, low, high = (spent + max(each, 0.0) for each in (ahead.value, ahead.low, ahead.high))
    return Month(spent, value, low, high, rows, days_left, ahead, next_month)


def because_month(found: Month, budget: float | None, currency: str, say: Say) -> tuple[Severity, str]:
    """The severity against the budget, and the sentence."""
    last = found.end - timedelta(days=1)
    assert found.value is not None and found.low is not None and found.high is not None
    said = (
        f"The month will have cost {say(found.value, currency)} by {last.day} {last:%B %Y} ({say(found.low, currency)} to {say(found.high, currency)}; "
        f"{say(found.spent, currency)} spent, {found.days_left} days to come, {found.forecast.method} on {found.forecast.n} days)"
    )
    if found.days_left == 0:
        said = f"The month to {last.day} {last:%B %Y} cost {say(found.value, currency)}, all of it spent"
    if budget is None:
        return "ok", f"{said}; no budget is set."
    if found.low > budget:
        return "act", f"{said}: surely above the budget of {say(budget, currency)}."
    if found.value > budget:
        return "watch", f"{said}: likely above the budget of {say(budget, currency)}."
    if found.high > budget:
        return "ok", f"{said}: within the budget of {say(budget, currency)}, though not surely."
    return "ok", f"{said}: within the budget of {say(budget, currency)}."
