"""Latency and errors :material/speed:
How fast are responses, and how many requests fail? Requests by status, percentiles of latency with the 95 % interval of p99, and replicas
and versions side by side. With a service level: the error budget left and its burn rate. Without one, the model is compared with its own
previous four weeks, and a replica with the others.
"""

import streamlit as st

from observability.dashboard import frame
from observability.dashboard.overview import findings
from observability.dashboard.serving import latency, service_level

here = frame.begin_model_page("latency")
found = findings.analyzer_findings(here, "serving/latency")
alt = latency.latency_claims(found) if found else "No findings about service."

st.header("Requests", anchor=False)
if not latency.requests_section(here):
    st.stop()

st.header("Latency over time", anchor=False, help=latency.HOW_MEASURED)
latency.latency_section(here, alt)

st.header("Service level", anchor=False)
service_level.service_level_section(here, found)

st.header("Side by side", anchor=False)
latency.service_comparison_section(here, found)

findings.findings_section("latency", "Findings about service", found, here.scope)
