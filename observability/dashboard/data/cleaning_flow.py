"""Rows kept and dropped by cleaning rule and group, as a flow and its table."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.dashboard import frame
from observability.dashboard.charts import collection as charts_collection
from observability.detection import cleaning_history

KEPT = "kept"
COLUMNS = ["group", "outcome", "rows"]


def rule_chain(rows: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """The runs that were made one after the other on the rows of the newest run of a rule, in their order.

    rows: runs with `subject`, `dataset`, `version`, `at`, `rows_in`, `rows_dropped`. Rules follow each other where they name the same
    dataset and version, and each takes in what the one before it left; else only the run of the rule itself is returned.
    """
    own = rows[rows["subject"] == chosen].sort_values("at").tail(1)
    run = own.iloc[0]
    if pd.isna(run["dataset"]) or pd.isna(run["version"]):
        return own
    same = rows[(rows["dataset"] == run["dataset"]) & (rows["version"] == run["version"])]
    same = same.sort_values(["at", "rows_in"], ascending=[True, False], ignore_index=True)
    left = (same["rows_in"] - same["rows_dropped"]).tolist()
    follows = all(int(begin) == int(end) for begin, end in zip(same["rows_in"].tolist()[1:], left[:-1], strict=True))
    return same if follows and same["subject"].is_unique else own


def flow_by_group(chain: pd.DataFrame, column: str | None) -> pd.DataFrame:
    """Rows by group and outcome: dropped by each rule, or kept after the last. column: None takes all rows as one group.

    Where a rule does not count the groups of the column, the groups of its rows are unknown, and the frame is empty.
    """
    found: list[list[Any]] = []
    if column is None:
        gone = zip(chain["rule"], chain["rows_dropped"], strict=True)
        found += [["all rows", f"dropped: {rule}", int(dropped)] for rule, dropped in gone]
        last = chain.iloc[-1]
        return pd.DataFrame([*found, ["all rows", KEPT, int(last["rows_in"] - last["rows_dropped"])]], columns=COLUMNS)
    counts = [cleaning_history.counts_of([groups]).get(column) for groups in chain["groups"]]
    if any(each is None for each in counts):
        return pd.DataFrame(columns=COLUMNS)
    for rule, each in zip(chain["rule"], counts, strict=True):
        found += [[level, f"dropped: {rule}", int(dropped)] for level, (_, dropped) in sorted((each or {}).items())]
    found += [[level, KEPT, int(rows - dropped)] for level, (rows, dropped) in sorted((counts[-1] or {}).items())]
    return pd.DataFrame(found, columns=COLUMNS)


def cleaning_flow_section(rows: pd.DataFrame, chosen: str) -> None:
    """Draw the flow of the rows of the newest run of a rule, by the groups that its runs count."""
    chain = rule_chain(rows, chosen)
    columns = _counted_columns(chain) or (_counted_columns(chain := rows[rows["subject"] == chosen].sort_values("at").tail(1)) or [None])
    run = chain.iloc[-1]
    st.header("Rows kept and dropped", anchor=False)
    for column in columns:
        table = flow_by_group(chain, column)
        table = table[table["rows"] > 0].reset_index(drop=True)
        if table.empty:
            continue
        total, kept = int(table["rows"].sum()), int(table.loc[table["outcome"] == KEPT, "rows"].sum())
        by = f", by {column}" if column else ""
        alt = (
            f"{kept:,} of {total:,} rows kept by {formatting.plural(len(chain), 'rule')}{by}, "
            f"in the run of {formatting.format_minute(run['at'])} UTC."
        )
        figure = charts_collection.cleaning_flow(table)
        titles = {"group": column or "Rows", "outcome": "Outcome", "rows": "Rows"}
        frame.chart_with_table(figure, table, key=f"flow-{column or 'all'}", alt=alt, metrics=("cleaning_drop_rate",), columns=titles)


def _counted_columns(chain: pd.DataFrame) -> Sequence[str | None]:
    """The columns whose groups every run of a chain counts."""
    each = [set(cleaning_history.counts_of([groups])) for groups in chain["groups"]]
    return sorted(set.intersection(*each)) if each else []
