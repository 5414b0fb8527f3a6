"""Label quality :material/fact_check:
Agreement of the annotators of a project (Krippendorff's alpha, Fleiss' and Cohen's kappas), each annotator's accuracy by Dawid and Skene
and rank by CROWDLAB, confusions, what labels and corrections cost, suspect labels with their neighbours, and how much better
than random the order of the queue and assignment by skill would have been. No model is needed; logged suggestions add more figures.
"""

import streamlit as st

from observability.dashboard import empty_states, frame
from observability.dashboard.data import annotate, label_quality, labelling
from observability.dashboard.data.records_summary import begin_records_page

scope = begin_records_page("label_quality")
with frame.loading_skeleton(300):
    models = frame.answer_or_stop(annotate.project_models)
annotate.require_labelling_projects(models)
project = annotate.chosen_labelling_project(models, scope, annotated=True)
model = models[project]
window = labelling.project_window(scope, project)
labelling.earlier_labels_link(project, "label_quality", window, scope)
shown = frame.answer_or_stop(lambda: label_quality.quality_of_labels(project, model.name if model else None, window))
if shown is None:
    empty_states.empty_state(
        "Quality is unknown: these dates hold no labels of two classes.",
        "Choose other dates, or label items on the page Annotate.",
        "annotate",
    )
    st.stop()
if not label_quality.labels_summary(shown, window):
    st.stop()
label_quality.agreement_section(shown)
label_quality.people_section(shown, scope, project)
label_quality.consensus_section(shown)
label_quality.suspects_section(shown, scope, project, model)
label_quality.neighbours_section(shown, scope, project)
label_quality.replay_section(shown)
