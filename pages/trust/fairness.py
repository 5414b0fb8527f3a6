"""Fairness :material/balance:
Rates of groups by the criterion that the owner chose, now and in the reference: a dot and a 95 % interval for each group, a diamond for
the reference, n beside the name; groups with too few rows are grey. The largest gap is compared with that expected from sampling noise at
these sizes. A pre-existing gap raises no alert; one that is new, or grew, does.
"""

import streamlit as st

from observability.dashboard import frame
from observability.dashboard.overview import findings
from observability.dashboard.trust import fairness, fairness_groups, fairness_pairs

here = frame.begin_model_page("fairness")
found = findings.analyzer_findings(here, "trust/fairness")
chosen = fairness.fairness_view(here)
if chosen is None:
    st.stop()

said = fairness.fairness_sentence(here, chosen, found)
fairness.criterion_note(here, chosen)
fairness.class_differences(chosen)

st.header("Rates by group", anchor=False)
fairness_groups.group_rates_charts(here, chosen, said)

st.header("All rates", anchor=False)
fairness_groups.group_rates_table(here, chosen)
fairness_pairs.group_pairs_section(here, chosen)

findings.findings_section("fairness", "Findings about fairness", found, here.scope)
