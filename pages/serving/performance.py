"""Performance :material/query_stats:
How good are the predictions on the labels so far? The metric over time with its 95 % interval, the limit and events; grey where most labels
are missing. Below: the errors of the model, and the levels of a column where it is worst, with n and interval.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, model_answers, per_class, time_series
from observability.dashboard.case import find_case
from observability.dashboard.overview import findings, window_comparison
from observability.dashboard.serving import performance
from observability.dashboard.widgets import finding_lines, status_line

here = frame.begin_model_page("performance")
found = findings.analyzer_findings(here, "serving/performance")
metrics = performance.measured_by_metric(found)
maturity = next((finding for finding in found if finding.metric == "label_maturity"), None)
if not metrics:
    finding_lines(found)
    step = "Labels may still be missing: choose an earlier window, or log labels by the id of their prediction."
    empty_states.stop_without_result(found, "Nothing could be measured in this window.", step)

finding = performance.measured_metric_box(metrics, here.model)
st.markdown(status_line(finding.severity, finding.because, strong=True))
if maturity:
    st.caption(formatting.sentence_markdown(maturity.because))

st.header("Over time", anchor=False)
days = time_series.metric_over_window(here.model, here.window, finding)
marks = time_series.chart_event_marks(here.model.name, here.window)
model_answers.metric_over_time_chart(here, finding, days, key="over-time", marks=marks, height=320)

window_comparison.window_comparison_table(finding)

left, right = st.columns([4, 5], gap="large")
with left:
    st.header("Errors", anchor=False)
    performance.errors_section(here)
    find_case.find_cases_button("Cases with the largest loss", here.scope, "to-cases", inbox="Largest loss")
with right:
    st.header("Worst slices", anchor=False)
    performance.slice_levels_section(here, finding)

per_class.per_class_section(here)

st.header("All metrics", anchor=False)
performance.metrics_section(found)
