"""Draw which models a step of a review could judge. Only these models are reported as OK; for every other model the reason is given."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import SEVERITIES
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.widgets import status_line

Body = dict[str, Any]
MAX_REASONS = 6
"""Maximum number of reasons that are shown."""


def coverage_note(room: ReviewPage, analyzers: Sequence[str], good: str | None) -> None:
    """Draw which models the analyzers of a step could judge. good: the sentence to show if nothing needs attention; None if something
    does.
    """
    parts = room.body["models"]
    blind = {each["model"]: why for each in parts if (why := _reason_not_judged(each, analyzers))}
    if good and len(blind) < len(parts):
        judged = len(parts) - len(blind)
        holds = f" ({formatting.plural(judged, 'model')} judged.)" if blind else ""
        st.markdown(f"{formatting.status_label('ok')}: {formatting.escape_markdown(good + holds)}")
    if blind:
        of = formatting.plural(len(parts), "model")
        st.markdown(status_line("unknown", f"not fully judged: {len(blind)} of {of}."))
        reasons = list(dict.fromkeys(blind.values()))
        for why in reasons[:MAX_REASONS]:
            models = formatting.join_words([model for model, its in blind.items() if its == why])
            st.markdown(f"{formatting.escape_markdown(models)}: {formatting.sentence_markdown(why)}")
        if len(reasons) > MAX_REASONS:
            st.caption(f"And {formatting.plural(len(reasons) - MAX_REASONS, 'other reason')}; see the live pages.")


def _reason_not_judged(part: Body, analyzers: Sequence[str]) -> str | None:
    """The reason why a model was not judged: the first analyzer has no finding about it, or some analyzer has only findings of severity
    `unknown`. None for a model that was judged.
    """
    spoke = {name: counted for name in analyzers if (counted := _severity_counts(part, name))}
    if analyzers[0] not in spoke:
        return f"No data for {_analyzer_words(analyzers[0])}."
    unknown = [name for name, counted in spoke.items() if counted["unknown"] == sum(counted.values())]
    if not unknown:
        return None
    why = next((each["because"] for each in part["findings"] if each["analyzer"] in unknown and each["severity"] == "unknown"), None)
    cells = (part["strip"].get(name.rpartition("/")[2]) or {} for name in unknown)
    why = why or next((cell["because"] for cell in cells if cell.get("because")), None)
    names = " and ".join(_analyzer_words(name) for name in unknown)
    return f"{names.capitalize()}: {why}" if why else f"{names.capitalize()} could not be judged."


def _analyzer_words(analyzer: str) -> str:
    """An analyzer's name inside a sentence."""
    return analyzer.rpartition("/")[2].replace("_", " ")


def _severity_counts(part: Body, analyzer: str) -> dict[str, int]:
    """The number of findings of an analyzer by severity. Weeks that were frozen earlier do not hold these numbers; for them the stored
    findings are counted.
    """
    if "judged" in part:
        return dict(part["judged"].get(analyzer, {}))
    found = [each["severity"] for each in part["findings"] if each["analyzer"] == analyzer]
    return {name: found.count(name) for name in SEVERITIES} if found else {}
