"""The effect of more labels: the expected interval of each main metric after buying labels for some money or, if labels have no price,
after a number of labels.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.table import column, draw_table, number_columns, table_row
from observability.dashboard.widgets import plain_caption

MAX_BUDGET, USUAL, STEP = 5000, 500, 100
"""Number of labels: maximum, default and step of the slider."""
STEPS = MAX_BUDGET // STEP
COLUMNS = (
    column("model", "Model", strong=True),
    column("metric", "Main metric"),
    *number_columns(more="More labels", now="Interval now", then="Interval then", gain="Narrower by"),
)


@dataclass(frozen=True)
class LabelPrice:
    """The price of a label of a model when the week was frozen. currency: empty if the price record has none."""

    amount: float
    currency: str


def label_budget_section(room: ReviewPage) -> None:
    """Draw one slider for each currency of label prices, one slider for the models without a price, and the resulting intervals."""
    cells = {part["model"]: part["strip"]["performance"] for part in room.body["models"]}
    known = {name: cell for name, cell in cells.items() if cell["low"] is not None and cell["high"] is not None and cell["n"] > 0}
    if not known:
        return
    st.subheader("Effect of more labels", anchor=False)
    prices = {part["model"]: _label_price(part) for part in room.body["models"] if part["model"] in known}
    bought = {**_labels_for_money(prices), **_labels_without_price([name for name, price in prices.items() if price is None])}
    rows = [_interval_row(name, cell, bought[name], prices[name]) for name, cell in sorted(known.items(), key=lambda each: each[1]["n"])]
    draw_table("more-labels-table", "Intervals with more labels", COLUMNS, rows, compact=True)
    unpriced = [name for name, price in prices.items() if price is None]
    missing = f" No label price for {', '.join(unpriced)}: log a price record of the resource “label”." if unpriced else ""
    plain_caption(
        f"Assumes that further labels are like the present ones: the interval shrinks with the square root of their number.{missing}"
    )


def _label_price(part: Mapping[str, Any]) -> LabelPrice | None:
    """The frozen price of a label of a model; None if the price is unknown or zero."""
    found = part.get("labelling", {}).get("price")
    return LabelPrice(found["value"], found["currency"] or "") if found and found["value"] > 0 else None


def _labels_for_money(prices: Mapping[str, LabelPrice | None]) -> dict[str, int]:
    """Draw a slider for each currency, and return how many labels of each model the amount buys."""
    found: dict[str, int] = {}
    for currency in sorted({each.currency for each in prices.values() if each}):
        own = {name: each for name, each in prices.items() if each and each.currency == currency}
        step = rounded_step(max(each.amount for each in own.values()) * MAX_BUDGET / STEPS)
        words, key = f"Weekly label budget per model{f' ({currency})' if currency else ''}", f"more-money-{currency}"
        money = st.slider(words, 0.0, step * STEPS, step * USUAL / STEP, step=step, format="%g", key=key)
        found |= {name: affordable_labels(money, each.amount) for name, each in own.items()}
    return found


def _labels_without_price(models: list[str]) -> dict[str, int]:
    """Draw a slider for a number of labels, for the models whose labels have no price. Returns that number for each of these models."""
    if not models:
        return {}
    more = st.slider("More labels per week and model", 0, MAX_BUDGET, USUAL, step=STEP, key="more-labels")
    return dict.fromkeys(models, more)


def affordable_labels(money: float, price: float) -> int:
    """The number of whole labels that an amount buys, with a tolerance for rounding errors."""
    return math.floor(money / price + 1e-9)


def rounded_step(value: float) -> float:
    """The value rounded up to 1, 2, 5, 10, 20, … (or a tenth, a hundredth, … of these): 0.7 gives 1, 12 gives 20."""
    size = 10.0 ** math.floor(math.log10(value))
    return next(float(f"{each * size:.6g}") for each in (1, 2, 5, 10) if each * size >= value * (1 - 1e-9))


def _interval_row(name: str, cell: Mapping[str, Any], more: int, price: LabelPrice | None) -> dict[str, Any]:
    """The interval of one model now and with more labels."""
    half = (cell["high"] - cell["low"]) / 2
    factor = (cell["n"] / (cell["n"] + more)) ** 0.5
    price_words = "no price"
    if price:
        price_words = f"at {f'{formatting.format_number(price.amount)} {price.currency}'.rstrip()} per label"
    return table_row(
        model=name,
        metric={"t": formatting.metric_title(cell["metric"]), "sub": f"n = {cell['n']:,}"},
        more={"t": formatting.format_count(more), "sub": price_words},
        now=f"± {formatting.format_value(half, cell['unit'])}",
        then={"t": f"± {formatting.format_value(half * factor, cell['unit'])}", "mark": "simulated"},
        gain=formatting.format_share(1 - factor),
    )
