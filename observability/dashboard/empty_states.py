"""Empty states: the missing data, and the next step."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import streamlit as st

from observability.core import formatting
from observability.core.finding import FAILED, Finding
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import links, load, other_records, sample_figures
from observability.dashboard.figure_capture import note_for_collector
from observability.dashboard.sample_examples import PageExample, page_example

FAILURE_ADVICE = "Other analyses are not affected. Try again, or choose another time range; the log of the dashboard says more."
Example = tuple[str, Callable[[Path], Any]]
"""The description of a sample figure, and the function that draws it from the sample's folder."""


def empty_state(message: str, step: str | None = None, page: str | None = None, label: str | None = None) -> None:
    """Draw an empty state: what is missing, the next step, and a link to the page for this step. Messages are our own Markdown."""
    note_for_collector(f"{message} {step}" if step else message)
    with st.container(border=True, horizontal_alignment="center", key=f"empty-{abs(hash(message)) % 10**8}"):
        st.markdown(f":gray[:material/inbox:] {message}", text_alignment="center")
        if step:
            st.caption(step, text_alignment="center")
        if page:
            links.page_button(page, label)


def stop_with_empty_state(message: str, step: str | None = None, page: str | None = None, label: str | None = None) -> NoReturn:
    """Draw an empty state, and stop the page."""
    empty_state(message, step, page, label)
    st.stop()


def stop_without_result(
    found: Iterable[Finding], message: str, step: str | None = None, page: str | None = None, label: str | None = None
) -> NoReturn:
    """Stop a page whose analyzer has no result, with the page's empty state and its example. If the analyzer failed, the empty state
    instead names the failure and what to do.
    """
    if any(finding.because.startswith(FAILED) for finding in found):
        stop_with_empty_state("Nothing can be shown, because the analysis failed.", FAILURE_ADVICE)
    empty_state(message, step, page, label)
    _draw_example(page_example(st.session_state.get("shown") or ""))
    st.stop()


def _draw_example(example: PageExample) -> None:
    """Draw the figure of an example, if it has one."""
    if example.build is not None:
        sample_figures.draw_sample_figure(example.name, example.build)


def error_state(error: Exception, title: str = "Cannot be shown") -> None:
    """Draw an error that a person can fix. title: what the error prevents, as plain text."""
    note_for_collector(formatting.capitalized_sentence(error))
    st.error(formatting.error_markdown(error), title=formatting.escape_markdown(title), icon=":material/error:")


def no_models_state(message: str = "", step: str = "", example: PageExample | None = None) -> None:
    """Draw the state of a store without predictions: the records that it has, with links, and how to log predictions.

    message, step: the page's own message and next step, which are shown in the same box. example: what the page would show and the code
    that provides it, drawn below the box.
    """
    found = other_records.other_records_present()
    others = f" Stored: {formatting.join_words([kind.words for kind in found])}." if found else ""
    empty_state(
        f"No predictions yet.{others} {message}".rstrip(),
        "Add a model from a file, load the sample with `python -m observability demo --live`, "
        f"or log to this home with `observability.Logger`. {step}".rstrip(),
        "add_model",
        "Add a model",
    )
    if example is not None:
        st.code(example.lines, language=None, wrap_lines=True)
    if found:
        with st.container(horizontal=True, horizontal_alignment="center"):
            for page in dict.fromkeys(kind.page for kind in found):
                name, icon, _ = links.page_description(links.page_files()[page])
                st.page_link(str(links.page_files()[page]), label=name, icon=icon)
    if example is not None:
        _draw_example(example)


def no_rows_state(what: str = "predictions") -> None:
    """Draw the state of an empty window."""
    empty_state(f"No {what} in this window.", "Choose a longer time range, or another model, version or slice, in the bar above.")


def not_logged_state(kind: str, words: str, message: str, step: str, how: str, example: Example | None = None) -> None:
    """Draw the state without records of a kind. If only the window has none, a message about the window is drawn; if the store has none,
    Python lines that log one. words: the plural of the kind. example: the same as in `how_to_log_state`.
    """
    if len(load.ask_store(Records(kind, ("at",), ever=True, rows=1), Window("", EPOCH, load.page_clock()))):
        no_rows_state(words)
    else:
        how_to_log_state(message, step, how, example)


def how_to_log_state(message: str, step: str, how: str, example: Example | None = None) -> None:
    """Draw the state of a store without records of a kind. how: Python lines that log one.

    example: words for what the page would show, and a function that draws it from the sample's folder.
    """
    (empty_state if load.catalog().models else no_models_state)(message, step)
    st.code(how, language=None, wrap_lines=True)
    if example is not None:
        sample_figures.draw_sample_figure(*example)


def nothing_judged_state() -> None:
    """Draw the sentence that nothing could be judged."""
    st.markdown(f"{formatting.status_label('unknown')}: nothing could be judged in this window.")


def no_findings_state() -> None:
    """Draw the sentence that no finding needs attention."""
    st.markdown(f"{formatting.status_label('ok')}: nothing needs attention in this window.")
