"""The commands `profile` and `audit-data`, which make records about data from files."""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.outcome import Outcome, Say, json_or_lines
from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.core.numerals import format_figure, percent
from observability.importers.source_records import zone_named
from observability.store.engine import Store

if TYPE_CHECKING:
    import pyarrow as pa
    from pandas import DataFrame, Series

    from observability.metrics.table_audit import LabelledRows, Mask, Masks

REFERENCE_ROWS = 50_000
"""Maximum number of rows of a registered reference that are audited. They are chosen by the hash of their ids."""
SHOWN = 12
"""Maximum number of columns that `profile` prints; the record contains all."""
OFFSET_OR_DATE = r"^[\d-]+$|(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"
"""Texts that name one point in time: times with an offset, and dates without a time of day, which mean midnight UTC."""
FLAGS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
"""Accepted texts in a flag column and their meanings."""


def run_profile(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Store the batch record of a file, with the statistics of its columns."""
    from observability.metrics.column_statistics import table_statistics

    say("reading the file")
    path = Path(args.file)
    table = read_table(path, args.decimal)
    ranges = dict(column_range(text) for text in args.range)
    if missing := sorted(set(ranges) - set(map(str, table.columns))):
        raise UsageError("--range names a column that the file lacks", got=", ".join(missing), expected=", ".join(map(str, table.columns)))
    say("computing statistics")
    now = datetime.now(UTC).isoformat()
    record: dict[str, Any] = {"kind": "batch", "batch": args.batch or path.name, "at": now, "source": args.source, "rows": len(table)}
    record |= {"device": args.device, "rejected_rows": args.rejected} | capture_span(table, args.at, zone_named(args.timezone))
    measured = table.drop(columns=[args.at]) if args.at else table
    record["stats"] = table_statistics(measured, ranges)
    record = {name: value for name, value in record.items() if value is not None}
    if not args.dry_run:
        store.write_records([record])
    say("")
    shown = list(record["stats"].items())
    lines = [f"Batch {record['batch']} of {args.source}: {len(table):,} rows, {len(shown)} columns{' (not kept)' if args.dry_run else ''}."]
    for name, stats in shown[:SHOWN]:
        parts = [
            f"{key.replace('_', ' ')} {percent(value) if key.endswith('share') else format_figure(float(value))}"
            for key, value in stats.items()
        ]
        lines.append(f"  {name}: {', '.join(parts)}")
    if len(shown) > SHOWN:
        lines.append(f"  and {len(shown) - SHOWN} more columns")
    return json_or_lines(record, lines, args.json)


def read_table(path: Path, decimal: str | None = None) -> "DataFrame":
    """The rows of a .csv, .jsonl (both also as .gz) or .parquet file. Raises UsageError if the file has no rows or cannot be read."""
    frame: DataFrame = read_typed_table(path, decimal)[0].to_pandas()
    return frame


def read_typed_table(path: Path, decimal: str | None = None) -> "tuple[pa.Table, list[str]]":
    """The typed rows of a file (as in `read_table`), and warnings about rows that were left out."""
    from observability.store.ingest.files import open_importer

    table, warnings = open_importer(path, decimal).table()
    if not table.num_rows:
        raise UsageError("the file holds no rows", where=path.name)
    return table, warnings


def column_range(text: str) -> tuple[str, tuple[float | None, float | None]]:
    """The column and both ends of a range such as `temperature=-40:60`; an omitted end is None. Raises UsageError for any other text."""
    name, equal, ends = text.rpartition("=")
    low, colon, high = ends.partition(":")
    try:
        bounds = tuple(float(end) if end.strip() else None for end in (low, high))
    except ValueError:
        bounds = (None, None)
    if not (name and equal and colon) or bounds == (None, None):
        raise UsageError("--range takes a column and its ends", got=text, expected="COLUMN=LOW:HIGH, as temperature=-40:60")
    if bounds[0] is not None and bounds[1] is not None and bounds[0] > bounds[1]:
        raise UsageError("the range ends before it begins", got=text, expected="LOW:HIGH with the lower number first")
    return name, (bounds[0], bounds[1])


def capture_span(table: "DataFrame", column: str | None, zone: tzinfo | None = None) -> dict[str, Any]:
    """First and last time of a column, as `captured_from` and `captured_to`. A bare date is midnight UTC.

    zone: the time zone of times without an offset. Raises UsageError if the column holds no times, or times without an offset and zone is
    None.
    """
    import pandas as pd

    if column is None:
        return {}
    if column not in table:
        raise UsageError("--at names a column that the file lacks", got=column, expected=", ".join(map(str, table.columns)))
    written = table[column]
    texts = written.map(lambda value: value.isoformat() if isinstance(value, date) else value).dropna().astype(str).str.strip()
    known = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601").notna()
    naive = texts[known & ~texts.str.contains(OFFSET_OR_DATE)]
    if len(naive) and zone is None:
        raise UsageError(
            f"the times of --at have no offset: {column}",
            got=repr(naive.iloc[0][:40]),
            expected="times as 2026-03-02T06:00:00Z",
            attempt="Give their time zone, for example --timezone Europe/Paris",
        )
    texts[naive.index] = naive.map(lambda text: datetime.fromisoformat(text).replace(tzinfo=zone).isoformat())
    times = pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601")
    if times.isna().all():
        raise UsageError("--at names a column without times", got=str(table[column].iloc[0]), expected="times as 2026-03-02T06:00:00Z")
    return {"captured_from": times.min().isoformat(), "captured_to": times.max().isoformat()}


@dataclass(frozen=True)
class DataToAudit:
    """The rows of an audit. model: the model version that was trained on the rows or has them as its reference. groups: for a reference,
    the sensitive attributes of each row that are not features.
    """

    name: str
    rows: "LabelledRows"
    size: int | None = None
    checksum: str | None = None
    model: tuple[str, str] | None = None
    groups: "DataFrame | None" = None

    def grouped(self, names: list[str]) -> "DataFrame":
        """The named columns of each row: features, else sensitive attributes. Raises UsageError if the data have no such column."""
        table = self.rows.features
        if self.groups is not None:
            others = self.groups.rename(columns=lambda reference: reference.removeprefix("group."))
            table = table.assign(**{str(name): others[name].to_numpy() for name in others if name not in table})
        if missing := [name for name in names if name not in table]:
            raise UsageError("--group names a column that the data lack", got=", ".join(missing), expected=", ".join(map(str, table)))
        return table[names]


def run_audit_data(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Audit a dataset: its rows, its labels and the effect of each cleaning rule on a model. Store the records."""
    from observability.detection.audited_data_claims import data_audit_lines
    from observability.metrics.audited_data import AuditedData
    from observability.metrics.table_audit import audit_rows

    say("reading the rows")
    data = data_to_audit(store, args)
    groups, features = data.grouped(list(args.group)), data.rows.features
    rows = replace(data.rows, held_out=held_out_rows(args, features))
    summary, masks = audit_rows(rows, seed=args.seed, say=say)
    known = {model.name: model for model in store.catalog().models}.get(data.model[0]) if data.model else None
    summary |= {"model": list(data.model) if data.model else None} | ({"examples": []} if args.no_examples else {})
    summary |= {"leakage_audit": False} if data.model and known is None else {}
    say("")
    now = datetime.now(UTC)
    version = args.data_version or f"{now:%Y-%m-%dT%H:%M:%SZ}"
    records = audit_records(data, masks, summary, groups, version, now)
    records += [leakage_record(known, data, summary, args.held_out, now)] if known is not None else []
    if not args.dry_run:
        store.write_records(records)
    lines = [f"{data.name}: {len(features):,} rows, {features.shape[1]} features{' (not kept)' if args.dry_run else ''}."]
    lines += data_audit_lines(AuditedData(data.name, version, now, len(features), data.model, summary))
    return json_or_lines({"summary": summary, "records": records}, lines, args.json)


def data_to_audit(store: Store, args: argparse.Namespace) -> DataToAudit:
    """The rows that the arguments name: files with --label, or the reference of --model and --version. Raises UsageError if neither is
    named.
    """
    import pandas as pd

    from observability.metrics.table_audit import LabelledRows

    if not args.files:
        if not args.model:
            raise UsageError("no data to audit are named", expected="FILE… with --label COLUMN, or --model M for its reference")
        if args.rule:
            raise UsageError("--rule needs a file that has the named column", expected="FILE… with --label COLUMN")
        return registered_reference(store, args.model, args.version)
    if not args.label:
        raise UsageError("--label is missing", expected="--label COLUMN, the column with the label")
    paths = [Path(file) for file in args.files]
    table = pd.concat([read_table(path, args.decimal) for path in paths], ignore_index=True)
    flags = rule_columns(args.rule, args.label)
    left_out = list(dict.fromkeys([*(name for name in (args.exclude or "").split(",") if name), *flags.values()]))
    label = labels_of(table, args.label, left_out, paths[0].name)
    size = sum(path.stat().st_size for path in paths)
    rules = {name: flagged_rows(table[column]) for name, column in flags.items()}
    rows = LabelledRows(table.drop(columns=[args.label, *left_out]), label, rules=rules)
    model = (args.model, args.version) if args.model and args.version else None
    return DataToAudit(args.dataset or paths[0].name.partition(".")[0], rows, size, files_checksum(paths), model)


def rule_columns(texts: Sequence[str], label: str) -> dict[str, str]:
    """The flag column of each rule, by the rule's name, from texts such as `broken sensor=is_broken`.

    Raises UsageError for any other text, for a name that occurs twice or is the name of a check, and if the flag column is the label.
    """
    from observability.metrics.data_audit import CHECKS, HELD_OUT

    found: dict[str, str] = {}
    for text in texts:
        name, _, column = (part.strip() for part in text.rpartition("="))
        if not (name and column):
            raise UsageError("--rule takes a name and a flag column", got=text, expected="NAME=FLAG_COLUMN, as 'broken sensor=is_broken'")
        if name in found:
            raise UsageError("--rule gives the same name twice", got=name, expected="another name for each rule")
        if name.casefold() in (*CHECKS, HELD_OUT):
            raise UsageError("--rule gives the name of a check", got=name, expected="another name")
        if column == label:
            raise UsageError("--rule names the column of the label", got=column, expected="a column that flags the rows to drop")
        found[name] = column
    return found


def flagged_rows(column: "Series[Any]") -> "Mask":
    """A mask of the rows that a column flags with true or 1. Raises UsageError if any value is not true, false, 1 or 0."""
    flags = column.map(lambda value: FLAGS.get(str(value).strip().lower()))
    if (wrong := flags.isna().to_numpy()).any():
        place = int(wrong.argmax())
        value = column.iloc[place]
        got = f"{'no value' if value is None or value != value else repr(str(value)[:40])} in row {place + 1:,}"
        raise UsageError(
            "a column of --rule is not a flag", where=str(column.name), got=got, expected="true or false, or 1 or 0, in every row"
        )
    return flags.to_numpy(bool)


def files_checksum(paths: Sequence[Path]) -> str:
    """The SHA-256 of the concatenated files, as text for a dataset record."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def labels_of(table: "DataFrame", label: str, left_out: list[str], where: str) -> "Series[Any]":
    """The column of the label. Raises UsageError if the table lacks this column or one of the columns to leave out, or if no feature is
    left.
    """
    for name in (label, *left_out):
        if name not in table:
            raise UsageError("a named column is not in the file", where=where, got=name, expected=", ".join(map(str, table.columns)))
    if table.shape[1] <= 1 + len(left_out):
        raise UsageError(
            "no feature is left to audit", where=where, got=f"{table.shape[1]} columns", expected="the label and at least one more"
        )
    column: Series[Any] = table[label]
    return column


def registered_reference(store: Store, model: str, version: str | None) -> DataToAudit:
    """The reference of a model version, with labels and decisions as class names. Raises UsageError if the version has no reference."""
    from observability.core.questions import Sample
    from observability.core.window import EPOCH, Window
    from observability.metrics.table_audit import LabelledRows

    found = store.catalog().model(model)
    versions = [each for each in found.versions if each.reference_rows and version in (None, each.name)]
    if not versions:
        raise UsageError(
            "the model has no such reference", got=f"{model} {version or ''}".strip(), attempt="Register it with a reference file"
        )
    chosen = versions[-1]
    columns = {each.reference: each.name for each in found.features()}
    others = [each.reference for each in found.columns if each.role == "group"]
    classes = dict(enumerate(found.classes))
    target, decided = ("label_value", ()) if found.task == "regression" else ("label", ("decision",))
    asked = Sample("outcomes", ("id", target, *decided, *columns, *others), REFERENCE_ROWS)
    frame = store.ask(asked, Window(model, EPOCH, EPOCH, chosen.name).reference())
    label = frame[target] if target == "label_value" else frame[target].map(classes)
    known = label.notna()
    frame, label = frame[known].reset_index(drop=True), label[known].reset_index(drop=True)
    features = frame[list(columns)].rename(columns=columns)
    own = (model, chosen.name)
    rows = LabelledRows(features, label, frame["id"], decided=(*own, frame["decision"].map(classes)) if decided else None)
    return DataToAudit(f"{model} {chosen.name} reference", rows, model=own, groups=frame[others])


def held_out_rows(args: argparse.Namespace, features: "DataFrame") -> "tuple[DataFrame, Series[Any]] | None":
    """Features and labels of the held-out file; None if no file is named. The labels are in the column named by --label, or else in
    `label`.
    """
    if not args.held_out:
        return None
    label, table = args.label or "label", read_table(Path(args.held_out), args.decimal)
    if missing := [str(name) for name in (*features, label) if name not in table]:
        attempt = None if args.label or label not in missing else "Name the column of the held-out labels with --label"
        raise UsageError("the held-out file lacks columns", where=Path(args.held_out).name, got=f"no {', '.join(missing)}", attempt=attempt)
    return table[list(features)], table[label]


def leakage_record(model: Model, data: DataToAudit, summary: dict[str, Any], held: str | None, now: datetime) -> dict[str, Any]:
    """The record of a leakage audit, made from the figures of the data audit, for the version to which the data belong. held: the held-out
    file.

    The record expires after the same time as other audits of the model.
    """
    from observability.enrichment.leakage_audit import leakage_headline, leakage_results, overlap_shares

    assert data.model is not None
    n = summary.get("model_rows", 0)
    alone = {name: (*share, n) for name, share in summary["columns_alone"].items() if None not in share}
    counts, name = summary["held_out"], Path(held).name if held else ""
    overlaps = [overlap_shares(counts, "file", f"rows of {data.name}", f"rows of {name}")] if counts else []
    body = leakage_results(alone, None, {}, overlaps, summary.get("measure"))
    facts = {"from": data.name, "n": n, "served": 0, "in_sample": False}
    results = {"headline": leakage_headline(body, summary["no_model_because"]), **body, "rows": facts}
    record = {"kind": "audit", "model": data.model[0], "version": data.model[1], "at": now.isoformat(), "audit": "leakage"}
    return record | {"results": results, "expires": (now + timedelta(days=model.settings.audit_days)).isoformat()}


def audit_records(
    data: DataToAudit, masks: "Masks", summary: dict[str, Any], groups: "DataFrame", version: str, now: datetime
) -> list[dict[str, Any]]:
    """The records of an audit of data: the dataset with the audit, and one cleaning run for each rule. A run is marked `proposed`, because
    no row was dropped.

    groups: the columns whose levels are counted in each run.
    """
    from observability.metrics.audited_data import PROPOSED
    from observability.metrics.column_statistics import table_statistics
    from observability.metrics.data_audit import group_counts
    from observability.metrics.table_audit import SUSPECTS

    at, features = now.isoformat(), data.rows.features
    dataset: dict[str, Any] = {"kind": "dataset", "dataset": data.name, "version": version, "at": at, "rows": len(features)}
    dataset |= {"bytes": data.size, "checksum": data.checksum, "columns": table_statistics(features), "data_audit": summary}
    records = [{name: value for name, value in dataset.items() if value is not None}]
    for name, dropped in masks.items():
        run: dict[str, Any] = {"kind": "cleaning", "rule": f"{PROPOSED}{name}", "at": at, "rows_in": len(features), "rows_changed": 0}
        run |= {"rows_dropped": int(dropped.sum()), "dataset": data.name, "version": version, "proposed": True}
        run |= {"groups": group_counts(groups, dropped, groups.columns.tolist())} if len(groups.columns) else {}
        own = summary["model_without_suspects"] if name == SUSPECTS else None
        effect = summary["effects"].get(name)
        records.append(run | ({"effect": effect | ({"own_model": own} if own else {})} if effect else {}))
    return records
