"""Parts of the one-line summaries above the pages of records."""

from collections.abc import Iterable

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.window import EPOCH, Window


def dates_note(window: Window, before: str = ", ") -> str:
    """The dates of a window as Markdown after a comma; nothing where every date is shown."""
    return before + formatting.escape_markdown(formatting.format_span(window.start, window.end)) if window.start > EPOCH else ""


def attention_count(findings: Iterable[Finding], noun: str) -> str:
    """`2 sources need attention`: different subjects of findings that need action."""
    needy = len({finding.subject for finding in findings if finding.needs_action})
    return formatting.plural(needy, f"{noun} needs attention", f"{noun}s need attention")
