"""Slices :material/pie_chart:
In which part of the rows is it worse, and did that part change otherwise than the rest? Every level of every category, bands of numbers, replicas,
devices, and pairs of them are looked at on a bounded sample, and every look is counted: what chance alone would show is not named. A change that all
rows share names no slice. A click on a slice makes it the scope of the performance page.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load
from observability.dashboard.overview import findings
from observability.dashboard.serving import slice_search

here = frame.begin_model("slices")
with frame.loading(300):
    found = [each for each in load.findings(here.window, wait=True) if each.analyzer == slice_search.ANALYZER]
named, summary = slice_search.parts(found)
for each in named[: slice_search.SAID]:
    st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
if summary is not None:
    st.caption(formatting.sentence(summary.because))
slice_search.watched(here, found)
if summary is None or not summary.evidence.get("ranked"):
    empty_states.nothing(
        "No slice can be compared yet.",
        "Choose a longer window, register this version with held-out predictions, or wait for labels.",
        "add_model",
        "Register",
    )
    st.stop()

metric = slice_search.choose(here, summary)
st.header("Which slices changed most", anchor=False)
slice_search.changed(here, summary, metric)
st.header("Where it is weakest", anchor=False)
slice_search.weakest(here, summary)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about slices", [each for each in found if each.severity != "ok"], here.scope)
findings.downloads(found, "slices")
