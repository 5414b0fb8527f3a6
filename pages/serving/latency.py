"""Latency and errors :material/speed:
Does the model answer, how fast, and how many requests fail? Requests by status, percentiles of latency with the 95 % interval of p99, and replicas and
versions side by side. Where the owner stated a service level: how much of its error budget is left, and how fast it is being spent. Where none is
stated, the model is held against its own four weeks before, and a replica against the others.
"""

import streamlit as st

from observability.dashboard import frame, load
from observability.dashboard.overview import findings
from observability.dashboard.serving import latency, service_level

here = frame.begin_model("latency")
with frame.loading(300):
    found = [each for each in load.findings(here.window) if each.analyzer == "serving/latency"]
said = latency.sentence(found) if found else "Nothing can be said about service."

st.header("Requests", anchor=False)
if not latency.traffic(here):
    st.stop()

st.header("Latency over time", anchor=False)
latency.over_time(here, said)

st.header("Service level", anchor=False)
service_level.objectives(here, found)

st.header("Side by side", anchor=False)
latency.side_by_side(here, found)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about service", [each for each in found if each.severity != "ok"], here.scope)
findings.downloads(found, "latency")
