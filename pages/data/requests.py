"""Requests :material/repeat:
Near-duplicate requests of one subject, a repeated score, clock skew of devices, and coarse values of devices, found in a bounded sample of
single requests. The findings state what is unusual, not its cause.
"""

import streamlit as st

from observability.dashboard import empty_states, frame, load
from observability.dashboard.overview import findings
from observability.dashboard.widgets import status_line

here = frame.begin_model_page("requests")
with frame.loading_skeleton(240):
    found = [each for each in load.findings_in_window(here.window, wait=True) if each.analyzer == "data/requests"]
if not found:
    empty_states.no_rows_state()
    st.stop()
for each in found:
    st.markdown(status_line(each.severity, each.because))
frame.metric_help("near_duplicate_share", "default_score_rate", "clock_skew", "distinct_ratio")

st.header("Findings", anchor=False)
findings.findings_table("findings", "Findings about requests", found, here.scope)
findings.findings_downloads(found, "requests")
