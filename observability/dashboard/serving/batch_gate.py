"""The page of the batch gate: the batches of a model, why a batch is held, and a person's decision about it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.serving import batch_gate as judged
from observability.core import formatting
from observability.core.finding import Finding, needs_action
from observability.core.numerals import format_figure, percent
from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, clicks, empty_states, frame, links, load, person_name, sample_figures, theme
from observability.dashboard.cells import UNKNOWN_CELL, severity_cell
from observability.dashboard.charts import records as charts_records
from observability.dashboard.sample_examples import PageExample
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import NOT_SAVED, cut_note, finding_lines, save_records

MAX_TABLE_ROWS = 60
HOW = """# settings.toml: python -m observability settings churn --settings settings.toml
[settings]
batch_key = "subject"        # id, subject or a feature
batch_rows = 20000           # or records that name the keys:

import observability as obs
log = obs.Logger()
log.expected_batch(batch="2026-03-02", model="churn", keys=["c1", "c2"], due="2026-03-02T06:00:00Z")

# a scheduler asks: exit 0 releases, 1 holds
# python -m observability gate 2026-03-02 --model churn"""
COLUMNS = (
    column("batch", "Batch", strong=True),
    column("gate", "Gate", width="8.5rem"),
    column("rows", "Rows", align="right", phone=False),
    column("expected", "Expected", align="right", help="Rows or keys that were declared, else those of the settings", phone=False),
    column("because", "Because"),
)


def decisions_of(model: str) -> dict[str, dict[str, Any]]:
    """For each batch, the decision about it that is in force."""
    return judged.decisions_by_batch(load.ask_store(judged.DECISIONS, Window(model, EPOCH, datetime.now(UTC) + timedelta(days=1))), model)


def batch_words(found: Sequence[Finding], name: str, decision: Mapping[str, Any] | None) -> tuple[str, str]:
    """The state of the gate for a batch: the severity whose icon is shown, and a word."""
    own = [each for each in found if each.subject == f"batch={name}"]
    if decision is not None:
        return ("ok", "Released") if decision["choice"] == "promote" else ("watch", "Held")
    if not own or any(each.severity == "unknown" for each in own):
        return "unknown", "Not checked"
    if judged.is_held(own, name, None):
        return "act", "Held"
    return ("watch", "Review") if any(needs_action(each.severity) for each in own) else ("ok", "Release")


def batch_counts(here: frame.ModelPage) -> pd.DataFrame:
    """The batches that belong to the dates (see the analyzer), newest first. Columns: batch, first (day), rows, expected."""
    window, settings = here.window, here.model.settings
    before = Window(window.model, window.start - timedelta(days=judged.PAST_DAYS), window.start)
    counted = load.ask_store(Aggregate("predictions", keys=(Bucket("day"), By("batch"))), replace(window, start=before.start))
    begun = judged.rows_by_batch(load.ask_store(judged.BEGUN, before))
    recent = load.ask_store(judged.EXPECTED, window)
    declared = pd.concat([load.ask_store(judged.EXPECTED, before), recent], ignore_index=True)
    wanted = {each.batch: each for each in judged.declared_batches(declared)}
    rows = counted.groupby("batch")["n"].sum().to_dict()
    days: dict[str, Any] = dict(zip(recent["batch"], recent["at"], strict=True)) | counted.groupby("batch")["period"].min().to_dict()
    lines = []
    for name, day in days.items():
        expected = judged.with_settings(wanted.get(name, judged.ExpectedBatch(name)), day, settings)
        if name in begun and not judged.is_due_in(expected, window):
            continue
        n = len(expected.keys) if expected.keys is not None else expected.rows
        lines.append({"batch": name, "first": day, "rows": int(rows.get(name, 0)), "expected": n})
    table = pd.DataFrame(lines, columns=["batch", "first", "rows", "expected"])
    return table.sort_values(["first", "batch"], ascending=False, ignore_index=True)


def batches_section(here: frame.ModelPage, found: Sequence[Finding]) -> bool:
    """Draw the batches. Returns False if there is no batch in these dates."""
    table = batch_counts(here)
    if table.empty:
        empty_states.how_to_log_state(
            "No batch of predictions in these dates.",
            "Log predictions with `batch`, and say which key a row has.",
            EXAMPLE.lines,
            (EXAMPLE.name, _sample_figure),
        )
        return False
    if here.model.settings.batch_key is None:
        st.markdown("This model's batches are not checked: its settings name no key of a row.")
        with st.expander("How to check batches"):
            st.code(HOW, language="python")
    decisions = decisions_of(here.model.name)
    words = {name: batch_words(found, name, decisions.get(name)) for name in table["batch"]}
    held = sum(word == "Held" for _, word in words.values())
    look = sum(word == "Review" for _, word in words.values())
    more = f", {look} to review" if look else ""
    st.markdown(f"**{formatting.plural(len(table), 'batch', 'batches')}**; {held} held{more}.")
    names = list(table["batch"])
    chosen = choice_box.address_selectbox(
        "batch", "Batch", names, words=str, placeholder="Most urgent", width=420, missing="The link names {}, which is not in these dates."
    )
    urgent = next((name for name in names if words[name][1] == "Held"), names[0])
    _rows_chart(table, words)
    _table(here, table, words, found, chosen or urgent)
    own = [each for each in found if each.subject == f"batch={chosen or urgent}"]
    st.header(formatting.escape_markdown(f"Batch {chosen or urgent}"), anchor=False)
    finding_lines(own)
    decision_form(here.model.name, chosen or urgent, decisions.get(chosen or urgent))
    return True


def _sample_figure(folder: Path) -> Any:
    """The number of rows of each of the sample's newest batches."""
    rows = pd.read_parquet(folder / "flights-delay.predictions.parquet", columns=["batch", "at"])
    table = rows.groupby("batch").agg(first=("at", "min"), value=("at", "size")).reset_index()
    table["first"] = sample_figures.naive_times(table["first"]).dt.floor("D")
    drawn = table.sort_values(["first", "batch"]).tail(60).assign(severity="ok", words="")
    drawn["at"] = drawn["first"] + beside_each_other(drawn["first"])
    return charts_records.record_marks(drawn, name="Rows", usual=float(drawn["value"].median()))


EXAMPLE = PageExample("Rows of each batch", _sample_figure, HOW)


def _table(here: frame.ModelPage, table: pd.DataFrame, words: dict[str, tuple[str, str]], found: Sequence[Finding], chosen: str) -> None:
    """Draw a row for each batch, newest first."""
    lines = []
    for row in table.head(MAX_TABLE_ROWS).to_dict("records"):
        name = str(row["batch"])
        severity, word = words[name]
        own = [each for each in found if each.subject == f"batch={name}" and needs_action(each.severity)]
        reasons = ", ".join(dict.fromkeys(reason_words(each) for each in own))
        cells: dict[str, Cell] = {
            "batch": links.link_cell(name, "batch_gate", here.scope, batch=name),
            "gate": severity_cell(severity, word),
            "rows": {"t": f"{row['rows']:,}"},
            "expected": {"t": f"{int(row['expected']):,}"} if pd.notna(row["expected"]) else dict(UNKNOWN_CELL),
            "because": {"t": reasons} if reasons else dict(UNKNOWN_CELL),
        }
        lines.append(table_row(cells, selected=name == chosen))
    draw_table("batch-gate", "Batches of predictions", COLUMNS, lines)
    cut_note(len(table), MAX_TABLE_ROWS, "batches, newest first")


def reason_words(finding: Finding) -> str:
    """The problem of a batch, in few words."""
    value = finding.value or 0.0
    return {
        judged.MISSING: f"{percent(value)} missing",
        judged.DUPLICATES: f"{percent(value)} duplicates",
        judged.LATE: f"{value:.1f} h late",
        judged.DEFAULTS: f"{percent(value)} with one score",
    }.get(finding.metric, f"PSI {format_figure(value)}{f' where {finding.slice}' if finding.slice else ''}")


def beside_each_other(days: "pd.Series[Any]") -> "pd.Series[Any]":
    """The shift in hours for the mark of each row, so that the marks of batches of the same day are drawn side by side."""
    place, size = days.groupby(days).cumcount(), days.groupby(days).transform("size")
    return pd.to_timedelta(18 * (place - (size - 1) / 2) / size, unit="h")


def _rows_chart(table: pd.DataFrame, words: dict[str, tuple[str, str]]) -> None:
    """Draw the number of rows of each batch over time; each mark shows the status of the batch's gate."""
    drawn = table.sort_values(["first", "batch"]).assign(
        at=lambda rows: rows["first"] + beside_each_other(rows["first"]),
        value=lambda rows: rows["rows"].astype(float),
        severity=lambda rows: [words[name][0] for name in rows["batch"]],
        words=lambda rows: [
            f"{theme.inert_label(name)}<br>{n:,} rows<br>{words[name][1]}" for name, n in zip(rows["batch"], rows["rows"], strict=True)
        ],
    )
    drawn = drawn[["at", "first", "batch", "value", "severity", "words"]].reset_index(drop=True)
    figure = charts_records.record_marks(drawn, name="Rows", usual=float(drawn["value"].median()))
    columns: dict[str, Any] = {"at": None, "first": "Day", "batch": "Batch", "value": "Rows", "severity": None, "words": None}
    alt = f"Rows by batch: {drawn['value'].min():,.0f} to {drawn['value'].max():,.0f}."
    on_drag = clicks.DateSelection("batch-gate-rows", drawn["first"])
    frame.chart_with_table(figure, drawn, key="batch-gate-rows", alt=alt, metrics=(judged.MISSING,), columns=columns, on_select=on_drag)


def decision_form(model: str, batch: str, own: Mapping[str, Any] | None) -> None:
    """Draw the decision in force about a batch, and a form for the next one."""
    if own is not None:
        st.markdown(f":material/gavel: {formatting.escape_markdown(str(own['statement']))} {judged.decided_words(own)}")
    turn = st.session_state.get("batch-decided", 0)
    with st.popover("Decide about this batch", icon=":material/gavel:", key="batch-decide"):
        author = person_name.person_name_box("batch-author", model)
        with st.form(f"batch-{turn}"):
            choice = st.radio("Decision", ["Release", "Hold"], key=f"batch-choice-{turn}")
            reason = st.text_input("Reason", key=f"batch-reason-{turn}", max_chars=2_000).strip()
            if not st.form_submit_button("Save", icon=":material/save:", key=f"batch-submit-{turn}"):
                return
    if not author:
        st.error(person_name.why_not_saved(), icon=":material/person:")
        return
    record = judged.batch_decision(model, batch, "promote" if choice == "Release" else "hold", author, reason or None)
    if save_records([record], NOT_SAVED):
        st.session_state["batch-decided"] = turn + 1
        st.toast("Saved.", icon=":material/check_circle:")
        st.rerun()
