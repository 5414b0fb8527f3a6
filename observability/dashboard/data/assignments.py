"""Who was given how much, why, and what came of each policy's choices?"""

from typing import TYPE_CHECKING

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv
from observability.metrics import assignments

if TYPE_CHECKING:
    from pandas import DataFrame

AGAINST = {"gold": "the known answer", "suggestion": "the suggestion", "others": "most of the others"}
MOST = 20
POLICIES = (
    column("policy", "Policy", strong=True),
    column("given", "Given", align="right"),
    column("score", "Mean score", align="right", help="The mean of `score`, what the policy expected of the item, in its own unit"),
    *(column(key, f"Differs from {words}", align="right", help=f"Share of the labels that say otherwise than {words}, with its 95 % interval") for key, words in AGAINST.items()),
)  # fmt: skip
REASONS = (
    column("reason", "Reason", strong=True),
    column("policy", "Policy"),
    column("n", "Items", align="right"),
    column("share", "Share", align="right"),
)


def shown(assigned: "DataFrame", answers: "DataFrame") -> None:
    """The section about assignments; nothing where none is in the window."""
    if assigned.empty:
        return
    st.header("Who was given what, and why", anchor=False)
    work = assignments.workload(assigned, answers)
    st.markdown(formatting.plain(sentence(work)))
    rows = assignments.policies(assigned, answers)
    if assigned["policy"].notna().any():
        policies(rows)
    if assigned["reason"].notna().any():
        reasons(assignments.reasons(assigned))


def sentence(work: "DataFrame") -> str:
    """How work is shared out."""
    most = work.sort_values(["given", "annotator"], ascending=[False, True]).iloc[0]
    total, done = int(work["given"].sum()), int(work["labelled"].sum())
    said = f"{formatting.plural(total, 'item')} given to {formatting.plural(len(work), 'person', 'people')}, {done:,} of them labelled in this window"
    if len(work) < 2:
        return f"{said}."
    return f"{said}; most went to {most['annotator']}: {int(most['given']):,} ({formatting.share(most['share'])}). Gini {assignments.unevenness(work):.2f} (0: all were given alike)."


def policies(rows: "DataFrame") -> None:
    """A row for each policy: how much it gave out, and how often what came back differs."""
    lines = []
    for name, part in rows.groupby("policy", sort=False):
        first = part.iloc[0]
        cells: dict[str, Cell] = {
            "policy": {"t": str(name)},
            "given": {"t": f"{first['given']:,}", "sub": f"{first['labelled']:,} labelled"},
            "score": {"t": formatting.number(first["score"]) if first["score"] == first["score"] else formatting.DASH},
        }
        for each in part.to_dict("records"):
            known = each["n"] > 0
            cells[each["against"]] = {"t": formatting.share(each["value"]) if known else formatting.DASH, "sub": f"{formatting.share(each['low'])} to {formatting.share(each['high'])}\nof {each['n']:,}" if known else None}  # fmt: skip
        lines.append(row(cells))
    table("policies", "Policies and what came of them", POLICIES, lines, compact=True)
    frame.download("policies.csv", lambda: inert_csv(rows), "CSV", key="policies-csv")
    st.caption("A policy that seeks out hard items differs more often: that is what it is for. It says nothing about the people.")


def reasons(rows: "DataFrame") -> None:
    """How often each reason was given."""
    lines = [
        row({"reason": {"t": str(each["reason"])}, "policy": {"t": str(each["policy"])}, "n": {"t": f"{each['n']:,}"}, "share": {"t": formatting.share(each["share"])}})
        for each in rows.head(MOST).to_dict("records")
    ]  # fmt: skip
    table("reasons", "Reasons for which items were given", REASONS, lines, compact=True)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        frame.download("reasons.csv", lambda: inert_csv(rows), "CSV", key="reasons-csv")
        if len(rows) > MOST:
            st.caption(f"The {MOST} most frequent of {len(rows):,}; the CSV holds all of them.")
