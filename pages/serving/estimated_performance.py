"""Estimated performance :material/online_prediction:
How well does the model do where labels have not come in yet? Solid: measured on labels. Dashed on a hatched band: estimated from the scores (CBPE), of a
regression from the errors of the reference (DLE), as far as they still mean what they meant there. Beside it, how far off the estimate was where labels
came in: where it failed, it is not trusted.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load
from observability.dashboard.overview import findings
from observability.dashboard.serving import estimated_performance
from observability.dashboard.table import table

here = frame.begin_model("estimated_performance")
with frame.loading(300):
    found = [each for each in load.findings(here.window, wait=True) if each.analyzer == "serving/estimated_performance"]
metrics = estimated_performance.estimated(found)
if not metrics:
    for each in found:
        st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
    empty_states.nothing("Nothing is estimated in this window.", "An estimate needs a reference with labels, and predictions with scores.")
    st.stop()

finding = estimated_performance.choose(metrics, here)
st.markdown(f"{formatting.status(finding.severity)}: **{formatting.sentence(finding.because)}**")
st.info(estimated_performance.BLIND, icon=":material/visibility_off:")

days = estimated_performance.days(here, finding.metric)
left, right = st.columns([3, 2], gap="large")
with left:
    st.header("Estimated and measured", anchor=False)
    estimated_performance.over_time(here, finding, days)
with right:
    st.header("How far off it was", anchor=False)
    estimated_performance.errors(here, finding, days)

st.header("All metrics", anchor=False)
table("metrics", "Estimated metrics", estimated_performance.COLUMNS, estimated_performance.rows(list(metrics.values())), compact=True)
st.header("Findings", anchor=False)
findings.listed("findings", "Findings about the estimates", [each for each in found if each.severity != "ok"], here.scope)
findings.downloads(found, "estimates")
