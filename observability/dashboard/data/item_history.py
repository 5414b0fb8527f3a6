"""The assignments and labels of one item of a labelling project."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import links, load, time_zone
from observability.dashboard.choice_box import address_writer
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import csv_button
from observability.metrics.annotations import FIELDS
from observability.metrics.assignments import ASSIGNMENT_FIELDS

COLUMNS = columns_on_phone(
    "annotator at label",
    column("annotator", "Annotator", strong=True),
    column("given", "Assigned (UTC)", short=True),
    column("reason", "Reason", help="As logged with the assignment; below it the policy and its score"),
    column("at", "Labelled (UTC)", short=True),
    column("label", "Label"),
    column("suggestion", "Suggestion", help="The suggested label and its confidence"),
    column("seconds", "Time", align="right"),
)


def item_history(item: str, projects: Sequence[str]) -> pd.DataFrame:
    """Return a row for each assignment or label of the item, in order: project, annotator, given, reason, policy, score, at, label, gold,
    suggestion, suggestion_confidence, seconds, guideline. A label stands in the row of the newest assignment before it.
    """
    always, only = Window("", EPOCH, load.page_clock()), (("item", item), ("project", tuple(projects)))
    given = load.ask_store(Records("assignment", ASSIGNMENT_FIELDS, ever=True, only=only), always)
    done = load.ask_store(Records("annotation", FIELDS, ever=True, only=only), always)
    pair = ["project", "annotator"]
    assigned = given.rename(columns={"at": "given"})
    before = assigned.drop(columns="item").sort_values("given", kind="stable")
    both = pd.merge_asof(done.sort_values("at", kind="stable"), before, left_on="at", right_on="given", by=pair)
    answered = both.dropna(subset=["given"])[[*pair, "given"]].drop_duplicates()
    waiting = assigned.merge(answered, on=[*pair, "given"], how="left", indicator=True)
    waiting = waiting[waiting["_merge"] == "left_only"].drop(columns="_merge")
    parts = [each for each in (both, waiting) if len(each)]
    rows = pd.concat(parts, ignore_index=True) if parts else both
    rows["first"] = rows["given"].fillna(rows["at"])
    return rows.sort_values(["first", "annotator"], kind="stable", ignore_index=True).drop(columns="first")


def item_history_table(rows: pd.DataFrame, item: str, scope: Scope, key: str = "asked") -> None:
    """Draw the history of an item as a table."""
    several = rows["project"].nunique() > 1
    lines = [table_row(_history_cells(each, scope, several)) for each in rows.to_dict("records")]
    draw_table(key, f"Assignments and labels of {item}", COLUMNS, lines, compact=True)
    csv_button("asked", rows, key=f"{key}-csv", has_groups=False)


def _history_cells(entry: dict[Any, Any], scope: Scope, several: bool) -> dict[str, Cell]:
    """The cells of one row. several: whether the rows belong to several projects."""
    known = {name: value for name, value in entry.items() if value is not None and value == value}
    name, project = str(entry["annotator"]), str(entry["project"])
    label: Cell = {"t": str(known.get("label", "waits"))}
    if "label" in known and "gold" in known:
        right = known["label"] == known["gold"]
        label |= {"s": "ok", "title": "the known answer"} if right else {"s": "watch", "sub": f"known answer: {known['gold']}"}
    score = f"score {formatting.format_number(known['score'])}" if "score" in known else None
    confidence = f"confidence {formatting.format_share(known['suggestion_confidence'])}" if "suggestion_confidence" in known else None
    times = {key: {"t": time_zone.zoned_minute(known[key]) if key in known else formatting.DASH} for key in ("given", "at")}
    return {
        "annotator": links.link_cell(name, "labelling", scope, project=project, annotator=name) | {"sub": project if several else None},
        "reason": {"t": str(known.get("reason", formatting.DASH)), "sub": " · ".join(filter(None, (known.get("policy"), score))) or None},
        "label": label,
        "suggestion": {"t": str(known.get("suggestion", formatting.DASH)), "sub": confidence},
        "seconds": {"t": f"{formatting.format_number(known['seconds'])} s" if "seconds" in known else formatting.DASH},
        **times,
    }


def item_history_box(project: str, scope: Scope) -> None:
    """Draw a box for an item of a project, and the history of the item. The item is stored in the address as `item`."""
    st.session_state["item-box"] = st.query_params.get("item", "")
    write = address_writer("item", "item-box", str.strip)
    item = st.text_input("Assignments of an item", key="item-box", placeholder="Id of an item", on_change=write, width=420)
    if not item:
        return
    rows = item_history(item, [project])
    if len(rows):
        item_history_table(rows, item, scope)
    else:
        st.caption(f"No assignment and no label of {formatting.escape_markdown(item)} in {formatting.escape_markdown(project)}.")
