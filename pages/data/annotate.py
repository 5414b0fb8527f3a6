"""Annotate :material/edit_note:
Label the items of a project one after the other: texts, images and table rows, with the keys 1 to 9, or 0 to skip. The queue shows why an
item comes next and why it comes to you; items that a case asked to relabel come first. Labels of other people are never shown. Answers are
records of kind annotation. Once two people agree, their answer becomes the label of the prediction.
"""

import streamlit as st

from observability.dashboard import frame, load
from observability.dashboard.data import annotate
from observability.dashboard.data.records_summary import begin_records_page

scope = begin_records_page("annotate")
with frame.loading_skeleton(300):
    models = frame.answer_or_stop(annotate.project_models)
annotate.require_labelling_projects(models)
with st.container(horizontal=True):
    project = annotate.chosen_labelling_project(models, scope)
    policy = annotate.policy_box()
model = models[project]
window = load.window(scope, model.name) if model else None


def newest_board() -> annotate.LabellingBoard:
    """The board of the chosen project as it is now."""
    return annotate.board_of(project, model.name if model else None, window, policy)


board = frame.answer_or_stop(newest_board)
annotate.board_summary(board)
annotate.settled_labels_file(board)
annotate.annotation_desk(board, scope, newest_board)
annotate.queue_table(board, scope)
annotate.assignment_form(board)
annotate.skipped_table(board)
