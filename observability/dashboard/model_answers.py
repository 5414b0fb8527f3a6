"""The answers of the model page: availability, inputs, outcomes, fairness, drivers, cost, changes.

Each answer is a heading, a sentence with a status, a small chart with its table, and a link to the page with details.
"""

from collections.abc import Callable, Sequence

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import SEVERITIES, Finding, worst_first
from observability.dashboard import clicks, frame, links, time_series
from observability.dashboard.charts import time as charts_time
from observability.dashboard.frame import ModelPage
from observability.dashboard.overview import fleet, fleet_events, timeline
from observability.dashboard.overview.findings import BASELINES
from observability.dashboard.overview.model_status import ModelStatus
from observability.dashboard.table import draw_table
from observability.dashboard.widgets import claim_line
from observability.incidents.grouping_rules import SLICE_VALUES
from observability.incidents.model_state import drift_counts, verdict_severity
from observability.metrics.performance import HEADLINE

ARRIVAL = ("volume", "freshness_hours", "silence_hours")
"""Metrics of data/quality that are about the arrival of data and not about its values."""
OUTCOMES = ("serving/calibration", "serving/estimated_performance", "serving/why_changed")
"""Analyzers besides serving/performance that are about the quality of predictions."""
Question = Callable[[ModelPage, ModelStatus], None]


def is_it_up(here: ModelPage, status: ModelStatus) -> None:
    """Draw traffic, errors and freshness."""
    traffic = status.traffic
    arrival = [finding for finding in status.of("data/quality") if finding.metric in ARRIVAL]
    span = formatting.format_span(here.window.start, here.window.end)
    words = f"{status.predictions:,.0f} predictions, {span}" + (f", {fleet.failed_share(status)}." if status.predictions else ".")
    service = status.of("serving/latency")
    p99 = fleet.model_finding(status, "serving/latency", "latency_p99")
    found = worst_first([*arrival, *service, *findings_needing_action(status, "data/requests")])
    answer_heading("Is it up?", found, words, "latency" if service else "quality", here, details=[p99.because] if p99 else [])
    if not status.predictions:
        return
    shown, metrics = traffic[["period", "n", "running"]].rename(columns={"n": "value"}), ("volume", "freshness_hours")
    figure = charts_time.compact_line(shown, name="predictions", unit="predictions", y="predictions", marks=status.events)
    on_mark = clicks.periods_on_click("model-traffic", here, traffic["period"])
    frame.chart_with_table(
        figure, traffic.drop(columns="running"), key="model-traffic", alt=f"Traffic: {words}", metrics=metrics, on_select=on_mark
    )


def are_inputs_normal(here: ModelPage, status: ModelStatus) -> None:
    """Draw data quality and drift."""
    quality = [finding for finding in status.of("data/quality") if finding.metric not in ARRIVAL]
    drift = status.of("serving/drift")
    in_slices = [finding for finding in findings_needing_action(status, "serving/slices") if finding.metric in SLICE_VALUES]
    found = worst_first([*quality, *drift, *in_slices, *findings_needing_action(status, "serving/multivariate_drift")])
    issues = sum(finding.needs_action for finding in quality)
    measured = {finding.subject for finding in drift if finding.value is not None}
    words = f"{drift_counts(drift).words('inputs and scores')}; {formatting.plural(issues, 'data-quality issue')}."
    unmeasured = drift[0].because if drift and not measured else ""
    if unmeasured and found[0].needs_action:  # the reason of an unknown drift is no reason for another finding's severity
        words, after = f"{formatting.plural(issues, 'data-quality issue')}; drift unknown.", unmeasured
    else:
        words, after = unmeasured or words, ""
    answer_heading("Are its inputs normal?", found, words, "drift", here, known=verdict_severity(found) != "unknown", after=after)
    worst = next((finding for finding in drift if finding.evidence.get("by_day")), None)
    if worst is None:
        return
    days = time_series.drift_by_day_frame([worst]).rename(columns={"day": "period"})
    st.caption(f"Largest drift by day: {formatting.escape_markdown(worst.subject)}. Small samples read higher by chance.")
    name, limit, alt = f"PSI of {worst.subject}", fleet.single_limit(worst), worst.because.replace("`", "")
    figure = charts_time.compact_line(
        days[["period", "value"]], name=name, unit="", y="PSI", limit=limit, severity=worst.shown_severity, marks=status.events
    )
    on_mark = clicks.periods_on_click("model-drift", here, days["period"])
    frame.chart_with_table(figure, days, key="model-drift", alt=alt, metrics=("psi",), on_select=on_mark)


def findings_needing_action(status: ModelStatus, *analyzers: str) -> list[Finding]:
    """Findings of some analyzers that need action."""
    return [finding for finding in status.of(*analyzers) if finding.needs_action]


def outcome_page(found: Sequence[Finding]) -> str:
    """The page that shows the worst finding about outcomes."""
    return (links.analyzer_page(found[0].analyzer) if found and found[0].needs_action else None) or "performance"


def is_it_right(here: ModelPage, status: ModelStatus) -> None:
    """Draw the main metric and the label maturity."""
    measured = status.of("serving/performance")
    main = next((finding for finding in measured if finding.metric == HEADLINE.get(here.model.task or "")), None)
    maturity = next((finding.because for finding in measured if finding.metric == "label_maturity"), None)
    in_slices = [finding for finding in findings_needing_action(status, "serving/slices") if finding.metric not in SLICE_VALUES]
    found = worst_first([*measured, *in_slices, *findings_needing_action(status, *OUTCOMES)])
    words = main.because if main else measured[0].because if measured else "Nothing could be measured."
    after = maturity
    if main and found[0].needs_action and SEVERITIES.index(found[0].severity) < SEVERITIES.index(main.severity):
        words, after = found[0].because, " ".join(filter(None, (main.because, maturity)))
    known = verdict_severity(found) != "unknown"
    answer_heading("Is it right?", found, words, outcome_page(found), here, after=after, known=known)
    if main is None or main.value is None:
        return
    days = time_series.metric_by_day_frame(main)
    metric_over_time_chart(here, main, days, key="model-outcome", marks=status.events, height=200)


def metric_over_time_chart(here: ModelPage, finding: Finding, days: pd.DataFrame, *, key: str, marks: pd.DataFrame, height: int) -> None:
    """Draw the metric of a finding over time; a click on a mark opens the wrong predictions of its period."""
    figure = charts_time.metric_lines(
        days,
        name=formatting.metric_title(finding.metric),
        unit=finding.unit,
        of_label=here.model.settings.unit,
        limit=fleet.single_limit(finding),
        severity=finding.shown_severity,
        baseline=finding.evidence.get("baseline"),
        baseline_name=BASELINES[finding.against],
        marks=marks,
        height=height,
    )
    on_mark = clicks.periods_on_click(key, here, days["period"], clicks.wrong_outcome_condition(here), clicks.LARGEST)
    alt, metrics = finding.because.replace("`", ""), (finding.metric, "label_maturity")
    frame.chart_with_table(figure, days, key=key, alt=alt, metrics=metrics, on_select=on_mark)


def is_it_fair(here: ModelPage, status: ModelStatus) -> None:
    """Draw the answer to "Is it fair?": the findings about differences between groups."""
    found = status.of("trust/fairness")
    if not found:
        words = "No sensitive attribute is registered."
    elif all(finding.value is None for finding in found):
        words = found[0].because
    else:
        words = fairness_issue_words(found)
    answer_heading("Is it fair?", found, words, "fairness", here, known=bool(found))


def fairness_issue_words(found: Sequence[Finding]) -> str:
    """Return a sentence with the number of fairness issues and their attributes; if there are no issues, with the attributes that were
    analyzed.
    """
    issues = [finding for finding in found if finding.needs_action]
    attributes = list(dict.fromkeys(finding.subject.partition("=")[0] for finding in issues or found))
    counted = formatting.plural(len(issues), "fairness issue") if issues else "No fairness issues"
    return f"{counted} by {formatting.join_words(attributes)}."


def what_drives_it(here: ModelPage, status: ModelStatus) -> None:
    """Draw which features the predictions depend on most."""
    found = status.of("trust/explanations")
    main = next((finding for finding in found if finding.subject == "model"), None)
    known = main is not None and main.severity != "unknown"
    answer_heading("What drives it?", found, main.because if main else "No explanations yet.", "explanations", here, known=known)


def what_does_it_cost(here: ModelPage, status: ModelStatus) -> None:
    """Draw cost and energy per thousand predictions."""
    metrics = {"operations/cost": "cost_per_thousand", "operations/energy": "energy_per_thousand"}
    figures = [fleet.model_finding(status, analyzer, metric) for analyzer, metric in metrics.items()]
    found = worst_first(status.of("operations/cost", "operations/energy"))
    claims = [finding for finding in figures if finding is not None]
    stated = next(
        iter(found[:1] if found and found[0].needs_action else [*claims, *found]), None
    )  # the answer has the status of this finding
    words = stated.because if stated else "Neither cost nor energy is known."
    known = stated is not None and stated.severity != "unknown"
    details = [claim.because for claim in claims if claim is not stated]
    answer_heading("What does it cost?", found, words, "cost", here, details=details, known=known)


def what_changed(here: ModelPage, status: ModelStatus) -> None:
    """Draw events, and count the new findings, which the incidents above name. If there are no new findings, the answer counts as known as
    soon as anything was analyzed.
    """
    fresh, events = len(status.fresh), len(status.events)
    new = formatting.plural(fresh, "new finding") if fresh else "No new findings"
    registered = len(timeline.registration_marks(status))
    told = [formatting.plural(events, "event")] if events else [] if registered else ["no events"]
    told += [timeline.count_words("registered", registered)] if registered else []
    words = f"{new} since the previous window, {', '.join(told)}."
    quiet = [finding for finding in status.findings if not finding.needs_action]
    answer_heading("What changed?", status.fresh or quiet, words, "findings", here, name_worst=False)
    rows = fleet_events.event_rows([status])
    if rows:
        draw_table("changed", "Events", fleet_events.CHANGE_COLUMNS, rows[:12], compact=True)


def answer_heading(
    question: str,
    found: Sequence[Finding],
    sentence: str,
    page: str,
    here: ModelPage,
    after: str | None = None,
    *,
    known: bool = True,
    details: Sequence[str] = (),
    name_worst: bool = True,
) -> None:
    """Draw the question, the answer with its status, the worst finding if it needs action, and the link.

    known: whether there is a verdict. details: further sentences, shown behind a question mark. name_worst: whether to show the worst
    finding, so that a critical status is not followed only by a sentence such as "none failed".
    """
    worst = found[0] if found else None
    severity = worst.shown_severity if worst and worst.needs_action else fleet.severity_without_action(found) if known else "unknown"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.header(question, anchor=False, width="content")
        links.page_button(page, query_params=here.scope.parameters())
    claim_line(sentence, before=f"{formatting.status_label(severity)}: ", details=details)
    if name_worst and worst and worst.because != sentence:
        if worst.needs_action:
            claim_line(worst.because, before=":gray[Because:] ")
        elif severity == "unknown":
            claim_line(worst.because, quiet=True)
    if after:
        claim_line(after, quiet=True)


QUESTIONS: tuple[Question, ...] = (is_it_up, are_inputs_normal, is_it_right, is_it_fair, what_drives_it, what_does_it_cost, what_changed)
WITHOUT_PREDICTIONS: tuple[Question, ...] = (is_it_up, what_changed)
"""The questions that can be answered without predictions. The other answers would only state that there are no predictions."""
