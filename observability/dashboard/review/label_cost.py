"""Labels in a review: queue, agreement, price and budget of each model."""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.table import column, draw_table, table_row
from observability.review import sentences

LABELLING = (
    column("model", "Model", strong=True),
    column("queue", "Waiting", width="12rem", help="Items assigned and not yet labelled"),
    column("agreement", "Agreement (α)", width="12rem", help="Krippendorff's alpha: 1 full agreement, 0 chance; reliable from 0.8"),
    column("price", "Price per label", width="11rem"),
    column("budget", "Month", width="14rem", help="Forecast of the month's cost, and its budget"),
)


def label_supply_table(room: ReviewPage) -> None:
    """Draw the queue of labels, agreement, price and the month's budget, as frozen."""
    st.subheader("Label supply", anchor=False)
    rows = []
    for part in room.body["models"]:
        found = part.get("labelling", {"why": sentences.OLDER})
        cells = sentences.label_intake_sentences(found)
        if "why" in found or any(said for said, _ in cells.values()):
            own = {name: {"t": words or formatting.DASH, "sub": sub} for name, (words, sub) in cells.items()}
            rows.append(table_row(own, model={"t": part["model"], "sub": found.get("why")}))
    if rows:
        draw_table("labelling", "Queue, agreement, price and budget", LABELLING, rows, compact=True)
    else:
        st.caption("No data: log assignment, annotation and price records.")


def last_week_words(cell: dict[str, Any]) -> str | None:
    """Last week's figure in words."""
    return f"last week {formatting.format_value(cell['before']['value'], cell['unit'])}" if cell["before"] else None
