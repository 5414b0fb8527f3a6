"""The page of controllers, which are models that steer a system: the cost of their decisions compared with the old rule, on average and in
the worst cases, and what steered.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.operations import controllers as judged
from observability.core import formatting
from observability.core.catalog import OWN_CONTROLLER
from observability.core.finding import Finding
from observability.core.numerals import format_figure, percent
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.dashboard import clicks, empty_states, frame, links, load, sample_figures, sign_in, time_zone
from observability.dashboard.cells import (
    UNKNOWN_CELL,
    attention_note,
    filled_columns,
    first_finding,
    severity_cell,
    severity_order,
    share_cell,
)
from observability.dashboard.charts import controllers as charts_controllers
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import cut_note, plain_paragraph, save_model_settings
from observability.enrichment.step_schedule import is_switched_off
from observability.metrics.controller_series import (
    decisions_against_rule,
    outcome_quantiles,
    predicted_against_actual,
    regret_by_day,
    steering_by_day,
)
from observability.metrics.controllers import DECISIONS, STEERERS, ControllerDecisions, controllers_of, feedback_by_feature

HOW = """import observability as obs
log = obs.Logger()
# at the decision: what the model decides and expects, what the old rule would do, and who steers
log.prediction(id="k17", model="cache-admission", version="1", environment="controller", features={"age_s": 310, "hits": 4},
               prediction="bypass", score=2.1, score_low=0.0, score_high=6.0, baseline="admit", steered_by="model",
               unit="ms", system="cache")
# when its outcome is known: what it cost, and what the old rule cost or would have cost
log.label(id="k17", model="cache-admission", value=3.4, baseline_outcome=5.0)"""
COLUMNS = (
    column("controller", "Controller", strong=True),
    column("status", "Status", width="7rem"),
    column("steers", "Steers now", phone=False),
    column("decisions", "Decisions", align="right", phone=False),
    column("regret", "Regret", align="right", help="Mean cost of its decisions against the heuristic's; below 0 is better"),
    column("tail", "Tail", align="right", phone=False, help="Highest quantile that can be measured, over that of the heuristic"),
    column("guardrail", "Guardrail", align="right", phone=False, help="Decisions that a guardrail handed to the heuristic"),
    column("bias", "Bias", align="right", phone=False, help="(actual − predicted) ÷ actual outcome"),
    column("newest", "Newest (UTC)", short=True, phone=False),
)
VERSUS = columns_on_phone(
    "decision baseline n",
    column("decision", "Model", strong=True),
    column("baseline", "Heuristic"),
    column("n", "Decisions", align="right"),
    *number_columns(better="Better", worse="Worse"),
)
MAX_ROWS = 12


def controllers_in_scope(scope: Scope) -> tuple[list[ControllerDecisions], Window]:
    """Return the controllers with their decisions in the chosen dates, and these dates."""
    window = load.window_of_records(scope, judged.ANALYZER)
    found = controllers_of(load.ask_store(DECISIONS, window), window)
    return [each for each in found if scope.model in (None, "", each.model)], window


def no_controllers() -> None:
    """Draw the empty state: no decision in these dates, or no decision in the store and how to log one."""
    if len(load.ask_store(Records(DECISIONS.kind, ("at",), ever=True, rows=1), Window("", EPOCH, load.page_clock()))):
        empty_states.no_rows_state("decisions of controllers")
        return
    step = "Log each decision with the outcome that the old rule had: it shows whether the model is worth it, and when it is not."
    empty_states.how_to_log_state("No model that steers a system has logged a decision yet.", step, HOW, ("Who steered", _sample_figure))


def _sample_figure(folder: Path) -> Any:
    """Draw the figure of the sample that shows by day what steered."""
    rows = pd.read_parquet(folder / "cache.predictions.parquet", columns=["at", "status", "steered_by", "kill_switch"])
    by = rows["steered_by"].where(rows["status"] == "ok", "guardrail").where(~rows["kill_switch"].astype(bool), "off")
    counts = pd.crosstab(sample_figures.naive_times(rows["at"]).dt.floor("D"), by)
    lines = [
        {"day": day, "by": each, "n": int(counts.loc[day, each]), "share": counts.loc[day, each] / counts.loc[day].sum()}
        for each in STEERERS
        if each in counts
        for day in counts.index
    ]
    return charts_controllers.steering_bars(pd.DataFrame(lines))


def own_findings(found: Sequence[Finding], model: str) -> list[Finding]:
    """The findings about a controller."""
    return [each for each in found if each.analyzer == judged.NAME and each.model == model]


def leading_finding(found: Sequence[Finding], model: str) -> Finding | None:
    """Return the finding that needs attention most; if none needs attention, the finding about the regret."""
    own = own_findings(found, model)
    return first_finding([each for each in own if each.needs_action] or [each for each in own if each.metric == judged.REGRET])


def _most_urgent_first(controllers: Sequence[ControllerDecisions], found: Sequence[Finding]) -> list[ControllerDecisions]:
    """Return the controllers that need attention, worst first, and then the others by number of decisions, the largest first."""

    def urgency(each: ControllerDecisions) -> tuple[int, int, str]:
        finding = leading_finding(found, each.model)
        return severity_order(finding if finding and finding.needs_action else None), -len(each.rows), each.model

    return sorted(controllers, key=urgency)


def chosen_controller(controllers: Sequence[ControllerDecisions], found: Sequence[Finding]) -> ControllerDecisions:
    """Return the controller in the address; if there is none, the most urgent one."""
    names = [each.model for each in controllers]
    urgent = _most_urgent_first(controllers, found)[0].model
    missing = "The link names the controller {}, which decided nothing in these dates."
    chosen = urgent
    if len(names) > 1:
        chosen = address_selectbox("controller", "Controller", names, placeholder=urgent, missing=missing, width=320) or urgent
    return next(each for each in controllers if each.model == chosen)


def controllers_table(controllers: Sequence[ControllerDecisions], found: Sequence[Finding], chosen: str, scope: Scope) -> None:
    """Draw a row for each controller, most urgent first."""
    lines = []
    for each in _most_urgent_first(controllers, found):
        finding, target = leading_finding(found, each.model), links.link_cell(each.model, "controllers", scope, controller=each.model)
        known = {one.metric: one for one in own_findings(found, each.model)}
        cells: dict[str, Cell] = {key["key"]: dict(UNKNOWN_CELL) for key in COLUMNS}
        cells |= {
            "controller": {**target, "sub": each.system or None},
            "status": severity_cell(finding.severity if finding else None),
            "decisions": {"t": f"{len(each.rows):,}"},
        }
        if len(each.rows):
            newest = each.rows.sort_values("at", kind="stable").iloc[-1]
            cells["steers"] = {"t": STEERERS[newest["by"]]}
            cells["newest"] = {"t": time_zone.zoned_minute(aware_utc(newest["at"].to_pydatetime()))}
        for key, metric in (("regret", judged.REGRET), ("guardrail", judged.GUARD), ("bias", judged.BIAS)):
            if metric in known:
                one = known[metric]
                cells[key] = share_cell(one.value, one.low, one.high)
        tail = known.get(judged.TAIL)
        if tail is not None and tail.value is not None:
            cells["tail"] = {"t": f"{format_figure(tail.value, 3)} ×", "sub": f"p{100 * tail.evidence['quantile']:g}"}
        selected = each.model == chosen
        lines.append(table_row(cells, attention_note(finding, target, selected=selected), selected=selected))
    draw_table("controllers", "Models that steer a system", filled_columns(COLUMNS, lines, ("controller", "status", "decisions")), lines)


def regret_section(found: ControllerDecisions, own: Sequence[Finding]) -> None:
    """Draw the cost compared with the heuristic by day."""
    st.header("Cost against the heuristic", anchor=False)
    noted = next((each for each in own if each.metric == judged.REGRET), None)
    days = regret_by_day(found)
    if noted is not None:
        plain_paragraph(noted.because)
    if days.empty:
        return
    last = days.iloc[-1]
    alt = f"Cost against the heuristic on the last day: {percent(last['value'])} (negative: cheaper)."
    on_drag = clicks.DateSelection("controller-regret", days["day"])
    figure = charts_controllers.regret_line(days)
    frame.chart_with_table(figure, days, key="controller-regret", alt=alt, metrics=(judged.REGRET,), on_select=on_drag)


def versus_table(found: ControllerDecisions) -> None:
    """Draw by pair of decisions how often a decision of the model was better or worse than that of the heuristic."""
    rows = decisions_against_rule(found)
    if rows.empty:
        return
    better, worse, n = int(rows["better"].sum()), int(rows["worse"].sum()), int(rows["n"].sum())
    plain_paragraph(f"Of {n:,} decisions {better:,} cost less than the heuristic's, {worse:,} more, and {n - better - worse:,} the same.")
    lines = []
    for row in rows.head(MAX_ROWS).to_dict("records"):
        cells: dict[str, Cell] = {"decision": {"t": str(row["decision"])}, "baseline": {"t": str(row["baseline"])}}
        cells |= {name: {"t": f"{int(row[name]):,}"} for name in ("n", "better", "worse")}
        cells |= {name: {"t": format_figure(row[name], 3)} for name in ("model_mean", "heuristic_mean")}
        lines.append(table_row(cells))
    unit = f" ({found.unit})" if found.unit else ""
    columns = (
        *VERSUS,
        column("model_mean", f"Mean cost{unit}", align="right", phone=False),
        column("heuristic_mean", f"Heuristic's{unit}", align="right", phone=False),
    )
    draw_table("controller-versus", "Decisions of the model and of the heuristic", columns, lines, compact=True)


def tail_section(found: ControllerDecisions) -> None:
    """Draw quantiles of the outcome under the model and under the heuristic."""
    rows = outcome_quantiles(found)
    if rows.empty or rows["side"].nunique() < 2:
        return
    st.header("Quantiles of the outcome", anchor=False)
    top = rows[rows["quantile"] == rows["quantile"].max()].set_index("side")["value"]
    alt = f"At p99.9 an outcome of the model costs {format_figure(top['model'], 3)}, of the heuristic {format_figure(top['heuristic'], 3)}."
    figure = charts_controllers.quantile_lines(rows, found.unit)
    frame.chart_with_table(figure, rows, key="controller-tail", alt=alt, metrics=(judged.TAIL,))


def calibration_section(found: ControllerDecisions, own: Sequence[Finding]) -> None:
    """Draw how far actual outcomes differ from predicted ones, and a chart of both if there is more than one group of predictions."""
    groups = predicted_against_actual(found)
    if groups.empty:
        return
    st.header("Predicted and actual outcomes", anchor=False)
    for each in own:
        if each.metric in (judged.BIAS, judged.COVERAGE):
            plain_paragraph(each.because)
    if len(groups) < 2:
        return
    highest = groups.iloc[-1]
    alt = f"Mean outcome {format_figure(highest['rate'], 3)} at the highest predictions (mean {format_figure(highest['score'], 3)})."
    twin = groups.rename(columns={"score": "predicted", "rate": "actual"})
    figure = charts_controllers.outcome_calibration(groups, found.unit)
    frame.chart_with_table(figure, twin, key="controller-calibration", alt=alt, metrics=(judged.BIAS, judged.COVERAGE))


def feedback_section(found: ControllerDecisions, own: Sequence[Finding]) -> None:
    """Draw whether decisions change their own inputs, and how far each input differs between decisions of the model and those of the
    heuristic. The input that differs most is first.
    """
    finding = next((each for each in own if each.metric == judged.FEEDBACK), None)
    inputs = sorted(feedback_by_feature(found), key=lambda each: -abs(each[1].value))
    if finding is None or not inputs:
        return
    st.header("Inputs under the model and the heuristic", anchor=False)
    st.markdown(formatting.sentence_markdown(finding.because))
    rows = pd.DataFrame(
        [{"name": name, **estimate.shifted(0.5).interval().fields, "n": estimate.n} for name, estimate in inputs[:MAX_ROWS]]
    )
    rows[["low", "high"]] = rows[["low", "high"]].clip(0.0, 1.0)
    severity = "act" if finding.severity == "act" else "watch"
    figure = charts_controllers.feedback_dots(rows, judged.FEEDBACK_LIMITS[severity == "act"], severity)
    alt = f"{rows['name'][0]}: in {percent(rows['value'][0])} of pairs the model's decision has a higher value than the heuristic's."
    frame.chart_with_table(figure, rows, key="controller-feedback", alt=alt, metrics=(judged.FEEDBACK,))
    if any(isinstance(value, str) for features in found.rows["features"].head(1) for value in (features or {}).values()):
        st.caption("Of a category: whether it is the most frequent one.")
    cut_note(len(inputs), MAX_ROWS, "The {0} inputs of {1} that differ most.")


def steering_section(found: ControllerDecisions) -> None:
    """Draw by day what steered: the model, the heuristic, the guardrail or the kill switch."""
    rows = steering_by_day(found)
    if rows.empty:
        return
    st.header("Who steered", anchor=False)
    last = rows[rows["day"] == rows["day"].max()].sort_values("share").iloc[-1]
    alt = f"On the last day {formatting.format_share(last['share'])} of decisions: {STEERERS[last['by']]}."
    figure = charts_controllers.steering_bars(rows)
    frame.chart_with_table(figure, rows, key="controller-steering", alt=alt, metrics=(judged.GUARD, judged.SHARE_OFF))


def kill_switch(found: ControllerDecisions) -> None:
    """Draw the button that turns the product's own controller off or on, if the role allows it. Other controllers are switched in their
    own system.
    """
    model = next((each for each in load.catalog().models if each.name == OWN_CONTROLLER), None)
    if found.model != OWN_CONTROLLER or model is None:
        return
    off = model.settings.kill_switch
    if not off and is_switched_off(False):
        st.caption("The environment variable OBSERVABILITY_SCHEDULE turns this model off.")
        return
    if not sign_in.may_change(OWN_CONTROLLER, "kill_switch"):
        return
    words, icon = ("Turn the model on", ":material/play_arrow:") if off else ("Turn the model off", ":material/block:")
    if st.button(words, key="controller-switch", icon=icon, help="While it is off, explanation jobs and models run in a fixed rotation."):
        save_model_settings(OWN_CONTROLLER, replace(model.settings, kill_switch=not off))
