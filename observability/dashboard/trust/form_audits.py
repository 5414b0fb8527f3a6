"""Audits of forms (such as the same model in another precision or runtime, or a smaller one) on the page of audits: a chart and a short
table of the decisions that the served form changes. The complete audit is on the page Trade-offs.
"""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from observability.analyzers.operations import trade_offs as judged
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import format_figure
from observability.dashboard import form_decision, links, load_findings
from observability.dashboard.cells import UNKNOWN_CELL, share_cell
from observability.dashboard.frame import ModelPage
from observability.dashboard.operations import trade_offs
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import leading_finding_line
from observability.detection.audit_history import StoredAudit
from observability.metrics.trade_offs import FormResult, TradeOffAudit, form_results

KIND = "precision"
FORMS = (
    column("form", "Form", strong=True),
    column("flips", "Changed decisions", align="right"),
    column("high", "p99 |Δ|", align="right", phone=False),
    column("p50", "p50 ms", align="right", phone=False),
    column("size", "Size", align="right", phone=False),
)


def compared_forms_of(audit: StoredAudit) -> TradeOffAudit:
    """An audit of forms, converted to the type that the page of trade-offs uses."""
    forms = tuple(form_results(audit.results.get("forms")))
    return TradeOffAudit(audit.model, audit.version, audit.at, audit.expires, forms, audit.results)


def form_findings(here: ModelPage, audits: Sequence[StoredAudit]) -> list[Finding]:
    """The findings about the forms of the page's model; empty if no form was audited."""
    if not any(audit.kind == KIND for audit in audits):
        return []
    scope = replace(here.scope, version=None, slice=None, environment=None)
    return [each for each in load_findings.scope_record_findings(scope, judged.NAME) if each.model == here.model.name]


def used_form(audit: StoredAudit) -> FormResult | None:
    """The measurement of the form that is served: the form that was decided, else the form that the audit names. None if this form was not
    measured.
    """
    compared = compared_forms_of(audit)
    made = form_decision.made_form_decisions(lambda each: each.serves(audit.model, audit.version))
    return compared.form(made[0].form if made else compared.in_use)


def form_words(audit: StoredAudit) -> str:
    """Words that state what the share in the headline of an audit of forms counts."""
    form = used_form(audit)
    return "form in use not measured" if form is None else f"decisions changed by the form in use, {form.name}"


def changed_decisions_cell(audit: StoredAudit) -> Cell:
    """A cell with the share of decisions that the served form changes, and its interval."""
    form = used_form(audit)
    return dict(UNKNOWN_CELL) if form is None or form.flip_rate is None else share_cell(*form.flip_rate.triple)


def form_audit_figure(here: ModelPage, audit: StoredAudit, found: Sequence[Finding]) -> None:
    """Draw the changed decisions against latency, a table with a row for each form, and the link to the page with all figures. found:
    findings about forms.
    """
    compared = compared_forms_of(audit)
    leading_finding_line([each for each in found if (each.analyzer, each.version) == (judged.NAME, audit.version)][:1])
    trade_offs.trade_off_chart(trade_offs.Choice(compared, "p50_ms", None, None))
    rows = []
    for form in compared.forms:
        cells: dict[str, Cell] = {
            "form": {"t": form.name, "sub": form.precision},
            "flips": dict(UNKNOWN_CELL) if form.flip_rate is None else share_cell(*form.flip_rate.triple),
        }
        figures = {"high": form.p99_delta, "p50": form.latency_p50_ms}
        cells |= {name: dict(UNKNOWN_CELL) if value is None else {"t": format_figure(value, 3)} for name, value in figures.items()}
        cells["size"] = dict(UNKNOWN_CELL) if form.bytes is None else {"t": formatting.format_bytes(form.bytes)}
        rows.append(table_row(cells))
    draw_table("audited-forms", "Forms and what they change", FORMS, rows, compact=True)
    with st.container(horizontal=True):
        name = trade_offs.audit_name(compared)
        links.page_button("trade_offs", "Slices, budgets and the decision", {"model": here.model.name, "forms": name})
