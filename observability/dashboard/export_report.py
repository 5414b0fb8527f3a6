"""Exports a window as an Evidently report: HTML, and a JSON snapshot.

The report is made on request by the worker process, from a sample of limited size. The last report is stored for the session.
"""

from functools import partial

import streamlit as st

from observability.core import formatting
from observability.core.window import Window
from observability.dashboard import distributions, load, own_files
from observability.dashboard.widgets import answer_or_error, plain_caption, plain_paragraph, progress_bar, status_line
from observability.export.evidently import ROWS, SECONDS, Export, evidently_export

HELD = "evidently-export"


def evidently_report_popover(window: Window, other: Window | None = None) -> None:
    """Draw the popover that makes the report of a window compared with another one, by default its reference, and that offers both
    files.
    """
    with st.popover("Evidently report", type="tertiary", icon=":material/lab_profile:", key="evidently-popover"):
        model = load.catalog().model(window.model)
        current, reference = (window, other) if other else distributions.compared_windows(model, window)
        if reference is None:
            st.caption("No reference to compare with: register a version with held-out predictions.")
            return
        plain_paragraph(f"Drift, summaries and, with labels, quality of each column, from at most {ROWS:,} rows of each side.")
        plain_caption(
            f"Takes 10 to 30 seconds, at most {SECONDS:.0f}. Runs on this machine, without network access where the system allows it."
        )
        if st.button("Make the report", type="primary", key="evidently-make", icon=":material/play_arrow:"):
            make_report(current, reference)
        offer_report_files(current, reference)


def make_report(current: Window, reference: Window) -> None:
    """Make the report and show progress; a failure is shown as an error."""
    from observability.worker import process

    st.session_state.pop(HELD, None)
    with progress_bar("Waiting for the worker") as note:
        store, worker = load.store(), process.warm_worker()
        made = answer_or_error(lambda: evidently_export(store, worker, current, reference, progress=note), "The report failed")
    if made is not None:
        st.session_state[HELD] = current, reference, made


def offer_report_files(current: Window, reference: Window) -> None:
    """Draw the downloads of both files, if the last report is about these windows."""
    held: tuple[Window, Window, Export] | None = st.session_state.get(HELD)
    if held is None or held[:2] != (current, reference):
        return
    made = held[2]
    (rows, other_rows), (total, other_total) = made.rows, made.of_rows
    st.markdown(
        status_line("ok", f"{rows:,} of {total:,} and {other_rows:,} of {other_total:,} rows, made in {made.seconds:.0f} s.", "Ready")
    )
    if made.left_out:
        plain_caption(f"Left out: {'; '.join(made.left_out)}.")
    if not made.network_blocked:
        st.caption("Network access could not be blocked on this system; Evidently's telemetry is turned off.")
    with st.container(horizontal=True, gap="small"):
        for label, data, ending, kind in (
            ("HTML", made.html, "html", "text/html"),
            ("JSON snapshot", made.snapshot, "json", "application/json"),
        ):
            words, name = f"{label} ({formatting.format_bytes(len(data))})", f"{made.name}.{ending}"
            file = own_files.noted_download(name, partial(_as_it_is, data))
            st.download_button(words, file, name, kind, key=f"evidently-{ending}", icon=":material/download:", on_click="ignore")


def _as_it_is(data: str | bytes) -> str | bytes:
    """The content of a file that was made before its button was drawn."""
    return data
