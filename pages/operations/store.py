"""Store :material/database:
Landed, waiting and rejected records, and sizes. Load waiting segments now, remove a model with all of its records, remove the sample fleet,
or forget a subject. What is new in this version. Whether model files run confined, and who allowed them to run where that is not possible.
"""

import streamlit as st

from observability.dashboard import frame, load, sign_in
from observability.dashboard.operations import store
from observability.dashboard.operations.confinement import confinement_section
from observability.dashboard.replica_line import is_done_at_owner
from observability.dashboard.table import draw_table
from observability.dashboard.widgets import plain_paragraph

frame.store_page_heading("store")
if is_done_at_owner("Landing, backups and removal are managed", "store"):
    st.stop()
status = frame.answer_or_stop(load.store_summary)

with st.container(horizontal=True):
    for label, value, help_text in store.store_figures(status):
        st.metric(label, value, help=help_text, width="content", border=True)

st.header("Landing", anchor=False)
store.landing_section(status)

if rows := store.source_table_rows(status):
    st.header("Sources", anchor=False)
    draw_table("sources", "Sources and their last load", store.SOURCE_COLUMNS, rows, compact=True)
    st.caption("Scheduled sources are set in lake.toml in the home (docs/lake.md).")

st.header("Models", anchor=False)
if rows := store.stored_model_rows(status):
    draw_table("models", "Models in the store", store.MODEL_COLUMNS, rows, compact=True)
else:
    st.caption("No model yet.")

st.header("Backups and retention", anchor=False)
store.keeping_section(status)

st.header("Rejected lines", anchor=False)
store.rejected_lines_section(status)

st.header("Model files", anchor=False)
confinement_section()

st.header("What is new", anchor=False)
store.changelog_section()

if sign_in.role_allows("remove"):
    st.header("Remove", anchor=False)
    plain_paragraph("Removing a model drops its predictions, labels, versions, references and counts. It cannot be undone.")
    store.removal_forms()

if sign_in.role_allows("forget"):
    st.header("Forget a subject", anchor=False)
    plain_paragraph(
        "Erases a person's rows, labels and mentions everywhere, landing, frozen reviews and backups included, and refuses later records. "
        "The store is rewritten; what is saved meanwhile waits. It cannot be undone."
    )
    store.forget_form()
