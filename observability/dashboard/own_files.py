"""Logs each download from the dashboard as an export when its file is made."""

from collections.abc import Callable

import streamlit as st

from observability.dashboard.person_name import NAME_KEY
from observability.dashboard.sign_in import current_person
from observability.export.own_exports import csv_shape, note_own_exports
from observability.metrics.own_exports import own_export
from observability.server import process_lock
from observability.server.replica import current_replica

SOMEBODY = "browser"
"""The recipient if sign-in is off and no name was given."""
CASE_FILE = "case-"
"""The beginning of the names of files that contain the id of a prediction."""


def noted_download(name: str, data: Callable[[], str | bytes]) -> Callable[[], str | bytes]:
    """A function that makes a file and logs it as an export. The function remembers who asks for the file now, and for which model."""
    person = current_person()
    recipient = person.name if person.source != "here" else str(st.session_state.get(NAME_KEY) or SOMEBODY)
    chosen = st.session_state.get("model")
    model = chosen if isinstance(chosen, str) and chosen else None

    def made() -> str | bytes:
        content = data()
        shape = csv_shape(content) if isinstance(content, str) and name.endswith(".csv") else (None, [])
        shown = "case file" if name.startswith(CASE_FILE) else name
        records = [own_export(shown, recipient, model=model, rows=shape[0], columns=shape[1])]
        if current_replica() is None:
            note_own_exports(process_lock.current_store(), records)
        else:  # in a thread, so that the download does not wait for the owner of the store
            process_lock.started_thread("export", note_own_exports, process_lock.current_store(), records)
        return content

    return made
