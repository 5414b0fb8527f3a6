"""How does a person take a window along as an Evidently report: HTML to read, a JSON snapshot to load?

Made on request only, in the worker, from a bounded sample whose size is said. What was made last stays for the session until another is made.
"""

from dataclasses import dataclass

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.core.window import Window
from observability.dashboard import distributions, load
from observability.export.evidently import ROWS, SECONDS, Export, export

HELD = "evidently-export"


@dataclass(frozen=True)
class Held:
    """A report that was made, and what it is about."""

    current: Window
    reference: Window
    made: Export


def export_button(window: Window, other: Window | None = None) -> None:
    """A popover that makes the report of a window against another side, by default the reference of its version, and offers both files."""
    with st.popover("Evidently report", type="tertiary", icon=":material/lab_profile:", key="evidently-popover"):
        current, reference = sides(window, other)
        if reference is None:
            st.caption("There is no reference to hold this window against: register a version with held-out predictions.")
            return
        st.markdown(
            formatting.plain(
                f"The window as an Evidently report: drift and summaries of each column, and its quality report where labels are in. Made from at most {ROWS:,} rows of each side."
            )
        )
        st.caption(
            formatting.plain(
                f"Takes 10 to 30 seconds, at most {SECONDS:.0f}. It is made on this machine, in a process that is cut off from the network where the system allows it."
            )
        )
        pressed = st.button("Make the report", type="primary", key="evidently-make", icon=":material/play_arrow:")
        if pressed:
            make(current, reference)
        offer(current, reference)


def sides(window: Window, other: Window | None) -> tuple[Window, Window | None]:
    """The window, of the version that is judged where it is held against its reference, and what it is held against (None: nothing)."""
    if other is not None:
        return window, other
    version, current = distributions.judged_version(load.catalog().model(window.model), window, window.version)
    return current, current.reference() if version is not None and version.reference_rows else None


def make(current: Window, reference: Window) -> None:
    """Make the report with its progress; a failure is said in its own words."""
    from observability.worker import process

    st.session_state.pop(HELD, None)
    bar = st.progress(0.0, "Waiting for the worker")
    try:
        made = export(load.store(), process.shared(), current, reference, progress=lambda share, words: update(bar, share, words))
    except ObservabilityError as error:
        bar.empty()
        st.error(formatting.plain(str(error)), title="No report was made", icon=":material/error:")
        return
    bar.empty()
    st.session_state[HELD] = Held(current, reference, made)


def update(bar: "st.delta_generator.DeltaGenerator", share: float, words: str) -> None:
    """Move the bar."""
    bar.progress(min(max(share, 0.0), 1.0), formatting.plain(words))


def offer(current: Window, reference: Window) -> None:
    """The two files, where the last report that was made is about these sides."""
    held = st.session_state.get(HELD)
    if not isinstance(held, Held) or (held.current, held.reference) != (current, reference):
        return
    made = held.made
    st.markdown(
        f"{formatting.status('ok', 'Ready')}: {formatting.plain(f'{made.rows[0]:,} of {made.of_rows[0]:,} and {made.rows[1]:,} of {made.of_rows[1]:,} rows, made in {made.seconds:.0f} s.')}"
    )
    if made.left_out:
        st.caption(formatting.plain(f"Left out: {'; '.join(made.left_out)}."))
    if not made.network_blocked:
        st.caption("This system does not let the process be cut off from the network; Evidently's own messages home are turned off.")
    with st.container(horizontal=True, gap="small"):
        for label, data, ending, kind, key in (
            ("HTML", made.html, "html", "text/html", "evidently-html"),
            ("JSON snapshot", made.snapshot, "json", "application/json", "evidently-json"),
        ):
            size = formatting.size(len(data))
            st.download_button(
                f"{label} ({size})", data, f"{made.name}.{ending}", kind, key=key, icon=":material/download:", on_click="ignore"
            )
