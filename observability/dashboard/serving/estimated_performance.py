"""The page about estimated performance: estimate and measurement over time, and the error of past estimates."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.dashboard import clicks, distributions, frame, load, time_series
from observability.dashboard.cells import severity_cell
from observability.dashboard.charts import estimates as charts_estimates
from observability.dashboard.choice_box import metric_selectbox
from observability.dashboard.frame import ModelPage
from observability.dashboard.table import column, columns_on_phone, number_columns, table_row
from observability.dashboard.widgets import plain_caption, plain_paragraph
from observability.detection.estimate_sentences import rounded_labels
from observability.export.csv import inert_csv, rows_kept_as_logged
from observability.investigation.label_sample import label_sample_worksheet
from observability.investigation.relabel_queue import MAX_ROWS
from observability.metrics.estimates import EstimatedDay
from observability.metrics.measured_windows import MATURE
from observability.monitoring.estimated_days import estimated_days
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import Interval

MAX_DAYS = 62
"""Maximum length in days of a window that is drawn by day; longer windows are drawn by week."""
COLUMNS = columns_on_phone(
    "metric value baseline status",
    column("metric", "Metric", strong=True),
    *number_columns(value="Estimate", interval="95 % interval", baseline="Reference"),
    column("said", "Last estimate", align="right", help="On the newest days with labels"),
    column("truth", "Last measurement", align="right", help="On the same days"),
    column("status", "Status"),
)
ASSUMPTION = (
    "An estimate, not a measurement. It assumes that scores (for regression: inputs) still mean what they meant in the reference, "
    "so it cannot detect concept drift. Check its past errors below."
)
UNKNOWN = Interval(None, None, None, 0.0)


def estimates_by_metric(found: Sequence[Finding]) -> dict[str, Finding]:
    """The findings that have an estimate, by metric."""
    return {finding.metric: finding for finding in reversed(found) if finding.value is not None and finding.metric != "estimate_error"}


def estimated_metric_box(metrics: dict[str, Finding], here: ModelPage) -> Finding:
    """Draw the box for the metric, and return the finding of the chosen metric; the default is the model's main metric."""
    return metrics[metric_selectbox(sorted(metrics), here.model.task, "was not estimated here")]


def label_sample_button(here: ModelPage, finding: Finding) -> None:
    """If the estimate extrapolates, draw the button that downloads a worksheet: a random sample of the window's predictions to label."""
    needed = finding.evidence.get("labels_needed")
    if needed is None:
        return
    rows = min(rounded_labels(needed), MAX_ROWS)
    window, _ = distributions.compared_windows(here.model, here.window)
    name = f"to-label-{here.model.name}-{frame.file_date(window.start)}.csv"
    frame.download_button(
        name,
        lambda: inert_csv(rows_kept_as_logged(label_sample_worksheet(load.store(), window, rows, load.page_clock()), "id")),
        f"Worksheet: random sample of {rows:,} predictions to label",
        key="to-label-csv",
    )
    st.caption(
        "The worksheet is blind: inputs without label and score; predictions with a label are left out. Load it filled in with "
        "`python -m observability load FILE --kind label`. Intervals of the estimate do not hold while inputs are far from the reference."
    )


def estimate_frame(here: ModelPage, metric: str) -> pd.DataFrame:
    """Estimate, measurement and error of the estimate, by day or by week.

    Columns: period, measured, measured_low, measured_high, estimated, low, high, labelled, served, error, error_low, error_high. The error
    is the estimate minus the measurement; it is known only where most labels have arrived.
    """
    columns = [*("measured", "measured_low", "measured_high", "estimated", "low", "high"), *("labelled", "served")]
    columns += ["error", "error_low", "error_high"]
    rows = [[period, *_estimate_row(day, metric)] for period, day in _estimate_periods(here)]
    found = pd.DataFrame(rows, columns=["period", *columns])
    found["period"] = pd.to_datetime(found["period"])
    return found.astype(dict.fromkeys(columns, float))


def _estimate_row(day: EstimatedDay, metric: str) -> list[float | None]:
    """The values of one row of `estimate_frame`, without the period."""
    estimate, truth = day.estimated.get(metric), day.measured.get(metric, UNKNOWN)
    value = estimate.interval if estimate else UNKNOWN
    same = truth if day.same_rows is None else day.same_rows.get(metric, UNKNOWN)
    error = UNKNOWN
    if day.labelled >= MATURE * day.served and same.value is not None and value.value is not None:
        calibrated = estimate.calibration if estimate and estimate.calibration else replace(value, low=value.value, high=value.value)
        error = difference_interval(calibrated, same)
    ends = [(side.value, side.low, side.high) for side in (truth, value, error)]
    return [*ends[0], *ends[1], day.labelled, day.served, *ends[2]]


def _estimate_periods(here: ModelPage) -> Iterable[tuple[Any, EstimatedDay]]:
    """Estimated and measured metrics of each day; of each week if the window is long."""
    window, reference = distributions.compared_windows(here.model, here.window)
    if reference is None:
        return []
    return estimated_days(load.ask_store, here.model, window, timedelta(days=1 if window.days <= MAX_DAYS else 7))


def estimate_section(here: ModelPage, finding: Finding, rows: pd.DataFrame) -> None:
    """Draw measurement and estimate over time."""
    name, baseline = formatting.metric_title(finding.metric), finding.evidence.get("baseline")
    marks = time_series.chart_event_marks(here.model.name, here.window)
    of_label = here.model.settings.unit
    figure = charts_estimates.estimated_metric_lines(rows, name=name, unit=finding.unit, of_label=of_label, baseline=baseline, marks=marks)
    twin, alt = rows.drop(columns=["error", "error_low", "error_high"]), finding.because.replace("`", "")
    on_mark = clicks.periods_on_click("over-time", here, rows["period"], order=clicks.LARGEST)
    metrics = (finding.metric, "estimate_error", "label_maturity")
    frame.chart_with_table(figure, twin, key="over-time", alt=alt, metrics=metrics, on_select=on_mark)


def estimate_error_section(here: ModelPage, finding: Finding, rows: pd.DataFrame) -> None:
    """Draw the error of the estimate for the periods whose labels have arrived."""
    shown = rows[["period", "error", "error_low", "error_high", "labelled", "served"]]
    known = shown["error"].dropna()
    if known.empty:
        st.caption("Most labels of these days are missing, so the estimate cannot be checked.")
        return
    allowed = (finding.evidence.get("check") or {}).get("allowed")
    above = int((known > 0).sum())
    unit = "weeks" if here.window.days > MAX_DAYS else "days"
    words = f"Estimate above the measurement on {above}, below on {len(known) - above} of {len(known)} labelled {unit}."
    plain_paragraph(words)
    name = formatting.metric_title(finding.metric).lower()
    figure = charts_estimates.estimate_error_dots(shown, name=name, unit=finding.unit, of_label=here.model.settings.unit, allowed=allowed)
    on_mark = clicks.periods_on_click("errors", here, shown["period"], "label != null", clicks.LARGEST)
    frame.chart_with_table(figure, shown, key="errors", alt=words, metrics=("estimate_error",), on_select=on_mark)
    if allowed:
        plain_caption(f"Green: tolerated errors, below {formatting.format_value(allowed, finding.unit)}.")


def estimate_rows(found: Sequence[Finding]) -> list[dict[str, Any]]:
    """The table rows of all estimated metrics."""
    order = list(METRICS)
    return [_estimate_table_row(finding) for finding in sorted(found, key=lambda finding: order.index(finding.metric))]


def _estimate_table_row(finding: Finding) -> dict[str, Any]:
    """The table row of one estimated metric: value, interval, baseline, and the last estimate that could be checked with labels."""
    check = finding.evidence.get("check") or {}
    return table_row(
        metric=formatting.metric_title(finding.metric),
        value={"t": formatting.format_value(finding.value, finding.unit), "title": "estimated"},
        interval=formatting.format_interval(finding.low, finding.high, finding.unit),
        baseline=formatting.format_value(finding.evidence.get("baseline"), finding.unit),
        said=formatting.format_value(check.get("estimated"), finding.unit),
        truth={"t": formatting.format_value(check.get("measured"), finding.unit), "title": f"{check.get('n', 0):,} labels"},
        status={**severity_cell(finding.severity), "title": finding.because.replace("`", "")},
    )
