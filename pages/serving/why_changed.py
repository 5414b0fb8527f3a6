"""Why it changed :material/waterfall_chart:
Did performance change because other inputs arrive, because the same inputs now lead to other outcomes, or because labels come in other shares? The
change from before to now is taken apart on the rows whose inputs occur on both sides; each part has its 95 % interval. Rows of the window that have
no counterpart before cannot tell inputs from relation, and their share is said. Words are about what the data are consistent with.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load
from observability.dashboard.overview import findings
from observability.dashboard.serving import why_changed

here = frame.begin_model("why_changed")
with frame.loading(300):
    found = [each for each in load.findings(here.window, wait=True) if each.analyzer == why_changed.ANALYZER]
for each in found:
    st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
told = why_changed.told(found)
if not told:
    empty_states.nothing(
        "The change cannot be taken apart yet.",
        "Labels may still be on their way: choose an earlier or a longer window, or register this version with held-out predictions.",
        "add_model",
        "Register",
    )
    st.stop()

st.header("From before to now", anchor=False)
why_changed.waterfall(here, told)
left, right = st.columns(2, gap="large")
with left:
    st.header("Which inputs", anchor=False)
    why_changed.inputs(here, told)
with right:
    st.header("Where the relation changed", anchor=False)
    why_changed.relation(here, told)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about why it changed", found, here.scope)
findings.downloads(found, "why-changed")
