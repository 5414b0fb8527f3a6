"""The cost page: cost by part and period, the forecast of the month compared with its budget, and the cost of decisions and errors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.operations.cost import PAST_DAYS, amount_words
from observability.analyzers.serving.call_drift import is_language_model
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.settings import TOKEN_PRICES
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import clicks, empty_states, frame, load, sign_in
from observability.dashboard.charts import energy as charts_energy
from observability.dashboard.frame import ModelPage
from observability.dashboard.operations.energy import MAX_RUNS, basis_badge, energy_of_training_runs, price_place, window_without_slice
from observability.dashboard.table import column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_button, finding_line, plain_caption, plain_paragraph, save_model_settings
from observability.metrics.cost import (
    ANNOTATIONS,
    DATASETS,
    HUMAN_LABELS,
    WORDS,
    CostPart,
    labelling_cost,
    price_note,
    serving_cost,
    storage_cost,
    training_cost,
    training_cost_between,
)
from observability.metrics.cost_periods import cost_rows_within, cost_total, daily_cost, spent_currencies
from observability.metrics.energy import RESOURCES, RUNS, consumption_question, served_question
from observability.metrics.prices import PRICES
from observability.metrics.token_prices import (
    CallFrames,
    call_currency,
    call_sample,
    cost_columns,
    currency_question,
    logs_tokens,
    states_token_prices,
)

SENTENCE_ORDER = ("month_cost", "cost_per_thousand", "cost_per_correct_decision", "cost_per_error_avoided", "money_lost_per_thousand")
PRICED_METRICS = ("cost_per_thousand", "cost_per_correct_decision", "cost_per_error_avoided")
"""Metrics that multiply a quantity by a recorded price. The badge shows the basis of the quantity."""
DAYS_UP_TO = 31
"""Maximum number of days of a window that is drawn by day; longer windows are drawn by week."""
EXAMPLES = {
    "Price of a unit and its start (cpu_hour is an hour of one busy core; also gpu_hour, kwh, request, label and gb_month):": (
        '{"kind":"price","from":"2026-01-01T00:00:00Z","resource":"cpu_hour","amount":0.05,"currency":"EUR"}'
    ),
    "Cost of each prediction, where the service knows it:": '{"kind":"prediction", …, "cost":0.0004}',
    "Annotations in a project with the model's name or listed in its setting `projects`; without any, labels with source human:": (
        '{"kind":"annotation","project":"loan","item":"i7","annotator":"a2","at":"2026-03-01T10:00:00Z","label":1}'
    ),
    "Size of the datasets of training runs; each version is assumed to be stored from then on:": (
        '{"kind":"dataset","dataset":"loans","version":"7","at":"2026-03-01T10:00:00Z","rows":120000,"bytes":48000000}'
    ),
}
"""Records to log, each with an example line."""
PART_COLUMNS = columns_on_phone(
    "part amount units",
    column("part", "Part", strong=True),
    *number_columns(amount="Cost", units="Units"),
    column("method", "Priced by", wide=True),
    column("source", "Basis of quantities"),
)
PRICE_WORDS = {
    "input_price_per_million": "Input tokens",
    "output_price_per_million": "Output tokens",
    "cached_input_price_per_million": "Cached input tokens (else as input)",
}
UNITS = {"training": "run", "labelling": "label", "serving": "prediction", "storage": "gigabyte-month"}


@dataclass(frozen=True)
class CostBreakdown:
    """The parts of the cost of a window, a note on the price of each part, the currencies (with the currency of the findings first), and
    the window.
    """

    parts: list[CostPart]
    priced: list[str]
    currencies: list[str]
    window: Window


def cost_breakdown(here: ModelPage) -> CostBreakdown:
    """Return the cost of the window, computed in the same way as by the analyzer."""
    window = replace(window_without_slice(here), version=None)
    place, prices = price_place(here), load.ask_store(PRICES, window)
    served, use = load.ask_store(served_question(), window), load.ask_store(consumption_question(*cost_columns(here.model)), window)
    resources, runs = load.ask_store(RESOURCES, window), load.ask_store(RUNS, window)
    sample = load.ask_store(call_sample(here.model), window) if logs_tokens(here.model) else None
    calls = CallFrames(load.ask_store(currency_question(), window), sample)
    start, end = naive_utc(window.start), naive_utc(window.end)
    readings = pd.concat([load.ask_store(RESOURCES, window.past(PAST_DAYS)), resources], ignore_index=True)
    parts = [
        training_cost_between(runs, readings, prices, place, start, end),
        labelling_cost(load.ask_store(ANNOTATIONS, window), load.ask_store(HUMAN_LABELS, window), prices, place),
        serving_cost(served, use, resources, prices, place, calls),
        storage_cost(load.ask_store(DATASETS, window), runs, prices, place, start, end),
    ]
    notes = [price_note(each, prices, place, end) for each in parts]
    return CostBreakdown(parts, notes, spent_currencies(parts, here.model.settings), window)


def cost_sentences(found: Sequence[Finding], *, first: bool) -> None:
    """Draw the sentences of the findings. first: whether to draw the findings about the month and those that need action; otherwise the
    others are drawn, which are about predictions, decisions and errors.
    """
    of = {each.metric: each for each in found}
    ordered = [of[metric] for metric in SENTENCE_ORDER if metric in of]
    for each in (each for each in ordered if (each.needs_action or each is ordered[0]) == first):
        source = str(each.evidence.get("source") or each.basis)
        recorded = each.metric in PRICED_METRICS and each.evidence.get("method") != "cost"
        mark = f" {basis_badge(source, 'quantity' if recorded else '')}" if each.value is not None else ""
        finding_line(each, strong=each.metric == SENTENCE_ORDER[0], mark=mark)


def month_forecast_chart(here: ModelPage, found: Sequence[Finding]) -> None:
    """Draw the cost of the month so far, its forecast as a fan, and the budget."""
    each = next((one for one in found if one.metric == "month_cost"), None)
    if each is None or each.value is None or not each.evidence.get("by_day"):
        empty_states.empty_state("No forecast of the month yet.")  # the page's first sentence gives the reason
        return
    currency = str(each.evidence.get("currency") or "")
    names = ["value", "low", "high"]
    rows = pd.DataFrame(each.evidence["by_day"], columns=["period", *names]).astype(dict.fromkeys(names, float))
    rows["period"] = pd.to_datetime(rows["period"])
    budget = here.model.settings.budget_per_month
    figure = charts_energy.cost_forecast_fan(rows, currency=currency, say=partial(amount_words, currency=currency), budget=budget)
    on_drag = clicks.DateSelection("month", rows["period"])
    frame.chart_with_table(figure, rows, key="month", alt=each.because.replace("`", ""), metrics=("month_cost",), on_select=on_drag)


def budget_form(here: ModelPage, spent: CostBreakdown) -> None:
    """Draw the form that sets the monthly budget; nothing if the role does not allow it."""
    if not sign_in.may_change(here.model.name, "budget_per_month", "budget_currency"):
        return
    settings = here.model.settings
    known = list(dict.fromkeys(filter(None, (settings.budget_currency, *spent.currencies, settings.cost_currency, "EUR", "USD"))))
    budget, label = settings.budget_per_month, "Set a budget"
    if budget is not None:
        label = f"Budget: {amount_words(budget, settings.budget_currency)} per month"
    with st.popover(formatting.escape_markdown(label), icon=":material/savings:"), st.form("budget", border=False):
        amount = st.number_input("Budget per month", min_value=0.0, value=budget, placeholder="No budget", step=None, format="%.2f")
        currency = st.selectbox("Currency", known, index=0)
        if st.form_submit_button("Save", type="primary", key="set-budget"):
            chosen = replace(settings, budget_per_month=amount, budget_currency=currency if amount is not None else None)
            save_model_settings(here.model.name, chosen)


def token_price_form(here: ModelPage) -> None:
    """Draw the form that states the price of tokens in calls of a language model. Draw nothing for another kind of model, or if the role
    does not allow it.
    """
    settings = here.model.settings
    if not is_language_model(here.model) or not sign_in.may_change(here.model.name, *TOKEN_PRICES):
        return
    known = list(dict.fromkeys(filter(None, (call_currency(settings), "EUR", "USD"))))
    label = "Token prices" if states_token_prices(settings) else "State token prices"
    with st.popover(label, icon=":material/sell:"), st.form("token-prices", border=False):
        plain_caption("Per million tokens. They price calls that carry no cost; a logged cost wins.")
        prices = {
            name: st.number_input(words, min_value=0.0, value=getattr(settings, name), placeholder="Not set", step=None, format="%g")
            for name, words in PRICE_WORDS.items()
        }
        currency = st.selectbox("Currency of tokens", known, index=0)
        if st.form_submit_button("Save", type="primary", key="set-token-prices"):
            priced = any(each is not None for each in prices.values())
            save_model_settings(here.model.name, replace(settings, **prices, token_currency=currency if priced else None))


def cost_by_period_charts(spent: CostBreakdown) -> None:
    """Draw training, labelling, serving and storage by day or week as stacked bars, one chart for each currency."""
    for number, currency in enumerate(spent.currencies):
        start, end = _whole_days(spent.window)
        by_day = daily_cost(spent.parts, currency, start, end)
        weekly = len(by_day) > DAYS_UP_TO
        rows = (by_day.resample("W-MON", label="left", closed="left").sum() if weekly else by_day).rename_axis("period").reset_index()
        first, last = naive_utc(spent.window.start), naive_utc(spent.window.end)
        amounts = {part.name: cost_total(part, currency, first, last) for part in spent.parts}
        parts = ", ".join(f"{name} {amount_words(amount, currency)}" for name, amount in amounts.items() if amount > 0)
        said = f"{amount_words(sum(amounts.values()), currency)} in this window: {parts}"
        plain_paragraph(said + ".")
        figure = charts_energy.cost_stack(rows, currency=currency, say=partial(amount_words, currency=currency))
        alt = f"Cost by {'week' if weekly else 'day'}. {said}"
        on_drag = clicks.DateSelection(key := f"parts-{number}", rows["period"])
        frame.chart_with_table(figure, rows, key=key, alt=alt, metrics=("cost_per_thousand",), on_select=on_drag)
    if len(spent.currencies) > 1:
        st.caption("Currencies are not converted; each is shown separately.")


def _whole_days(window: Window) -> tuple[Any, Any]:
    """Return the midnight at or before the start of a window, and the midnight at or after its end."""
    return pd.Timestamp(naive_utc(window.start)).floor("D"), pd.Timestamp(naive_utc(window.end)).ceil("D")


def cost_parts_table(spent: CostBreakdown) -> None:
    """Draw the cost, units, price and basis of each part."""
    rows, twin = [], []
    for part, since in zip(spent.parts, spent.priced, strict=True):
        held = cost_rows_within(part, naive_utc(spent.window.start), naive_utc(spent.window.end))
        units = float(held["units"].sum()) or float(part.unpriced)
        amounts = {str(currency): float(amount) for currency, amount in held.groupby("currency")["amount"].sum().items()}
        priced = WORDS.get(part.method or "", "no price" if part.unpriced else "nothing to price") + since
        cells: dict[str, Any] = {
            "part": {"t": part.name.capitalize()},
            "amount": {"t": "\n".join(amount_words(amount, currency) for currency, amount in amounts.items()) or formatting.DASH},
            "units": {"t": _units_words(units, UNITS[part.name])},
            "method": {"t": priced},
            "source": {"t": part.source if amounts else formatting.DASH},
        }
        rows.append(table_row(cells))
        by_currency = held.groupby("currency")["units"].sum()
        twin += [[part.name, amount, name, by_currency[name], part.method, part.source] for name, amount in amounts.items()]
    draw_table("parts", "Cost by part", PART_COLUMNS, rows, compact=True)
    names = ["part", "amount", "currency", "units", "priced_by", "source"]
    csv_button("cost-by-part", lambda: pd.DataFrame(twin, columns=names), key="parts-csv")


def _units_words(units: float, unit: str) -> str:
    """A number of units as text. A number of gigabyte-months below one hundred has three digits."""
    if unit != "gigabyte-month" or units == 0 or units >= 100:
        return formatting.plural(round(units), unit)
    return f"{units:.3g} {unit}s"


def priced_training_runs(here: ModelPage) -> tuple[pd.DataFrame, bool]:
    """The training runs that have a price, and whether these runs ended outside the window."""
    found = energy_of_training_runs(here)
    prices = load.ask_store(PRICES, replace(window_without_slice(here), version=None, end=max(here.window.end, load.page_clock())))
    _, costed = training_cost(found.rows.head(MAX_RUNS), prices, price_place(here))
    return costed[costed["amount"].notna()], found.outside


def training_run_costs(rows: pd.DataFrame, outside: bool) -> None:
    """Draw the cost of each training run as bars. rows, outside: as returned by `priced_training_runs`."""
    if rows.empty:
        st.caption("No training run can be priced: log runs with duration and cores, and an hourly price.")
        return
    when = "No run ended in this window; the newest are shown. " if outside else ""
    for number, (currency, part) in enumerate(rows.groupby("currency", sort=True)):
        said = f"{when}{formatting.plural(len(part), 'run')} cost {amount_words(float(part['amount'].sum()), str(currency))}."
        plain_paragraph(said)
        twin = part[["run", "version", "ended", "seconds", "cores", "gpus", "amount", "currency", "method", "amount_source"]]
        twin = twin.rename(columns={"amount_source": "source"}).reset_index(drop=True)
        drawn = twin.assign(value=twin["amount"])
        figure = charts_energy.run_energy_bars(drawn, name=str(currency), say=partial(amount_words, currency=str(currency)))
        frame.chart_with_table(figure, twin, key=f"runs-{number}", alt=said)
