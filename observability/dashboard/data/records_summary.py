"""The start of pages about records: the title, the scope, and parts of the one-line summaries."""

from collections.abc import Iterable
from dataclasses import replace

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.window import EPOCH, Window
from observability.dashboard import frame
from observability.dashboard.scope import Scope, scope_from_state


def begin_records_page(page: str) -> Scope:
    """Draw title and help of a page of records that do not belong to a single model, and return its scope, which has no version and no
    slice.
    """
    frame.store_page_heading(page)
    return replace(scope_from_state(st.session_state), version=None, slice=None)


def dates_note(window: Window, before: str = ", ") -> str:
    """The dates of a window as Markdown after a comma; empty if all dates are shown."""
    return before + formatting.escape_markdown(formatting.format_span(window.start, window.end)) if window.start > EPOCH else ""


def attention_count(findings: Iterable[Finding], noun: str) -> str:
    """Return the number of different subjects of findings that need action, in words such as `2 sources need attention`."""
    needy = len({finding.subject for finding in findings if finding.needs_action})
    return formatting.plural(needy, f"{noun} needs attention", f"{noun}s need attention")
