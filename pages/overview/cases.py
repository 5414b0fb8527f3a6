"""Find a case :material/manage_search:
Find one prediction: by its id, by the subject it is about, by the beginning of an id, or by conditions on features, score and outcome inside the
window and slice of the sidebar. Without words, the inboxes offer cases that deserve a look, worst first. Every result is bounded, and says so.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load
from observability.dashboard.case import cases
from observability.dashboard.sidebar import BIND

scope = frame.begin("cases")
known = {each.name: each for each in load.catalog().models}
typed = st.text_input(
    "Id, subject or conditions", key="q", bind=BIND, placeholder="Paste an id, or type a condition", icon=":material/search:",
    help=formatting.sentence(cases.examples(known.get(scope.model or ""))),
)  # fmt: skip
st.caption(formatting.plain(cases.window_words(scope)))
if typed and typed.strip():
    with frame.loading(200):
        cases.results(scope, typed.strip())
else:
    with frame.loading(320, "inbox"):
        cases.inbox(scope)
