"""Check the batches of predictions of a model that serves in batches: whether each may be released or must be held.

A model serves in batches if its settings name a `batch_key`. Expected keys, rows and times come from records of kind `expected_batch`, or
from the settings if there are none. A person's decision (kind `decision`) overrides the rules.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Finding, iso, needs_action
from observability.core.formatting import format_day
from observability.core.questions import Aggregate, By, Records, Sample
from observability.core.time import aware_utc, naive_utc
from observability.core.window import Slice, Window
from observability.detection.batch_gate import (
    DEFAULTS,
    DRIFT,
    DUPLICATES,
    LATE,
    LIMITS,
    MISSING,
    ExpectedBatch,
    GateCheck,
    gate_checks,
    scores_of_batches,
)
from observability.proofs.batch_gate import BATCH_GATE_PROOFS, PAST_DAYS, PAST_ROWS, ROWS

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.core.settings import ModelSettings

NAME = "serving/batch_gate"
EXPECTED = Records("expected_batch", ("batch", "at", "version", "rows", "keys", "due"))
BEGUN = Aggregate("predictions", keys=(By("batch"),))
"""The number of rows of each batch. It is queried for the window and for the month before, because some of the window's batches began in
that month.
"""
DECISIONS = Records("decision", ("decision", "at", "author", "choice", "state", "statement"), ever=True)
DECIDES = "batch:"
"""Prefix of the id of a decision about a batch: `batch:MODEL:BATCH`."""
CHOICES = {"promote": "released", "hold": "held", "reject": "rejected"}
RANK = {MISSING: 6.0, DUPLICATES: 5.5, DEFAULTS: 5.0, DRIFT: 4.0, LATE: 3.0}


def needs(context: Context) -> dict[str, Ask]:
    """Ask for the batches of the window, a sample of the rows of the month before, expectations and decisions."""
    settings, model = context.model.settings, context.model
    if settings.batch_key is None or context.window.slice is not None:
        return {}
    columns = ["id", "batch", "arrived", "at", "score"]
    key = key_column(context)
    columns += [name for name in (key, *slice_columns(context)) if name not in columns]
    asked = tuple(
        name for name in columns if name in ("id", "at", "arrived", "batch", "score", "subject") or model.column(name) is not None
    )
    return {
        "counts": Ask(BEGUN, scope="model"),
        "rows": Ask(Sample("predictions", asked, ROWS), scope="model"),
        "past rows": Ask(Sample("predictions", asked, PAST_ROWS), span="past", days=PAST_DAYS, scope="model"),
        "past counts": Ask(BEGUN, span="past", days=PAST_DAYS, scope="model"),
        "expected": Ask(EXPECTED, scope="model"),
        "past expected": Ask(EXPECTED, span="past", days=PAST_DAYS, scope="model"),
        "decisions": Ask(DECISIONS, scope="model"),
    }


def key_column(context: Context) -> str:
    """The reference of the column that holds the key: `id`, `subject` or a feature."""
    key = context.model.settings.batch_key or "id"
    return key if key in ("id", "subject") else f"feature.{key}"


def slice_columns(context: Context) -> dict[str, list[tuple[str, str]]]:
    """The watched slices with exactly one condition, as (text, value), by the reference of the column in the condition."""
    found: dict[str, list[tuple[str, str]]] = {}
    for text in context.model.settings.slices:
        part = Slice.parse(text)
        if part is not None and len(part.conditions) == 1:
            ((name, value),) = part.conditions
            column = context.model.column(f"feature.{name}") or context.model.column(f"group.{name}")
            if column is not None and column.kind != "number":
                found.setdefault(column.reference, []).append((text, value))
    return found


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return the findings about all batches: one for each failed check of a batch. A batch that passes all checks has one finding."""
    if not frames:
        return []
    found: list[Finding] = []
    for expected, checks, decision in batches_of_window(frames, context):
        found += about_batch(expected, checks, decision, context)
    return found


def batches_of_window(frames: Frames, context: Context) -> Iterator[tuple[ExpectedBatch, list[GateCheck], dict[str, Any] | None]]:
    """Each batch that belongs to the window, oldest first: what is expected of it, its checks, and the decision about it.

    A batch belongs to the window in which it begins and to the window in which it is due. All its rows are checked, also those from before
    the window. It is compared with the batches that began in the 28 days before it.
    """
    import numpy as np

    settings, window = context.model.settings, context.window
    rows, past = with_keys(frames["rows"], context), with_keys(frames["past rows"], context)
    counts = rows_by_batch(frames["counts"])
    begun = rows_by_batch(frames["past counts"])
    expected = {each.batch: each for name in ("past expected", "expected") for each in declared_batches(frames[name])}
    everything = _joined(past, rows)
    everything["began"] = everything.groupby("batch")["at"].transform("min")
    everything = everything.sort_values("began", kind="stable", ignore_index=True)
    began, places = everything["began"].to_numpy(), everything.groupby("batch").indices
    moments: dict[str, datetime] = {str(batch): everything["began"].iloc[at[0]].to_pydatetime() for batch, at in places.items()}
    for batch, at in zip(frames["expected"]["batch"], frames["expected"]["at"], strict=True):
        moments.setdefault(batch, at.to_pydatetime())
    decided = decisions_by_batch(frames["decisions"], context.model.name)
    holds = {name.removeprefix(f"{NAME}/"): limit for name, limit in settings.limits.items() if name.startswith(f"{NAME}/")}
    slices = [text for parts in slice_columns(context).values() for text, _ in parts]
    scores = scores_of_batches(everything, slices)
    shown = {*rows["batch"], *frames["expected"]["batch"], *(name for name in expected if name in begun)}
    for batch in sorted(shown, key=lambda name: (moments[name], name)):
        wanted = with_settings(expected.get(batch, ExpectedBatch(batch)), moments[batch], settings)
        if batch in begun and not is_due_in(wanted, window):
            continue
        own = everything.iloc[places.get(batch, [])]
        first, end = np.searchsorted(began, np.array([moments[batch] - timedelta(days=PAST_DAYS), moments[batch]], began.dtype))
        earlier = scores.between(int(first), int(end))
        n = counts.get(batch, 0) + begun.get(batch, 0)
        yield wanted, gate_checks(wanted, own, n, earlier, naive_utc(context.due_time), holds, slices), decided.get(batch)


def rows_by_batch(counts: "DataFrame") -> dict[str, int]:
    """The number of rows of each batch."""
    known = counts[counts["batch"].notna()]
    return {str(batch): int(n) for batch, n in zip(known["batch"], known["n"], strict=True)}


def is_due_in(expected: ExpectedBatch, window: Window) -> bool:
    """Whether a batch is due in a window."""
    return expected.due is not None and naive_utc(window.start) <= expected.due < naive_utc(window.end)


def _joined(past: "DataFrame", others: "DataFrame") -> "DataFrame":
    """The rows of the month before and of the window."""
    import pandas as pd

    parts = [part for part in (past, others) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else past


def with_keys(rows: "DataFrame", context: Context) -> "DataFrame":
    """The rows of batches, with `key` as text and a Boolean column for each watched slice."""
    rows = rows[rows["batch"].notna()].copy()
    name = key_column(context)
    rows["key"] = rows[name].astype(str) if name in rows else rows["id"].astype(str)
    for reference, parts in slice_columns(context).items():
        for text, value in parts:
            rows[text] = rows[reference].map(watched_level) == value
    return rows.drop_duplicates("id") if name != "id" else rows


def watched_level(value: object) -> str:
    """A stored category or boolean as the value of a watched slice: `true`, `false`, `null` or its text."""
    return "null" if value is None or value != value else str(value).lower() if isinstance(value, bool) else str(value)


def declared_batches(records: "DataFrame") -> Iterator[ExpectedBatch]:
    """The content of each record of kind `expected_batch`."""
    for row in records.to_dict("records"):
        keys, rows, due = row["keys"], row["rows"], row["due"]
        yield ExpectedBatch(
            str(row["batch"]),
            frozenset(map(str, keys)) if isinstance(keys, list) else None,
            None if rows is None or rows != rows or str(rows) == "<NA>" else int(rows),
            due.to_pydatetime() if due is not None and due == due else None,
        )


def with_settings(expected: ExpectedBatch, begin: datetime, settings: "ModelSettings") -> ExpectedBatch:
    """The declared expectations, completed by the settings; `batch_due_hours` counts from the day (UTC) on which the batch began."""
    day = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    rows = (
        expected.rows if expected.rows is not None or expected.keys is not None or settings.batch_rows is None else int(settings.batch_rows)
    )
    due = expected.due if expected.due is not None or settings.batch_due_hours is None else day + timedelta(hours=settings.batch_due_hours)
    return replace(expected, rows=rows, due=due)


def decision_id(model: str, batch: str) -> str:
    """The id of the decisions about a batch."""
    return f"{DECIDES}{model}:{batch}"


def batch_decision(model: str, batch: str, choice: str, author: str, reason: str | None) -> dict[str, Any]:
    """The record of a decision about a batch. choice: promote (release) or hold."""
    statement = f"Batch {batch} of {model} is {CHOICES[choice]}" + (f": {reason}" if reason else ".")
    record = {"kind": "decision", "decision": decision_id(model, batch), "author": author, "statement": statement}
    return {**record, "choice": choice, "decider": author, "model": model, "state": "standing"}


def decisions_by_batch(records: "DataFrame", model: str) -> dict[str, dict[str, Any]]:
    """The last decision about each batch, by batch. A batch has no entry if its last decision was withdrawn."""
    begin, found = decision_id(model, ""), {}
    for row in records.to_dict("records"):
        if str(row["decision"]).startswith(begin):
            batch = str(row["decision"]).removeprefix(begin)
            found[batch] = {str(name): value for name, value in row.items()}
            if row["state"] == "withdrawn":
                del found[batch]
    return found


def about_batch(
    expected: ExpectedBatch, checks: list[GateCheck], decision: Mapping[str, Any] | None, context: Context
) -> Iterator[Finding]:
    """Yield the findings about a batch: one for each check beyond its limit; if no check is, a single finding."""
    subject = f"batch={expected.batch}"
    if not checks:
        because = (
            f"Batch `{expected.batch}` cannot be checked: nothing says what is expected (log `expected_batch`), and there are too few "
            "earlier batches."
        )
        yield context.undecided(NAME, subject, MISSING, 0, because, against="level", whole_model=True)
        return
    bad = [check for check in checks if needs_action(check.level)]
    said = decided_words(decision)
    for check in bad or checks[:1]:
        verdict = said or (
            f"Held by the rules: {len([each for each in bad if each.level == 'act'])} of {len(checks)} checks failed."
            if bad
            else "It may be released."
        )
        if not said and bad and all(each.level != "act" for each in bad):
            verdict = "Review it before its release."
        because = f"{check.sentence} {verdict}"
        base = context.undecided(
            NAME,
            subject,
            check.metric,
            check.n,
            because,
            against="past" if check.metric in (DRIFT, DEFAULTS) else "level",
            whole_model=True,
        )
        severity = check.level
        if decision is not None and needs_action(severity):
            severity = "ok" if decision["choice"] == "promote" else "watch"
        yield replace(
            base,
            severity=severity,
            value=check.value,
            low=check.value,
            high=check.value,
            limit=check.limit,
            slice=check.slice,
            likely_source="system" if needs_action(severity) else None,
            rank=RANK[check.metric] if needs_action(severity) else 0.0,
            news="new" if needs_action(severity) else None,
            evidence={
                "batch": expected.batch,
                "level": check.level,
                "decision": None if decision is None else decision["choice"],
                "baseline": check.usual,
                "expected": "keys" if expected.keys is not None else None if expected.rows is None else "rows",
                "due": None if expected.due is None else iso(aware_utc(expected.due)),
            },
        )


def decided_words(decision: Mapping[str, Any] | None) -> str:
    """The decision, its author and its day, in words; empty without a decision."""
    if decision is None:
        return ""
    word = CHOICES.get(str(decision["choice"]), "decided").capitalize()
    return f"{word} by {decision['author']} on {format_day(decision['at'])}."


def is_held(found: Sequence[Finding], batch: str, decision: Mapping[str, Any] | None) -> bool:
    """Whether a batch is held. A person's decision has priority; without one, a batch is held if a rule holds it or it cannot be
    checked.
    """
    if decision is not None:
        return bool(decision["choice"] != "promote")
    own = [each for each in found if each.analyzer == NAME and each.subject == f"batch={batch}"]
    return not own or any(each.evidence.get("level") == "act" or each.severity == "unknown" for each in own)


ANALYZER = Analyzer(
    NAME,
    "May the batches of predictions be released?",
    needs,
    analyze,
    exceptions=frozenset({1}),
    limits={metric: limits[1] for metric, limits in LIMITS.items()},
    proofs=BATCH_GATE_PROOFS,
)
