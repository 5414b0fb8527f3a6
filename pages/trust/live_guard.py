"""Live guard :material/shield:
Requests of the window, on a bounded sample: how far they are from the reference, against the reference's own distances; subjects whose
requests cover the input space, are far from the reference, search the decision boundary with near-identical requests, or hold unusual
texts; and whether people follow the model when it is right. Without a reference only texts are read: oversized ones, and instructions to a
language model.
"""

import streamlit as st

from observability.dashboard import empty_states, frame
from observability.dashboard.compared_features import compared_features_note
from observability.dashboard.overview import findings
from observability.dashboard.trust import live_guard
from observability.dashboard.widgets import plain_caption

here = frame.begin_model_page("live_guard")
compared_features_note([column.name for column in here.model.features()], here.model.settings)
with frame.loading_skeleton(300):
    view = frame.answer_or_stop(lambda: live_guard.guard_view(here))
found = findings.analyzer_findings(here, "trust/live_guard", wait=True)
if view is None and not found:
    empty_states.no_rows_state("predictions with a reference or with texts")
    st.stop()
if view is not None:
    live_guard.distance_section(view, found)
bursts = live_guard.request_bursts(findings.analyzer_findings(here, "data/requests", wait=True))
live_guard.texts_section(found)
live_guard.subjects_section(here, view, [*found, *bursts])
if view is None:
    plain_caption("Only texts are read: distances, subjects and reliance need a registered version.")
    frame.metric_help("oversized_text_share", "prompt_text_share")
else:
    live_guard.reliance_section(here, found)
    frame.metric_help(
        "far_request_share", "input_coverage", "boundary_request_share", "prompt_text_share", "over_reliance", "under_reliance"
    )
findings.findings_downloads(found, "live-guard")
