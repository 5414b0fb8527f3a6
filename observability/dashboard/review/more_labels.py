"""Where would more labels help? How narrow each main metric's interval would become for so much money or, where no label has a price, so many labels."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard.review.review import Room
from observability.dashboard.table import column, row, table

MOST, USUAL, STEP = 5000, 500, 100
"""Labels that the slider reaches to, begins at, and moves by."""
STEPS = MOST // STEP
COLUMNS = (
    column("model", "Model", strong=True),
    column("metric", "Main metric"),
    column("more", "More labels", align="right"),
    column("now", "Known within", align="right"),
    column("then", "Within then", align="right"),
    column("gain", "Narrower by", align="right"),
)


@dataclass(frozen=True)
class Price:
    """What a label of a model cost when the week was frozen. currency: empty where the price record named none."""

    amount: float
    currency: str


def more_labels(room: Room) -> None:
    """Sliders, one for each currency in which a label has a price and one for models without a price, and what that would buy."""
    cells = {part["model"]: part["strip"]["performance"] for part in room.body["models"]}
    known = {name: cell for name, cell in cells.items() if cell["low"] is not None and cell["high"] is not None and cell["n"] > 0}
    if not known:
        return
    st.subheader("Where would more labels help?", anchor=False)
    prices = {part["model"]: price_of(part) for part in room.body["models"] if part["model"] in known}
    bought = {**for_money(prices), **for_free([name for name, price in prices.items() if price is None])}
    rows = [as_row(name, cell, bought[name], prices[name]) for name, cell in sorted(known.items(), key=lambda each: each[1]["n"])]
    table("more-labels-table", "Intervals with more labels", COLUMNS, rows, compact=True)
    unpriced = [name for name, price in prices.items() if price is None]
    st.caption(
        "An interval narrows with the root of the number of labels; that the further ones are like those there are is assumed."
        + (f" No price of a label was known of {formatting.plain(', '.join(unpriced))}: log a price record of the resource “label”." if unpriced else "")
    )  # fmt: skip


def price_of(part: Mapping[str, Any]) -> Price | None:
    """The frozen price of a label of a model; None where none was known, or labels were free."""
    found = part.get("labelling", {}).get("price")
    return Price(found["value"], found["currency"] or "") if found and found["value"] > 0 else None


def for_money(prices: Mapping[str, Price | None]) -> dict[str, int]:
    """A slider in money for each currency; the labels that its amount buys of each model whose labels are priced in it."""
    found: dict[str, int] = {}
    for currency in sorted({each.currency for each in prices.values() if each}):
        own = {name: each for name, each in prices.items() if each and each.currency == currency}
        step = round_up(max(each.amount for each in own.values()) * MOST / STEPS)
        money = st.slider(
            f"More money for labels in a week, for one model{f', in {currency}' if currency else ''}",
            0.0, step * STEPS, step * USUAL / STEP, step=step, format="%g", key=f"more-money-{currency}",
        )  # fmt: skip
        found |= {name: affordable(money, each.amount) for name, each in own.items()}
    return found


def for_free(models: list[str]) -> dict[str, int]:
    """A slider in labels for models whose labels have no price."""
    if not models:
        return {}
    more = st.slider("More labels in a week, for one model", 0, MOST, USUAL, step=STEP, key="more-labels")
    return dict.fromkeys(models, more)


def affordable(money: float, price: float) -> int:
    """Whole labels that some money buys; what is short of a label by rounding alone still buys it."""
    return math.floor(money / price + 1e-9)


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, … (and their tenths): 0.7 gives 1, 12 gives 20."""
    size = 10.0 ** math.floor(math.log10(value))
    return next(float(f"{each * size:.6g}") for each in (1, 2, 5, 10) if each * size >= value * (1 - 1e-9))


def as_row(name: str, cell: Mapping[str, Any], more: int, price: Price | None) -> dict[str, Any]:
    """One model: its interval now and with so many labels more."""
    half = (cell["high"] - cell["low"]) / 2
    factor = (cell["n"] / (cell["n"] + more)) ** 0.5
    return row(
        {
            "model": {"t": name},
            "metric": {"t": formatting.metric_title(cell["metric"]), "sub": f"n = {cell['n']:,}"},
            "more": {"t": formatting.count(more), "sub": f"at {formatting.number(price.amount)} {price.currency}".rstrip() + " a label" if price else "no price"},
            "now": {"t": f"± {formatting.amount(half, cell['unit'])}"},
            "then": {"t": f"± {formatting.amount(half * factor, cell['unit'])}", "mark": "simulated"},
            "gain": {"t": formatting.share(1 - factor)},
        }
    )  # fmt: skip
