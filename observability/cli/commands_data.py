"""The commands `profile` and `audit-data`: records about data from its files."""

import argparse
import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.outcome import Outcome, Say, json_or_lines
from observability.core.errors import UsageError
from observability.core.numerals import format_figure, percent
from observability.importers.source_records import zone_named
from observability.store.engine import Store

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from observability.metrics.audit_model import AuditModel
    from observability.stats.interval import Interval

REFERENCE_ROWS = 50_000
"""Rows of a registered reference that are audited, chosen by the hash of their id."""
SHOWN = 12
"""Columns that `profile` prints; the record has all."""
OFFSET_OR_DATE = r"^[\d-]+$|(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"
"""What tells a time of one instant: an offset at its end, or no time of day, which is midnight UTC."""


def run_profile(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Make the batch record of a file, with the statistics of its columns, and keep it."""
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
    """The rows of a .csv, .jsonl (both also as .gz) or .parquet file. Raises UsageError if it has none or cannot be read."""
    from observability.store.ingest.files import open_importer

    table, _ = open_importer(path, decimal).table()
    if not table.num_rows:
        raise UsageError("the file holds no rows", where=path.name)
    frame: DataFrame = table.to_pandas()
    return frame


def column_range(text: str) -> tuple[str, tuple[float | None, float | None]]:
    """A range as `temperature=-40:60`; an end may be left out. Raises UsageError for any other text."""
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

    zone: of times without an offset. Raises UsageError where the column holds no times, or times without an offset and zone is None.
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
class AuditedData:
    """The rows of an audit.

    model: model and version whose reference it is; decision: what that version decided, where it classifies. groups: its sensitive
    attributes that are no features, by column reference.
    """

    name: str
    features: "DataFrame"
    label: "Series[Any]"
    size: int | None = None
    checksum: str | None = None
    model: tuple[str, str] | None = None
    decision: "Series[Any] | None" = None
    groups: "DataFrame | None" = None


def run_audit_data(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Audit a dataset: its rows, its labels and what each cleaning rule does to a model; keep the records."""
    import numpy as np

    from observability.metrics import data_audit
    from observability.metrics.audit_model import KNOWS, AuditModel

    say("reading the rows")
    data = audited_data(store, args)
    groups = list(args.group)
    if missing := [name for name in groups if name not in data.features]:
        raise UsageError("--group names a column that the data lack", got=", ".join(missing), expected=", ".join(map(str, data.features)))
    say("comparing rows")
    features, label = data.features, data.label
    table = features.assign(**{"label ": label.astype(str)})
    outliers, by_column = data_audit.outlying_rows(features)
    rules = {
        "exact duplicates": data_audit.exact_duplicates(table),
        "conflicting labels": data_audit.conflicting_rows(features, label),
        "near-duplicates": data_audit.near_duplicates(features),
        "outliers": outliers,
    }
    model = AuditModel(features, label, args.seed)
    effects: dict[str, Any] = {}
    alone: dict[str, Interval] = {}
    own: dict[str, Any] | None = None
    if model.obstacle is None:
        say("fitting a model for labels")
        answers = model.out_of_fold()
        suspects = np.zeros(len(features), bool)
        suspects[model.places] = model.suspects(answers)
        if model.task != "regression":
            rules["suspect labels"] = suspects
            if data.decision is not None and data.model is not None:
                decision, labels = data.decision.iloc[model.places], label.iloc[model.places]
                own = data_audit.accuracy_without_suspects(*data.model, decision, labels, suspects[model.places])
        alone = model.known_alone(model.columns)
        for place, (name, dropped) in enumerate(rules.items()):
            say(f"fitting with and without {name} ({place + 1} of {len(rules)})")
            effect = model.rule_effect(dropped[model.places])
            kept = np.flatnonzero(~dropped[model.places])
            without = model.score(kept, answers[kept]) if kept.size else float("nan")
            effects[name] = {
                "metric": effect.metric,
                "before": effect.before,
                "after": effect.after if np.isfinite(effect.after) else None,
                "low": effect.low,
                "high": effect.high,
                "metric_of_kept_rows": without if np.isfinite(without) else None,
                "seeds": [args.seed],
            }
    overlap = held_out_of(args, data)
    say("")
    now = datetime.now(UTC)
    version = args.data_version or f"{now:%Y-%m-%dT%H:%M:%SZ}"
    summary: dict[str, Any] = {
        "rows": len(features),
        "rules": {name: int(dropped.sum()) for name, dropped in rules.items()},
        "outliers_by_column": by_column,
        "features_that_know_the_label": {name: share.value for name, share in alone.items() if (share.value or 0.0) >= KNOWS},
        "held_out": None if overlap is None else held_out_summary(overlap),
        "effects": effects,
        "model_without_suspects": own,
        "no_model_because": model.obstacle,
    }
    records = audit_records(data, rules, effects, summary, groups, version, now)
    if data.model:
        record = leakage_record(store, data, alone, model, overlap, now)
        records.append(record | {"results": {**record["results"], "data": summary}})
    if not args.dry_run:
        store.write_records(records)
    return json_or_lines({"summary": summary, "records": records}, audit_lines(data, rules, summary, not args.dry_run), args.json)


def audited_data(store: Store, args: argparse.Namespace) -> AuditedData:
    """The rows that the arguments name: files with --label, or the reference of --model and --version. Raises UsageError without either."""
    import pandas as pd

    if not args.files:
        if not args.model:
            raise UsageError("nothing is named to audit", expected="FILE… with --label COLUMN, or --model M for its reference")
        return registered_reference(store, args.model, args.version)
    if not args.label:
        raise UsageError("--label is missing", expected="--label COLUMN, the column with the label")
    paths = [Path(file) for file in args.files]
    table = pd.concat([read_table(path, args.decimal) for path in paths], ignore_index=True)
    left_out = [name for name in (args.exclude or "").split(",") if name]
    label = labels_of(table, args.label, left_out, paths[0].name)
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    size = sum(path.stat().st_size for path in paths)
    features = table.drop(columns=[args.label, *left_out])
    name = args.dataset or paths[0].name.partition(".")[0]
    return AuditedData(
        name, features, label, size, f"sha256:{digest.hexdigest()}", (args.model, args.version) if args.model and args.version else None
    )


def labels_of(table: "DataFrame", label: str, left_out: list[str], where: str) -> "Series[Any]":
    """The column of the label. Raises UsageError where it or a column to leave out is not there, or where no feature is left."""
    for name in (label, *left_out):
        if name not in table:
            raise UsageError("a named column is not in the file", where=where, got=name, expected=", ".join(map(str, table.columns)))
    if table.shape[1] <= 1 + len(left_out):
        raise UsageError(
            "no feature is left to audit", where=where, got=f"{table.shape[1]} columns", expected="the label and at least one more"
        )
    column: Series[Any] = table[label]
    return column


def registered_reference(store: Store, model: str, version: str | None) -> AuditedData:
    """The reference of a model version. Raises UsageError where it has none."""
    from observability.core.questions import Sample
    from observability.core.window import EPOCH, Window

    found = store.catalog().model(model)
    versions = [each for each in found.versions if each.reference_rows and version in (None, each.name)]
    if not versions:
        raise UsageError(
            "the model has no such reference", got=f"{model} {version or ''}".strip(), attempt="Register it with a reference file"
        )
    chosen = versions[-1]
    columns = {each.reference: each.name for each in found.features()}
    others = [each.reference for each in found.columns if each.role == "group"]
    decided = () if found.task == "regression" else ("decision",)
    target = "label_value" if found.task == "regression" else "label"
    frame = store.ask(
        Sample("outcomes", (target, *decided, *columns, *others), REFERENCE_ROWS), Window(model, EPOCH, EPOCH, chosen.name).reference()
    )
    known = frame[target].notna() if target == "label_value" else frame[target].fillna(-1) >= 0
    frame = frame[known].reset_index(drop=True)
    name = f"{model} {chosen.name} reference"
    features = frame[list(columns)].rename(columns=columns)
    decision = frame["decision"] if decided else None
    return AuditedData(name, features, frame[target], model=(model, chosen.name), decision=decision, groups=frame[others])


def held_out_of(args: argparse.Namespace, data: AuditedData) -> dict[str, Any] | None:
    """The overlap with the held-out file, of `overlap_shares`; None without one."""
    from observability.enrichment.leakage_audit import overlap_shares
    from observability.metrics.data_audit import held_out_counts

    if not args.held_out:
        return None
    table = read_table(Path(args.held_out), args.decimal)
    if missing := [str(name) for name in (*data.features, args.label) if name not in table]:
        raise UsageError("the held-out file lacks columns", where=Path(args.held_out).name, got=f"no {', '.join(missing)}")
    counts = held_out_counts(data.features, data.label, table[list(data.features)], table[args.label])
    return overlap_shares(counts, "file", f"rows of {data.name}", f"rows of {Path(args.held_out).name}")


def held_out_summary(overlap: dict[str, Any]) -> dict[str, Any]:
    """An overlap as the summary of an audit has it. low, high: of the share of rows that are in the training rows exactly."""
    rows, exact = overlap["held"]["n"], overlap["exact"]
    return {
        "rows": rows,
        "in_training": round(exact["value"] * rows),
        "near": round(overlap["near"]["value"] * rows),
        "same_label": overlap["same_label"],
        "low": exact["low"],
        "high": exact["high"],
    }


def leakage_record(
    store: Store, data: AuditedData, alone: "dict[str, Interval]", fitted: "AuditModel", overlap: dict[str, Any] | None, now: datetime
) -> dict[str, Any]:
    """The audit of leakage of the version that the data belong to. It expires as other audits of a registered model do."""
    from observability.enrichment.leakage_audit import leakage_headline, leakage_results

    assert data.model is not None
    parts = {name: (share.value, share.low, share.high, share.n) for name, share in alone.items()}
    shares = {name: [part for part in own if part is not None] for name, own in parts.items() if None not in own}
    body = leakage_results(shares, None, {}, [overlap] if overlap else [], fitted.metric)
    facts = {"from": data.name, "n": len(fitted.y), "served": 0, "in_sample": False}
    results = {"headline": leakage_headline(body, fitted.obstacle), **body, "rows": facts}
    record = {"kind": "audit", "model": data.model[0], "version": data.model[1], "at": now.isoformat(), "audit": "leakage"}
    known = {model.name: model for model in store.catalog().models}.get(data.model[0])
    expires = {} if known is None else {"expires": (now + timedelta(days=known.settings.audit_days)).isoformat()}
    return record | {"results": results} | expires


def audit_records(
    data: AuditedData,
    rules: dict[str, Any],
    effects: dict[str, Any],
    summary: dict[str, Any],
    groups: list[str],
    version: str,
    now: datetime,
) -> list[dict[str, Any]]:
    """The records of an audit of data: the dataset, and a cleaning run for each rule (`proposed`: no row was dropped)."""
    from observability.metrics.column_statistics import table_statistics
    from observability.metrics.data_audit import group_counts

    at, rows = now.isoformat(), len(data.features)
    dataset: dict[str, Any] = {"kind": "dataset", "dataset": data.name, "version": version, "at": at, "rows": rows}
    dataset |= {"bytes": data.size, "checksum": data.checksum, "columns": table_statistics(data.features)}
    records = [{name: value for name, value in dataset.items() if value is not None}]
    for name, dropped in rules.items():
        run: dict[str, Any] = {"kind": "cleaning", "rule": f"audit: {name}", "at": at, "rows_in": rows, "rows_changed": 0}
        run |= {"rows_dropped": int(dropped.sum()), "dataset": data.name, "version": version, "proposed": True}
        run |= {"groups": group_counts(data.features, dropped, groups)} if groups else {}
        own = summary["model_without_suspects"] if name == "suspect labels" else None
        records.append(run | ({"effect": effects[name] | ({"own_model": own} if own else {})} if name in effects else {}))
    return records


def audit_lines(data: AuditedData, rules: dict[str, Any], summary: dict[str, Any], kept: bool) -> list[str]:
    """The summary of an audit as text."""
    from observability.metrics.data_audit import suspect_accuracy_words

    rows = len(data.features)
    lines = [f"{data.name}: {rows:,} rows, {data.features.shape[1]} features{'' if kept else ' (not kept)'}."]
    for name, dropped in rules.items():
        line = f"  {name}: {int(dropped.sum()):,} rows ({percent(float(dropped.mean()))})"
        if (effect := summary["effects"].get(name)) and effect["after"] is not None:
            gap = effect["after"] - effect["before"]
            line += f"; {effect['metric']} {format_figure(effect['before'])} with them, {format_figure(effect['after'])} without"
            if effect["low"] is not None:
                ends = f"{format_figure(effect['low'], 3, sign=True)} to {format_figure(effect['high'], 3, sign=True)}"
                line += f" ({format_figure(gap, 3, sign=True)}, 95 % interval {ends})"
        lines.append(line)
    if own := summary["model_without_suspects"]:
        lines.append(f"  {suspect_accuracy_words(own)}")
    for name, share in summary["features_that_know_the_label"].items():
        lines.append(
            f"  {name} alone knows the label ({percent(share)} of the way from chance to perfection): was it known at prediction time?"
        )
    if held := summary["held_out"]:
        share = held["in_training"] / held["rows"]
        lines.append(
            f"  held-out rows with the features of a training row: {held['in_training']:,} of {held['rows']:,} ({percent(share)}, "
            f"95 % interval {percent(held['low'])} to {percent(held['high'])}), {held['same_label']:,} with the same label; "
            f"{held['near']:,} more are nearly a training row"
        )
    if summary["no_model_because"]:
        lines.append(f"  No model was fitted: {summary['no_model_because']}.")
    return lines
