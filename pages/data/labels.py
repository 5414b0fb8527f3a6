"""Labels :material/label:
Which predictions have their label by now? Each day by the date it was served: the share that is labelled, what days of that age usually have (from the
same days as they stood one, two and three weeks ago), and how many are still expected, hatched, as an estimate. Below 80 % of the usual a fall of the
metrics is not told yet: it may be the labels' youth.
"""

import streamlit as st

from observability.views import findings, frame, labels, load

here = frame.begin_model("labels")
with st.skeleton(height=60):
    found = [each for each in load.findings(here.window) if each.analyzer == "serving/performance"]
labels.shown(here, [each for each in found if each.metric == "label_maturity"])

st.header("Findings", anchor=False)
waiting = [each for each in found if each.severity != "ok" and (each.metric == "label_maturity" or each.severity == "unknown")]
findings.listed("findings", "Findings about labels, and what waits for them", waiting, here.scope)
findings.downloads(found, "label-findings")
