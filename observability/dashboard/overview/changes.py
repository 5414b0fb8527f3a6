"""What happened, in one list: deploys, data versions, thresholds, incidents, complaints, decisions, signatures?"""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.core import formatting
from observability.dashboard import links
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row
from observability.review.change_log import Entry

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    column("at", "When (UTC)", width="9.5rem", short=True),
    column("sort", "What", width="8rem"),
    column("title", "In words", wide=True),
    column("model", "Model", width="9rem"),
    column("author", "By", width="8rem"),
)
WORDS = {
    "deploy": "Deploy", "data": "Data", "threshold": "Threshold", "guideline": "Guideline", "incident": "Incident", "complaint": "Complaint",
    "export": "Export", "note": "Note", "registered": "Registered", "decision": "Decision", "signature": "Signature", "audit": "Audit",
    "action": "Action", "verdict": "Verdict", "review": "Review", "alert": "Alert",
}  # fmt: skip

DECIDED = {"decider": "decided by {}", "evidence": "rests on {}", "dissent": "dissent: {}", "options": "also considered: {}", "revisit": "to look at again on {}"}  # fmt: skip
"""What stands under a decision, where it was said."""
STEPS = {"decision": {"step": "decide"}, "signature": {"step": "fairness"}}
"""The step of a review that shows what was said in it; others stand on its agenda."""
ID = re.compile(r" \[[^\[\]]+\](?=; |$)")
"""The id at the end of a piece of evidence, which a link follows and nobody reads."""
LATELY = timedelta(days=7)
BY_ITSELF = "the dashboard"


def as_row(entry: Entry, scope: Scope) -> dict[str, Any]:
    """One entry; a version leads to its model, what was said in a review to its step, a complaint and a verdict to their case, an alert to itself."""
    about = dict(entry.about)
    title: Cell = {"t": entry.title}
    if about.get("review"):
        title = links.link(entry.title, "review", None, review=about["review"], **STEPS.get(entry.sort, {}))
    elif entry.sort == "alert":
        title = links.link(entry.title, "alerts", None, incident=about["incident"])
    elif about.get("prediction") and "case" in links.page_files():
        title = links.link(entry.title, "case", None, id=about["prediction"], model=entry.model)
    if entry.sort == "decision":
        title["sub"] = "; ".join(words.format(ID.sub("", about[name])) for name, words in DECIDED.items() if about.get(name))
    model = links.link(entry.model, "model", scope.about(entry.model)) if entry.model else {"t": "all"}
    return row(
        {
            "at": {"t": formatting.minute(entry.at)},
            "sort": {"t": WORDS.get(entry.sort, entry.sort)},
            "title": title,
            "model": model,
            "author": {"t": entry.author or formatting.DASH},
        }
    )


def lately(entries: Sequence[Entry], end: datetime) -> list[Entry]:
    """What people said after the dates that are looked at: logs may end long before today, and words are dated by when they were written."""
    return [each for each in entries if each.at >= end and each.author is not None and each.author != BY_ITSELF]


def chosen(entries: Sequence[Entry], sorts: Sequence[str], words: str) -> list[Entry]:
    """Entries of some sorts (none: all) that hold the words, whatever their case."""
    wanted = words.strip().casefold()
    return [
        each
        for each in entries
        if (not sorts or each.sort in sorts)
        and (
            not wanted
            or wanted in f"{each.title} {each.model or ''} {each.author or ''} {' '.join(value for _, value in each.about)}".casefold()
        )
    ]


def as_frame(entries: Sequence[Entry]) -> "DataFrame":
    """The entries as a flat table."""
    import pandas as pd

    rows = [
        {"at": each.at, "what": each.sort, "text": each.title, "model": each.model, "author": each.author, **dict(each.about)}
        for each in entries
    ]
    return pd.DataFrame(rows)
