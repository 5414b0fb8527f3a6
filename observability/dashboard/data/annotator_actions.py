"""Actions about an annotator."""

from collections.abc import Sequence

from observability.core.finding import Finding
from observability.dashboard.action_form import ActionChoices, action_form

WHAT = {"Train": "review their errors with them", "Pause": "assign no new items for now", "Praise": "give positive feedback"}


def annotator_action_form(project: str, who: str, found: Sequence[Finding]) -> None:
    """Draw the earlier actions about an annotator, and a form for the next one."""
    about = f"project:{project}/annotator:{who}"
    cause = next((finding.id for finding in found if finding.subject == about and finding.needs_action), None)
    action_form(
        ActionChoices(key="person", thing=f"annotator {who} of {project}", verbs=WHAT, button=f"Add an action for {who}", cause=cause)
    )
