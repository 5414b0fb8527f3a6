"""What did each cleaning rule drop and change, run by run, and whom did it leave: the share of each group before and after?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.analyzers.data import cleaning as judged
from observability.core import formatting
from observability.core.finding import SEVERITIES, Finding, needs_action
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, empty_states, frame, links, load
from observability.dashboard.charts import fairness as charts_fairness
from observability.dashboard.charts import records as charts_records
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row, table
from observability.detection import cleaning_history
from observability.detection.cleaning_history import GROUP_ROWS, Rule
from observability.export.csv import inert_csv
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

MOST = 100
METRICS = ("cleaning_drop_rate", "cleaning_change_rate", "cleaning_group_gap")
HOW = """import observability as obs
log = obs.Logger()
log.cleaning(rule="age above 17", dataset="people", version="2026-03", rows_in=1000, rows_changed=0, rows_dropped=38,
             groups={"sex": {"F": {"in": 480, "dropped": 21}, "M": {"in": 520, "dropped": 17}}})"""
RULES = (
    column("rule", "Rule", strong=True),
    column("status", "Status", width="7rem"),
    column("runs", "Runs", align="right"),
    column("rows", "Rows in", align="right"),
    column("dropped", "Dropped", align="right", help="Dropped rows of all runs, and their share of the rows in"),
    column("changed", "Changed", align="right", help="Changed rows of all runs, and their share of the rows in"),
    column("last", "Newest run (UTC)", short=True),
)
RUNS = (
    column("at", "Run (UTC)", width="9rem", short=True),
    column("version", "Version", help="The version of the dataset that it made"),
    column("rows", "Rows in", align="right"),
    column("dropped", "Dropped", align="right"),
    column("changed", "Changed", align="right"),
    column("kept", "Rows out", align="right"),
)
GROUPS = (
    column("group", "Group", strong=True),
    column("rows", "Rows in", align="right"),
    column("dropped", "Dropped", align="right"),
    column("rate", "Share dropped", align="right", help="Of the group's own rows, with its 95 % interval"),
    column("gap", "Beyond the others", align="right", help="Share dropped less that of the other groups together, with its 95 % interval"),
    column("before", "Share before", align="right", help="The group's share of all rows that came in"),
    column("after", "Share after", align="right", help="The group's share of the rows that were kept"),
)


def nothing_to_show() -> None:
    """No cleaning is in these dates, or none in the store: how to log one."""
    step = "A line for each run of a rule shows what it took away, and of whom."
    empty_states.not_logged("cleaning", "cleanings", "No cleaning has been logged yet.", step, HOW)


def everything(scope: Scope) -> tuple["DataFrame", Window]:
    """The runs of rules in the dates that are looked at, oldest first, each with its `subject`; and those dates."""
    window = load.window_of_records(scope, judged.ANALYZER)
    rows = load.records(Records("cleaning"), window)
    subjects = [
        f"dataset:{dataset}/rule:{rule}" if dataset else f"rule:{rule}" for dataset, rule in zip(rows["dataset"], rows["rule"], strict=True)
    ]
    return rows.assign(subject=subjects), window


def summary(rows: "DataFrame", found: Sequence[Finding], window: Window) -> str:
    """How often rules ran, what they took, and how many need a person, as Markdown."""
    when = f", {formatting.plain(formatting.span(window.start, window.end))}" if window.start > EPOCH else ""
    needy = len({each.subject for each in found if needs_action(each.severity)})
    ran = f"**{formatting.plural(len(rows), 'run')}** of {formatting.plural(rows['subject'].nunique(), 'rule')}{when}"
    took = f"They dropped {int(rows['rows_dropped'].sum()):,} rows and changed {int(rows['rows_changed'].sum()):,}"
    return f"{ran}. {took}; {formatting.plural(needy, 'rule needs', 'rules need')} a person."


def about(found: Sequence[Finding], subject: str) -> list[Finding]:
    """Findings about one rule, worst first."""
    return [each for each in found if each.subject == subject]


def worst(found: Sequence[Finding]) -> Finding | None:
    """The one that a person should read first."""
    return min(found, key=lambda each: (SEVERITIES.index(each.severity), -each.rank), default=None)


def rules_table(rows: "DataFrame", found: Sequence[Finding], chosen: str | None, scope: Scope) -> None:
    """A row for each rule, those that need a person first; what is said of it under it."""

    def urgency(subject: str) -> tuple[int, str]:
        said = worst(about(found, subject))
        return (SEVERITIES.index(said.severity) if said else len(SEVERITIES), subject)

    lines = []
    for subject in sorted(set(rows["subject"]), key=urgency):
        part, said = rows[rows["subject"] == subject], worst(about(found, subject))
        target = links.link(str(part["rule"].iloc[0]), "cleaning", scope, rule=subject)
        total = int(part["rows_in"].sum())
        cells: dict[str, Cell] = {
            "rule": {**target, "sub": part["dataset"].iloc[0]},
            "status": {"s": said.severity, "t": formatting.STATUS_WORDS[said.severity]} if said else {"t": formatting.DASH},
            "runs": {"t": f"{len(part):,}"},
            "rows": {"t": f"{total:,}"},
            "dropped": counted(int(part["rows_dropped"].sum()), total),
            "changed": counted(int(part["rows_changed"].sum()), total),
            "last": {"t": formatting.minute(part["at"].iloc[-1])},
        }
        note = {**target, "t": said.because.replace("`", ""), "s": said.severity} if said and needs_action(said.severity) else None
        lines.append(row(cells, note, selected=subject == chosen))
    table("rules", "Cleaning rules and what they did", RULES, lines)


def counted(n: int, rows: int) -> Cell:
    """A number of rows over its share."""
    return {"t": f"{n:,}", "sub": formatting.share(n / rows) if rows else None}


def choose(rows: "DataFrame", found: Sequence[Finding]) -> str | None:
    """The rule that the address names, else the one that needs a person first, else the one that ran last."""
    chosen = choice_box.choose(
        "rule", "Rule", sorted(set(rows["subject"])), words=words, placeholder="The one that needs a person first", width=420,
        missing="The link names the rule {}, which did not run in these dates.",
    )  # fmt: skip
    bad = worst([each for each in found if needs_action(each.severity)])
    return chosen or (bad.subject if bad else str(rows["subject"].iloc[-1]))


def words(subject: str) -> str:
    """A rule in words: `age above 17, on people`."""
    dataset, slash, rule = subject.removeprefix("dataset:").partition("/rule:")
    return f"{rule}, on {dataset}" if slash else subject.removeprefix("rule:")


def chart(own: "DataFrame", found: Sequence[Finding]) -> None:
    """The share that each run dropped (changed, of a rule that only changes), over time, with what is usual."""
    metric = "cleaning_drop_rate" if own["rows_dropped"].sum() or not own["rows_changed"].sum() else "cleaning_change_rate"
    said = next((each for each in found if each.metric == metric), None)
    part = own[own["rows_in"] > 0]
    hits = part["rows_dropped" if metric == "cleaning_drop_rate" else "rows_changed"].astype(float)
    drawn = part[["at", "rows_in"]].assign(value=hits / part["rows_in"].astype(float))
    usual = said.evidence.get("baseline") if said else None
    unusual = said.evidence.get("unusual", []) if said else []
    drawn["severity"] = [said.severity if said and f"{at:%Y-%m-%dT%H:%M:%S.%f}" in unusual else "ok" for at in drawn["at"]]
    verb = "dropped" if metric == "cleaning_drop_rate" else "changed"
    drawn["words"] = [
        f"{formatting.minute(each['at'])} UTC<br>{formatting.share(each['value'])} of {each['rows_in']:,} rows {verb}"
        for each in drawn.to_dict("records")
    ]
    if drawn.empty:
        return
    alt = f"{formatting.share(float(drawn['value'].min()))} to {formatting.share(float(drawn['value'].max()))} of the rows {verb} a run."
    frame.chart(
        charts_records.marks(drawn, name=f"share of rows {verb}", usual=usual, share=True), drawn.drop(columns="words"), key="cleaning-rate", alt=alt,
        metrics=(metric,), columns={"at": "Run (UTC)", "rows_in": "Rows in", "severity": "How it stands"},
    )  # fmt: skip


def runs_table(own: "DataFrame") -> None:
    """The newest runs of a rule, and all of them as CSV."""
    lines = []
    for each in own.iloc[::-1].head(MOST).to_dict("records"):
        rows, dropped, changed = (int(each[name]) for name in ("rows_in", "rows_dropped", "rows_changed"))
        lines.append(
            row(
                {
                    "at": {"t": formatting.minute(each["at"])}, "version": {"t": each["version"] or formatting.DASH}, "rows": {"t": f"{rows:,}"},
                    "dropped": counted(dropped, rows), "changed": counted(changed, rows), "kept": {"t": f"{rows - dropped:,}"},
                }
            )
        )  # fmt: skip
    table("cleanings", "Runs of the rule, newest first", RUNS, lines, compact=True)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        frame.download("cleanings.csv", lambda: inert_csv(own.drop(columns="subject")), "CSV", key="cleanings-csv")
        if len(own) > MOST:
            st.caption(f"The newest {MOST} of {len(own):,}; the CSV holds all of them.")


def groups(own: "DataFrame") -> None:
    """For each column that the runs count groups of: what each group lost, and its share of the rows before and after."""
    found = next(iter(cleaning_history.rules_of(own.iloc[:0], own)), None)
    counts = cleaning_history.counts_of(own["groups"])
    if found is None or not counts:
        if not own["rows_dropped"].any():
            return
        st.markdown("These runs say nothing about groups; `groups` in the record would show of whom the rule takes rows.")
        return
    st.header("Who is left", anchor=False)
    for name, levels in sorted(counts.items()):
        group_table(name, levels, found)


def group_table(name: str, levels: dict[str, tuple[float, float]], found: Rule) -> None:
    """The groups of one column: a dot with its interval for each, and a table."""
    import pandas as pd

    total, kept = sum(rows for rows, _ in levels.values()), sum(rows - dropped for rows, dropped in levels.values())
    gaps = {each.level: each for each in found.groups if each.column == name}
    lines, drawn = [], []
    for level, (rows, dropped) in sorted(levels.items(), key=lambda each: (-(each[1][1] / each[1][0] if each[1][0] else 0.0), each[0])):
        rate, gap, enough = rate_interval(dropped, rows), gaps.get(level), rows >= GROUP_ROWS
        lines.append(
            row(
                {"group": {"t": f"{name} = {level}"}, **cells(rows, dropped, total, kept), **shares(rate, gap.gap if gap else None, enough)}
            )
        )
        drawn.append(
            {
                "group": level, "value": rate.value, "low": rate.low, "high": rate.high, "n": rows, "what": "rows in", "enough": enough,
                "reference": None, "before": rows / total if total else None, "after": (rows - dropped) / kept if kept else None,
            }
        )  # fmt: skip
    twin = pd.DataFrame(drawn)
    twin["reference"] = twin["reference"].astype(float)
    worst_level = lines[0]["cells"]
    alt = f"Most is dropped of {worst_level['group']['t']}: {worst_level['rate']['t']}; its share goes from {worst_level['before']['t']} to {worst_level['after']['t']}."
    st.markdown(formatting.plain(alt))
    overall = sum(dropped for _, dropped in levels.values()) / total if total else None
    figure = charts_fairness.dots(twin, name="share of the group's rows that were dropped", unit="share", overall=overall)
    frame.chart(
        figure, twin.drop(columns=["reference", "what"]), key=f"groups-{name}", alt=alt, metrics=("cleaning_group_gap",),
        columns={"group": name, "n": "Rows in", "value": "Share dropped", "enough": "Enough rows", "before": "Share before", "after": "Share after"},
    )  # fmt: skip
    table(f"groups-of-{name}", f"Groups of {name} before and after the rule", GROUPS, lines, compact=True)


def cells(rows: float, dropped: float, total: float, kept: float) -> dict[str, Cell]:
    """Counts of a group, and its share of all rows before and after."""
    return {
        "rows": {"t": f"{rows:,.0f}"}, "dropped": {"t": f"{dropped:,.0f}"}, "before": {"t": formatting.share(rows / total) if total else formatting.DASH},
        "after": {"t": formatting.share((rows - dropped) / kept) if kept else formatting.DASH},
    }  # fmt: skip


def shares(rate: Any, gap: Any, enough: bool) -> dict[str, Cell]:
    """A group's drop rate and how far it lies beyond the others', with their intervals; of few rows marked unknown."""
    quiet: dict[str, Any] = {} if enough else {"s": "unknown", "title": f"Fewer than {GROUP_ROWS} rows: too few to judge"}

    def told(each: Any) -> Cell:
        if each is None or each.value is None:
            return {"t": formatting.DASH}
        return {
            "t": formatting.share(each.value),
            "sub": f"{formatting.share(each.low)} to {formatting.share(each.high)}",
        }

    return {"rate": told(rate) | quiet, "gap": told(gap)}
