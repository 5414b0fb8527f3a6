"""Add a model :material/add_circle:
From a file to the first page in minutes: upload held-out predictions with their labels, see in plain words what was inferred from them, correct it,
register, and load serving logs. The file is copied to this machine's disk while it is needed and deleted after; nothing leaves the machine.
"""

import streamlit as st

from observability.dashboard import frame, links
from observability.dashboard.operations import add_model
from observability.dashboard.scope import Scope

frame.heading("add_model")

st.header("1. Reference file", anchor=False)
add_model.reference()

st.header("2. What it says", anchor=False)
found = add_model.inferred()
if found is None or not add_model.registration(found):
    st.stop()

st.header("3. Serving logs", anchor=False)
add_model.logs(found)
first = links.link("", "model", Scope(model=found.model, span="all"))["go"]
st.button("Open its first page", icon=":material/arrow_forward:", on_click=links.go, args=(first,))
