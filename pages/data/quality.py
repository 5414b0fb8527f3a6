"""Data quality :material/fact_check:
Arrival and completeness of predictions: volume by hour or day against expectation, then the checks of each feature: null, NaN, absent,
wrong type, unseen in the reference, out of range, constant, stuck.
"""

import streamlit as st

from observability.dashboard import clicks, distributions, empty_states, frame, time_series
from observability.dashboard.charts import drift as charts_drift
from observability.dashboard.charts import time as charts_time
from observability.dashboard.data import quality
from observability.dashboard.overview import findings
from observability.dashboard.table import draw_table
from observability.dashboard.widgets import finding_line, note_shown_claims

here = frame.begin_model_page("quality")
found = findings.analyzer_findings(here, "data/quality")

st.header("Arrival", anchor=False)
volume = quality.volume_with_expectation(here.window, found)
said = quality.arrival_finding(found)
if said:
    finding_line(said)
else:
    st.markdown("Expected volume is not known yet.")
if volume["n"].sum() > 0:
    figure = charts_time.traffic_bars(volume, time_series.chart_event_marks(here.model.name, here.window))
    alt = said.because.replace("`", "") if said else "Predictions over time"
    on_bar = clicks.periods_on_click("volume", here, volume["period"])
    frame.chart_with_table(
        figure, volume.drop(columns="running"), key="volume", alt=alt, metrics=("volume", "silence_hours"), on_select=on_bar
    )
else:
    empty_states.no_rows_state()
    st.stop()

claims = quality.findings_by_check(found)
st.header("Features and their checks", anchor=False)
columns = quality.listed_features(here.model, here.window, claims)
days = distributions.missing_share_by_day(here.window, columns)
rates = quality.check_rates(here.model, here.window, columns)
rows = quality.check_rows(rates, claims, days, here.scope)
draw_table("checks", "Features by check", quality.check_columns(rates, claims), rows, compact=True)
listed = {reference.partition(".")[2] for reference in columns}
note_shown_claims(claim.because for (subject, metric), claim in claims.items() if subject in listed and metric in quality.CHECKS)
frame.metric_help(*quality.CHECKS)

if len(days) and days["day"].nunique() > 1:
    st.header("Missing values by day", anchor=False)
    words = quality.missing_values_sentence(days, len(columns) if len(columns) < len(here.model.features()) else None)
    st.markdown(words)
    figure = charts_drift.column_day_heatmap(days, value="missing", unit="share", top=max(float(days["value"].max()), 0.05))
    on_cell = clicks.cases_on_click("missing", lambda point: quality.predictions_missing_value(here, point, days), days["day"])
    frame.chart_with_table(figure, days, key="missing", alt=words, metrics=("null_rate",), on_select=on_cell)

st.header("Findings", anchor=False)
findings.open_findings_tables("Findings about data quality", found, here.scope)
findings.query_popover(found, "quality-query")
