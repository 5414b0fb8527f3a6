"""The beginning of the pages of records: title and scope, and parts of the one-line summaries above them."""

from collections.abc import Iterable
from dataclasses import replace

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.window import EPOCH, Window
from observability.dashboard import frame
from observability.dashboard.scope import Scope, scope_from_state


def begin_records_page(page: str) -> Scope:
    """Draw title and help of a page of records that belong to no single model; its scope has no version and no slice."""
    frame.store_page_heading(page)
    return replace(scope_from_state(st.session_state), version=None, slice=None)


def dates_note(window: Window, before: str = ", ") -> str:
    """The dates of a window as Markdown after a comma; nothing if every date is shown."""
    return before + formatting.escape_markdown(formatting.format_span(window.start, window.end)) if window.start > EPOCH else ""


def attention_count(findings: Iterable[Finding], noun: str) -> str:
    """`2 sources need attention`: different subjects of findings that need action."""
    needy = len({finding.subject for finding in findings if finding.needs_action})
    return formatting.plural(needy, f"{noun} needs attention", f"{noun}s need attention")
