"""The page of trade-offs: forms of a model (such as another precision or runtime, or fewer trees) compared on the same rows, the Pareto
front within the budgets, and the choice of a form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.operations import trade_offs as judged
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import format_figure, with_si_prefix
from observability.core.window import EPOCH, Window
from observability.dashboard import empty_states, frame, links, load
from observability.dashboard.cells import UNKNOWN_CELL, filled_columns, severity_cell, share_cell
from observability.dashboard.charts import trade_offs as charts_trade_offs
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.form_decision import FormToDecide
from observability.dashboard.sample_figures import sample_records
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import plain_caption, plain_paragraph
from observability.metrics.trade_offs import (
    AXES,
    PRECISION_AUDITS,
    Axis,
    FormResult,
    TradeOffAudit,
    form_cost_basis,
    latest_audits,
    over_budget,
    pareto_front,
    trade_off_audits,
)
from observability.stats.interval import rate_interval

HOW = """# runs the registered model file: fewer trees or fp16, bf16 and int8, threads, and a small network that imitates it
python -m observability trade-offs loan

# results that were measured on other hardware
python -m observability trade-offs loan --import results.json"""
FIGURES = {
    "largest": "Max |Δ|",
    "high": "p99 |Δ|",
    "kl": "KL",
    "p90": "p90 ms",
    "p99": "p99 ms",
    "energy": "Energy / 1,000",
    "size": "Size",
    "memory": "Peak MB",
}
HELP = {
    "kl": "Mean Kullback-Leibler divergence of the probabilities from those of the registered model, in nats",
    "memory": "Measured here: peak resident memory of a process that opens this form alone and scores all rows at once, "
    "imported libraries left out. Imported results state their own",
}
COLUMNS = (
    column("form", "Form", strong=True),
    column("state", "State", width="8rem"),
    column("flips", "Changed decisions", align="right", help="Decisions on the same rows that differ from those of the registered model"),
    column("p50", "p50 ms", align="right", phone=False),
    column("unstable", "Unstable", align="right", phone=False, help="Rows whose decision changed when the same rows were scored again"),
    *(column(key, label, align="right", phone=False, help=HELP.get(key)) for key, label in FIGURES.items()),
)
"""Columns of the table of forms, except the cost, whose unit depends on the audit."""
MAX_SLICES = 12
SERVE = "Serve form"
"""Beginning of the sentence that records a decision."""


@dataclass(frozen=True)
class Choice:
    """The choices of the reader: an audit, the measure on the horizontal axis, and the limits for this measure and for changed
    decisions.
    """

    audit: TradeOffAudit
    axis: str
    budget: float | None
    most_flips: float | None

    @property
    def budgets(self) -> dict[str, float]:
        """The budgets by the name of their axis."""
        scale = form_cost_basis(self.audit.forms)[0] if self.axis == "cost" else 1.0
        given = {self.axis: None if self.budget is None else self.budget / scale, "flips": self.most_flips}
        return {name: value for name, value in given.items() if value is not None}


def known_audits(scope: Scope) -> list[TradeOffAudit]:
    """Return the newest audit of each model version, of the scope's model or of all models."""
    rows = load.ask_store(PRECISION_AUDITS, Window("", EPOCH, load.page_clock()))
    return latest_audits([each for each in trade_off_audits(rows) if scope.model in (None, each.model)])


def trade_offs_empty_state() -> None:
    """Draw the empty state, and how to run an audit."""
    empty_states.how_to_log_state(
        "No form of a model has been compared yet.",
        "One command runs the forms of a registered model file.",
        HOW,
        ("Changed decisions of forms against their latency", _sample_figure),
    )


def _sample_figure(folder: Path) -> Any:
    """Draw the figure of the sample's first audit."""
    audits = latest_audits(trade_off_audits(sample_records(folder / "trade_offs.jsonl", "audit")))
    choice = Choice(audits[0], "p50_ms", None, None)
    return form_figure(choice, form_points(choice))


def audit_name(audit: TradeOffAudit) -> str:
    """The model and version of an audit."""
    return f"{audit.model} {audit.version}"


def chosen_comparison(audits: Sequence[TradeOffAudit]) -> Choice:
    """Draw the boxes for the model version, the axis and the budgets, and return the choice."""
    names = {audit_name(audit): audit for audit in audits}
    missing = "The link names {}, of which no form was compared."
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = address_selectbox("forms", "Model version", list(names), placeholder=next(iter(names)), missing=missing, width=240)
        audit = names[name or next(iter(names))]
        axes = [each for each in AXES if each != "flips" and any(AXES[each].value(form) is not None for form in audit.forms)]
        titles = {each: shown_axis_title(each, audit) for each in axes}
        axis = address_selectbox(
            "cost_axis",
            "Cost",
            axes,
            words=titles.__getitem__,
            placeholder=titles[axes[0]],
            missing="The link names the cost {}, which was not measured in this audit.",
            width=260,
        )
        axis = axis or axes[0]
        budget = st.number_input("Budget of this cost", 0.0, value=None, format="%g", key=f"budget-{axis}", width=170, placeholder="None")
        most = st.number_input("Changed at most (%)", 0.0, 100.0, None, format="%g", key="most-flips", width=170, placeholder="None")
    return Choice(audit, axis, budget or None, None if most is None else most / 100)


def shown_axis(name: str, audit: TradeOffAudit) -> Axis:
    """Return the axis in the form that the page shows. Cost is in the audit's currency, for a number of answers that makes the figure
    readable.
    """
    axis = AXES[name]
    if name != "cost":
        return axis
    scale, answers = form_cost_basis(audit.forms)
    currency = str(audit.results.get("currency") or "money")
    return Axis(name, f"Cost per {answers}", currency, lambda form: None if (cost := axis.value(form)) is None else cost * scale)


def shown_axis_title(name: str, audit: TradeOffAudit) -> str:
    """The title of an axis with its unit."""
    axis = shown_axis(name, audit)
    return f"{axis.title} ({axis.unit})"


def front_of(choice: Choice) -> list[FormResult]:
    """The forms within the budgets that are on the Pareto front of changed decisions and the chosen cost."""
    fitting = [form for form in choice.audit.forms if not over_budget(form, choice.budgets)]
    return pareto_front(fitting, [AXES["flips"], AXES[choice.axis]])


def comparison_summary(choice: Choice) -> None:
    """Draw how many forms were compared, on which rows and hardware, and which forms are on the Pareto front."""
    audit, front = choice.audit, [form.name for form in front_of(choice)]
    rows, origin = audit.results.get("probes"), audit.results.get("probes_from")
    hardware = audit.results.get("hardware") or {}
    where = f", {hardware['processor']}" if isinstance(hardware, dict) and hardware.get("processor") else ""
    said = f"{formatting.plural(len(audit.forms), 'form')} of {audit_name(audit)}"
    said += f" on {rows:,} rows of its {origin}" if isinstance(rows, int) and origin else ""
    said += f"{where}, {formatting.format_day(audit.at)}."
    within = " within the budgets" if choice.budgets else ""
    said += f" {len(front)} of them {'is' if len(front) == 1 else 'are'} on the Pareto front{within}." if front else ""
    said += f" No form is{within or ' comparable'}." if not front else ""
    plain_paragraph(said)


def form_points(choice: Choice) -> pd.DataFrame:
    """Return the forms that have a value on both axes, in the form that the chart needs."""
    front = {form.name for form in front_of(choice)}
    axis, rows = shown_axis(choice.axis, choice.audit), []
    for form in choice.audit.forms:
        rate, cost = form.flip_rate, axis.value(form)
        if rate is None or rate.value is None or cost is None or cost <= 0:
            continue
        group = "other device" if form.fell_back else "Pareto front" if form.name in front else "dominated"
        text = f"{form.name}<br>{formatting.value_with_interval(*rate.triple, 'share')} changed<br>{axis.title}: {format_figure(cost, 3)}"
        ends = {"value": rate.value, "low": rate.low, "high": rate.high}
        rows.append({"form": form.name, "x": cost, **ends, "n": form.probes, "group": group, "text": text})
    return pd.DataFrame(rows, columns=["form", "x", "value", "low", "high", "n", "group", "text"])


def form_figure(choice: Choice, points: pd.DataFrame) -> Any:
    """Return the figure of changed decisions by the chosen cost. points: the result of `form_points`."""
    x = shown_axis_title(choice.axis, choice.audit)
    return charts_trade_offs.form_scatter(
        points, x=x, y="changed decisions", share=True, budget=choice.budget, most_flips=choice.most_flips
    )


def trade_off_chart(choice: Choice) -> None:
    """Draw changed decisions and the chosen cost as a chart."""
    points = form_points(choice)
    if points.empty:
        plain_paragraph("No form has both changed decisions and this cost.")
        return
    axis, front = shown_axis(choice.axis, choice.audit), points[points["group"] == "Pareto front"]
    alt = f"{len(front)} of {len(points)} forms are on the Pareto front of changed decisions and {axis.title.lower()}."
    twin = points.drop(columns="text").rename(columns={"x": axis.title, "value": "changed"})
    frame.chart_with_table(form_figure(choice, points), twin, key="forms-chart", alt=alt, metrics=(judged.FLIPS, judged.FALLBACKS))
    plain_caption("Pareto front: no other form has both fewer changed decisions and a lower cost.")


def forms_table(choice: Choice, used: str) -> None:
    """Draw a row for each form with all of its figures. Dominated forms, which are beaten by another form, are folded."""
    front, lines = {form.name for form in front_of(choice)}, list[tuple[bool, dict[str, Any]]]()
    cost = shown_axis("cost", choice.audit)
    columns = (*COLUMNS, column("cost", f"{cost.title} ({cost.unit})", align="right", phone=False))
    for form in choice.audit.forms:
        over = over_budget(form, choice.budgets)
        word = "Other device" if form.fell_back else "Over budget" if over else "Pareto front" if form.name in front else "Dominated"
        severity = "watch" if form.fell_back or over else None
        rate = form.flip_rate
        cells: dict[str, Cell] = {key["key"]: dict(UNKNOWN_CELL) for key in columns}
        about = ", ".join(filter(None, (form.runtime, form.precision, form.hardware)))
        cells |= {
            "form": {
                "t": form.name,
                "sub": "\n".join(filter(None, (about, form.partial_fallback, "in use" if form.name == used else ""))) or None,
            },
            "state": severity_cell(severity, word) if severity else {"t": word},
            "flips": share_cell(*rate.triple) if rate else dict(UNKNOWN_CELL),
        }
        if form.unstable is not None:
            cells["unstable"] = {"t": f"{form.unstable:,}"}
        figures = {
            "largest": form.max_delta,
            "high": form.p99_delta,
            "kl": form.kl_divergence,
            "p50": form.latency_p50_ms,
            "p90": form.latency_p90_ms,
            "p99": form.latency_p99_ms,
            "energy": form.energy_j,
            "size": AXES["size"].value(form),
            "memory": form.memory_peak_mb,
            "cost": cost.value(form),
        }
        cells |= {name: {"t": format_figure(value, 3), "k": value} for name, value in figures.items() if value is not None}
        if form.energy_j is not None and form.energy_source:
            cells["energy"]["sub"] = form.energy_source
        if form.energy_j is not None:
            cells["energy"]["t"] = with_si_prefix(form.energy_j, "J")
        if (size := AXES["size"].value(form)) is not None:
            cells["size"]["t"] = formatting.format_bytes(1e6 * size)
        beaten = word == "Dominated" and form.name != used
        lines.append((beaten, table_row(cells, selected=form.name == used)))
    known = filled_columns(columns, [row for _, row in lines], ("form", "state"))
    draw_table("forms", "Forms and their figures", known, [row for beaten, row in lines if not beaten], sort=True)
    if folded := [row for beaten, row in lines if beaten]:
        with st.expander(f"{formatting.plural(len(folded), 'dominated form')}", icon=":material/unfold_more:"):
            draw_table("forms-dominated", "Dominated forms and their figures", known, folded, sort=True)
    missing = [f"{row['form']}: {row['why']}" for row in choice.audit.results.get("missing") or [] if isinstance(row, dict)]
    if missing:
        st.caption(formatting.escape_markdown("Not measured: " + "; ".join(missing) + "."))


def slice_section(choice: Choice) -> None:
    """Draw the changed decisions of a form by slice; the slice with the largest share is first."""
    forms = {form.name: form for form in choice.audit.forms if form.slices and form.flips}
    if not forms:
        return
    st.header("Changed decisions by slice", anchor=False)
    least = min(forms, key=lambda name: (forms[name].flips or 0) / (forms[name].probes or 1))
    name = address_selectbox(
        "form", "Form", list(forms), placeholder=least, missing="The link names the form {}, which changed no decisions.", width=280
    )
    form = forms[name or least]
    rows = []
    for part in form.slices:
        rate = rate_interval(part.flips, part.n)
        rows.append({"name": part.name, "value": rate.value, "low": rate.low, "high": rate.high, "n": part.n})
    table = pd.DataFrame(rows).sort_values("value", ascending=False, kind="stable")
    shown, overall = table.head(MAX_SLICES).reset_index(drop=True), form.flip_rate
    assert overall is not None and overall.value is not None
    worst = shown.iloc[0]
    alt = f"{form.name} changes most decisions in {worst['name']}: {formatting.format_share(worst['value'])}."
    frame.chart_with_table(
        charts_trade_offs.form_slice_dots(shown, overall.value), table, key="form-slices", alt=alt, metrics=(judged.GAP,)
    )


def form_to_serve(choice: Choice, used: str, found: Sequence[Finding], scope: Scope) -> FormToDecide:
    """Return what a decision on the forms of the chosen audit is about. found: the findings about the audit; those that need action are
    stored as evidence.
    """
    audit = choice.audit
    address = links.page_address("trade_offs", scope, forms=audit_name(audit))
    about = {"model": audit.model, "version": audit.version}
    names = [form.name for form in audit.forms]
    return FormToDecide(SERVE, "Form to serve", names, used, about, (address, *(each.id for each in found if each.needs_action)))
