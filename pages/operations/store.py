"""Store :material/database:
What has landed, what waits, what was rejected and why, how large everything is. Load what waits now, remove a model with all of its records, or
remove the sample fleet.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame
from observability.dashboard.operations import store
from observability.dashboard.table import table

frame.heading("store")
status = store.read()

with st.container(horizontal=True):
    for label, value, help_text in store.figures(status):
        st.metric(label, value, help=help_text, width="content", border=True)

st.header("Landing", anchor=False)
store.landing(status)

st.header("Models", anchor=False)
if rows := store.model_rows(status):
    table("models", "Models in the store", store.MODEL_COLUMNS, rows, compact=True)
else:
    st.caption("No model yet.")

st.header("Rejected lines", anchor=False)
store.rejected_lines(status)

st.header("Remove", anchor=False)
st.markdown(formatting.plain("Removing a model drops its predictions, labels, versions, references and counts. It cannot be undone."))
store.removal()
