"""Requests :material/repeat:
Does one requester ask nearly the same again and again, does one score come again and again, is the clock of a device off, does a device send coarse
values? These are told from a bounded sample of single requests, since counts cannot show them. Nothing here says why; it says what stands out.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load
from observability.dashboard.overview import findings

here = frame.begin_model("requests")
with frame.loading(240):
    found = [each for each in load.findings(here.window, wait=True) if each.analyzer == "data/requests"]
if not found:
    empty_states.no_rows()
    st.stop()
for each in found:
    st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
frame.explain("near_duplicate_share", "default_score_rate", "clock_skew", "distinct_ratio")

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about requests", found, here.scope)
findings.downloads(found, "requests")
