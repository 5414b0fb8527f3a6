"""What is not explained yet, why, and how does a person have it explained now?"""

import threading
import time

import streamlit as st

from observability.analyzers.trust.explanations import NO_ARTIFACT
from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import empty_states, load
from observability.dashboard.frame import Here
from observability.dashboard.trust.explanations import View

WAIT_SECONDS = 120.0
"""The button explains for so long at most; the rest is left to the dashboard, or to the command."""


def missing(here: Here, view: View) -> None:
    """What is not explained, why, and the button that explains it now."""
    now, state = view.now, view.state
    if state is not None and state.failure:
        st.error(
            formatting.plain(f"{state.failure[:1].upper()}{state.failure[1:]} It is tried again when the artifact is registered anew or a library changes."),
            title="The artifact could not be explained", icon=":material/error:",
        )  # fmt: skip
        return
    if now.served == 0:
        empty_states.no_rows()
        return
    if not view.version.artifact and now.explained == 0:
        empty_states.nothing(
            formatting.sentence(NO_ARTIFACT.format(view.version.name)),
            "Models run in a process of their own, without network. Pickle and joblib files are refused, because they run code.",
            "add_model",
            "Register",
        )
        return
    if now.days < now.served_days or (view.before is None and view.version.artifact):
        working()
        if st.button("Explain now", icon=":material/bolt:"):
            explain_now(here, view)


def working() -> None:
    """What the thread that explains in the background is doing."""
    from observability.core.errors import StoreBusyError
    from observability.server import process_lock

    try:
        state = process_lock.current().enriching
    except StoreBusyError:
        return
    if state is not None and state.busy:
        st.caption(formatting.plain(f"At work: {state.sentence} ({formatting.share(state.share)} of {state.model})."))
    elif state is not None and state.failure:
        st.caption(formatting.plain(f"The last work in the background failed: {state.failure}"))


def explain_now(here: Here, view: View) -> None:
    """Explain the reference and the days of the window, with progress."""
    from observability.enrichment.enrich import one_step
    from observability.enrichment.explanations import explain_rows

    bar, began, rows = st.progress(0.0, "Starting the process that runs the model"), time.monotonic(), 0
    before = waiting(here, view)

    def note(share: float, sentence: str) -> None:
        bar.progress(min(max(1 - left / max(before, 1), 0.0), 1.0), f"{rows:,} predictions explained. {formatting.plain(sentence)}")

    left = before
    try:
        while left and time.monotonic() - began < WAIT_SECONDS:
            done = one_step(load.store(), explain_rows, here.model.name, note, threading.Event())
            rows, left = rows + done, waiting(here, view)
            if not done:
                break
    except ObservabilityError as error:
        bar.empty()
        st.error(formatting.plain(str(error)))
        return
    bar.empty()
    st.rerun()


def waiting(here: Here, view: View) -> int:
    """How many days of the window, with the reference, are still to be explained."""
    from observability.enrichment.explanations import REFERENCE_ROWS
    from observability.store.query.attribution_plan import REFERENCE, parts_of

    parts = parts_of(load.store(), here.model, view.version, int(here.model.settings.explanations_per_day), REFERENCE_ROWS)
    first, last = f"{view.window.start:%Y-%m-%d}", f"{view.window.end:%Y-%m-%dT%H}"
    return sum(not each.done for each in parts if each.name == REFERENCE or first <= each.name < last)
