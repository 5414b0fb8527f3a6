"""Compute the amounts spent by currency, by day, month and period of a chart."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from observability.core.settings import ModelSettings
from observability.metrics.cost import PARTS, CostPart

if TYPE_CHECKING:
    from pandas import DataFrame


def spent_currencies(parts: "list[CostPart]", settings: ModelSettings) -> list[str]:
    """Currencies with spending: first the currency of the budget, then that of serving, then the others by amount.

    Parameters
    ----------
    parts : list[CostPart]
        Cost by part.
    settings : ModelSettings
        Settings of the model.

    Returns
    -------
    list[str]
    """
    totals: dict[str, tuple[bool, bool, float]] = {}
    for part in parts:
        if part.rows.empty:
            continue
        for currency, amount in part.rows.groupby("currency")["amount"].sum().items():
            serves, more = totals.get(str(currency), (False, False, 0.0))[1:]
            totals[str(currency)] = (currency == settings.budget_currency, serves or part.name == "serving", more + float(amount))
    return sorted(totals, key=lambda each: (*(-float(total) for total in totals[each]), each))


def cost_rows_within(part: CostPart, start: datetime, end: datetime) -> "DataFrame":
    """Rows of a part in a time span whose end is excluded.

    Parameters
    ----------
    part : CostPart
        Cost of one part.
    start : datetime
        Start of a half-open span (naive UTC).
    end : datetime
        End of the span (naive UTC).

    Returns
    -------
    DataFrame
    """
    return part.rows[(part.rows["at"] >= start) & (part.rows["at"] < end)]


def cost_total(part: CostPart, currency: str, start: datetime, end: datetime) -> float:
    """Cost of a part in one currency, in a time span whose end is excluded.

    Parameters
    ----------
    part : CostPart
        Cost of one part.
    currency : str
        Currency.
    start : datetime
        Start of a half-open span (naive UTC).
    end : datetime
        End of the span (naive UTC).

    Returns
    -------
    float
    """
    rows = cost_rows_within(part, start, end)
    return float(rows["amount"].to_numpy()[rows["currency"].to_numpy(object) == currency].sum())


def daily_cost(parts: "list[CostPart]", currency: str, start: datetime, end: datetime) -> "DataFrame":
    """Cost by day (naive UTC midnights, none left out) and part (columns) in one currency, over whole days.

    Parameters
    ----------
    parts : list[CostPart]
        Cost by part.
    currency : str
        Currency.
    start : datetime
        Start of a half-open span (naive UTC).
    end : datetime
        End of the span (naive UTC).

    Returns
    -------
    DataFrame
    """
    import numpy as np
    import pandas as pd

    days = pd.date_range(start, end, freq="D", inclusive="left", name="day")
    frame = pd.DataFrame(0.0, index=days, columns=list(PARTS))
    for part in parts:
        rows = cost_rows_within(part, start, end)
        rows = rows[rows["currency"] == currency]
        frame[part.name] += np.bincount(days.searchsorted(rows["at"], side="right") - 1, rows["amount"], len(days))
    return frame


def month_bounds(end: datetime) -> tuple[datetime, datetime, datetime]:
    """Bounds of the month that contains the last moment before `end`.

    Parameters
    ----------
    end : datetime
        End of the span (naive UTC).

    Returns
    -------
    tuple[datetime, datetime, datetime]
        (start of the month, midnight up to which days are whole, start of the next month).
    """
    last = end - timedelta(microseconds=1)
    start = last.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    whole = end.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, whole, (start + timedelta(days=32)).replace(day=1)


def cost_by_period(served: "DataFrame", part: CostPart, currency: str, grain: str | None = None) -> "DataFrame":
    """The weight of served predictions and the cost by period.

    Parameters
    ----------
    served : DataFrame
        Answer to `energy.served_question`.
    part : CostPart
        Cost of one part.
    currency : str
        Currency.
    grain : str | None
        "h" or "D"; None: by day, by hour where there are fewer than three days.

    Returns
    -------
    DataFrame
    """
    rows = part.rows[part.rows["currency"] == currency]
    grain = grain or ("h" if served["period"].dt.floor("D").nunique() < 3 else "D")
    by_time = served.groupby(served["period"].dt.floor(grain))["w"].sum().rename("served").to_frame()
    return by_time.join(rows.groupby(rows["at"].dt.floor(grain))["amount"].sum()).fillna(0.0)
