"""Case :material/fingerprint:
One prediction: its inputs, score, decision and label, input checks, explanation, decision boundary, label check, similar errors, other
versions, and conclusions. Its address never changes. Each part works alone; a missing part says what to do.
"""

import streamlit as st

from observability.dashboard.case import (
    case,
    conclude,
    decision_boundary,
    explanation,
    export,
    inputs,
    label,
    load_case,
    similar_errors,
    versions,
)
from observability.dashboard.case import sections as case_sections

here = case.open_case_page()


@st.fragment
def modelled(title: str, anchor: str) -> None:
    """A part that may have to ask the model: it runs again by itself, and is drawn last where it has to wait."""
    draw = {"why": explanation.explanation_section, "edge": decision_boundary.boundary_section, "versions": versions.versions_section}[
        anchor
    ]
    case.case_section(title, lambda: draw(here), anchor=anchor)


WHY = ("Why this score?", "why")
case.case_header(here)
sections, at_once = st.empty(), explanation.is_explanation_known(here)
known = at_once and case_sections.section_words_ready(here)
with sections:
    case_sections.sections_list(here, known=known)
case.case_section("What happened", lambda: case.case_timeline(here), anchor="happened")
case.case_section("Input checks", lambda: inputs.inputs_section(here), anchor="inputs")
then, because, near = st.container(), st.container(), st.container()
if at_once:
    with because:
        modelled(*WHY)
case.case_section("Label check", lambda: label.label_section(here), anchor="label")
case.case_section("Similar errors", lambda: similar_errors.error_rule_section(here), anchor="alike")
grown, others = st.container(), st.container()
concluded, pending = st.container(), load_case.repair_pending(here.opened)
if not pending:
    with concluded:
        case.case_section("Conclusion", lambda: conclude.conclusion_section(here), anchor="conclude")
case.case_section("Earlier conclusions", lambda: conclude.earlier_conclusions(here), anchor="said")
case.case_section("Export", lambda: export.case_downloads(here), anchor="take")
with near:
    modelled("Decision boundary", "edge")
with others:
    modelled("Other versions", "versions")
with then:
    case.case_section("Findings of that day", lambda: inputs.findings_of_that_day(here))
with grown:
    case.case_section("Error tree", lambda: similar_errors.error_tree_section(here))
if not at_once:
    with because:
        modelled(*WHY)
if pending:
    with concluded:
        case.case_section("Conclusion", lambda: conclude.conclusion_section(here), anchor="conclude")
if not known:
    with sections:
        case_sections.sections_list(here, known=True)
