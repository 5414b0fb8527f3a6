"""The commands `audit-storage`, `croissant`, `lineage`, `export-lake` and `rollup-lake`: how data are stored, and what other tools can read
about them.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.commands_data import files_checksum, read_table, registered_reference
from observability.cli.outcome import Outcome, Say, json_or_lines, write_output
from observability.core import formatting
from observability.core.errors import UsageError
from observability.core.json_values import json_plain
from observability.core.numerals import format_figure, percent
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.metrics.stored_forms import EXACT
from observability.store.engine import Store

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.metrics.storage_forms import CodecCost, LossyForm

SCORED_ROWS = 5_000
"""Maximum number of rows (evenly spaced) that a model scores, both as they are and in a lossy form."""
FOREVER = EPOCH.replace(year=9999)


@dataclass(frozen=True)
class RowsToStore:
    """The audited data: name, rows, bytes and checksum of the files, and sensitive attributes of each row that are not among
    the columns.
    """

    name: str
    frame: "DataFrame"
    source: Mapping[str, Any]
    groups: "DataFrame | None" = None


def run_audit_storage(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Measure sizes by column and codec, lossy forms and their effect on a model, and the smallest groups; keep them with the dataset."""
    from observability.cli.media_audit import audit_media, media_to_store
    from observability.metrics.column_statistics import table_statistics

    say("reading the rows")
    if media := media_to_store(args):
        if args.before:
            raise UsageError("--before is for tables", got="pictures or sound")
        name, rows, columns, changes = media.name, len(media.paths), dict[str, Any](), dict[str, Any]()
        source: Mapping[str, Any] = _files_source(media.paths)
        storage = audit_media(media, args, say)
    else:
        if args.least_psnr is not None or args.least_ssim is not None:
            raise UsageError("--least-psnr and --least-ssim are for pictures and sound", got="a table")
        stored = _rows(store, args)
        name, rows, columns, source = stored.name, len(stored.frame), table_statistics(stored.frame), stored.source
        changes = _changes(args, stored)
        storage = _table_audit(store, args, stored, say)
    forms = storage["forms"]
    if args.in_use not in (None, EXACT, *forms):
        raise UsageError("the data have no such form", got=args.in_use, expected=", ".join((EXACT, *forms)))
    now = datetime.now(UTC)
    storage |= {"in_use": args.in_use} if args.in_use else {}
    version = args.data_version or f"{now:%Y-%m-%dT%H:%M:%SZ}"
    record: dict[str, Any] = {"kind": "dataset", "dataset": name, "version": version, "at": now.isoformat(), "rows": rows}
    record |= {"columns": columns, **source, **changes, "storage": storage}
    if not args.dry_run:
        store.write_records([record])
    say("")
    return json_or_lines(record, _storage_lines(record, not args.dry_run), args.json)


def _changes(args: argparse.Namespace, stored: RowsToStore) -> dict[str, Any]:
    """The number of rows added, changed and deleted since the previous version, and that version, as fields of a dataset; empty if no
    previous file is named.
    """
    from observability.metrics.dataset_changes import row_changes

    if not args.before:
        if args.before_version or args.key:
            raise UsageError("--before-version and --key need --before", expected="--before FILE")
        return {}
    found = row_changes(read_table(Path(args.before), args.decimal), stored.frame, args.key or "id")
    parents = {"parents": [f"{stored.name}@{args.before_version}"]} if args.before_version else {}
    counts = {"added": found.added, "changed": found.changed, "deleted": found.deleted}
    return counts | parents | ({"changed_columns": found.columns} if found.columns else {})


def _table_audit(store: Store, args: argparse.Namespace, stored: RowsToStore, say: Say) -> dict[str, Any]:
    """The audit of a table: its codecs, lossy forms, tags and smallest groups."""
    import pyarrow as pa

    from observability.metrics.storage_forms import codec_costs, lossy_forms, small_groups

    frame = stored.frame
    tags = _tags(store, args, frame)
    quasi = [name for name, tag in tags.items() if tag == "quasi"]
    say("compressing")
    costs = codec_costs(pa.Table.from_pandas(frame, preserve_index=False))
    forms: dict[str, Any] = {}
    for form in lossy_forms(frame):
        say(f"measuring {form.name}")
        forms[form.name] = _form_figures(store, args, stored, form, costs[0])
    storage: dict[str, Any] = {"codecs": {cost.codec: _cost_figures(cost) for cost in costs}, "forms": forms, "tags": tags}
    if quasi:
        say("counting groups")
        sensitive = next((name for name, tag in tags.items() if tag == "sensitive"), None)
        groups = small_groups(frame, quasi, sensitive)
        storage["groups"] = {
            "columns": quasi,
            "k": groups.k,
            "groups": groups.groups,
            "below": {str(size): list(counts) for size, counts in groups.below.items()},
            "diversity": groups.diversity,
            "sensitive": sensitive,
        }
    return storage


def _rows(store: Store, args: argparse.Namespace) -> RowsToStore:
    """The data to audit. Raises UsageError if no data are named."""
    import pandas as pd

    if not args.files:
        if not args.model:
            raise UsageError("no data to audit are named", expected="FILE…, or --model M for its reference")
        data = registered_reference(store, args.model, args.version)
        return RowsToStore(args.dataset or data.name, data.rows.features, {}, data.groups)
    paths = [Path(file) for file in args.files]
    table = pd.concat([read_table(path, args.decimal) for path in paths], ignore_index=True)
    return RowsToStore(args.dataset or paths[0].name.partition(".")[0], table, _files_source(paths))


def _files_source(paths: list[Path]) -> dict[str, Any]:
    """Bytes and checksum of files, as fields of a dataset. Raises UsageError if a file does not exist."""
    if missing := next((path for path in paths if not path.is_file()), None):
        raise UsageError("a file does not exist", got=missing.name)
    return {"bytes": sum(path.stat().st_size for path in paths), "checksum": files_checksum(paths)}


def _tags(store: Store, args: argparse.Namespace, frame: "DataFrame") -> dict[str, str]:
    """Tags of the columns, from the model's settings and then from the command's options. Raises UsageError if an option names a missing
    column.
    """
    found: dict[str, str] = {}
    if args.model:
        found = {name: tag for name, tag in store.catalog().model(args.model).settings.column_tags.items() if name in frame}
    for option, tag in (("personal", "personal"), ("sensitive", "sensitive"), ("quasi", "quasi")):
        for name in filter(None, (getattr(args, option) or "").split(",")):
            if name not in frame:
                expected = ", ".join(map(str, frame.columns))
                raise UsageError(f"--{option} names a column that the data lack", got=name, expected=expected)
            found[name] = tag
    return found


def _cost_figures(cost: "CodecCost") -> dict[str, Any]:
    """The figures of a codec, as they are stored in the record."""
    return {"bytes": cost.bytes, "encode": round(cost.encode, 3), "decode": round(cost.decode, 3), "columns": cost.columns}


def _form_figures(store: Store, args: argparse.Namespace, stored: RowsToStore, form: "LossyForm", exact: "CodecCost") -> dict[str, Any]:
    """The entry of a lossy form in the record: bytes, times, errors, and how the answers change if a model is named.

    exact: the form with the exact rows, without compression; times are given as multiples of its times.
    """
    import pyarrow as pa

    from observability.metrics.storage_forms import codec_costs

    (cost,) = codec_costs(pa.Table.from_pandas(form.frame, preserve_index=False), ("zstd",))
    encode, decode = (round(own / base, 3) for own, base in zip(cost.seconds, exact.seconds, strict=True))
    found: dict[str, Any] = {"bytes": cost.bytes, "encode": encode, "decode": decode, "errors": form.errors, "lost": form.lost}
    return found | ({"model": _answers_of_form(store, args, stored, form)} if args.model else {})


def _answers_of_form(store: Store, args: argparse.Namespace, stored: RowsToStore, form: "LossyForm") -> dict[str, Any]:
    """How the answers of the registered artifact change between the rows before and after; scored in the worker. Raises UsageError without
    an artifact.
    """
    import numpy as np

    from observability.enrichment.precision_audit import probe_levels
    from observability.metrics.storage_forms import prediction_change
    from observability.worker.process import warm_worker
    from observability.worker.requests import predict_scores

    model = store.catalog().model(args.model)
    version = next((each for each in reversed(model.versions) if args.version in (None, each.name) and each.artifact), None)
    path = store.artifact(version) if version else None
    if version is None or path is None:
        raise UsageError("the model has no file to score with", got=args.model, attempt="Register the version with --artifact")
    last = len(stored.frame) - 1
    places = np.unique(np.linspace(0, last, min(last + 1, SCORED_ROWS)).astype(int))
    before = stored.frame.iloc[places].reset_index(drop=True)
    after = form.frame.iloc[places].reset_index(drop=True).astype(dict.fromkeys(form.errors, float))
    scores = [predict_scores(warm_worker(), path, rows, task=model.task or "", classes=model.classes) for rows in (before, after)]
    parts = before if stored.groups is None else before.join(stored.groups.iloc[places].reset_index(drop=True))
    change = prediction_change(scores[0], scores[1], model.task or "", model.settings.threshold, probe_levels(parts, model, version))
    rate = change.flip_rate
    return {
        "name": model.name,
        "version": version.name,
        "rows": change.rows,
        "largest": change.largest,
        "p99": change.high,
        "mean": change.mean,
        "flips": change.flips,
        "low": rate.low if rate else None,
        "high": rate.high if rate else None,
        "slices": change.slices,
    }


def _storage_lines(record: dict[str, Any], kept: bool) -> list[str]:
    """The storage audit of a dataset as lines of text."""
    from observability.cli.media_audit import media_lines
    from observability.metrics.storage_forms import groups_by_size

    storage = record["storage"]
    media = storage.get("media")
    held = media["kind"] if media else f"{record['rows']:,} rows, {len(record['columns'])} columns"
    lines = [f"{record['dataset']}: {held}{'' if kept else ' (not kept)'}."]
    if "added" in record:
        columns = ", ".join(f"{name} in {rows:,}" for name, rows in record.get("changed_columns", {}).items())
        since = (
            f"{record['added']:,} added, {record['changed']:,} changed{f' ({columns})' if columns else ''}, {record['deleted']:,} deleted"
        )
        lines.append(f"  since the version before: {since}")
    for codec, cost in storage["codecs"].items():
        times = f", encode {cost['encode']:.2f}×, decode {cost['decode']:.2f}×" if "encode" in cost else ""
        lines.append(f"  {codec}: {formatting.format_bytes(cost['bytes'])}{times}")
    if media:
        return lines + media_lines(media, storage["forms"])
    for name, form in storage["forms"].items():
        lines.append(f"  as {name}, zstd: {formatting.format_bytes(form['bytes'])}{form_words(form)}")
    if groups := storage.get("groups"):
        below = {int(size): (int(counts[0]), int(counts[1])) for size, counts in groups["below"].items()}
        lines.append(f"  k = {groups['k']:,} by {', '.join(groups['columns'])}: {groups_by_size(below)}")
    return lines


def form_words(form: dict[str, Any]) -> str:
    """A clause, starting with a semicolon, on how a lossy form changes the model's answers; empty if answers were not compared."""
    said = form.get("model")
    if not said:
        return ""
    largest = f"; answers of {said['name']} {said['version']} change by at most {format_figure(said['largest'])}"
    interval = f" (95 % interval {percent(said['low'])} to {percent(said['high'])})" if said["low"] is not None else ""
    return f"{largest}, {said['flips']:,} of {said['rows']:,} decisions flip{interval}"


def run_lineage(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Write runs and datasets as OpenLineage run events, one per line."""
    from observability.export.open_lineage import open_lineage_events
    from observability.export.own_exports import note_own_exports
    from observability.metrics.own_exports import own_export

    say("reading records")
    if args.model:
        store.catalog().model(args.model)
    events = list(open_lineage_events(store, Window(args.model or "", EPOCH, FOREVER)))
    say("")
    lines = [json.dumps(json_plain(event), ensure_ascii=False) for event in events]
    if args.out:
        write_output(Path(args.out), "".join(f"{line}\n" for line in lines).encode())
        note_own_exports(store, [own_export("lineage", f"file {Path(args.out).name}", model=args.model, rows=len(events))])
        return json_or_lines({"events": len(events), "file": args.out}, [f"{len(events):,} events written to {args.out}."], args.json)
    return json_or_lines(events, lines, args.json)


def run_croissant(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Write the Croissant description of a data file, from the file and from the logged dataset that matches it."""
    from observability.export.croissant import croissant_of_file
    from observability.export.own_exports import note_own_exports
    from observability.metrics.own_exports import own_export

    path = Path(args.file)
    say("reading the file")
    table = read_table(path, None)
    name = args.dataset or path.name.partition(".")[0]
    asked = Records("dataset", None, ever=True, only=(("dataset", (name,)),))
    logged = store.ask(asked, Window("", EPOCH, FOREVER))
    checksum = files_checksum([path])
    rows = [row for row in logged.to_dict("records") if args.data_version in (None, row["version"])]
    same = [row for row in rows if row["checksum"] == checksum]
    if args.data_version and rows and not same and all(row["checksum"] for row in rows):
        raise UsageError("the file differs from this version", where=path.name, got=checksum, expected=str(rows[-1]["checksum"]))
    body = croissant_of_file(path, table, name, checksum, same[-1] if same else None, license_url=args.license, url=args.url)
    say("")
    text = json.dumps(json_plain(body), indent=2, ensure_ascii=False) + "\n"
    if args.out:
        write_output(Path(args.out), text.encode())
        note_own_exports(
            store, [own_export(f"Croissant description of {name}", f"file {Path(args.out).name}", columns=list(map(str, table.columns)))]
        )
    return json_or_lines(body, [f"Written to {args.out}."] if args.out else text.splitlines(), args.json)


def run_export_lake(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Write the changed rows to a lake."""
    body = store.export_lake(str(args.folder), say, replace=args.replace)
    say("")
    written, size = body["written"], formatting.format_bytes
    lines = [
        f"Lake {body['lake']}: {body['rows']:,} rows of {formatting.plural(body['models'], 'model')}, {body['files']:,} files, "
        f"{size(body['bytes'])}.",
        f"Written now: {written['rows']:,} rows, {written['files']:,} files, {size(written['bytes'])}.",
    ]
    return json_or_lines(body, lines, args.json)


def run_rollup_lake(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Compute the rollups of some days from a lake."""
    first, last = (_day_of(text, flag) for text, flag in ((args.start, "--from"), (args.end, "--to")))
    if last < first:
        raise UsageError("the last day is before the first", got=f"{first} to {last}")
    lake = None if args.folder is None else str(args.folder)
    body = store.compute_lake_rollups(lake, args.model, first, last, engine=args.engine, master=args.master, progress=say)
    say("")
    lines = [f"Lake {body['lake']}, state {body['number']}, read with {body['engine']}."]
    for each in body["models"]:
        lines.append(
            f"{each['model']}: {formatting.plural(each['days'], 'day')} of {each['rows']:,} rows in place, {each['counts']:,} counts and "
            f"{each['sums']:,} sums."
        )
        lines += [f"  {day} stays as it was: {reason}." for day, reason in each["left"].items()]
    return json_or_lines(body, lines, args.json)


def _day_of(text: str, flag: str) -> date:
    """The day that a text states. Raises UsageError for any other text."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"the value of {flag} is not a date", got=text, expected="2026-07-01") from None
