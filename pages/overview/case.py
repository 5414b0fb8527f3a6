"""Case :material/fingerprint:
Everything that is known about one prediction: what was said and what was true, whether its inputs were odd, why it got its score, how near the edge it
was, whether the label may be wrong, whether there are more like it, what another version says, and what people conclude. Its address never changes.
Each part stands alone: what is missing is said, with what to do.
"""

import streamlit as st

from observability.dashboard.case import case, conclude, decision_boundary, export, inputs, label, similar_errors, versions, why
from observability.dashboard.case import sections as case_sections

here = case.begin()


@st.fragment
def modelled(title: str, anchor: str) -> None:
    """A part that may have to ask the model: it runs again by itself, and is drawn last where it has to wait."""
    draw = {"why": why.why, "edge": decision_boundary.edge, "versions": versions.versions}[anchor]
    case.section(title, lambda: draw(here), anchor=anchor)


WHY = ("Why this score?", "why")
case.header(here)
sections, at_once = st.empty(), why.ready(here)
known = at_once and case_sections.ready(here)
with sections:
    case_sections.listed(here, known=known)
case.section("What happened", lambda: case.timeline(here), anchor="happened")
case.section("Could the inputs be wrong?", lambda: inputs.inputs(here), anchor="inputs")
then, because, near = st.container(), st.container(), st.container()
if at_once:
    with because:
        modelled(*WHY)
case.section("Is it the label?", lambda: label.label(here), anchor="label")
case.section("Is it just this one?", lambda: similar_errors.rule(here), anchor="alike")
grown, others = st.container(), st.container()
case.section("What do we conclude?", lambda: conclude.conclude(here), anchor="conclude")
case.section("Said before", lambda: conclude.before(here), anchor="said")
case.section("Take it along", lambda: export.export(here), anchor="take")
with near:
    modelled("Was it near the edge?", "edge")
with others:
    modelled("Would another version be right?", "versions")
with then:
    case.section("Found about that time", lambda: inputs.at_that_time(here))
with grown:
    case.section("Where errors gather", lambda: similar_errors.tree(here))
if not at_once:
    with because:
        modelled(*WHY)
if not known:
    with sections:
        case_sections.listed(here, known=True)
