"""Model selection :material/swap_vert:
Should a new version replace the one that serves? Challenger and champion on the rows that both answered: errors with paired intervals
(DeLong for ROC AUC, McNemar for decisions), calibration, slices in which it is worse, fairness, latency, cost and energy, and how many
answers change. The decision (promote, hold, reject) is saved with its reason.
"""

from observability.dashboard import empty_states, frame
from observability.dashboard.overview import findings
from observability.dashboard.training import selection
from observability.dashboard.widgets import finding_lines

here = frame.begin_model_page("selection")
sides = selection.selection_boxes(here)
if sides is None:
    empty_states.stop_with_empty_state(
        "This model has one version only.",
        'Log the answers of a new version with environment="shadow", under the ids of the requests, or let it serve a part of them.',
    )
with frame.loading_skeleton(300):
    told = selection.selection_verdict(here, sides)
found = findings.analyzer_findings(here, "training/selection", wait=True)
finding_lines(finding for finding in found if finding.evidence.get("challenger") == sides.challenger.version)
selection.comparison_link(here, sides)
selection.decision_form(here, sides, told)
selection.past_decisions(here)
