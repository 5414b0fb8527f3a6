"""The part of the cleaning page about rules that ran: the rows that each rule dropped and changed, by run, and the share of each group
before and after the rule.
"""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from observability.analyzers.data import cleaning as judged
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import percent
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import choice_box, empty_states, frame, links, load, time_zone
from observability.dashboard.action_form import ActionChoices, action_form
from observability.dashboard.cells import (
    UNKNOWN_CELL,
    attention_note,
    count_and_share_cell,
    first_finding,
    severity_cell,
    severity_order,
    share_cell,
)
from observability.dashboard.charts import fairness as charts_fairness
from observability.dashboard.charts import records as charts_records
from observability.dashboard.data.records_summary import attention_count, dates_note
from observability.dashboard.data.sample_data_figures import cleaning_figure
from observability.dashboard.scope import BIND, Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import csv_of_table, plain_paragraph
from observability.detection import cleaning_history
from observability.detection.cleaning_history import GROUP_ROWS, CleaningRule, applied_runs, proposed_runs
from observability.metrics.cleaning_effect import CleaningEffect, stated_effect
from observability.stats.interval import rate_interval

MAX_TABLE_ROWS = 20
RUNS, AUDITS = "Rules that ran", "Audited datasets"
VERBS = {
    "Keep using": "what it drops and changes is right; give the reason",
    "Change": "narrow or widen it, then compare",
    "Undo": "run without it, and bring its rows back",
}
METRICS = ("cleaning_drop_rate", "cleaning_change_rate", "cleaning_group_gap")
HOW = """import observability as obs
log = obs.Logger()
log.cleaning(rule="age above 17", dataset="people", version="2026-03", rows_in=1000, rows_changed=0, rows_dropped=38,
             groups={"sex": {"F": {"in": 480, "dropped": 21}, "M": {"in": 520, "dropped": 17}}})
# or let an audit find duplicates, conflicting labels and leaks in a file:
# python -m observability audit-data train.csv --label churned --held-out test.csv
# and measure what your own rule does to a model, from a column that flags the rows it drops:
# python -m observability audit-data train.csv --label churned --rule 'broken sensor=is_broken'"""
RULE_COLUMNS = columns_on_phone(
    "rule status dropped",
    column("rule", "Rule", strong=True),
    column("status", "Status", width="7rem"),
    *number_columns(runs="Runs", rows="Rows in"),
    column("dropped", "Dropped", align="right", help="Dropped rows of all runs, and their share of the rows in"),
    column("changed", "Changed", align="right", help="Changed rows of all runs, and their share of the rows in"),
    column("last", "Newest run (UTC)", short=True),
)
EFFECT_COLUMN = column(
    "effect",
    "Effect on a model",
    align="right",
    help="As logged by the newest run that has an effect, else from an audit of a rule of this name, with its 95 % interval",
    phone=False,
)
RUN_COLUMNS = columns_on_phone(
    "at dropped changed",
    column("at", "Run (UTC)", width="9rem", short=True),
    column("version", "Version", help="The version of the dataset that it made"),
    *number_columns(rows="Rows in", dropped="Dropped", changed="Changed", kept="Rows out"),
)
GROUP_COLUMNS = columns_on_phone(
    "group rate gap",
    column("group", "Group", strong=True),
    *number_columns(rows="Rows in", dropped="Dropped"),
    column("rate", "Share dropped", align="right", help="Share of the group's own rows, with its 95 % interval"),
    column("gap", "Beyond the others", align="right", help="Share dropped minus that of all other groups, with its 95 % interval"),
    column("before", "Share before", align="right", help="The group's share of all input rows"),
    column("after", "Share after", align="right", help="The group's share of the rows that were kept"),
)


def chosen_view(runs: bool, audits: bool) -> str:
    """Return the view of the page, RUNS or AUDITS. If there are both, the person chooses; the page starts with the audits if the link names
    a dataset.
    """
    if not (runs and audits):
        return RUNS if runs else AUDITS
    first = AUDITS if "dataset" in st.query_params else RUNS
    return st.segmented_control("Show", (RUNS, AUDITS), default=first, required=True, key="show", bind=BIND)


def no_cleaning_runs() -> None:
    """Draw the empty state: no cleaning in these dates; or no cleaning in the store, how to log one, and how to audit a dataset."""
    step = "One record per run of a rule shows what it dropped, and from which groups; an audit finds what to drop."
    example = ("Share of rows that a rule dropped, by run", cleaning_figure)
    empty_states.not_logged_state("cleaning", "cleanings", "No cleaning has been logged yet.", step, HOW, example)


def cleaning_runs_in_scope(scope: Scope) -> tuple[pd.DataFrame, Window]:
    """Return the runs of rules in the chosen dates, oldest first, each with its `subject`; and these dates."""
    window = load.window_of_records(scope, judged.ANALYZER)
    rows = applied_runs(load.ask_store(judged.CLEANINGS, window))
    pairs = zip(rows["dataset"], rows["rule"], strict=True)
    return rows.assign(subject=[f"dataset:{dataset}/rule:{rule}" if dataset else f"rule:{rule}" for dataset, rule in pairs]), window


def cleaning_summary(rows: pd.DataFrame, found: Sequence[Finding], window: Window) -> str:
    """Numbers of runs, rules and rows, and how many rules need attention, as Markdown."""
    ran = f"**{formatting.plural(len(rows), 'run')}** of {formatting.plural(rows['subject'].nunique(), 'rule')}{dates_note(window)}"
    took = f"{int(rows['rows_dropped'].sum()):,} rows dropped, {int(rows['rows_changed'].sum()):,} changed"
    return f"{ran}: {took}; {attention_count(found, 'rule')}."


def findings_about_rules(found: Sequence[Finding]) -> list[Finding]:
    """Findings about rules that ran, without those about audits of datasets."""
    return [finding for finding in found if "rule:" in finding.subject]


def findings_about_rule(found: Sequence[Finding], subject: str) -> list[Finding]:
    """Findings about one rule, worst first."""
    return [finding for finding in found if finding.subject == subject]


def cleaning_rules_table(rows: pd.DataFrame, found: Sequence[Finding], chosen: str | None, scope: Scope) -> None:
    """Draw a row for each rule with its most urgent finding, the most urgent rule first."""
    first = {subject: first_finding(findings_about_rule(found, subject)) for subject in set(rows["subject"])}
    records = load.ask_store(judged.CLEANINGS, load.window_of_records(scope, judged.ANALYZER))
    effects = audited_effects(rows, records) | newest_effects(rows)
    lines = []
    for subject in sorted(first, key=lambda subject: (severity_order(first[subject]), subject)):
        part, finding = rows[rows["subject"] == subject], first[subject]
        target = links.link_cell(str(part["rule"].iloc[0]), "cleaning", scope, rule=subject)
        total = int(part["rows_in"].sum())
        cells: dict[str, Cell] = {
            "rule": {**target, "sub": part["dataset"].iloc[0]},
            "status": severity_cell(finding.severity if finding else None),
            "runs": {"t": f"{len(part):,}"},
            "rows": {"t": f"{total:,}"},
            "dropped": count_and_share_cell(int(part["rows_dropped"].sum()), total),
            "changed": count_and_share_cell(int(part["rows_changed"].sum()), total),
            "last": {"t": time_zone.zoned_minute(part["at"].iloc[-1])},
            "effect": effect_cell(effects.get(subject)),
        }
        selected = subject == chosen
        lines.append(table_row(cells, attention_note(finding, target, selected=selected), selected=selected))
    draw_table("rules", "Cleaning rules and their effect", (*RULE_COLUMNS, *((EFFECT_COLUMN,) if effects else ())), lines)


def newest_effects(rows: pd.DataFrame) -> dict[str, CleaningEffect]:
    """Return the effect of each rule, as stated by the rule's newest run that states an effect. rows: runs, oldest first."""
    stated = zip(rows["subject"], map(stated_effect, rows["extra"]))
    return {subject: effect for subject, effect in stated if effect is not None}


def audited_effects(rows: pd.DataFrame, records: pd.DataFrame) -> dict[str, CleaningEffect]:
    """Return the effect of each rule as measured by the newest audit of a rule of the same name. An audit of the rule's own dataset is
    preferred to audits of other datasets.

    rows: runs of rules. records: all cleaning records, oldest first, including the proposals of audits.
    """
    audits = proposed_runs(records)
    measured: dict[tuple[str | None, str], CleaningEffect] = {}
    for dataset, rule, further in zip(audits["dataset"], audits["rule"], audits["extra"], strict=True):
        if (effect := stated_effect(further)) is not None:
            measured |= {(None, rule): effect, (dataset or "", rule): effect}
    found = {}
    for subject, dataset, rule in zip(rows["subject"], rows["dataset"], rows["rule"], strict=True):
        if (effect := measured.get((dataset or "", rule)) or measured.get((None, rule))) is not None:
            found[subject] = effect
    return found


def effect_cell(effect: CleaningEffect | None) -> Cell:
    """Return the cell of an effect, such as `accuracy +0.012`. Below it stand the interval of the change and the metric before and after,
    if known.
    """
    if effect is None:
        return {"t": formatting.DASH}
    name = f"{formatting.metric_title(effect.metric)} " if effect.metric else ""
    low, high, before, after = (formatting.format_number(each) for each in (effect.low, effect.high, effect.before, effect.after))
    parts = [] if effect.low is None else [f"interval {low} to {high}"]
    parts += [] if effect.before is None else [f"{before} without it, {after} with it"]
    return {"t": f"{name}{'+' if effect.change > 0 else ''}{formatting.format_number(effect.change)}", "sub": "; ".join(parts) or None}


def chosen_cleaning_rule(rows: pd.DataFrame, found: Sequence[Finding]) -> str | None:
    """Return the rule in the address; if there is none, the most urgent rule, else the rule that ran last."""
    names, missing = sorted(set(rows["subject"])), "The link names the rule {}, which did not run in these dates."
    chosen = choice_box.address_selectbox(
        "rule", "Rule", names, words=cleaning_rule_words, placeholder="Most urgent", width=420, missing=missing
    )
    bad = first_finding(finding for finding in found if finding.needs_action)
    return chosen or (bad.subject if bad else str(rows["subject"].iloc[-1]))


def cleaning_rule_words(subject: str) -> str:
    """Return a rule in words, such as `age above 17, on people`."""
    dataset, slash, rule = subject.removeprefix("dataset:").partition("/rule:")
    return f"{rule}, on {dataset}" if slash else subject.removeprefix("rule:")


def cleaning_rule_actions(subject: str, own: pd.DataFrame, found: Sequence[Finding]) -> None:
    """Draw the earlier decisions about a rule, each with the results of later runs, and a form for the next decision. own: the runs of the
    rule. found: the findings about the rule.
    """
    words, bad = cleaning_rule_words(subject), first_finding(finding for finding in found if finding.needs_action)
    choices = ActionChoices(
        key="rule", thing=f"rule {words}", verbs=VERBS, button=f"Decide about {words}", cause=bad.id if bad else None,
        proposed="Change" if bad else None,
    )  # fmt: skip
    action_form(choices, lambda made: rule_runs_since(made, own))


def rule_runs_since(made: datetime, own: pd.DataFrame) -> str:
    """Return how many rows a rule dropped in its runs after a decision, such as `3 runs since drop 5.0 % of the rows, 10 % before`. own:
    the runs of the rule in the window.
    """
    later = own["at"] > naive_utc(made)
    if not later.any():
        return "no run since then in these dates"
    since, before = (
        percent(float(part["rows_dropped"].sum()) / rows) if (rows := float(part["rows_in"].sum())) else None
        for part in (own[later], own[~later])
    )
    drops = f" {'drop' if later.sum() > 1 else 'drops'} {since} of the rows" if since else ""
    return f"{formatting.plural(int(later.sum()), 'run')} since{drops}{f', {before} before' if since and before else ''}"


def cleaning_rate_chart(own: pd.DataFrame, found: Sequence[Finding]) -> None:
    """Draw the share of rows that each run dropped over time, with the usual share. For a rule that only changes rows, draw the share that
    it changed.
    """
    drops = bool(own["rows_dropped"].sum() or not own["rows_changed"].sum())
    metric, field, verb = (
        ("cleaning_drop_rate", "rows_dropped", "dropped") if drops else ("cleaning_change_rate", "rows_changed", "changed")
    )
    finding = next((each for each in found if each.metric == metric), None)
    unusual = finding.evidence.get("unusual", []) if finding else []
    part = own[own["rows_in"] > 0]
    if part.empty:
        return
    drawn = part[["at", "rows_in"]].assign(value=part[field].astype(float) / part["rows_in"].astype(float))
    drawn["severity"] = [finding.severity if finding and f"{at:%Y-%m-%dT%H:%M:%S.%f}" in unusual else "ok" for at in drawn["at"]]
    drawn["words"] = [
        f"{time_zone.named_minute(run['at'])}<br>{formatting.format_share(run['value'])} of {run['rows_in']:,} rows {verb}"
        for run in drawn.to_dict("records")
    ]
    low, high = (formatting.format_share(float(end)) for end in (drawn["value"].min(), drawn["value"].max()))
    usual = finding.evidence.get("baseline") if finding else None
    figure = charts_records.record_marks(drawn, name=f"share of rows {verb}", usual=usual, share=True)
    columns = {"at": "Run (UTC)", "rows_in": "Rows in", "severity": "Status"}
    alt = f"{low} to {high} of the rows {verb} per run."
    frame.chart_with_table(figure, drawn.drop(columns="words"), key="cleaning-rate", alt=alt, metrics=(metric,), columns=columns)


def cleaning_runs_table(own: pd.DataFrame) -> None:
    """Draw the newest runs of a rule, and offer all of them as CSV."""
    lines = []
    for run in own.iloc[::-1].head(MAX_TABLE_ROWS).to_dict("records"):
        rows, dropped, changed = (int(run[name]) for name in ("rows_in", "rows_dropped", "rows_changed"))
        cells: dict[str, Cell] = {
            "at": {"t": time_zone.zoned_minute(run["at"])},
            "version": {"t": run["version"] or formatting.DASH},
            "rows": {"t": f"{rows:,}"},
            "dropped": count_and_share_cell(dropped, rows),
            "changed": count_and_share_cell(changed, rows),
            "kept": {"t": f"{rows - dropped:,}"},
        }
        lines.append(table_row(cells))
    with st.expander(formatting.plural(len(own), "run"), icon=":material/table_rows:"):
        draw_table("cleanings", "Runs of the rule, newest first", RUN_COLUMNS, lines, compact=True)
        csv_of_table("cleanings", lambda: own.drop(columns="subject"), len(own), MAX_TABLE_ROWS)


def cleaning_groups(own: pd.DataFrame) -> None:
    """Draw for each column whose groups the runs count: the share of its rows that each group lost, and the group's share of all rows
    before and after.
    """
    found = next(iter(cleaning_history.rules_of(own.iloc[:0], own)), None)
    counts = cleaning_history.counts_of(own["groups"])
    if found is None or not counts:
        if own["rows_dropped"].any():
            st.markdown("No group counts: log `groups` with each run to see whose rows the rule drops.")
        return
    st.header("Effect on groups", anchor=False)
    for name, levels in sorted(counts.items()):
        _group_section(name, levels, found)


def most_dropped_words(name: str, groups: pd.DataFrame) -> str:
    """Return a sentence on the group of a column that loses most, with its share of all rows before and after. groups: group, value,
    before, after (shares) and enough; the group that loses most is first.
    """
    judged = groups[groups["enough"]]
    most = (judged if len(judged) else groups).iloc[0]
    lost, before, after = (
        percent(share) if share == share else formatting.DASH for share in most[["value", "before", "after"]].astype(float)
    )
    few = "" if len(judged) else " All groups have too few rows to judge."
    return f"{name} = {most['group']} loses most: {lost} dropped; its share of the rows goes from {before} to {after}.{few}"


def _group_section(name: str, levels: dict[str, tuple[float, float]], found: CleaningRule) -> None:
    """Draw the groups of one column: a dot with its interval for each group, and a table. levels: the numbers of input rows and dropped
    rows of each group.
    """
    total, dropped_in_all = (sum(counts[place] for counts in levels.values()) for place in (0, 1))
    kept = total - dropped_in_all
    gaps = {group.level: group.gap for group in found.groups if group.column == name}
    lines, drawn = [], []
    for level, (rows, dropped) in sorted(levels.items(), key=lambda item: (-(item[1][1] / item[1][0] if item[1][0] else 0.0), item[0])):
        rate, gap, enough = rate_interval(dropped, rows), gaps.get(level), rows >= GROUP_ROWS
        before, after = rows / total if total else None, (rows - dropped) / kept if kept else None
        too_small: Cell = {} if enough else {"s": "unknown", "title": f"Fewer than {GROUP_ROWS} rows: too few to judge"}
        cells: dict[str, Cell] = {
            "group": {"t": f"{name} = {level}"},
            "rows": {"t": f"{rows:,.0f}"},
            "dropped": {"t": f"{dropped:,.0f}"},
            "before": share_cell(before),
            "after": share_cell(after),
            "rate": share_cell(rate.value, rate.low, rate.high) | too_small,
            "gap": share_cell(gap.value, gap.low, gap.high) if gap else dict(UNKNOWN_CELL),
        }
        lines.append(table_row(cells))
        drawn.append([level, rate.value, rate.low, rate.high, rows, "rows in", enough, None, before, after])
    twin = pd.DataFrame(drawn, columns=["group", "value", "low", "high", "n", "what", "enough", "reference", "before", "after"])
    twin["reference"] = twin["reference"].astype(float)
    alt = most_dropped_words(name, twin)
    plain_paragraph(alt)
    overall = dropped_in_all / total if total else None
    figure = charts_fairness.group_dots(twin, name="share of the group's rows that were dropped", unit="share", overall=overall)
    columns = {
        "group": name,
        "n": "Rows in",
        "value": "Share dropped",
        "enough": "Enough rows",
        "before": "Share before",
        "after": "Share after",
    }
    shown = twin.drop(columns=["reference", "what"])
    frame.chart_with_table(figure, shown, key=f"groups-{name}", alt=alt, metrics=("cleaning_group_gap",), columns=columns)
    with st.expander(f"{len(lines)} groups of {formatting.escape_markdown(name)}", icon=":material/table_rows:"):
        draw_table(f"groups-of-{name}", f"Groups of {name} before and after the rule", GROUP_COLUMNS, lines, compact=True)
