"""Why it changed :material/waterfall_chart:
Did performance change because of covariate shift (other inputs), concept drift (other outcomes for the same inputs) or label shift? The
change is decomposed on rows whose inputs occur both before and now; each part has its 95 % interval. Rows without a counterpart before
cannot tell covariate shift from concept drift; their share is stated. The parts describe associations, not causes.
"""

import streamlit as st

from observability.dashboard import empty_states, frame
from observability.dashboard.compared_features import compared_features_note
from observability.dashboard.overview import findings
from observability.dashboard.serving import why_changed
from observability.dashboard.widgets import main_finding_lines

here = frame.begin_model_page("why_changed")
compared_features_note([column.name for column in here.model.features()], here.model.settings)
found = findings.analyzer_findings(here, why_changed.ANALYZER, wait=True)
main_finding_lines(why_changed.distinct_sentences(found))
parts = why_changed.change_parts(found)
if not parts:
    step = "Labels may still be missing: choose an earlier or a longer window, or register this version with held-out predictions."
    empty_states.stop_without_result(found, "The change cannot be decomposed yet.", step, "add_model", "Register")

st.header("From before to now", anchor=False)
why_changed.change_waterfall_section(here, parts)
left, right = st.columns(2, gap="large")
with left:
    st.header("Covariate shift", anchor=False)
    why_changed.covariate_shift_section(here, parts)
with right:
    st.header("Concept drift", anchor=False)
    why_changed.concept_drift_section(here, parts)

findings.findings_section("why-changed", "Findings about why it changed", found, here.scope)
