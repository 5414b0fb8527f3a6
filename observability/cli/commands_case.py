"""Commands about one prediction, the relabel queue and tokens."""

import argparse
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.outcome import Outcome, Say, json_or_lines, percent_progress, write_output
from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.core.formatting import format_day, plural, truncate
from observability.core.numerals import format_figure, logged_value_text
from observability.core.time import instant_from_text
from observability.server import tokens

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.investigation.evidence_types import Case
    from observability.store.engine import Store

MAX_CHARACTERS, MAX_BARS = 1200, 8


def run_case(store: "Store", args: argparse.Namespace, say: Say) -> Outcome:
    """Gather the evidence about one prediction."""
    from observability.investigation.case import case as evidence
    from observability.worker.process import warm_worker

    found = evidence(
        store,
        args.id,
        model=args.model,
        version=args.version,
        environment=args.environment,
        as_of=instant_from_text(args.as_of, "--as-of"),
        worker=warm_worker(),
        progress=percent_progress(say),
    )
    say("")
    if args.json:  # ASCII only: control characters are escaped
        return Outcome(0, json.dumps(found.to_json(), ensure_ascii=True, indent=2))
    return Outcome(0, "\n".join(inert_line(line) for line in case_lines(found)))


def case_lines(found: "Case") -> Iterator[str]:
    """A case as lines of text."""
    from observability.investigation.label_types import answer_score_text, version_answer_text
    from observability.investigation.outcome_facts import error_cost_words

    row = found.row
    yield f"{row.model.name} {row.version.name}, prediction {row.id}, {iso(row.at)} ({row.environment})"
    if row.lake_note:
        yield row.lake_note
    if found.also_in:
        yield f"Other models have this id too: {', '.join(found.also_in)}. Choose one with --model."
    if row.other_answers:
        others = ", ".join(other.words for other in row.other_answers)
        yield f"The same id was also answered by {others}. Choose one with --version and --environment."
    if found.happened:
        yield found.happened.sentence
        for mark in found.happened.timeline:
            yield f"  {mark.at:%Y-%m-%d %H:%M:%S} UTC  {mark.what}: {mark.text}"
        if cost := error_cost_words(row, found.happened):
            yield f"Cost of this error: {cost}"
    for triage in found.triage or ():
        yield f"{triage.score:4.2f}  {triage.source}: {triage.because}"
    flagged = [given for given in found.inputs or () if given.flagged]
    yield f"{len(flagged)} of {len(found.inputs or ())} inputs flagged{':' if flagged else '.'}"
    yield from (f"  {given.feature} = {given_text(given.value)} ({', '.join(given.flags)}): {given.because}" for given in flagged)
    if found.explanation:
        parts = sorted(found.explanation.attributions.items(), key=lambda part: -abs(part[1]))[:MAX_BARS]
        base = "unknown" if found.explanation.base_value is None else format_figure(found.explanation.base_value)
        bars = ", ".join(f"{name} {format_figure(value, sign=True)}" for name, value in parts)
        if found.explanation.mismatch:
            yield f"Other scores: {found.explanation.mismatch}"
        yield f"Attributions ({found.explanation.link} link, base value {base}): {bars}"
    for change in found.counterfactuals or ():
        changes = ", ".join(f"{name} {given_text(before)} to {given_text(after)}" for name, (before, after) in change.changes.items())
        missed = "" if change.reached else ", same decision" if row.model.classes else ", which is not the goal"
        yield f"  simulated: {changes} gives {answer_score_text(row.model, change.score)}{missed}"
    for other in found.versions or ():
        learned = "" if other.since is None else f"; it first answered on {format_day(other.since)} and may have learned from this outcome"
        yield f"  version {other.version} predicts {version_answer_text(row.model, other.prediction, other.score)}{learned}"
    if found.label_check:
        yield found.label_check.because
    if found.rule:
        yield found.rule.because
    for finding in found.findings or ():
        yield f"  {finding.severity.upper()} {finding.analyzer}: {finding.because}"
    for part, sentence in found.why.items():
        yield f"No {part.replace('_', ' ')}: {sentence}" if part != "prediction" else sentence


def given_text(value: Any) -> str:
    """A value of an input; `missing` if there is none."""
    return "missing" if value is None or value != value else logged_value_text(value)


def inert_line(text: str) -> str:
    """The line, cut at `MAX_CHARACTERS`, with control and formatting characters written as escapes, so that text from logs cannot control
    the terminal.
    """
    shown = "".join(
        character if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else f"\\u{ord(character):04x}"
        for character in text[:MAX_CHARACTERS]
    )
    return truncate(shown, MAX_CHARACTERS)


def run_relabel(store: "Store", args: argparse.Namespace, say: Say) -> Outcome:
    """List the relabel queue. If `--out` names a file, write the queue to it as a blind worksheet."""
    from observability.export.csv import inert_csv, rows_kept_as_logged
    from observability.export.own_exports import note_own_exports
    from observability.investigation import relabel_queue as relabelling
    from observability.metrics.own_exports import own_export

    if args.model:
        store.catalog().model(args.model)
    every = relabelling.relabel_queue(store, args.model)
    requests = [request for request in every if args.all or request.state == "open"]
    lines = [
        inert_line(
            f"{request.state:9}  {request.model}  {request.prediction}  since {iso(request.since)} by {request.author}  "
            f"{label_count_text(request.labels)}  {request.note}".rstrip()
        )
        for request in requests
    ]
    if args.out:
        table = relabelling.requests_worksheet(store, every, datetime.now(UTC))
        as_jsonl = args.out.endswith(".jsonl")
        kept = table if as_jsonl else rows_kept_as_logged(table, "id")
        write_output(Path(args.out), (worksheet_jsonl(kept) if as_jsonl else inert_csv(kept)).encode())
        note_own_exports(
            store,
            [own_export("relabel worksheet", f"file {Path(args.out).name}", model=args.model, rows=len(kept), columns=list(kept.columns))],
        )
        how = f"python -m observability load {args.out}{'' if as_jsonl else ' --kind label'}"
        lines.append(f"Wrote {plural(len(kept), 'prediction')} to {args.out}. Fill in value and annotator, then: {how}")
        if len(kept) < len(table):
            left_out = f"{plural(len(table) - len(kept), 'prediction')} left out, because the ids look like spreadsheet formulas."
            lines.append(f"{left_out} Write a .jsonl file to include them.")
    return json_or_lines([relabelling.request_json(request) for request in requests], lines or ["The relabel queue is empty."], args.json)


def worksheet_jsonl(table: "DataFrame") -> str:
    """The worksheet as label records, one per line; the annotator fills in `value` and `annotator`."""
    return "".join(
        f"{json.dumps({'kind': 'label', **row}, default=str)}\n"
        for row in table.astype(object).where(table.notna(), None).to_dict("records")
    )


def label_count_text(labels: int) -> str:
    """Number of labels that arrived since the request."""
    return f"{plural(labels, 'label') if labels else 'no label'} since"


def run_token(store: "Store", args: argparse.Namespace, say: Say) -> Outcome:
    """Create, list or revoke tokens."""
    if args.action == "create":
        if args.scope is None:
            raise UsageError("a token needs a scope", expected="--scope read or --scope write")
        made, text = tokens.create_token(store.home, args.scope, args.name, args.role, args.model)
        lines = [text, f"Shown only once. Scope {made.scope}, id {made.id}. Send it as: Authorization: Bearer {text}"]
        return json_or_lines({**public_fields(made), "token": text}, lines, args.json)
    if args.action == "revoke":
        if not args.id:
            raise UsageError("the id of the token is missing", attempt="See: python -m observability token list")
        gone = tokens.revoke_token(store.home, args.id)
        return json_or_lines(public_fields(gone), [f"Revoked {gone.id} ({gone.scope})."], args.json)
    kept = tokens.read_tokens(store.home)
    lines = [inert_line(f"{token.id}  {token.scope:5}  {token.created_at}  {token.name}".rstrip()) for token in kept]
    return json_or_lines([public_fields(token) for token in kept], lines or ["No token yet."], args.json)


def public_fields(token: tokens.Token) -> dict[str, Any]:
    """The fields of a token without its hash."""
    return {name: value for name, value in asdict(token).items() if name != "sha256"}
