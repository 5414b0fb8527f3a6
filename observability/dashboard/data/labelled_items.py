"""Who was asked to label an item, why this person, and what did they answer?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import frame, links, load
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv
from observability.metrics.annotations import FIELDS
from observability.metrics.assignments import ASSIGNMENT_FIELDS

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = (
    column("annotator", "Person", strong=True),
    column("given", "Given (UTC)", short=True),
    column("reason", "Why this person", help="The reason that was logged with the assignment; under it the policy and its score"),
    column("at", "Labelled (UTC)", short=True),
    column("label", "Label"),
    column("suggestion", "Saw suggested", help="What a machine suggested to them, and how sure it was"),
    column("seconds", "Time", align="right"),
)


def history(item: str, projects: Sequence[str]) -> "DataFrame":
    """A row for each time that the item was given to or labelled by somebody, in order: project, annotator, given, reason, policy, score, at, label, gold,
    suggestion, suggestion_confidence, seconds, guideline. A label belongs to the newest assignment before it.
    """
    import pandas as pd

    always, only = Window("", EPOCH, load.now()), (("item", item), ("project", tuple(projects)))
    given = load.records(Records("assignment", ASSIGNMENT_FIELDS, ever=True, only=only), always)
    done = load.records(Records("annotation", FIELDS, ever=True, only=only), always)
    pair = ["project", "annotator"]
    both = pd.merge_asof(
        done.sort_values("at", kind="stable"), given.rename(columns={"at": "given"}).drop(columns="item").sort_values("given", kind="stable"),
        left_on="at", right_on="given", by=pair,
    )  # fmt: skip
    answered = both.dropna(subset=["given"])[[*pair, "given"]].drop_duplicates()
    waiting = given.rename(columns={"at": "given"}).merge(answered, on=[*pair, "given"], how="left", indicator=True)
    waiting = waiting[waiting["_merge"] == "left_only"].drop(columns="_merge")
    parts = [each for each in (both, waiting) if len(each)]
    rows = pd.concat(parts, ignore_index=True) if parts else both
    rows["first"] = rows["given"].fillna(rows["at"])
    return rows.sort_values(["first", "annotator"], kind="stable", ignore_index=True).drop(columns="first")


def shown(rows: "DataFrame", item: str, scope: Scope, key: str = "asked") -> None:
    """The table of an item, from its history."""
    several = rows["project"].nunique() > 1
    lines = [row(cells(each, scope, several)) for each in rows.to_dict("records")]
    table(key, f"Who was asked to label {item}, and why", COLUMNS, lines, compact=True)
    frame.download("asked.csv", lambda: inert_csv(rows), "CSV", key=f"{key}-csv")


def cells(each: dict[Any, Any], scope: Scope, several: bool) -> dict[str, Cell]:
    """One row as cells."""
    score = f"score {formatting.number(each['score'])}" if here(each["score"]) else None
    person = links.link(str(each["annotator"]), "labelling", scope, project=str(each["project"]), annotator=str(each["annotator"]))
    label: Cell = {"t": str(each["label"]) if here(each["label"]) else "waits"}
    if here(each["label"]) and here(each["gold"]):
        label |= (
            {"s": "ok", "title": "the known answer"}
            if each["label"] == each["gold"]
            else {"s": "watch", "sub": f"known answer: {each['gold']}"}
        )
    sure = f"sure to {formatting.share(each['suggestion_confidence'])}" if here(each["suggestion_confidence"]) else None
    return {
        "annotator": {**person, "sub": str(each["project"]) if several else None},
        "given": {"t": formatting.minute(each["given"]) if here(each["given"]) else formatting.DASH},
        "reason": {"t": str(each["reason"]) if here(each["reason"]) else formatting.DASH, "sub": " · ".join(filter(None, (each["policy"] if here(each["policy"]) else None, score))) or None},
        "at": {"t": formatting.minute(each["at"]) if here(each["at"]) else formatting.DASH},
        "label": label,
        "suggestion": {"t": str(each["suggestion"]) if here(each["suggestion"]) else formatting.DASH, "sub": sure},
        "seconds": {"t": f"{formatting.number(each['seconds'])} s" if here(each["seconds"]) else formatting.DASH},
    }  # fmt: skip


def here(value: Any) -> bool:
    """Whether a record says it."""
    return value is not None and value == value


def ask(project: str, scope: Scope) -> None:
    """A box for an item of a project, kept in the address as `item`, and why it went to whom."""

    def write() -> None:
        if wanted := str(st.session_state["item-box"]).strip():
            st.query_params["item"] = wanted
        else:
            st.query_params.pop("item", None)

    st.session_state["item-box"] = st.query_params.get("item", "")
    item = st.text_input("Why did an item go to whom?", key="item-box", placeholder="Id of an item", on_change=write, width=420)
    if not item:
        return
    rows = history(item, [project])
    if len(rows):
        shown(rows, item, scope)
    else:
        st.caption(f"Nobody was asked to label {formatting.plain(item)} in {formatting.plain(project)}, and nobody did.")
