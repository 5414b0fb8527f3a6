"""Explanations :material/lightbulb:
What drives the model's scores, in which direction, and is that still what drove them in the reference? Attributions (SHAP values) say for single predictions
how far each feature moved the score from the base value; base value and attributions add up to the score, which is checked for each row. A sample of
each day is explained in a process of its own. Bars carry 95 % intervals; a change counts when it is larger than a limit and than what chance does.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame, load
from observability.dashboard.overview import findings
from observability.dashboard.trust import explaining, explanations

here = frame.begin_model("explanations")
with frame.loading(300):
    found = [each for each in load.findings(here.window) if each.analyzer == "trust/explanations"]
view = explanations.read(here)
if view is None:
    st.stop()

said = explanations.claims(view, found)
explaining.missing(here, view)
if view.now.n == 0:
    st.stop()
view = explanations.choose_class(here, view)
if view.now.n == 0:
    empty_states.no_rows(f"explained predictions that were decided as {formatting.plain(view.decided)}")
    st.stop()

st.header("What drives the scores", anchor=False)
explanations.bars(view, said)

st.header("In which direction", anchor=False)
explanations.swarm(here, view)

st.header("Over time", anchor=False)
explanations.over_time(here, view)

st.header("One feature", anchor=False)
explanations.dependence(here, view)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about explanations", [each for each in found if each.severity != "ok"], here.scope)
findings.downloads(found, "explanations")
