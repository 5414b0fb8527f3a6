"""Case :material/fingerprint:
Everything that is known about one prediction: what was said and what was true, whether its inputs were odd, why it got its score, how near the edge it
was, whether the label may be wrong, whether there are more like it, what another version says, and what people conclude. Its address never changes.
Each part stands alone: what is missing is said, with what to do.
"""

import streamlit as st

from observability.views import case, case_conclude, case_edge, case_export, case_inputs, case_label, case_rule, case_versions, case_why

here = case.begin()


@st.fragment
def modelled(title: str) -> None:
    """A part that may have to ask the model: it runs again by itself, and is drawn last where it has to wait."""
    draw = {WHY: case_why.why, EDGE: case_edge.edge, VERSIONS: case_versions.versions}[title]
    case.section(title, lambda: draw(here))


WHY, EDGE, VERSIONS = "Why this score?", "Was it near the edge?", "Would another version be right?"
case.header(here)
case.section("What happened", lambda: case.timeline(here))
case.section("Could the inputs be wrong?", lambda: case_inputs.inputs(here))
then, because, near = st.container(), st.container(), st.container()
if at_once := case_why.ready(here):
    with because:
        modelled(WHY)
case.section("Is it the label?", lambda: case_label.label(here))
case.section("Is it just this one?", lambda: case_rule.rule(here))
grown, others = st.container(), st.container()
case.section("What do we conclude?", lambda: case_conclude.conclude(here))
case.section("Said before", lambda: case_conclude.before(here))
case.section("Take it along", lambda: case_export.export(here))
with near:
    modelled(EDGE)
with others:
    modelled(VERSIONS)
with then:
    case.section("Found about that time", lambda: case_inputs.at_that_time(here), level=3)
with grown:
    case.section("Where errors gather", lambda: case_rule.tree(here), level=3)
if not at_once:
    with because:
        modelled(WHY)
