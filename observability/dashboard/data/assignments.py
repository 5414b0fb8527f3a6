"""The assignments of a labelling project: workload, reasons, and the outcome of each policy."""

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.dashboard.cells import share_cell
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_button, csv_of_table, plain_paragraph
from observability.metrics import assignments

AGAINST = {"gold": "the known answer", "suggestion": "the suggestion", "others": "the majority"}
MAX_TABLE_ROWS = 10
POLICIES = columns_on_phone(
    f"policy given {next(iter(AGAINST))}",
    column("policy", "Policy", strong=True),
    column("given", "Assigned", align="right"),
    column("score", "Mean score", align="right", help="Mean of `score`, the policy's own priority of the item"),
    *(
        column(key, f"Differs from {words}", align="right", help=f"Share of labels that differ from {words}, with its 95 % interval")
        for key, words in AGAINST.items()
    ),
)
REASONS = (
    column("reason", "Reason", strong=True),
    column("policy", "Policy"),
    *number_columns(n="Items", share="Share"),
)


def assignments_section(assigned: pd.DataFrame, answers: pd.DataFrame) -> None:
    """Draw the section about assignments; nothing if the window has no assignments."""
    if assigned.empty:
        return
    st.header("Assignments", anchor=False)
    work = assignments.workload(assigned, answers)
    plain_paragraph(workload_sentence(work, assigned["item"].nunique()))
    rows = assignments.policy_outcomes(assigned, answers)
    if assigned["policy"].notna().any():
        _policies_table(rows)
    if assigned["reason"].notna().any():
        _reasons_table(assignments.assignment_reasons(assigned))


def workload_sentence(work: pd.DataFrame, items: int) -> str:
    """The distribution of work in one sentence. items: the number of different assigned items; an item may be assigned to several
    people.
    """
    most = work.sort_values(["given", "annotator"], ascending=[False, True]).iloc[0]
    total, done = int(work["given"].sum()), int(work["labelled"].sum())
    people = formatting.plural(len(work), "annotator")
    given = f"{formatting.plural(total, 'assignment')} of {formatting.plural(items, 'item')} to {people}"
    words = f"{given}, {done:,} labelled in this window"
    if len(work) < 2:
        return f"{words}."
    largest = f"{most['annotator']}: {int(most['given']):,} ({formatting.format_share(most['share'])})"
    return f"{words}; most to {largest}. Gini {assignments.workload_gini(work):.2f} (0: all equal)."


def _policies_table(rows: pd.DataFrame) -> None:
    """Draw a row for each policy: its assignments, and how often the labels differ from the gold answer, the suggestion and
    the majority.
    """
    lines = []
    for name, part in rows.groupby("policy", sort=False):
        first = part.iloc[0]
        cells: dict[str, Cell] = {
            "policy": {"t": str(name)},
            "given": {"t": f"{first['given']:,}", "sub": f"{first['labelled']:,} labelled"},
            "score": {"t": formatting.format_number(first["score"])},
        }
        for each in part.to_dict("records"):
            value = each["value"] if each["n"] > 0 else None
            cells[each["against"]] = share_cell(value, each["low"], each["high"], f"of {each['n']:,}")
        lines.append(table_row(cells))
    draw_table("policies", "Policies and their outcomes", POLICIES, lines, compact=True)
    csv_button("policies", rows, has_groups=False)
    st.caption("Labels of a policy that selects hard items differ more often, by design.")


def _reasons_table(rows: pd.DataFrame) -> None:
    """Draw how often each reason occurs."""
    lines = [
        table_row(reason=str(each["reason"]), policy=str(each["policy"]), n=f"{each['n']:,}", share=formatting.format_share(each["share"]))
        for each in rows.head(MAX_TABLE_ROWS).to_dict("records")
    ]
    with st.expander(f"{formatting.plural(len(rows), 'reason')} for assignments", icon=":material/list:"):
        draw_table("reasons", "Reasons for assignments", REASONS, lines, compact=True)
        csv_of_table("reasons", rows, len(rows), MAX_TABLE_ROWS, "most frequent")
