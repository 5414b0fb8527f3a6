"""The note on predictions that are not explained yet, and the button that explains them now."""

import threading
import time

import streamlit as st

from observability.analyzers.trust.explanations import NO_ARTIFACT
from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import empty_states, load
from observability.dashboard.frame import ModelPage
from observability.dashboard.replica_line import is_done_at_owner
from observability.dashboard.sign_in import require_owner, role_allows
from observability.dashboard.trust.explanations import ExplanationView
from observability.dashboard.widgets import plain_caption, plain_error, progress_bar

WAIT_SECONDS = 120.0
"""Maximum number of seconds that the button works; the background thread or the command explains the remaining predictions."""


def unexplained_note(here: ModelPage, view: ExplanationView) -> None:
    """Draw how many predictions are not explained yet, the reason, and the button that explains them now."""
    now, state = view.now, view.state
    if state is not None and state.failure:
        words = f"{state.failure} Retried after a new registration of the artifact or a change of a library."
        st.error(formatting.error_markdown(words), title="The artifact could not be explained", icon=":material/error:")
        return
    if now.served == 0:
        empty_states.no_rows_state()
        return
    if not view.version.artifact and now.explained == 0:
        empty_states.empty_state(
            formatting.sentence_markdown(NO_ARTIFACT.format(view.version.name)),
            "Models run in a separate process without network. Pickle and joblib files are rejected because they run code.",
            "add_model",
            "Register",
        )
        return
    if now.days < now.served_days or (view.before is None and view.version.artifact):
        _background_work_note()
        if is_done_at_owner("Predictions are explained", "explanations") or not role_allows("explain", here.model.name):
            return
        if st.button("Explain now", icon=":material/bolt:"):
            _explain_with_progress(here, view)


def _background_work_note() -> None:
    """Draw the state of the background thread that explains predictions. Draws nothing while it works on a model that the person may not
    see.
    """
    from observability.core.errors import StoreBusyError
    from observability.server import process_lock

    try:
        state = process_lock.current_owner().enriching
    except StoreBusyError:
        return
    if state is None or (state.model and not role_allows("read", state.model)):
        return
    if state.busy:
        plain_caption(f"In progress: {state.sentence} ({formatting.format_share(state.share)} of {state.model}).")
    elif state.failure:
        plain_caption(f"Background run failed: {state.failure}")


def _explain_with_progress(here: ModelPage, view: ExplanationView) -> None:
    """Explain the reference and the days of the window, while progress is shown."""
    from observability.enrichment.enrich import enrichment_step
    from observability.enrichment.explanations import explain_rows

    began, rows, left = time.monotonic(), 0, _parts_waiting(here, view)
    before = max(left, 1)
    with progress_bar("Starting the model process") as move:

        def note(share: float, sentence: str) -> None:
            move(1 - left / before, f"{rows:,} predictions explained. {sentence}")

        try:
            require_owner()
            while left and time.monotonic() - began < WAIT_SECONDS:
                done = enrichment_step(load.store(), explain_rows, here.model.name, note, threading.Event())
                rows, left = rows + done, _parts_waiting(here, view)
                if not done:
                    break
        except ObservabilityError as error:
            plain_error(error)
            return
    st.rerun()


def _parts_waiting(here: ModelPage, view: ExplanationView) -> int:
    """The number of parts that are not explained yet: days of the window, and the reference."""
    from observability.enrichment.explanations import REFERENCE_ROWS
    from observability.store.types.explanations import REFERENCE

    parts = load.store().explanation_parts(here.model, view.version, int(here.model.settings.explanations_per_day), REFERENCE_ROWS)
    first, last = f"{view.window.start:%Y-%m-%d}", f"{view.window.end:%Y-%m-%dT%H}"
    return sum(not each.done for each in parts if each.name == REFERENCE or first <= each.name < last)
