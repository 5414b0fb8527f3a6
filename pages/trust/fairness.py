"""Fairness :material/balance:
Does the model treat groups alike, by the criterion that its owner chose, and as alike as in the reference? A dot and a 95 % interval for each group,
a diamond for the reference, n beside the name; groups that are too small to be judged are grey. The largest gap is held against what equal groups of
these sizes give by chance. A gap that stood in the reference is shown and raises no alarm; one that is new, or grew, does.
"""

import streamlit as st

from observability.dashboard import frame, load
from observability.dashboard.overview import findings
from observability.dashboard.trust import fairness, fairness_groups, fairness_pairs

here = frame.begin_model("fairness")
with frame.loading(300):
    found = [each for each in load.findings(here.window) if each.analyzer == "trust/fairness"]
chosen = fairness.choices(here)
if chosen is None:
    st.stop()

said = fairness.claims(here, chosen, found)
fairness.note(here, chosen)
fairness.class_words(chosen)

st.header("Group by group", anchor=False)
fairness_groups.dots(here, chosen, said)

st.header("All figures", anchor=False)
fairness_groups.all_figures(here, chosen)
fairness_pairs.pairs(here, chosen)

st.header("Findings", anchor=False)
findings.listed("findings", "Findings about fairness", [each for each in found if each.severity != "ok"], here.scope)
findings.downloads(found, "fairness")
