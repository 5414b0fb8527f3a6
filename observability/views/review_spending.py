"""Where should the next labels go, and what did a thousand predictions cost before?"""

from typing import Any

import streamlit as st

from observability.views import review_words, text
from observability.views.review import Room
from observability.views.table import column, row, table

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
        found = part.get("labelling", {"why": review_words.OLDER})
        cells = review_words.labelling(found)
        if "why" in found or any(said for said, _ in cells.values()):
            rows.append(
                row({"model": {"t": part["model"], "sub": found.get("why")}, **{name: {"t": said or text.DASH, "sub": sub} for name, (said, sub) in cells.items()}})
            )  # fmt: skip
    if rows:
        table("labelling", "Queue, agreement, price and budget", LABELLING, rows, compact=True)
    else:
        st.caption(
            "No assignment, annotation, price of a label or budget is known: log `assignment`, `annotation` and `price` records to see them here."
        )


def more_labels(room: Room) -> None:
    """Where the next labels would help most: how narrow each main metric's interval would become with so many more."""
    cells = {part["model"]: part["strip"]["performance"] for part in room.body["models"]}
    known = {name: cell for name, cell in cells.items() if cell["low"] is not None and cell["high"] is not None and cell["n"] > 0}
    if not known:
        return
    st.subheader("Where would more labels help?", anchor=False)
    more = st.slider("More labels in a week, for one model", 0, 5000, 500, step=100, key="more-labels")
    columns = (column("model", "Model", strong=True), column("metric", "Main metric"), column("now", "Known within", align="right"), column("then", "Within then", align="right"), column("gain", "Narrower by", align="right"))  # fmt: skip
    rows = []
    for name, cell in sorted(known.items(), key=lambda each: each[1]["n"]):
        half = (cell["high"] - cell["low"]) / 2
        factor = (cell["n"] / (cell["n"] + more)) ** 0.5
        rows.append(
            row(
                {
                    "model": {"t": name},
                    "metric": {"t": text.metric_title(cell["metric"]), "sub": f"n = {cell['n']:,}"},
                    "now": {"t": f"± {text.amount(half, cell['unit'])}"},
                    "then": {"t": f"± {text.amount(half * factor, cell['unit'])}", "mark": "simulated"},
                    "gain": {"t": text.share(1 - factor)},
                }
            )
        )
    table("more-labels-table", "Intervals with more labels", columns, rows, compact=True)
    st.caption("An interval narrows with the root of the number of labels; that the further ones are like those there are is assumed.")


def spent_before(cell: dict[str, Any]) -> str | None:
    """Last week's figure in words."""
    return f"last week {text.amount(cell['before']['value'], cell['unit'])}" if cell["before"] else None
