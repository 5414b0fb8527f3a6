"""Case :material/fingerprint:
One prediction. The first screen has its input, the outcome, what moved its score, the best suspected source and the verdict; sections below
have the evidence. Only the opened section is computed. Its address never changes. Each part works alone; a missing part says what to do.
"""

import streamlit as st

from observability.dashboard.case import (
    beside,
    case,
    conclude,
    explanation,
    export,
    inputs,
    load_case,
    logged_input,
    saved_cases,
    sections,
    trace_steps,
)
from observability.dashboard.data import lineage_view
from observability.metrics.lineage import Thing

here = case.open_case_page()
few = {"most": 3} if logged_input.has_logged_content(here) else {}  # a text or an image takes the space of some rows


@st.fragment
def waterfall() -> None:
    """The attributions. Drawn in a fragment, and last if the model may have to be asked for them."""
    case.draw_guarded("Attributions", lambda: explanation.score_waterfall(here, **few))


@st.fragment
def content(*, ask: bool) -> None:
    """The logged text and images, in a fragment. Drawn again at the end if the model has to be asked for the attributions of the words."""
    case.draw_guarded("Logged input", lambda: logged_input.logged_input(here, ask=ask))


case.draw_guarded("Outcome", lambda: case.case_header(here))
text = st.empty()
wanting = logged_input.effects_pending(here)
with text.container():
    content(ask=False)
case.draw_guarded("Trace", lambda: trace_steps.trace_of_case(here))
left, right = st.columns([3, 2], gap="large")
at_once = explanation.is_explanation_known(here)
if at_once:
    with left:
        waterfall()
with right:
    case.draw_guarded("Main inputs", lambda: inputs.main_inputs(here, explanation.important_features(here), **few))
source, pending = st.container(), load_case.repair_pending(here.opened)
if not pending:
    with source:
        case.draw_guarded("Suspected source", lambda: conclude.suspected_source(here))
with st.container(horizontal=True, gap="small"):
    with st.popover("Details", type="tertiary", icon=":material/data_object:"):
        case.draw_guarded("Details", lambda: case.case_details(here))
    with st.popover("Save this case", type="tertiary", icon=":material/bookmark_add:", key=here.key("save-this-case")):
        case.draw_guarded("Save this case", lambda: saved_cases.save_case_form(here))
    with st.popover("Compare", type="tertiary", icon=":material/compare_arrows:"):
        case.draw_guarded("Compare", lambda: beside.beside_box(here))
    with st.popover("For the customer", type="tertiary", icon=":material/forum:"):
        case.draw_guarded("For the customer", lambda: export.customer_text(here))
    with st.popover("Export", type="tertiary", icon=":material/download:"):
        case.draw_guarded("Export", lambda: export.case_downloads(here))
    lineage_view.lineage_button(Thing("prediction", (here.row.model.name, here.row.id)), here.scope, key="to-lineage")
case.draw_guarded("Comparison with another case", lambda: beside.cases_side_by_side(here))
below = st.container()
if not at_once:
    with left:
        waterfall()
if pending:
    with source:
        case.draw_guarded("Suspected source", lambda: conclude.suspected_source(here))
if wanting:
    with text.container():
        content(ask=True)
with below:
    sections.sections_of_case(here)
