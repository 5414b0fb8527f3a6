"""Case :material/fingerprint:
Everything that is known about one prediction: what was said and what was true, whether its inputs were odd, why it got its score, how near the edge it
was, whether the label may be wrong, whether there are more like it, what another version says, and what people conclude. Its address never changes.
Each part stands alone: what is missing is said, with what to do.
"""

import streamlit as st

from observability.views import case, case_conclude, case_edge, case_export, case_inputs, case_label, case_rule, case_versions, case_why

here = case.begin()
case.header(here)
case.section("What happened", lambda: case.timeline(here))
case.section("Could the inputs be wrong?", lambda: case_inputs.inputs(here))
because, near = st.container(), st.container()
case.section("Is it the label?", lambda: case_label.label(here))
case.section("Is it just this one?", lambda: case_rule.rule(here))
others = st.container()
case.section("What do we conclude?", lambda: case_conclude.conclude(here))
case.section("Said before", lambda: case_conclude.before(here))
case.section("Take it along", lambda: case_export.export(here))


@st.fragment
def modelled(title: str) -> None:
    """What may have to ask the model is drawn last, each part for itself."""
    draw = {
        "Why this score?": case_why.why,
        "Was it near the edge?": case_edge.edge,
        "Would another version be right?": case_versions.versions,
    }[title]
    case.section(title, lambda: draw(here))


for place, title in ((near, "Was it near the edge?"), (others, "Would another version be right?"), (because, "Why this score?")):
    with place:
        modelled(title)
