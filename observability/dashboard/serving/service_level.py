"""The service level: objectives with their error budgets, burn-rate alerts, and a form that sets the service level."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.dashboard import frame, sign_in
from observability.dashboard.cells import interval_cell, severity_cell
from observability.dashboard.frame import ModelPage
from observability.dashboard.overview import findings
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_button, save_model_settings
from observability.detection.latency_sentences import share_words as fine_share
from observability.detection.service_levels import URGENT
from observability.stats.service_level import BUDGET_DAYS, MINIMUM_REQUESTS, RULES

OBJECTIVES = {"model": "Availability", "latency_ms": "Latency"}
"""Titles of the objectives, by the subject of the findings about them."""
OBJECTIVE_COLUMNS = columns_on_phone(
    "objective achieved left status",
    column("objective", "Objective", strong=True),
    column("target", "Target", align="right"),
    column("achieved", "Achieved", align="right", help=f"Over the {BUDGET_DAYS} days before the window's end"),
    column("left", "Error budget left", align="right", help="With its 95 % interval"),
    column("n", "Requests", align="right"),
    column("status", "Status"),
)
BURN_COLUMNS = columns_on_phone(
    "objective window burn status",
    column("objective", "Objective", strong=True),
    column("window", "Window"),
    column("burn", "Burn rate", align="right", help="A rate of 1 spends the budget in exactly four weeks"),
    *number_columns(limit="Alert from", bad="Bad requests"),
    column("status", "Status"),
)


def service_level_section(here: ModelPage, found: Sequence[Finding]) -> None:
    """Draw each objective with its error budget, the burn-rate alerts, and the form."""
    settings, order = here.model.settings, list(OBJECTIVES)
    by_objective = sorted((finding for finding in found if finding.subject in order), key=lambda finding: order.index(finding.subject))
    budgets = [finding for finding in by_objective if finding.metric == "error_budget_left"]
    rates = {finding.subject: finding for finding in by_objective if finding.metric == "burn_rate"}
    if budgets:
        rows = [_objective_row(finding, settings) for finding in budgets]
        draw_table("objectives", "Service level", OBJECTIVE_COLUMNS, rows, compact=True)
        _claim_captions(budgets)
        st.subheader("Burn rate", anchor=False)
        pairs = [(rates[finding.subject], place) for finding in budgets if finding.subject in rates for place in range(len(RULES))]
        rows = [_burn_rate_row(finding, place) for finding, place in pairs]
        draw_table("burns", "Burn-rate alerts at the window's end", BURN_COLUMNS, rows, compact=True)
        _claim_captions(rates.values())
        with st.container(horizontal=True, gap="small"):
            frame.metric_help("error_budget_left", "burn_rate")
            csv_button("service-level", lambda: findings.findings_frame([*budgets, *rates.values()]))
        st.caption(
            "Requests are counted by hour, so the last hour replaces the usual short windows of 5 and 30 minutes. "
            "An alert needs 100 requests, 5 of which failed or, for latency, were too slow."
        )
    else:
        st.markdown(f"{formatting.escape_markdown(here.model.name)} has no service level; it is compared with its own previous four weeks.")
    service_level_form(here, settings)


def _claim_captions(found: Iterable[Finding]) -> None:
    """Draw the sentence of each finding as a caption."""
    for finding in found:
        st.caption(formatting.sentence_markdown(finding.because))


def _objective_row(finding: Finding, settings: ModelSettings) -> dict[str, Any]:
    """The table row of one objective: target, achieved share and error budget."""
    target, achieved = finding.evidence.get("target"), finding.evidence.get("achieved")
    if finding.subject == "latency_ms":
        wanted = f"99 % within {settings.service_level_latency_ms:g} ms"
    else:
        wanted = fine_share(settings.service_level_availability if target is None else target)
    left: Cell = {"t": formatting.DASH}
    if finding.value is not None:
        tone = "" if finding.severity == "ok" else finding.severity
        left = interval_cell(finding.value, finding.low, finding.high, "share") | {
            "bar": {"v": max(finding.value, 0.0), "max": 1.0, "tone": tone}
        }
    return table_row(
        objective=OBJECTIVES[finding.subject],
        target=wanted,
        achieved=None if achieved is None else fine_share(achieved),
        left=left,
        n=f"{finding.n:,}",
        status={**severity_cell(finding.severity), "title": finding.because},
    )


def _burn_rate_row(finding: Finding, place: int) -> dict[str, Any]:
    """The table row of one burn-rate alert of an objective. place: the index of the alert's rule in RULES."""
    rule, known = RULES[place], finding.evidence.get("rules")
    window = _hours_or_days(rule.long) + (f", and the last {_hours_or_days(rule.short)}" if rule.long != rule.short else "")
    cells: dict[str, Cell] = {
        "objective": {"t": OBJECTIVES[finding.subject]},
        "window": {"t": window},
        "limit": {"t": f"{rule.factor:g}"},
        "burn": {"t": formatting.DASH},
        "bad": {"t": formatting.DASH},
        "status": {**severity_cell("unknown"), "title": finding.because},
    }
    if known and known[place][3] is not None:
        _, _, _, burn, low, high, _, n, bad, on = known[place]
        severity, word = ("act" if rule.factor >= URGENT else "watch", "On") if on else ("ok", "Off")
        if n < MINIMUM_REQUESTS:
            severity, word = "unknown", "Too few requests"
        cells |= {"burn": interval_cell(burn, low, high, ""), "bad": {"t": f"{bad:,} of {n:,}"}, "status": severity_cell(severity, word)}
    return table_row(cells)


def _hours_or_days(hours: int) -> str:
    """A number of hours in words, such as `1 hour`, `6 hours`, `3 days`."""
    return formatting.plural(hours, "hour") if hours < 48 else formatting.plural(hours // 24, "day")


def service_level_form(here: ModelPage, settings: ModelSettings) -> None:
    """Draw the form that sets the service level in the model's settings; an empty field removes the objective.

    Draws nothing if the person's role does not allow the change.
    """
    if not sign_in.may_change(here.model.name, "service_level_availability", "service_level_latency_ms"):
        return
    available, limit = settings.service_level_availability, settings.service_level_latency_ms
    words = "Change the service level" if available is not None or limit is not None else "Set a service level"
    with st.popover(words, icon=":material/flag:"), st.form("service-level", border=False):
        st.markdown("Latency and errors are then compared with this level.")
        share, hint = None if available is None else 100 * available, "e.g. 99.9; empty: none"
        percent = st.number_input("Successful requests, in %", 50.0, 99.999, share, step=0.1, format="%0.3f", placeholder=hint)
        hint = "e.g. 200; empty: none"
        ms = st.number_input("p99 latency, in ms", min_value=0.001, value=limit, step=10.0, format="%0.3f", placeholder=hint)
        if st.form_submit_button("Save", type="primary"):
            chosen = None if percent is None else round(percent / 100, 7)
            save_model_settings(here.model.name, replace(settings, service_level_availability=chosen, service_level_latency_ms=ms))
