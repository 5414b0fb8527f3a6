"""The steps of a review between agenda and decisions: tables of the frozen week with links to the live pages."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import needs_action
from observability.dashboard import empty_states, links, time_zone
from observability.dashboard.cells import frozen_interval_words
from observability.dashboard.operations import alarm_rule_settings
from observability.dashboard.review import (
    action_items,
    challengers,
    coverage,
    decisions,
    fairness_status,
    fleet,
    incidents,
    label_budget,
    label_cost,
    load_review,
)
from observability.dashboard.review import inputs as review_inputs
from observability.dashboard.review.fleet import frozen_figure_cell, frozen_scope
from observability.dashboard.review.performance import estimates_and_slices, finding_target, headline_finding, weekly_metric_chart
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, plain_columns, table_row
from observability.dashboard.widgets import cut_note, link_button, plain_caption

FINDING_COLUMNS = (
    column("what", "What", wide=True),
    column("model", "Model", width="9rem"),
    column("value", "Value", align="right", width="9rem"),
    column("n", "n", align="right", width="5rem"),
)
ALERT_COLUMNS = (
    column("what", "What", wide=True),
    column("model", "Model", width="9rem"),
    column("state", "State", width="9rem"),
    column("useful", "Useful?", width="6rem"),
)
CHANGE_COLUMNS = (column("at", "When (UTC)", width="10rem"), column("what", "What", wide=True), column("model", "Model", width="9rem"))
RESTATED_COLUMNS = columns_on_phone(
    "figure was is",
    *plain_columns(model="Model", figure="Figure"),
    column("was", "Then", align="right"),
    column("is", "Now", align="right"),
)
COSTS = {"labels": "Labelled", "cost": "Cost per 1,000", "energy": "Energy per 1,000", "carbon": "Carbon per 1,000"}
DIFFERS = {
    "yes": "Significantly different from last week.",
    "no": "No significant difference from last week.",
    "cannot tell": "Difference from last week: inconclusive.",
}
MAX_FINDINGS = 40


def performance_step(room: ReviewPage) -> None:
    """Draw the main metric of each model over the week, the share labelled, and the comparison with last week."""
    judged = False
    for part in room.body["models"]:
        cell, finding = part["strip"]["performance"], headline_finding(part)
        if finding is None:
            continue
        judged, labelled = True, part["strip"]["labels"]["value"]
        st.subheader(formatting.escape_markdown(part["model"]), anchor=False)
        st.markdown(f"{formatting.status_label(cell['severity'])} {formatting.sentence_markdown(cell['because'] or '')}")
        plain_caption(
            DIFFERS[cell["differs"]] + (f" {formatting.format_share(labelled)} of the week is labelled." if labelled is not None else "")
        )
        estimates_and_slices(part)
        weekly_metric_chart(part, finding)
    if judged:
        st.subheader("Slices and estimates", anchor=False)
        analyzers = ("serving/slices", "serving/why_changed", "serving/estimated_performance")
        _findings_table(room, analyzers, "slices", "No slice or estimate needs attention.")
    else:
        empty_states.empty_state("No performance measured this week.", "Log labels, or see the estimates on the live pages.")


def inputs_step(room: ReviewPage) -> None:
    """Draw the drifted or broken inputs, worst first."""
    review_inputs.ranked_inputs(room)
    analyzers = ("serving/drift", "data/quality", "serving/multivariate_drift", "trust/explanations")
    _findings_table(room, analyzers, "inputs", "No input needs attention this week.")


def fairness_step(room: ReviewPage) -> None:
    """Draw fairness, calibration and audits, and the states that a risk owner accepted."""
    _findings_table(room, ("trust/fairness", "serving/calibration", "trust/audits"), "fairness", "No new difference between groups.")
    fairness_status.fairness_criteria_table(room)
    fairness_status.audits_table(room)
    for item in room.body["agenda"]:
        if item["sort"] in ("signature", "audit"):
            st.markdown(f"{formatting.status_label(item['severity'])} {formatting.escape_markdown(item['title'])}")
    decisions.risk_acceptance_form(room)


def alerts_step(room: ReviewPage) -> None:
    """Draw alerts of the week with their state and usefulness, missed events, and the rules."""
    found = room.body["alerts"]
    for event in found.get("missed", []):
        words = f"{event['model']}: {event['title']}, reported {formatting.format_iso_day(event['at'])}; no critical finding this week."
        st.markdown(f"{formatting.status_label('watch', 'Missed')} {formatting.escape_markdown(words)}")
    if found["alerts"]:
        draw_table("alerts", "Alerts of the week", ALERT_COLUMNS, list(map(_alert_row, found["alerts"])))
        plain_caption(found["sentence"])
    else:
        step = "Live models are checked while the dashboard runs. Channels are set on the page Alerts."
        empty_states.empty_state("No alert was open this week.", step)
    if found.get("rules"):
        alarm_rule_settings.alarm_rules_used(found["rules"])
    if found.get("silent"):
        alarm_rule_settings.silent_alarm_rules(found["silent"])
    link_button("Change a limit and preview its effect", links.link_cell("", "rules", None), key="go-rules", icon="rule")


def _alert_row(alert: dict[str, Any]) -> dict[str, Any]:
    """One alert of the frozen week."""
    sub = f"opened {time_zone.zoned_minute(datetime.fromisoformat(alert['opened_at']))}, sent {formatting.plural(alert['told'], 'time')}"
    return table_row(
        what={"s": alert["severity"], **links.link_cell(alert["title"], "alerts", None, incident=alert["incident"]), "sub": sub},
        model=alert["model"] or None,
        state={"t": alert["state"], "sub": f"until {formatting.format_iso_day(alert['until'])}" if alert["until"] else None},
        useful={None: formatting.DASH, True: "yes", False: "no"}[alert["useful"]],
    )


def cost_step(room: ReviewPage) -> None:
    """Draw the step about the costs of labels, predictions and energy, one row per model."""
    models = room.body["models"]
    fields = [name for name in COSTS if all(name in part["strip"] for part in models)]
    columns = [column("model", "Model", strong=True), *(column(name, COSTS[name], align="right") for name in fields)]
    rows = []
    for part in models:
        cells = {"model": links.link_cell(part["model"], "cost", frozen_scope(room, part["model"]))}
        for name in fields:
            figure = part["strip"][name]
            cells[name] = frozen_figure_cell(figure, None, f" {figure['currency'] or ''}") | {"sub": label_cost.last_week_words(figure)}
        rows.append(table_row(cells))
    draw_table("spending", "Labels, cost and energy", columns, rows)
    analyzers = ("operations/cost", "operations/energy", "data/labels")
    _findings_table(room, analyzers, "spending-findings", "Cost, energy and labels need no attention.")
    label_cost.label_supply_table(room)
    label_budget.label_budget_section(room)
    if room.body["records"]:
        st.subheader("Training and labelling", anchor=False)
        for finding in room.body["records"]:
            st.markdown(f"{formatting.status_label(finding['severity'])} {formatting.sentence_markdown(finding['because'])}")


def changes_step(room: ReviewPage) -> None:
    """Draw challengers, changes of the week, and coming changes."""
    challengers.challenger_cards(room)
    for name, title in (("ledger", "This week"), ("coming", "Coming in the two weeks after")):
        st.subheader(title, anchor=False)
        if not room.body[name]:
            st.caption("No changes.")
            continue
        rows = [
            table_row(
                at=time_zone.zoned_minute(datetime.fromisoformat(entry["at"])),
                what={"t": entry["title"], "sub": entry["sort"]},
                model=entry["model"] or "all",
            )
            for entry in room.body[name]
        ]
        draw_table(name, title, CHANGE_COLUMNS, rows, compact=True)


def _findings_table(room: ReviewPage, analyzers: tuple[str, ...], key: str, good: str) -> None:
    """Draw the frozen findings of some analyzers that need attention. good: the sentence to draw if there are no such findings."""
    rows = []
    for part in room.body["models"]:
        for finding in part["findings"]:
            if finding["analyzer"] in analyzers and needs_action(finding["severity"]):
                value: Cell = {"t": formatting.format_value(finding["value"], finding["unit"]), "sub": frozen_interval_words(finding)}
                value["mark"] = None if finding["basis"] == "measured" else finding["basis"]
                sub = f"{formatting.metric_title(finding['metric'])}, {finding['subject']}"
                what = {"s": finding["severity"], **finding_target(room, part, finding), "sub": sub}
                rows.append(table_row(what=what, model=part["model"], value=value, n=f"{finding['n']:,}"))
    if rows:
        draw_table(key, "Findings that need attention", FINDING_COLUMNS, rows[:MAX_FINDINGS])
        cut_note(len(rows), MAX_FINDINGS, "The first {0} of {1}; the JSON holds all of them.")
    coverage.coverage_note(room, analyzers, None if rows else good)


def restated_since(room: ReviewPage) -> None:
    """Draw the frozen figures that labels which arrived later would change."""
    found = load_review.restated_figures(room.review)
    if not found:
        return
    with st.expander(f"Restated since: {formatting.plural(len(found), 'figure')}", icon=":material/update:"):
        st.caption("Labels that arrived after the end of the week change these figures; the frozen figures stay.")
        rows = []
        for figure in found:
            cells = {"was": _cell_with_n(figure.was), "is": _cell_with_n(figure.is_now)}
            rows.append(table_row(cells, model=figure.model, figure=formatting.metric_title(figure.was["metric"])))
        draw_table("restated", "Restated since", RESTATED_COLUMNS, rows, compact=True)


def _cell_with_n(cell: dict[str, Any]) -> Cell:
    """A figure, with its number of rows below it."""
    return {**frozen_figure_cell(cell), "sub": f"n = {cell['n']:,}"}


STEPS_DRAWN: dict[str, Callable[[ReviewPage], None]] = {
    "promises": action_items.action_items_step,
    "fleet": fleet.fleet_step,
    "incidents": incidents.incidents_step,
    "performance": performance_step,
    "inputs": inputs_step,
    "fairness": fairness_step,
    "alerts": alerts_step,
    "spending": cost_step,
    "changes": changes_step,
}
"""The functions that draw the steps between agenda and decisions, by the name of the step."""
