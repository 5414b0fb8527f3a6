"""Requests :material/repeat:
Near-duplicate requests of one subject, a repeated score, clock skew of devices, and coarse values of devices, found in a bounded sample of
single requests. The findings state what is unusual, not its cause.
"""

import streamlit as st

from observability.dashboard import empty_states, frame
from observability.dashboard.overview import findings

here = frame.begin_model_page("requests")
found = findings.analyzer_findings(here, "data/requests", wait=True)
if not found:
    empty_states.no_rows_state()
    st.stop()
findings.findings_table("findings", "Findings about requests", found, here.scope)
frame.metric_help("near_duplicate_share", "default_score_rate", "clock_skew", "distinct_ratio")
findings.findings_downloads(found, "requests")
