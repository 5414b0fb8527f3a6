"""Multivariate drift :material/hub:
Has the joint distribution of the inputs changed, even if no single input did? A domain classifier learns to separate rows of this
window from reference rows and is evaluated on held-out rows: an AUC of 0.5 is no better than chance, 1 is perfect. The band is its null
distribution, found by shuffling which rows are called reference. It detects changes that single features cannot show, such as a changed
correlation. Pairs of numbers are also tested one by one, over the window and its last days.
"""

import streamlit as st

from observability.dashboard import frame
from observability.dashboard.overview import findings
from observability.dashboard.serving import multivariate_drift
from observability.dashboard.widgets import main_finding_lines

here = frame.begin_model_page("multivariate_drift")
found = findings.analyzer_findings(here, multivariate_drift.ANALYZER, wait=True)
main_finding_lines(sorted(found, key=lambda finding: finding.metric != multivariate_drift.METRIC))
known = [finding for finding in found if finding.value is not None and finding.metric == multivariate_drift.METRIC]
if not known:
    findings.stop_without_comparison(found)

st.header("Domain-classifier AUC", anchor=False, help=multivariate_drift.sampled_rows_note(known[0]))
multivariate_drift.domain_auc_section(known[0])
st.header("Permutation importance", anchor=False)
multivariate_drift.permutation_importance_section(here, known[0])

for finding in found:
    if finding.metric == multivariate_drift.PAIRS:
        st.header("Correlation changes", anchor=False)
        multivariate_drift.correlation_section(finding)

findings.findings_section("multivariate-drift", "Findings about all inputs together", found, here.scope)
