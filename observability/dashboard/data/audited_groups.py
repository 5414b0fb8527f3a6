"""The rows that each proposed rule of a data audit finds, by group. `audit-data --group` stores the counts with the rules."""

from dataclasses import replace

import pandas as pd
import streamlit as st

from observability.analyzers.data.cleaning import CLEANINGS
from observability.core import formatting
from observability.core.window import EPOCH, Window
from observability.dashboard import load
from observability.dashboard.cells import share_cell
from observability.dashboard.table import column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_of_table
from observability.detection.cleaning_history import counts_of, proposed_runs
from observability.metrics.audited_data import PROPOSED, AuditedData
from observability.stats.interval import rate_interval

MAX_TABLE_ROWS = 60
COLUMNS = columns_on_phone(
    "check group share",
    column("check", "Check", strong=True),
    column("group", "Group"),
    column("share", "Share found", align="right", help="Share of the group's own rows, with its 95 % interval"),
    *number_columns(found="Rows found", rows="Rows"),
)


def rules_proposed(audit: AuditedData) -> pd.DataFrame:
    """The newest proposed run of each rule, for the dataset and version of an audit."""
    asked = replace(CLEANINGS, ever=True, only=(("dataset", audit.dataset), ("version", audit.version)))
    runs = proposed_runs(load.ask_store(asked, Window("", EPOCH, load.page_clock())))
    return runs.sort_values("at", kind="stable").drop_duplicates("rule", keep="last", ignore_index=True)


def audited_group_table(audit: AuditedData, proposed: pd.DataFrame) -> None:
    """Draw in a folded section the share of each group's rows that each check found; nothing if no group was counted."""
    rows = audited_group_rows(audit, proposed)
    if rows.empty:
        return
    lines = []
    for row in rows.head(MAX_TABLE_ROWS).to_dict("records"):
        share = share_cell(row["value"], row["low"], row["high"])
        counts = {"found": {"t": f"{row['found']:,}"}, "rows": {"t": f"{row['n']:,}"}}
        lines.append(table_row({"check": {"t": row["check"]}, "group": {"t": row["group"]}, "share": share, **counts}))
    with st.expander(f"Rows of each check by {formatting.plural(rows['group'].nunique(), 'group')}", icon=":material/groups:"):
        draw_table("audit-groups", "Rows of each check by group", COLUMNS, lines, compact=True)
        csv_of_table("audit-groups", rows, len(rows), MAX_TABLE_ROWS, "first")


def audited_group_rows(audit: AuditedData, proposed: pd.DataFrame) -> pd.DataFrame:
    """Return check, group, value, low, high (the share of the group's rows that the check found), found, n. The rows are sorted by check,
    then by share, the largest first.

    proposed: the result of `rules_proposed`.
    """
    newest = dict(zip(proposed["rule"], proposed["groups"], strict=True))
    lines = []
    for rule in audit.rules:
        found: list[tuple[float, list[object]]] = []
        for name, levels in counts_of([newest.get(f"{PROPOSED}{rule.name}")]).items():
            for level, (n, dropped) in levels.items():
                share = rate_interval(dropped, n)
                line: list[object] = [rule.title, f"{name} = {level}", *share.triple, int(dropped), int(n)]
                found.append((-(share.value or 0.0), line))
        lines += [line for _, line in sorted(found, key=lambda each: (each[0], str(each[1][1])))]
    return pd.DataFrame(lines, columns=["check", "group", "value", "low", "high", "found", "n"])
