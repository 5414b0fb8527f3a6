"""Explanations :material/lightbulb:
Features that drive the scores, their direction, and changes since the reference. An attribution (SHAP value) is how far a feature moved
one score from the base value; base value and attributions add up to the score, which is checked for each row. A sample of each day is
explained in a separate process. Bars have 95 % intervals; a change counts when it exceeds a limit and sampling noise.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, frame
from observability.dashboard.overview import findings
from observability.dashboard.trust import explain_now, explanations

here = frame.begin_model_page("explanations")
found = findings.analyzer_findings(here, "trust/explanations")
view = explanations.explanation_view(here)
if view is None:
    st.stop()

said = explanations.main_explanation_finding(view, found)
explain_now.unexplained_note(here, view)
if view.now.n == 0:
    st.stop()
view = explanations.chosen_explained_class(here, view)
if view.now.n == 0:
    empty_states.no_rows_state(f"explained predictions decided as {formatting.escape_markdown(view.decided)}")
    st.stop()

st.header("Importance", anchor=False)
explanations.importance_chart(view, said)

st.header("Direction", anchor=False)
explanations.beeswarm_chart(here, view)

st.header("Over time", anchor=False)
explanations.attribution_over_time_chart(here, view)

st.header("Dependence", anchor=False)
explanations.dependence_section(here, view)

findings.findings_section("explanations", "Findings about explanations", found, here.scope)
