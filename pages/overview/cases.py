"""Find a case :material/manage_search:
Find a prediction by id, subject, the beginning of an id, or conditions on features, score and outcome within the window and slice of the
scope bar. Without a search, saved cases are listed, and queues of cases to review, worst first. The number of results is limited and
shown.
"""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, load
from observability.dashboard.case import cases, saved_cases
from observability.dashboard.scope import BIND

scope = frame.begin_fleet_page("cases")
known = {model.name: model for model in load.catalog().models}
typed = st.text_input(
    "Id, subject or conditions",
    key="q",
    bind=BIND,
    placeholder="Paste an id, or type a condition",
    icon=":material/search:",
    help=formatting.sentence_markdown(cases.condition_examples(known.get(scope.model or ""))),
)
st.caption(formatting.escape_markdown(cases.search_scope_note(scope)))
if typed and typed.strip():
    with frame.loading_skeleton(200):
        cases.case_search_results(scope, typed.strip())
else:
    saved_cases.saved_cases_section(scope)
    with frame.loading_skeleton(320, "inbox"):
        cases.case_queue(scope)
