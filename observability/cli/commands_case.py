"""What do the commands about one prediction and about tokens answer?"""

import argparse
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.outcome import Outcome, Say, answered
from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.core.numerals import figure, worded
from observability.core.time import instant
from observability.server import tokens

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.investigation.evidence_types import Case
    from observability.store.db.database import Store

MOST_SIGNS, MOST_BARS = 1200, 8


def case(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """The evidence about one prediction."""
    from observability.investigation.case import case as evidence
    from observability.worker.process import shared

    found = evidence(
        store, said.id, model=said.model, as_of=instant(said.as_of, "--as-of"), worker=shared(), progress=lambda share, text: say(f"{100 * share:.0f} % {text}")
    )  # fmt: skip
    say("")
    if said.json:  # what a terminal could obey is escaped
        return Outcome(0, json.dumps(found.to_json(), ensure_ascii=True, indent=2))
    return Outcome(0, "\n".join(inert(line) for line in lines_of(found)))


def lines_of(found: "Case") -> Iterator[str]:
    """A case as lines of text."""
    row = found.row
    yield f"{row.model.name} {row.version.name}, prediction {row.id}, {iso(row.at)} ({row.environment})"
    if found.also_in:
        yield f"Other models hold this id too: {', '.join(found.also_in)}. Name one with --model."
    if found.happened:
        yield found.happened.sentence
        for mark in found.happened.timeline:
            yield f"  {mark.at:%Y-%m-%d %H:%M:%S} UTC  {mark.what}: {mark.text}"
        if found.happened.cost is not None:
            yield f"Cost of this error: {figure(found.happened.cost, 6)} {found.happened.currency or ''}".rstrip()
    for each in found.triage or ():
        yield f"{each.score:4.2f}  {each.source}: {each.because}"
    odd = [each for each in found.inputs or () if each.flags]
    yield f"{len(odd)} of {len(found.inputs or ())} inputs carry a flag{':' if odd else '.'}"
    yield from (f"  {each.feature} = {worded(each.value)} ({', '.join(each.flags)}): {each.because}" for each in odd)
    if found.explanation:
        parts = sorted(found.explanation.attributions.items(), key=lambda each: -abs(each[1]))[:MOST_BARS]
        base = "unknown" if found.explanation.base_value is None else figure(found.explanation.base_value)
        bars = ", ".join(f"{name} {figure(value, sign=True)}" for name, value in parts)
        yield f"Why (in the space of {found.explanation.link}, from {base}): {bars}"
    for change in found.counterfactuals or ():
        said = ", ".join(f"{name} {worded(before)} to {worded(after)}" for name, (before, after) in change.changes.items())
        yield f"  simulated: {said} gives {shown(change.score)}{'' if change.reached else ', which is not enough'}"
    yield from (f"  version {other.version} says {worded(other.prediction)} ({shown(other.score)})" for other in found.versions or ())
    if found.label_check:
        yield found.label_check.because
    if found.rule:
        yield found.rule.because
    for finding in found.findings or ():
        yield f"  {finding.severity.upper()} {finding.analyzer}: {finding.because}"
    for part, sentence in found.why.items():
        yield f"No {part}: {sentence}" if part != "prediction" else sentence


def shown(score: Any) -> str:
    """A score in few signs; of several classes the largest."""
    if isinstance(score, dict):
        name = max(score, key=lambda each: score[each])
        return f"{name} {figure(score[name])}"
    return "none" if score is None else figure(score)


def inert(text: str) -> str:
    """A line whose names and values no terminal obeys: control and formatting signs are written out, and it is cut at a bounded length."""
    shown = "".join(
        each if unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else f"\\u{ord(each):04x}"
        for each in text[:MOST_SIGNS]
    )
    return shown if len(shown) <= MOST_SIGNS else shown[: MOST_SIGNS - 1] + "…"


def relabel(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """What waits to be labelled again; as a worksheet where a file is named."""
    from observability.export.csv import inert_csv, unaltered
    from observability.investigation import relabel_queue as relabelling

    if said.model:
        store.catalog().model(said.model)
    every = relabelling.queue(store, said.model)
    shown_ = [each for each in every if said.all or each.state == "open"]
    lines = [
        inert(
            f"{each.state:9}  {each.model}  {each.prediction}  since {iso(each.since)} by {each.author}  {text_of(each.labels)}  {each.note}".rstrip()
        )
        for each in shown_
    ]
    if said.out:
        table = relabelling.worksheet(store, every, datetime.now(UTC))
        lined = said.out.endswith(".jsonl")
        kept = table if lined else unaltered(table, "id")
        try:
            Path(said.out).write_text(lines_to_fill(kept) if lined else inert_csv(kept), encoding="utf-8")
        except OSError as error:
            raise UsageError("the worksheet cannot be written", got=error.strerror, attempt="Check --out") from None
        how = f"python -m observability load {said.out}{'' if lined else ' --kind label'}"
        lines.append(f"Wrote {len(kept)} to {said.out}. Fill in value and annotator, then: {how}")
        if len(kept) < len(table):
            lines.append(
                f"{len(table) - len(kept)} were left out: their ids begin like a formula of a spreadsheet. Name a .jsonl file for all of them."
            )
    return answered([relabelling.as_json(each) for each in shown_], lines or ["Nothing waits to be labelled again."], said.json)


def lines_to_fill(table: "DataFrame") -> str:
    """The worksheet as label records, one a line; whoever fills it in writes `value` and `annotator`."""
    return "".join(
        f"{json.dumps({'kind': 'label', **row}, default=str)}\n"
        for row in table.astype(object).where(table.notna(), None).to_dict("records")
    )


def text_of(labels: int) -> str:
    """How many labels came since."""
    return "no label since" if not labels else f"{labels} label{'s' * (labels > 1)} since"


def token(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Makes, lists or revokes tokens."""
    if said.action == "create":
        if said.scope is None:
            raise UsageError("a token needs a scope", expected="--scope read or --scope write")
        made, text = tokens.create(store.home, said.scope, said.name)
        lines = [
            text,
            f"This is the only time that it is shown. Scope {made.scope}, id {made.id}. Send it as: Authorization: Bearer {text}",
        ]
        return answered({**public(made), "token": text}, lines, said.json)
    if said.action == "revoke":
        if not said.id:
            raise UsageError("which token?", expected="its id", attempt="See: python -m observability token list")
        gone = tokens.revoke(store.home, said.id)
        return answered(public(gone), [f"Revoked {gone.id} ({gone.scope})."], said.json)
    kept = tokens.read(store.home)
    lines = [inert(f"{each.id}  {each.scope:5}  {each.created_at}  {each.name}".rstrip()) for each in kept] or ["There is no token yet."]
    return answered([public(each) for each in kept], lines, said.json)


def public(made: tokens.Token) -> dict[str, Any]:
    """What may be shown of a token."""
    return {name: value for name, value in asdict(made).items() if name != "sha256"}
