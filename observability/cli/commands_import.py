"""The command `import`: records from files of other tools, models of MLflow, and pairs of reference and current tables."""

import argparse
import json
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from observability.cli import commands
from observability.cli.load_report import load_outcome, load_progress, rejection_error, rejection_exit_code
from observability.cli.outcome import Outcome, Say, json_or_lines
from observability.core import formatting
from observability.core.errors import NotFoundError, UsageError
from observability.core.questions import Records
from observability.core.time import aware_utc, instant_from_text
from observability.core.window import EPOCH, Window
from observability.importers.source_records import ReadOptions, SourceCounts, require_source, write_record_lines, zone_named
from observability.store.engine import Store
from observability.store.types.loading import LoadDefaults, LoadReport
from observability.store.types.registration import RegistrationRequest

WANDB = "the files of Weights & Biases have no documented format, so they are not read"


def run_import(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Import the records of another tool. The source is only read."""
    if args.what == "wandb":
        attempt = "Log with TensorBoard as well, or copy the history of a run through the client, as docs/importing.md shows"
        raise UsageError(WANDB, attempt=attempt)
    if args.run and args.what != "zeus":
        raise UsageError("--run applies only to the log of Zeus", got=f"--run with {args.what}", attempt="Leave out --run")
    paths = [Path(source) for source in args.sources]
    if args.what == "tables":
        return import_tables(store, args, say, paths)
    if len(paths) > 1:
        raise UsageError("one path is enough", got=", ".join(path.name for path in paths))
    require_source(paths[0])
    if args.what == "mlflow":
        from observability.importers.mlflow_model import is_mlflow_model

        if is_mlflow_model(paths[0]):
            return import_model(store, args, say, paths[0])
    return import_records(store, args, say, paths[0])


def import_records(store: Store, args: argparse.Namespace, say: Say, path: Path) -> Outcome:
    """Read the records of a source, load them, and report both."""
    from observability.importers.sources import open_source

    at = instant_from_text(args.at, "--at")
    options = ReadOptions(zone_named(args.timezone), at, lambda run: stored_start(store, run), run=args.run)
    say("reading the source")
    reading = open_source(args.what, path, options)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{args.what}.jsonl"
        with file.open("wb") as out:
            counts = write_record_lines(reading.items, out, model=args.model, version=args.version)
        if not counts.entries:
            raise UsageError("the source has no entries to import", got=str(path))
        report = store.load_files([file], LoadDefaults(), progress=load_progress(say)) if counts.lines else LoadReport()
    say("")
    return import_outcome(reading.title, counts, report, args.json)


def stored_start(store: Store, run: str) -> datetime | None:
    """The start time of a run in the store; None for an unknown run."""
    frame = store.ask(Records("run", ("at",), ever=True, rows=1, only=(("run", run), ("event", "start"))), Window("", EPOCH, _far_future()))
    return None if frame.empty else aware_utc(frame["at"].iloc[0].to_pydatetime())


def _far_future() -> datetime:
    """A time after all records."""
    return datetime.now(UTC) + timedelta(days=3650)


def import_outcome(title: str, counts: SourceCounts, report: LoadReport, as_json: bool) -> Outcome:
    """The result of an import: the number of entries in the source, and the number of records made from them. The exit code is 2 if nothing
    could be read.
    """
    sorts = ", ".join(sort_words(sort, count) for sort, count in counts.sorts.items())
    rejected = counts.rejected.total()
    lines = [f"{title}: {sorts}", f"{counts.entries:,} in the source: {counts.carried.total():,} imported, {rejected:,} rejected"]
    for reason, count in sorted(counts.reasons.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"  {count:,} × {reason}, first: {formatting.with_full_stop(counts.examples[reason])}")
    loaded = load_outcome(report, as_json=False)
    body: dict[str, Any] = {"source": {"title": title, **counts.to_json()}, **report.to_json()}
    outcome = json_or_lines(body, [*lines, *loaded.out.splitlines()], as_json)
    if not counts.lines:
        return replace(outcome, exit_code=2, error="Nothing was imported: every entry of the source was rejected.")
    error = rejection_error(report, None)
    return replace(outcome, exit_code=rejection_exit_code(None) if error else 0, error=error)


def sort_words(sort: str, count: int) -> str:
    """A number of entries in words: `1 log entry`, `2 log entries`. sort: the noun in the plural."""
    return f"{count:,} {sort}" if count != 1 else f"1 {sort[:-3]}y" if sort.endswith("ies") else f"1 {sort.removesuffix('s')}"


def import_model(store: Store, args: argparse.Namespace, say: Say, path: Path) -> Outcome:
    """Register the model of an MLflow model folder, together with a reference."""
    from observability.importers.mlflow_model import read_mlflow_model
    from observability.worker.score_reference import register_and_compare

    found = read_mlflow_model(path, artifact=Path(args.artifact) if args.artifact else None)
    model, version = args.model or found.model, args.version or found.version
    if not model or not version:
        missing = "version" if model else "model"
        raise UsageError(f"the folder does not state the model's {missing} in the registry", where=path.name, attempt=f"Give --{missing}")
    if not args.reference:
        raise UsageError(
            "a model version is registered with a reference",
            got="no --reference",
            expected="held-out rows with their labels and the model's scores",
            attempt="Give --reference held_out.csv --label COL --score COL",
        )
    request = import_request(args, model, version, Path(args.reference), features=found.features, artifact=found.artifact)
    done = register_and_compare(store, request, say)
    say("")
    sentences = [f"MLflow model of flavour {found.flavour}{f', made {found.made[:19]} UTC' if found.made else ''}.", *done.sentences]
    return json_or_lines({"model": model, "version": version, "flavour": found.flavour, "inferred": sentences}, sentences, args.json)


def import_request(args: argparse.Namespace, model: str, version: str, reference: Path, **found: Any) -> RegistrationRequest:
    """The request to register a model with a reference. found: the values from the source; options have priority."""
    given: dict[str, Any] = {
        "task": args.task,
        "label": args.label,
        "score": tuple(args.score),
        "prediction": args.prediction,
        "features": commands.comma_list(args.features),
        "sensitive": tuple(args.sensitive),
        "positive": args.positive,
        "timezone": args.timezone,
        "settings": Path(args.settings) if args.settings else None,
    }
    return RegistrationRequest(
        model=model, version=version, reference=reference, in_sample=args.in_sample, **{**found, **{k: v for k, v in given.items() if v}}
    )


def import_tables(store: Store, args: argparse.Namespace, say: Say, paths: list[Path]) -> Outcome:
    """Register a reference table, load the current table, and check it. The outcome contains the findings over the period of the current
    rows.
    """
    import pyarrow.parquet as pq

    from observability.importers import tables
    from observability.worker.score_reference import register_and_compare

    reference, current = tables.table_paths(paths)
    if not args.model:
        raise UsageError("the model needs a name", attempt="Give --model NAME")
    version = args.version or "1"
    rows = tables.read_table(current)
    roles = tables.table_roles(rows.column_names, score=args.score, prediction=args.prediction)
    at = instant_from_text(args.at, "--at") or stored_time(store, args.model, f"{tables.content_digest(current)}-1")
    at = at or datetime.fromtimestamp(current.stat().st_mtime, UTC)
    days = tables.covered_days(rows, roles, at, zone_named(args.timezone), current.name)
    theirs = tables.table_roles(tables.read_table(reference).column_names, score=args.score, prediction=args.prediction)
    request = import_request(args, args.model, version, reference, score=theirs.score, prediction=theirs.prediction)
    done = register_and_compare(store, request, say)
    say("")
    inferred = done.inference
    prepared = tables.current_predictions(
        rows, current, roles, label=inferred.label, scores=inferred.scores, prediction=inferred.prediction, at=at
    )
    names = set(prepared.table.column_names)
    defaults = LoadDefaults(
        kind="prediction",
        model=args.model,
        version=version,
        features=tuple(column.name for column in inferred.features if column.name in names),
        groups=tuple(column.name for column in inferred.groups if column.name in names),
        renames=prepared.renames,
        timezone=args.timezone,
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{current.name.split('.')[0]}.parquet"
        pq.write_table(prepared.table, file)
        report = store.load_files([file], defaults, progress=load_progress(say))
    say("")
    loaded = load_outcome(report, as_json=False, files=report, defaults=defaults)
    missing = [column.name for column in inferred.features if column.name not in names]
    notes = [*prepared.notes, *([f"The current table lacks {formatting.join_words(missing, 8)}."] if missing else [])]
    if error := rejection_error(report, None):
        return Outcome(rejection_exit_code(None), loaded.out, error)
    start, end = (None, None) if days is None else (each.isoformat() for each in days)
    asked = {"model": args.model, "version": version, "start": start, "end": end, "slice": None, "as_of": None, "fail_on": None}
    checked = commands.run_check(store, argparse.Namespace(**asked, all=False, json=args.json), say)
    if args.json:
        body = {"inferred": list(done.sentences), "notes": notes, **report.to_json(), "findings": json.loads(checked.out)}
        return json_or_lines(body, [], True)
    opened = f"To see the results, run observability serve and choose the model {args.model}."
    return Outcome(0, "\n".join([*done.sentences, *notes, loaded.out, "", checked.out, opened]))


def stored_time(store: Store, model: str, prediction: str) -> datetime | None:
    """The time of a prediction in the store; None for an unknown prediction."""
    try:
        found = store.row(model, prediction)["at"]
    except NotFoundError:
        return None
    return aware_utc(found if isinstance(found, datetime) else datetime.fromisoformat(str(found)))
