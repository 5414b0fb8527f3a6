"""Case :material/fingerprint:
Everything that is known about one prediction: what was said and what was true, whether its inputs were odd, why it got its score, how near the edge it
was, whether the label may be wrong, whether there are more like it, what another version says, and what people conclude. Its address never changes.
Each part stands alone: what is missing is said, with what to do.
"""

from observability.views import case, case_inputs

here = case.begin()
case.header(here)
case.section("What happened", lambda: case.timeline(here))
case.section("Could the inputs be wrong?", lambda: case_inputs.inputs(here))
