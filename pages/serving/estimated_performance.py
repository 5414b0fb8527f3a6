"""Estimated performance :material/online_prediction:
How well does the model do where labels are missing? Solid: measured on labels. Dashed on a hatched band: estimated from the scores (CBPE),
for a regression from the errors of the reference (DLE). The error of past estimates is shown beside it; if that error is too large, the
estimate is not trusted. If inputs are far from the reference, the estimate is unknown until some predictions are labelled.
"""

import streamlit as st

from observability.dashboard import empty_states, frame
from observability.dashboard.overview import findings
from observability.dashboard.serving import estimated_performance
from observability.dashboard.table import draw_table
from observability.dashboard.widgets import finding_line, finding_lines

here = frame.begin_model_page("estimated_performance")
found = findings.analyzer_findings(here, "serving/estimated_performance", wait=True)
metrics = estimated_performance.estimates_by_metric(found)
if not metrics:
    finding_lines(found)
    empty_states.stop_without_result(
        found, "Nothing is estimated in this window.", "An estimate needs a reference with labels, and predictions with scores."
    )

finding = estimated_performance.estimated_metric_box(metrics, here)
finding_line(finding, strong=True)
estimated_performance.label_sample_button(here, finding)
st.caption(
    ":material/visibility_off: An estimate, not a measurement: it cannot detect concept drift.", help=estimated_performance.ASSUMPTION
)

days = estimated_performance.estimate_frame(here, finding.metric)
left, right = st.columns([3, 2], gap="large")
with left:
    st.header("Estimated and measured", anchor=False)
    estimated_performance.estimate_section(here, finding, days)
with right:
    st.header("Error of the estimate", anchor=False)
    estimated_performance.estimate_error_section(here, finding, days)

st.header("All metrics", anchor=False)
rows = estimated_performance.estimate_rows(list(metrics.values()))
draw_table("metrics", "Estimated metrics", estimated_performance.COLUMNS, rows, compact=True)
findings.findings_section("estimates", "Findings about the estimates", found, here.scope)
