"""Calls of vendors and language models, shown on the page of vendors: traffic by route, drift of questions and answers, and traces."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.operations.cost import amount_words
from observability.analyzers.serving.call_drift import NAME, is_language_model
from observability.core import formatting
from observability.core.catalog import Model
from observability.core.finding import Finding, worst_first
from observability.core.json_values import stored_json
from observability.core.numerals import format_figure, percent
from observability.core.questions import Aggregate, By, Records, Sample
from observability.core.window import Window
from observability.dashboard import links, load, load_findings
from observability.dashboard.case import trace_steps
from observability.dashboard.cells import UNKNOWN_CELL, severity_cell, share_cell
from observability.dashboard.data.records_summary import dates_note
from observability.dashboard.scope import Scope
from observability.dashboard.serving.vendors import NO_CURRENCY
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_of_table, cut_note, finding_line
from observability.detection.call_drift import BEYOND, MANY_WEEKS, factors_beyond
from observability.metrics.token_prices import (
    call_cost,
    call_currency,
    cost_columns,
    currency_question,
    logged_currencies,
    uncosted_tokens,
)

MAX_ROUTES = 50
MAX_CALLS = 20_000
"""Maximum number of calls of a model that are sampled to look up their labels."""
LABELS = Records("label", ("id", "value"), ever=True, rows=10 * MAX_CALLS)
TRAFFIC = columns_on_phone(
    "model route calls",
    column("model", "Model", strong=True),
    column("route", "Route", help="Operation and service of the calls"),
    *number_columns(calls="Calls"),
    column("errors", "Errors", align="right", help="Calls with a status other than ok"),
    *number_columns(latency="Mean ms", tokens_in="Tokens in", tokens_out="Tokens out"),
    column(
        "cost",
        "Cost",
        align="right",
        help="The cost logged with the calls, else the tokens times the prices that the owner states (page Cost)",
    ),
    column(
        "labelled",
        "Feedback",
        align="right",
        help="Share of calls that have a label, in a sample of up to 20,000 calls, and the most frequent label",
    ),
)
STATUS_HELP = (
    f"A column is marked if its PSI is significant, above its limit, and at least {BEYOND[0]:g} times the PSI of the most unusual earlier "
    f"week ({factors_beyond(MANY_WEEKS, False)[0]:g} times with {MANY_WEEKS} or more earlier weeks). A numeric column with {MANY_WEEKS} or "
    "more earlier weeks is judged by the average difference between those weeks instead of the most unusual one."
)
DRIFT = columns_on_phone(
    "model column status",
    column("model", "Model", strong=True),
    column("column", "Column", help="A number is compared by its deciles, a free text by its length, and a category by its levels"),
    column("status", "Status", help=STATUS_HELP),
    *number_columns(psi="PSI", usual="Usual", before="Before", now="Now"),
    column("since", "Since"),
)


def called_models(scope: Scope) -> list[Model]:
    """The models (only the chosen one, if one is chosen) whose calls go to a vendor or to a language model: their calls are logged with
    tokens, or their settings say that a third party serves them.
    """
    return [
        model
        for model in load.catalog().models
        if scope.model in (None, model.name) and (is_language_model(model) or model.settings.kind == "api")
    ]


def traffic_of_model(model: Model, window: Window) -> pd.DataFrame:
    """Calls of a model by route: model, route, calls, errors, latency, tokens_in, tokens_out, cost, cost_source, currency, labelled (a
    share), feedback (the most frequent label) with feedback_share, and simulated: whether all of these calls are declared as simulated. If
    the costs are in several currencies, `cost` is None, and `amounts` lists the amount in each currency, in words.
    """
    names = [name for name in ("feature.operation", "feature.service") if model.column(name) is not None]
    keys = tuple(By(name) for name in names)
    counted = load.ask_store(Aggregate("predictions", keys=(*keys, By("status"))), window)
    sums = load.ask_store(Aggregate("predictions", keys=keys, sums=("latency_ms", *cost_columns(model))), window)
    if counted.empty:
        return pd.DataFrame()
    costs = load.ask_store(currency_question(*keys), window)
    sampled = load.ask_store(Sample("predictions", ("id", "extra", *names, *cost_columns(model)), MAX_CALLS), window)
    given = load.ask_store(LABELS, window).drop_duplicates("id", keep="last").set_index("id")["value"]
    sampled["feedback"] = sampled["id"].map(given)
    sampled["stated"] = [stored_json(extra) if isinstance(extra, str) else {} for extra in sampled["extra"]]
    for frame in (counted, sums, sampled, costs):
        frame["route"] = _routes(frame, names)
    by_route, rows = dict(list(sampled.groupby("route"))), []
    for route, own in counted.groupby("route", sort=True):
        of_route = sums[sums["route"] == route].set_index("measure")
        cost = call_cost(of_route.reset_index(), model.settings, uncosted_tokens(by_route.get(route)))
        currencies = logged_currencies(costs[costs["route"] == route], model.settings)
        usual, of_tokens = call_currency(model.settings, cost.logged is not None), call_currency(model.settings)
        charged = set(currencies or (usual,)) | ({of_tokens} if cost.logged is not None and cost.computed is not None else set())
        states = what_calls_state(by_route.get(route, sampled.head(0)), sorted(filter(None, charged)) or (None,))
        several = len(charged - {None}) > 1
        amounts = amounts_by_currency(costs[costs["route"] == route], usual, cost.computed, of_tokens) if several else None

        def figure(measure: str, name: str, of_route: pd.DataFrame = of_route) -> float | None:
            if measure not in of_route.index:
                return None
            row = of_route.loc[[measure]].sum()
            return float(row["total"] / row["w"]) if name == "mean" else float(row["total"])

        rows.append(
            {
                "model": model.name,
                "route": route,
                "calls": int(own["n"].sum()),
                "errors": int(own.loc[own["status"] != "ok", "n"].sum()),
                "latency": figure("latency_ms", "mean"),
                "tokens_in": figure("feature.input_tokens", "total"),
                "tokens_out": figure("feature.output_tokens", "total"),
                "cost": None if several else cost.total,
                "cost_source": cost.source,
                "amounts": amounts,
                **states,
            }
        )
    return pd.DataFrame(rows)


def what_calls_state(calls: pd.DataFrame, currencies: Sequence[str | None]) -> dict[str, Any]:
    """The currency of the costs of some calls, their feedback, and whether all calls are simulated. currencies: every currency in which
    these calls were charged, also those outside the sample.
    """
    shares = calls["feedback"].dropna().astype(str).value_counts(normalize=True)
    return {
        "currency": currencies[0] if len(currencies) == 1 else "several currencies",
        "labelled": float(calls["feedback"].notna().mean()),
        "feedback": shares.index[0] if len(shares) else None,
        "feedback_share": float(shares.iloc[0]) if len(shares) else float("nan"),
        "simulated": len(calls) > 0 and all(stated.get("source") == "simulated" for stated in calls["stated"]),
    }


def amounts_by_currency(costs: pd.DataFrame, usual: str | None, computed: float | None, of_tokens: str | None) -> str:
    """The costs of calls in each currency, in words. costs: answer to `currency_question`. usual: the currency of calls that do not state a
    currency. computed: the price of the tokens of calls without a cost, in the currency `of_tokens`; None if unknown.
    """
    names = [name if isinstance(name, str) else usual or "" for name in costs["currency"]]
    totals = costs["total"].groupby(names).sum().to_dict()
    if computed is not None:
        totals[of_tokens or ""] = totals.get(of_tokens or "", 0.0) + computed
    return ", ".join(amount_words(float(total), str(name) or None) for name, total in sorted(totals.items()))


def _routes(rows: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The route of each row in words: its operation and service."""
    if not names:
        return ["all"] * len(rows)
    return [
        " · ".join(str(value) for value in values if isinstance(value, str)) or "not stated"
        for values in rows[list(names)].to_numpy(object)
    ]


def traffic_section(scope: Scope, found: Sequence[Finding]) -> None:
    """Draw the traffic of vendors and language models by model and route, the drift of their calls, and a trace. Draws nothing without
    calls. found: the findings about this drift.
    """
    windows = [load.window(scope, model.name) for model in called_models(scope)]
    tables = {window: traffic_of_model(load.catalog().model(window.model), window) for window in windows}
    tables = {window: table for window, table in tables.items() if len(table)}
    if not tables:
        return
    st.header("Calls of vendors and language models", anchor=False)
    table = pd.concat(tables.values(), ignore_index=True).sort_values("calls", ascending=False, ignore_index=True)
    dates = Window("", min(window.start for window in tables), max(window.end for window in tables))
    simulated = " These calls are simulated." if table["simulated"].all() else ""
    number = formatting.plural(int(table["calls"].sum()), "call")
    st.markdown(f"{number} of {formatting.plural(len(tables), 'model')}{dates_note(dates)}.{simulated}")
    lines = []
    for row in table.head(MAX_ROUTES).to_dict("records"):
        said = f"{row['feedback']} {percent(row['feedback_share'])}" if isinstance(row["feedback"], str) else None
        cells: dict[str, Cell] = {
            "model": links.link_cell(str(row["model"]), "latency", scope.about(str(row["model"]))),
            "route": {"t": str(row["route"])},
            "calls": {"t": f"{row['calls']:,}"},
            "errors": share_cell(row["errors"] / row["calls"]),
            "labelled": share_cell(row["labelled"], under=said),
        }
        for name in ("latency", "tokens_in", "tokens_out", "cost"):
            cells[name] = dict(UNKNOWN_CELL) if pd.isna(row[name]) else {"t": format_figure(float(row[name]))}
        if isinstance(row["amounts"], str):
            cells["cost"] = {"t": row["amounts"], "sub": f"{row['cost_source']}; currencies are not summed"}
        elif not pd.isna(row["cost"]):
            currency = row["currency"]
            cells["cost"] |= {"t": amount_words(row["cost"], currency)} if currency else {}
            cells["cost"]["sub"] = row["cost_source"] if currency else f"{NO_CURRENCY}, {row['cost_source']}"
        lines.append(table_row(cells))
    draw_table("language-model-calls", "Calls of language models by model and route", TRAFFIC, lines)
    csv_of_table("language-model-calls", table, len(table), MAX_ROUTES, "largest")
    drift_section(found)
    trace_section(scope)


def call_drift_findings(scope: Scope) -> list[Finding]:
    """The findings of serving/call_drift about the calls of the language models in scope, worst first."""
    found = [load_findings.findings_in_window(load.window(scope, model.name), wait=True) for model in called_models(scope)]
    return worst_first([finding for of_model in found for finding in of_model if finding.analyzer == NAME])


def drift_section(found: Sequence[Finding]) -> None:
    """Draw how the inputs and outputs of language models changed against the eight weeks before. Draws nothing without findings."""
    if not found:
        return
    st.header("Drift of inputs and outputs", anchor=False)
    for finding in (finding for finding in found if finding.value is None):
        finding_line(finding, mark=f" :gray[· {formatting.escape_markdown(finding.model)}]")
    measured = [finding for finding in found if finding.value is not None]
    usual = [finding for finding in measured if finding.severity == "ok"]
    moved = [finding for finding in measured if finding.severity != "ok"]
    if moved:
        drift_table("call-drift", "Inputs and outputs against the eight weeks before", moved)
    if usual:
        with st.expander(
            formatting.plural(len(usual), "column is", "columns are") + " as in the weeks before", icon=":material/unfold_more:"
        ):
            drift_table("usual-calls", "Inputs and outputs that are as in the eight weeks before", usual)


def drift_table(key: str, caption: str, found: Sequence[Finding]) -> None:
    """Draw a row for each finding about a column of calls."""
    lines = []
    for finding in found[:MAX_ROUTES]:
        known, numbers = finding.evidence, [finding.evidence["before"], finding.evidence["now"]]
        before, now = (percent(each) if known["level"] else format_figure(each, 3) for each in numbers)
        cells: dict[str, Cell] = {
            "model": {"t": str(finding.model)},
            "column": {"t": finding.subject, "sub": f"share of {known['level']}" if known["level"] else "mean"},
            "status": severity_cell(finding.shown_severity),
            "psi": {"t": format_figure(finding.value or 0.0, 2)},
            "usual": {"t": format_figure(known["usual_psi"], 2)},
            "before": {"t": before},
            "now": {"t": now},
            "since": {"t": formatting.format_day(finding.onset)}
            if known.get("onset_known") == "dated" and finding.onset
            else dict(UNKNOWN_CELL),
        }
        lines.append(table_row(cells))
    draw_table(key, caption, DRIFT, lines)
    cut_note(len(found), MAX_ROUTES, "{0} of {1} columns, those that moved most first.")


def trace_section(scope: Scope) -> None:
    """Draw the traces that have several steps, and the steps of the trace in the address, each with a link to its case. Draws nothing
    without spans.
    """
    windows = {model.name: load.window(scope, model.name) for model in trace_steps.tracing_models()}
    if not windows:
        return
    found = trace_steps.traces_of_several_steps(windows, called_models(scope))
    st.header("Traces", anchor=False)
    if len(found.table):
        trace_steps.draw_traces(found, scope)
    trace = st.text_input("Trace", key="trace", bind="query-params", placeholder="Trace id, for its steps", max_chars=200).strip()
    if not trace:
        return
    steps = trace_steps.steps_of_trace(trace)
    if steps.empty:
        st.markdown("No prediction has an id that begins with this trace.")
    else:
        trace_steps.draw_trace_steps(steps, scope)
