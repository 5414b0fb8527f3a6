"""Input drift :material/ssid_chart:
Have the inputs or the scores drifted from the reference, which of them most, and on which days? Ordered by severity, then by distance.
Click a bar or a cell, or choose a feature, to draw its reference and current distributions on top of each other.
"""

import streamlit as st

from observability.dashboard import choice_box, clicks, export_report, frame, paged_names, time_series
from observability.dashboard.charts import drift as charts_drift
from observability.dashboard.overview import findings
from observability.dashboard.serving import drift, multivariate_drift
from observability.dashboard.widgets import finding_lines, plain_caption, plain_paragraph

here = frame.begin_model_page("drift")
found = findings.analyzer_findings(here, "serving/drift")
columns = drift.most_drifted_first([finding for finding in found if finding.metric == "psi" and finding.value is not None])
besides = [finding for finding in found if finding.metric in ("level_trade", "mean_shift")]
if not columns:
    finding_lines(found)
    findings.stop_without_comparison(found)

summary = drift.drift_summary(found)
plain_paragraph(summary)
drift.besides_lines(besides)
chosen = drift.chosen_drift_finding(columns)
bars = drift.drift_ranking_frame(columns[: paged_names.MOST_ROWS], here.model.settings)
st.header("Drift by column", anchor=False, help=drift.drift_bars_note(bars))
if note := drift.grey_bars_note(columns):
    plain_caption(note)
figure = charts_drift.drift_bars(bars, selected=chosen.subject)
on_bar = choice_box.select_column_on_click("ranking")
frame.chart_with_table(figure, bars, key="ranking", alt=summary, metrics=("psi",), on_select=on_bar)
paged_names.first_rows_note(len(columns), "columns", "that drifted most")

drift.drift_column_box(columns)
drift.drift_overlay(here, chosen)

days = time_series.drift_by_day_frame(drift.drawn_by_day(columns, chosen))
if days["day"].nunique() > 1:
    st.header("Drift by day", anchor=False, help=drift.DAYS_HELP)
    if len(columns) > drift.MOST_BY_DAY:
        plain_caption(f"The {drift.MOST_BY_DAY} of {len(columns):,} columns that drifted most, and the chosen one.")
    if note := drift.not_by_day_note(columns):
        plain_caption(note)
    figure = charts_drift.column_day_heatmap(days, value="PSI", unit="", top=1.0, selected=chosen.subject)
    on_cell = clicks.DateSelection("days", days["day"], then=choice_box.select_clicked_column)
    frame.chart_with_table(figure, days, key="days", alt=drift.worst_day_sentence(days), metrics=("psi",), on_select=on_cell)

multivariate_drift.multivariate_drift_summary(here)

findings.findings_section("drift", "Findings about drift", found, here.scope)
export_report.evidently_report_popover(here.window)
