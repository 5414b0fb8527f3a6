"""Labelling :material/groups:
The annotators of a project: accuracy on gold items (items with a known answer), time per label, acceptance of suggestions, anchoring on
wrong suggestions, the effect of accepting confident suggestions automatically, and assignments with their policies and reasons. With too
few gold items an annotator is not judged, and the number needed is shown. The agreement of annotators is a finding of the project's model,
if it has one; the label queue is on the page Labels.
"""

import streamlit as st

from observability.core.finding import worst_first
from observability.dashboard import frame
from observability.dashboard.data import annotator_actions, assignments, item_history, labelling, lineage_view, suggestions
from observability.dashboard.data.records_summary import begin_records_page
from observability.dashboard.overview import findings
from observability.dashboard.widgets import leading_finding_line
from observability.metrics.lineage import Thing

scope = begin_records_page("labelling")
with frame.loading_skeleton(300):
    projects = frame.answer_or_stop(lambda: labelling.labelled_projects(scope))
if projects.empty:
    labelling.no_annotations()
    st.stop()
name = labelling.chosen_project(scope, projects)
window = labelling.project_window(scope, name)
shown = frame.answer_or_stop(lambda: labelling.project_labels(name, window))
said = labelling.findings_about_project(labelling.findings_in_dates(scope, window), name)
said = worst_first([*said, *labelling.model_agreement_findings(scope, name, window)])
st.markdown(labelling.labelling_summary(shown, said))
labelling.earlier_labels_link(name, "labelling", window, scope)
labelling.missing_fields_note(shown)
leading_finding_line(said)

st.header("Annotators", anchor=False)
people = labelling.annotator_frame(shown, said)
who = labelling.chosen_annotator(people)
labelling.annotators_table(people, scope, name, who)
if who:
    annotator_actions.annotator_action_form(name, who, said)
lineage_view.lineage_button(Thing("annotator", (name, who)) if who else Thing("project", (name,)), scope, key="to-lineage")
labelling.gold_accuracy_chart(people)
labelling.accuracy_by_class(shown, who)
labelling.accuracy_by_guideline(shown)
labelling.fatigue_section(shown, said)

suggestions.suggestions_section(shown.now, said)
assignments.assignments_section(shown.assigned, shown.now)
item_history.item_history_box(name, scope)

findings.findings_section("people-findings", "Findings about annotators", said, scope)
