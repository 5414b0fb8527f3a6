"""The rows kept and dropped by cleaning rule and group, as a flow with its table. The rules are those that ran, or those that an audit
proposes.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, time_zone
from observability.dashboard.charts import collection as charts_collection
from observability.dashboard.widgets import plain_caption
from observability.detection import cleaning_history
from observability.metrics.audited_data import PROPOSED

KEPT = "kept"
COLUMNS = ["group", "outcome", "rows"]
MAX_GROUPS = 6
"""Maximum number of groups of one rule that a flow names."""


def rule_chain(rows: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """Return the runs that were made one after the other on the same rows as the newest run of a rule, in their order.

    rows: runs with `subject`, `dataset`, `version`, `at`, `rows_in`, `rows_dropped`. Rules form a sequence if they name the same dataset
    and version, and if the input rows of each rule are the rows that the rule before kept. Otherwise only the run of the rule itself is
    returned.
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
    """Return the number of rows by group and outcome: dropped by each rule, or kept after the last rule. column: None takes all rows as one
    group.

    If a rule does not count the groups of the column, it is unknown to which groups its rows belong, and the frame is empty.
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


def runs_of_dataset(rows: pd.DataFrame, chosen: str) -> pd.DataFrame:
    """Return the runs of all rules on the dataset that the chosen rule cleans, oldest first. If the rule names no dataset, only its own
    runs are returned.
    """
    own = rows[rows["subject"] == chosen]
    name = own["dataset"].iloc[-1]
    return (own if pd.isna(name) else rows[rows["dataset"] == name]).sort_values("at", ignore_index=True)


def flow_by_rule(runs: pd.DataFrame, column: str | None) -> pd.DataFrame:
    """Return the number of rows by rule and outcome, summed over the runs. If the runs count rows by groups of the column, the rows are
    also given by group.

    Rules may take in the same rows, so the rows of different rules must not be added. Rows that a run does not count by groups of the
    column are in the group `not counted` of its rule. A rule without any counts has no groups. Only the MAX_GROUPS largest groups are
    named.
    """
    found: list[list[Any]] = []
    for rule, part in runs.groupby("rule", sort=False):
        counted = cleaning_history.counts_of(part["groups"]).get(column or "", {})
        taken, gone = int(part["rows_in"].sum()), int(part["rows_dropped"].sum())
        order = sorted(counted, key=lambda level: (-counted[level][0], level))
        groups = {f"{rule}: {level}": counted[level] for level in order[:MAX_GROUPS]}
        left = [counted[level] for level in order[MAX_GROUPS:]]
        if left:
            groups[f"{rule}: {len(left)} more"] = sum(rows for rows, _ in left), sum(dropped for _, dropped in left)
        rest = taken - sum(rows for rows, _ in groups.values()), gone - sum(dropped for _, dropped in groups.values())
        groups[f"{rule}: not counted" if groups else str(rule)] = max(rest[0], 0), max(rest[1], 0)
        for group, (count, dropped) in groups.items():
            found += [[group, f"dropped: {rule}", int(dropped)], [group, KEPT, int(count - dropped)]]
    return pd.DataFrame(found, columns=COLUMNS)


def cleaning_flow_section(rows: pd.DataFrame, chosen: str) -> None:
    """Draw the rows of a rule's dataset that the rules kept and dropped, by the groups that the rules count.

    Rules that follow each other are drawn as one flow of their newest runs. Otherwise the rows of each rule are drawn separately, summed
    over its runs.
    """
    chain = rule_chain(rows, chosen)
    st.header("Rows kept and dropped", anchor=False)
    if len(chain) > 1 and (columns := _counted_columns(chain)):
        for column in columns:
            how = f"by {formatting.plural(len(chain), 'rule')} in sequence"
            table = flow_by_group(chain, column)
            _draw_flow(table, column, _kept_words(table, column, how, chain["at"]))
        return
    runs = runs_of_dataset(rows, chosen)
    counted = sorted({column for groups in runs["groups"] for column in cleaning_history.counts_of([groups])})
    rules = f"by {formatting.plural(runs['rule'].nunique(), 'rule')} in {formatting.plural(len(runs), 'run')}"
    shown: Sequence[str | None] = counted or [None]
    for column in shown:
        table = flow_by_rule(runs, column)
        _draw_flow(table, column, _kept_words(table, column, rules, runs["at"]))


def proposed_flow_section(proposed: pd.DataFrame) -> None:
    """Draw how many of its rows each rule that an audit proposes would keep and drop, by the groups that the rule counts.

    proposed: the newest proposed run of each rule. Each rule takes in all rows. Rules that would drop no row are left out.
    """
    does = proposed[proposed["rows_dropped"] > 0].sort_values("rows_dropped", ascending=False, kind="stable")
    if does.empty:
        return
    st.header("Rows kept and dropped", anchor=False)
    does = does.assign(rule=does["rule"].str.removeprefix(PROPOSED))
    said = ", ".join(f"{rule} {int(rows):,}" for rule, rows in zip(does["rule"], does["rows_dropped"], strict=True))
    alt = f"Of {int(does['rows_in'].max()):,} rows each rule alone would drop: {said}. None was removed."
    counted = sorted({column for groups in does["groups"] for column in cleaning_history.counts_of([groups])})
    shown: Sequence[str | None] = counted or [None]
    for column in shown:
        table = flow_by_rule(does, column)
        _draw_flow(table.assign(outcome=table["outcome"].str.replace("dropped: ", "would drop: ", regex=False)), column, alt)


def _kept_words(table: pd.DataFrame, column: str | None, rules: str, times: pd.Series) -> str:
    """Return a sentence on how many rows were kept. rules: the rules, in words. times: the times of their runs."""
    total, kept = int(table["rows"].sum()), int(table.loc[table["outcome"] == KEPT, "rows"].sum())
    first, last = time_zone.zoned_minute(times.min()), time_zone.named_minute(times.max())
    when = f"at {last}" if last.startswith(first) else f"from {first} to {last}"
    return f"{kept:,} of {total:,} rows kept {rules}{f', shown by {column}' if column else ''}, {when}."


def _draw_flow(table: pd.DataFrame, column: str | None, alt: str) -> None:
    """Draw a flow with its table and its sentence; nothing if there are no rows."""
    table = table[table["rows"] > 0].reset_index(drop=True)
    if table.empty:
        return
    figure = charts_collection.cleaning_flow(table)
    titles = {"group": f"Rule and {column}" if column else "Rows", "outcome": "Outcome", "rows": "Rows"}
    frame.chart_with_table(figure, table, key=f"flow-{column or 'all'}", alt=alt, metrics=("cleaning_drop_rate",), columns=titles)
    plain_caption(alt)


def _counted_columns(chain: pd.DataFrame) -> Sequence[str | None]:
    """The columns whose groups every run of a chain counts."""
    each = [set(cleaning_history.counts_of([groups])) for groups in chain["groups"]]
    return sorted(set.intersection(*each)) if each else []
