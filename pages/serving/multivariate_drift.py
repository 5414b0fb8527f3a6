"""Multivariate drift :material/hub:
Do all inputs together look as they did in the reference, where each of them alone may? A classifier learns to tell rows of this window from rows of the
reference and is judged on rows that it did not see: an AUC of 0.5 is no better than chance, 1 is perfect. The band is what chance alone gives, found by
fitting anew on shuffled labels. It sees what single features cannot show: two that used to go together and no longer do. Each two numbers are also
looked at by themselves, over the window and its last days.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load
from observability.dashboard.overview import findings
from observability.dashboard.serving import multivariate_drift

here = frame.begin_model("multivariate_drift")
with frame.loading(300):
    found = [each for each in load.findings(here.window, wait=True) if each.analyzer == multivariate_drift.ANALYZER]
for each in found:
    st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
known = [each for each in found if each.value is not None and each.metric == multivariate_drift.METRIC]
if not known:
    empty_states.nothing(
        "Nothing can be compared yet.",
        "Register this version with held-out predictions, or choose a longer window.",
        "add_model",
        "Register",
    )
    st.stop()

st.header("How well they are told apart", anchor=False)
multivariate_drift.on_scale(known[0])
st.header("By which inputs", anchor=False)
multivariate_drift.by_which(here, known[0])

for each in found:
    if each.metric == multivariate_drift.PAIRS:
        st.header("Which numbers go together", anchor=False)
        multivariate_drift.go_together(each)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about all inputs together", [each for each in found if each.severity != "ok"], here.scope)
findings.downloads(found, "multivariate-drift")
