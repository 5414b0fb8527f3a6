"""The change log: deploys, data versions, thresholds, incidents, complaints, decisions, signatures."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.core import formatting
from observability.dashboard import links, time_zone
from observability.dashboard.overview.incidents import first_clause
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, table_row
from observability.review.change_log import Entry

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = columns_on_phone(
    "at title",
    column("at", "When (UTC)", width="9.5rem", short=True),
    column("sort", "What", width="8rem"),
    column("title", "Description", wide=True),
    column("model", "Model", width="9rem"),
    column("author", "By", width="8rem"),
)
SORTS = (
    *("deploy", "data", "threshold", "guideline", "incident", "complaint", "export", "note"),
    *("registered", "decision", "signature", "audit", "action", "verdict", "review", "alert"),
)
WORDS = {sort: sort.capitalize() for sort in SORTS}
DECIDED = {
    "decider": "decided by {}",
    "evidence": "evidence: {}",
    "dissent": "dissent: {}",
    "options": "also considered: {}",
    "revisit": "revisit on {}",
}
"""The lines below a decision, by field."""
STEPS = {"decision": {"step": "decide"}, "signature": {"step": "fairness"}}
"""The step of a review that shows an entry of each kind. Entries of other kinds are shown on the agenda."""
ID = re.compile(r" \[[^\[\]]+\](?=; |$)")
"""The id at the end of a piece of evidence."""
RECENT = timedelta(days=7)
BY_ITSELF = "the dashboard"


def change_row(entry: Entry, scope: Scope) -> dict[str, Any]:
    """Return the table row of an entry. It links to what the entry is about: a review step, an alert, a case or a model."""
    about = dict(entry.about)
    title: Cell = {"t": entry.title}
    if about.get("review"):
        title = links.link_cell(entry.title, "review", None, review=about["review"], **STEPS.get(entry.sort, {}))
    elif entry.sort == "alert":
        what, _, claim = entry.title.partition(": ")
        title = links.link_cell(f"{what}: {first_clause(claim)}" if claim else what, "alerts", None, incident=about["incident"])
        title["title"] = entry.title.replace("`", "")
    elif about.get("prediction") and "case" in links.page_files():
        title = links.link_cell(entry.title, "case", None, id=about["prediction"], model=entry.model)
    if entry.sort == "decision":
        title["sub"] = "; ".join(words.format(ID.sub("", about[name])) for name, words in DECIDED.items() if about.get(name))
    model = links.link_cell(entry.model, "model", scope.about(entry.model)) if entry.model else {"t": "all"}
    return table_row(
        {
            "at": {"t": time_zone.zoned_minute(entry.at)},
            "sort": {"t": WORDS.get(entry.sort, entry.sort)},
            "title": title,
            "model": model,
            "author": {"t": entry.author or formatting.DASH},
        }
    )


def change_rows_by_event(entries: Sequence[Entry], scope: Scope) -> list[dict[str, Any]]:
    """A row for each entry. Entries without a link that state the same about several models at the same time share one row."""
    rows: dict[object, tuple[dict[str, Any], list[str]]] = {}
    for place, entry in enumerate(entries):
        row = change_row(entry, scope)
        title = row["cells"]["title"]
        alike = (entry.at, entry.sort, entry.title, entry.author) if entry.model and "href" not in title else place
        rows.setdefault(alike, (row, []))[1].append(entry.model or "")
    for row, models in rows.values():
        if len(models) > 1:
            named = sorted(set(models))
            row["cells"]["model"] = {"more": [links.link_cell(name, "model", scope.about(name)) for name in named]}
    return [row for row, _ in rows.values()]


def recent_entries(entries: Sequence[Entry], end: datetime) -> list[Entry]:
    """Return the entries by people from `end` on, the end of the selected window. A person's entry has the time at which it was written.
    That may be long after the last record of a model, so the window alone would leave it out.
    """
    return [entry for entry in entries if entry.at >= end and entry.author not in (None, BY_ITSELF)]


def matching_entries(entries: Sequence[Entry], sorts: Sequence[str], words: str) -> list[Entry]:
    """Return the entries of some sorts (none: all sorts) that contain the words, regardless of case."""
    wanted = words.strip().casefold()

    def text(entry: Entry) -> str:
        return " ".join([entry.title, entry.model or "", entry.author or "", *(value for _, value in entry.about)]).casefold()

    return [entry for entry in entries if (not sorts or entry.sort in sorts) and wanted in text(entry)]


def change_log_frame(entries: Sequence[Entry]) -> "DataFrame":
    """The entries as a flat table."""
    import pandas as pd

    named = (("at", "at"), ("what", "sort"), ("text", "title"), ("model", "model"), ("author", "author"))
    return pd.DataFrame([{column: getattr(entry, name) for column, name in named} | dict(entry.about) for entry in entries])
