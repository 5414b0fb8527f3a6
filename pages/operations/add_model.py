"""Add a model :material/add_circle:
Upload held-out predictions with labels, check and correct what was inferred from the file, register the version, and load serving logs.
The file is copied to this machine's disk while it is needed and deleted afterwards; nothing leaves the machine.
"""

import streamlit as st

from observability.dashboard import frame, links, sign_in
from observability.dashboard.operations import add_model
from observability.dashboard.scope import Scope
from observability.dashboard.widgets import link_button

frame.store_page_heading("add_model")
if not sign_in.role_allows("register"):
    st.info("Your role does not allow you to add models. Ask an administrator.", icon=":material/lock:")
    st.stop()

st.header("1. Reference file", anchor=False)
add_model.reference_step()

st.header("2. Inference", anchor=False)
found = add_model.inference_step()
if found is None or not add_model.registration_step(found):
    st.stop()

st.header("3. Serving logs", anchor=False)
add_model.serving_logs_step(found)
first = links.link_cell("", "model", Scope(model=found.model, span="all"))["go"]
link_button("Open its first page", first, quiet=False)
