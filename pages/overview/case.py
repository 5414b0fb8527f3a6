"""Case :material/fingerprint:
Everything that is known about one prediction: what was said and what was true, whether its inputs were odd, why it got its score, how near the edge it
was, whether the label may be wrong, whether there are more like it, what another version says, and what people conclude. Its address never changes.
Each part stands alone: what is missing is said, with what to do.
"""

import streamlit as st

from observability.views import case, case_conclude, case_export, case_inputs, case_label, case_rule, case_why

here = case.begin()
case.header(here)
case.section("What happened", lambda: case.timeline(here))
case.section("Could the inputs be wrong?", lambda: case_inputs.inputs(here))
because = st.container()
case.section("Is it the label?", lambda: case_label.label(here))
case.section("Is it just this one?", lambda: case_rule.rule(here))
case.section("What do we conclude?", lambda: case_conclude.conclude(here))
case.section("Said before", lambda: case_conclude.before(here))
case.section("Take it along", lambda: case_export.export(here))


@st.fragment
def explanation() -> None:
    """Drawn last, because it may have to be computed."""
    case.section("Why this score?", lambda: case_why.why(here))


with because:
    explanation()
