"""Proposals and decisions about a device that collects data, and the results of these decisions."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.time import naive_utc
from observability.dashboard.action_form import ActionChoices, action_form
from observability.dashboard.cells import first_finding
from observability.dashboard.data.devices import device_words

WHAT = {
    "Quarantine": "exclude its data until it is repaired",
    "Recalibrate": "recalibrate it, then compare",
    "Keep": "its data are correct; give the reason",
}


def what_came_after(made: datetime, batches: pd.DataFrame, found: Sequence[Finding]) -> str:
    """Return how many batches arrived after a decision and how many of them are unusual, such as `5 batches since, none unusual`. batches:
    the batches of the device in the window.
    """
    later = set(map(str, batches.loc[batches["at"] > naive_utc(made), "batch"]))
    if not later:
        return "no batch since then in these dates"
    unusual = {str(name) for finding in found if finding.needs_action for name in finding.evidence.get("unusual", [])} & later
    return (
        f"{formatting.plural(len(later), 'batch', 'batches')} since, {f'{len(unusual):,} of them unusual' if unusual else 'none unusual'}"
    )


def device_action_form(subject: str, found: Sequence[Finding], batches: pd.DataFrame) -> None:
    """Draw the form for the next action about a device, with the proposed action. Above it stand the earlier decisions and what was
    delivered after each.
    """
    device = device_words(subject)
    bad = first_finding(finding for finding in found if finding.needs_action)
    proposed = str(bad.evidence.get("proposal") or "").capitalize() if bad else ""
    if bad and proposed in WHAT:
        evidence = f"{formatting.plural(len(bad.evidence.get('unusual', [])), 'unusual batch', 'unusual batches')} in this window"
        st.markdown(formatting.escape_markdown(f"Proposed: {proposed.lower()} {device} ({evidence})."))
    choices = ActionChoices(
        key="device", thing=device, verbs=WHAT, button=f"Decide about {device}", proposed=proposed, cause=bad.id if bad else None
    )
    action_form(choices, lambda made: what_came_after(made, batches, found))
