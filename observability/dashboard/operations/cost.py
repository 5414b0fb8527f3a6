"""What does the cost page show: what was spent on what, where the month ends, and what a right decision and an error cost?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.analyzers.operations.cost import PAST_DAYS, money
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import empty_states, frame, load, person_name
from observability.dashboard.charts import energy as charts_energy
from observability.dashboard.frame import Here
from observability.dashboard.operations.energy import as_csv, badge, place_of, training_runs, whole
from observability.dashboard.table import column, row, table
from observability.metrics.cost import (
    ANNOTATIONS,
    DATASETS,
    HUMAN_LABELS,
    WORDS,
    Part,
    currencies,
    daily,
    labelling_part,
    priced_from,
    serving_part,
    storage_part,
    total,
    training_between,
    training_part,
    within,
)
from observability.metrics.energy import RESOURCES, RUNS, served_question, use_question
from observability.metrics.prices import PRICES

if TYPE_CHECKING:
    from pandas import DataFrame

ORDER = ("month_cost", "cost_per_thousand", "cost_per_correct_decision", "cost_per_error_avoided", "money_lost_per_thousand")
PRICED = ("cost_per_thousand", "cost_per_correct_decision", "cost_per_error_avoided")
"""Metrics whose money is a quantity at a price that somebody recorded: the mark is the quantity's."""
DAYS_UP_TO = 31
"""Windows up to so many days are drawn by day, longer ones by week."""
EXAMPLES = (
    (
        "What a unit costs, from when on (cpu_hour is an hour of one busy core; gpu_hour, kwh, request, label and gb_month, a gigabyte of stored data and month, are understood too):",
        '{"kind":"price","from":"2026-01-01T00:00:00Z","resource":"cpu_hour","amount":0.05,"currency":"EUR"}',
    ),
    ("With each prediction, where the service knows it:", '{"kind":"prediction", …, "cost":0.0004}'),
    (
        "What people labelled, in a project of the model's name (or one that its settings name under `projects`); else labels with the source human count:",
        '{"kind":"annotation","project":"loan","item":"i7","annotator":"a2","at":"2026-03-01T10:00:00Z","label":1}',
    ),
    (
        "How large the data are that its runs name as their dataset; each version is taken to be kept from then on:",
        '{"kind":"dataset","dataset":"loans","version":"7","at":"2026-03-01T10:00:00Z","rows":120000,"bytes":48000000}',
    ),
)
"""What to log, and an example line each."""


@dataclass(frozen=True)
class Spending:
    """The parts of the window, whose word the price of each is, the currencies in them (the one that is judged first), and the window."""

    parts: list[Part]
    priced: list[str]
    currencies: list[str]
    window: Window


def spending(here: Here) -> Spending:
    """What the window cost, as the analyzer reckons it."""
    window = replace(whole(here), version=None)
    place, prices = place_of(here), load.records(PRICES, window)
    served, use = load.frame(served_question(), window), load.frame(use_question("cost"), window)
    resources, runs = load.records(RESOURCES, window), load.records(RUNS, window)
    start, end = naive_utc(window.start), naive_utc(window.end)
    readings = together(load.records(RESOURCES, window.past(PAST_DAYS)), resources)
    parts = [
        training_between(runs, readings, prices, place, start, end),
        labelling_part(load.records(ANNOTATIONS, window), load.records(HUMAN_LABELS, window), prices, place),
        serving_part(served, use, resources, prices, place),
        storage_part(load.records(DATASETS, window), runs, prices, place, start, end),
    ]
    return Spending(parts, [priced_from(each, prices, place, end) for each in parts], currencies(parts, here.model.settings), window)


def together(before: "DataFrame", now: "DataFrame") -> "DataFrame":
    """Readings from before the window and in it."""
    import pandas as pd

    return pd.concat([before, now], ignore_index=True)


def sentences(found: Sequence[Finding]) -> None:
    """The analyzer's sentences: the month first, then what one gets for the money."""
    of = {each.metric: each for each in found}
    for metric in ORDER:
        each = of.get(metric)
        if each is not None:
            source = str(each.evidence.get("source") or each.basis)
            recorded = metric in PRICED and each.evidence.get("method") != "cost"
            mark = f" {badge(source, 'quantity' if recorded else '')}" if each.value is not None else ""
            words = formatting.sentence(each.because)
            st.markdown(f"{formatting.status(each.severity)}: {f'**{words}**' if metric == ORDER[0] else words}{mark}")


def how_to_log(*, expanded: bool = False) -> None:
    """Which records tell what is missing, with an example line each."""
    with st.expander("What to log for better figures", icon=":material/edit_note:", expanded=expanded):
        for words, line in EXAMPLES:
            st.markdown(words)
            st.code(line, language="json", wrap_lines=True)


def month(here: Here, found: Sequence[Finding]) -> None:
    """The month's cost so far, its forecast as a fan, and the budget."""
    each = next((one for one in found if one.metric == "month_cost"), None)
    if each is None or each.value is None or not each.evidence.get("by_day"):
        empty_states.nothing("The month's cost cannot be forecast yet.", each.because.replace("`", "") if each else None)
        return
    import pandas as pd

    currency = str(each.evidence.get("currency") or "")
    rows = pd.DataFrame(each.evidence["by_day"], columns=["period", "value", "low", "high"]).astype(
        {"value": float, "low": float, "high": float}
    )
    rows["period"] = pd.to_datetime(rows["period"])
    figure = charts_energy.fan(rows, currency=currency, say=partial(money, currency=currency), budget=here.model.settings.budget_per_month)
    frame.chart(figure, rows, key="month", alt=each.because.replace("`", ""), metrics=("month_cost",))


def budget(here: Here, spent: Spending) -> None:
    """The small form that sets the budget of a month."""
    settings = here.model.settings
    known = list(
        dict.fromkeys(each for each in (settings.budget_currency, *spent.currencies, settings.cost_currency, "EUR", "USD") if each)
    )
    held = (
        "No budget is set yet."
        if settings.budget_per_month is None
        else f"Budget: {money(settings.budget_per_month, settings.budget_currency)} a month."
    )
    with st.popover(f"{formatting.plain(held)} Set it?", icon=":material/savings:"), st.form("budget", border=False):
        amount = st.number_input(
            "Money for a calendar month", min_value=0.0, value=settings.budget_per_month, placeholder="No budget", step=None, format="%.2f"
        )
        currency = st.selectbox("Currency", known, index=0)
        if st.form_submit_button("Set the budget", type="primary", key="set-budget"):
            save(here, amount, currency)


def save(here: Here, amount: float | None, currency: str | None) -> None:
    """Make it the model's, in its settings."""
    from observability.alerts import alarm_rules

    settings = replace(here.model.settings, budget_per_month=amount, budget_currency=currency if amount is not None else None)
    frame.guarded(lambda: alarm_rules.keep(load.store(), here.model.name, settings, author=person_name.known()))
    st.rerun()


def breakdown(spent: Spending) -> None:
    """Training, labelling, serving and storage by day or week as stacked bars, one chart for each currency."""
    for number, currency in enumerate(spent.currencies):
        start, end = whole_days(spent.window)
        by_day = daily(spent.parts, currency, start, end)
        weekly = len(by_day) > DAYS_UP_TO
        rows = (by_day.resample("W-MON", label="left", closed="left").sum() if weekly else by_day).rename_axis("period").reset_index()
        amounts = {part.name: total(part, currency, naive_utc(spent.window.start), naive_utc(spent.window.end)) for part in spent.parts}
        said = f"{money(sum(amounts.values()), currency)} in this window: " + ", ".join(
            f"{name} {money(amount, currency)}" for name, amount in amounts.items() if amount > 0
        )
        st.markdown(formatting.plain(said + "."))
        figure = charts_energy.parts(rows, currency=currency, say=partial(money, currency=currency))
        frame.chart(
            figure, rows, key=f"parts-{number}", alt=f"Spending by {'week' if weekly else 'day'}. {said}", metrics=("cost_per_thousand",)
        )
    if len(spent.currencies) > 1:
        st.caption("Several currencies are in use. Nothing is converted, so each is shown apart.")


def whole_days(window: Window) -> tuple[Any, Any]:
    """Midnights around a window."""
    import pandas as pd

    return pd.Timestamp(naive_utc(window.start)).floor("D"), pd.Timestamp(naive_utc(window.end)).ceil("D")


def parts_table(spent: Spending) -> None:
    """Each part: what it cost, in how many units, how it was priced, and how sure that is."""
    columns = [
        column("part", "Part", strong=True), column("amount", "Cost", align="right"), column("units", "Units", align="right"),
        column("method", "Priced by", wide=True), column("source", "Its quantities are"),
    ]  # fmt: skip
    of_units = {"training": "run", "labelling": "label", "serving": "prediction", "storage": "gigabyte-month"}
    rows, twin = [], []
    for part, since in zip(spent.parts, spent.priced, strict=True):
        held = within(part, naive_utc(spent.window.start), naive_utc(spent.window.end))
        units = float(held["units"].sum()) or float(part.unpriced)
        amounts = {str(currency): float(amount) for currency, amount in held.groupby("currency")["amount"].sum().items()}
        priced = WORDS.get(part.method or "", "no price is known" if part.unpriced else "nothing to price") + since
        cells: dict[str, Any] = {
            "part": {"t": part.name.capitalize()},
            "amount": {"t": "\n".join(money(amount, currency) for currency, amount in amounts.items()) or formatting.DASH},
            "units": {"t": amount_of(units, of_units[part.name])}, "method": {"t": priced}, "source": {"t": part.source if amounts else formatting.DASH},
        }  # fmt: skip
        rows.append(row(cells))
        twin += [[part.name, amount, currency, units, part.method, part.source] for currency, amount in amounts.items()]
    table("parts", "Cost by part", columns, rows, compact=True)
    names = ["part", "amount", "currency", "units", "priced_by", "source"]
    frame.download("cost-by-part.csv", lambda: as_csv(twin, names), "CSV", key="parts-csv")


def amount_of(units: float, unit: str) -> str:
    """How many units; of gigabyte-months less than a hundred with three digits, since most data are small."""
    if unit != "gigabyte-month" or units == 0 or units >= 100:
        return formatting.plural(round(units), unit)
    return f"{units:.3g} {unit}s"


def by_run(here: Here) -> None:
    """What each training run cost, as bars."""
    found = training_runs(here)
    prices = load.records(PRICES, replace(whole(here), version=None, end=max(here.window.end, load.now())))
    _, costed = training_part(found.rows, prices, place_of(here))
    rows = costed[costed["amount"].notna()]
    if rows.empty:
        st.caption("No training run of this model can be priced: it needs a run with a duration and cores, and a price of an hour.")
        return
    when = "No run ended in this window; these are the newest of the model. " if found.outside else ""
    for number, (currency, part) in enumerate(rows.groupby("currency", sort=True)):
        said = f"{when}{formatting.plural(len(part), 'run')} cost {money(float(part['amount'].sum()), str(currency))}."
        st.markdown(formatting.plain(said))
        twin = part[["run", "version", "ended", "seconds", "cores", "gpus", "amount", "currency", "method", "amount_source"]]
        twin = twin.rename(columns={"amount_source": "source"}).reset_index(drop=True)
        drawn = twin.assign(value=twin["amount"])
        figure = charts_energy.runs(drawn, name=str(currency), say=partial(money, currency=str(currency)))
        frame.chart(figure, twin, key=f"runs-{number}", alt=said)
