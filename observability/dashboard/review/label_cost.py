"""How do labels come in, and what did a thousand predictions cost before?"""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard.review.review import Room
from observability.dashboard.table import column, row, table
from observability.review import sentences

LABELLING = (
    column("model", "Model", strong=True),
    column("queue", "Waiting", width="12rem", help="Items that an annotator was given and has not labelled"),
    column(
        "agreement", "Agreement (α)", width="12rem", help="Krippendorff's alpha: 1 is full agreement, 0 is chance; relied upon from 0.8"
    ),
    column("price", "A label costs", width="11rem"),
    column("budget", "The month", width="14rem", help="Where the month's whole cost will stand, against its budget"),
)


def labelling(room: Room) -> None:
    """The queue of labels, agreement, price and the month's budget, as frozen."""
    st.subheader("How labels come in", anchor=False)
    rows = []
    for part in room.body["models"]:
        found = part.get("labelling", {"why": sentences.OLDER})
        cells = sentences.labelling(found)
        if "why" in found or any(said for said, _ in cells.values()):
            rows.append(
                row({"model": {"t": part["model"], "sub": found.get("why")}, **{name: {"t": said or formatting.DASH, "sub": sub} for name, (said, sub) in cells.items()}})
            )  # fmt: skip
    if rows:
        table("labelling", "Queue, agreement, price and budget", LABELLING, rows, compact=True)
    else:
        st.caption(
            "No assignment, annotation, price of a label or budget is known: log assignment, annotation and price records to see them here."
        )


def spent_before(cell: dict[str, Any]) -> str | None:
    """Last week's figure in words."""
    return f"last week {formatting.amount(cell['before']['value'], cell['unit'])}" if cell["before"] else None
