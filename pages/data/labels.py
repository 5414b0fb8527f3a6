"""Labels :material/label:
Label maturity by date of serving: the labelled share, the usual share at that age (from the same weekdays one, two and three weeks
earlier), and the labels still expected, hatched, as an estimate. Below 80 % of the usual share a fall of the metrics is not reported,
because missing labels may cause it. For annotated models also agreement, outliers among annotators, waiting times and the price of a
label.
"""

import streamlit as st

from observability.dashboard import frame, links, load_findings
from observability.dashboard.data import labels
from observability.dashboard.overview import findings
from observability.dashboard.widgets import link_button

here = frame.begin_model_page("labels")
with st.skeleton(height=60):
    said = load_findings.findings_in_window(here.window)
    found = [each for each in said if each.analyzer == "serving/performance"]
    people = [each for each in said if each.analyzer == "data/labels"]
labels.label_maturity_section(here, [each for each in found if each.metric == "label_maturity"])

if people:
    st.header("Annotators", anchor=False)
    labels.annotator_agreement_chart(people)
    target = links.link_cell("", "labelling", here.scope, project=(here.model.settings.projects or (here.model.name,))[0])
    link_button("Open the labelling project", target, key="labelling", icon="groups")

waiting = [each for each in found if each.metric == "label_maturity" or each.severity == "unknown"]
findings.findings_section("label-findings", "Findings about labels and annotators", [*people, *waiting], here.scope)
