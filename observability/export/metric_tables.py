"""Writes tables of metrics for other tools, as Parquet: current findings, incidents, predictions by day, and records of people and alerts.

`findings/date=2026-07-01/findings.parquet` and `incidents/date=…` get a new folder every day, so they keep a history. The other tables are
replaced as a whole. The tables are written to a folder or a bucket. docs/exports.md lists the columns.
"""

import io
import json
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.errors import StoreBrokenError, UsageError
from observability.core.finding import Finding
from observability.core.small_groups import is_about_few
from observability.core.view_names import view_name
from observability.incidents.grouping import Incident
from observability.lake.addresses import is_lake_address
from observability.lake.file_place import open_file_place

if TYPE_CHECKING:
    import pyarrow as pa

    from observability.store.engine import Store, WorkProgress
    from observability.store.types.query_answer import QueryAnswer

SPOKEN = ("decisions", "actions", "alerts", "verdicts", "saved_cases")
"""Views of records that people or alerts wrote."""
MAX_ROWS = 1_000_000
QUERY_SECONDS = 600.0
DRAFT, DRAFT_SECONDS = ".part", 24 * 3600.0
"""Suffix of a file that is being written. Such a file counts as abandoned after DRAFT_SECONDS without a change."""


def export_metric_tables(store: "Store", address: str, progress: "WorkProgress | None" = None) -> dict[str, int]:
    """Check every model now, write the tables into a folder or a bucket, and store an event about the export. Returns the same and raises
    the same errors as `write_metric_tables`.
    """
    from observability.alerts.alert_log import acknowledged_claims
    from observability.export.own_exports import note_own_exports
    from observability.metrics.own_exports import own_export
    from observability.monitoring.check import check

    now = datetime.now(UTC)
    report = check(store, acknowledged=acknowledged_claims(store, now), now=now, progress=progress)
    rows = write_metric_tables(store, address, report.findings, report.incidents, now)
    written = sum(count for name, count in rows.items() if name != "suppressed")
    note_own_exports(store, [own_export("tables of metrics", address.rstrip("/").rpartition("/")[2], rows=written)])
    return rows


def write_metric_tables(
    store: "Store", address: str, findings: Sequence[Finding], incidents: Sequence[Incident], now: datetime
) -> dict[str, int]:
    """Write every table into a folder or a bucket, each file in one step. Returns the number of rows by table, and under `suppressed` the
    number of findings that were left out. Findings about groups of fewer than 10 rows, and incidents with such a leading finding, are left
    out.

    Raises UsageError if the folder cannot be created or the address cannot be used, and StoreBrokenError if the disk or the bucket refuses.
    """
    replace = _opened_place(address)
    date = f"date={now:%Y-%m-%d}"
    small = {finding.id for finding in findings if is_about_few(finding)}
    findings = [finding for finding in findings if finding.id not in small]
    incidents = [incident for incident in incidents if incident.lead.id not in small]
    tables = {
        f"findings/{date}/findings.parquet": findings_table(findings, now),
        f"incidents/{date}/incidents.parquet": incidents_table(incidents, now),
        "daily.parquet": daily_table(store),
        **{f"{view}.parquet": view_table(store, view) for view in SPOKEN},
    }
    for name, table in tables.items():
        replace(name, table)
    return {name.split("/")[0].removesuffix(".parquet"): table.num_rows for name, table in tables.items()} | {"suppressed": len(small)}


def _opened_place(address: str) -> "Callable[[str, pa.Table], object]":
    """A function that replaces the table of a given name, in a folder or a bucket. Raises UsageError if the folder or the address cannot be
    used.
    """
    if is_lake_address(address):
        place = open_file_place(address, "tables of metrics are")
        return lambda name, table: place.put(name, _parquet_bytes(table))
    folder = Path(address)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            "the folder cannot be made", got=f"{folder}: {error.strerror}", attempt="Name a folder that you may write to"
        ) from None
    return lambda name, table: _replace_parquet(folder / name, table)


def _parquet_bytes(table: "pa.Table") -> bytes:
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(table, content)
    return content.getvalue()


def findings_table(findings: Sequence[Finding], now: datetime) -> "pa.Table":
    """A table with one row for each finding, including findings that are OK. limit_low, limit_high: the limit; both are equal if the limit
    is a single number.
    """
    import pyarrow as pa

    plain: tuple[str, ...] = (
        "id",
        "analyzer",
        "model",
        "version",
        "subject",
        "metric",
        "slice",
        "unit",
        "basis",
        "against",
        "severity",
        "state",
        "news",
    )
    plain += ("because", "incident", "likely_source", "proof")
    rows = []
    for finding in findings:
        body = finding.to_json()
        limit = body["limit"] if isinstance(body["limit"], list) else [body["limit"]] * 2
        rows.append(
            {
                "exported": now,
                **{name: None if body[name] is None else str(body[name]) for name in plain},
                **{name: None if body[name] is None else float(body[name]) for name in ("value", "low", "high")},
                "n": int(body["n"]),
                "limit_low": _number(limit[0]),
                "limit_high": _number(limit[1]),
                "start": finding.start,
                "end": finding.end,
                "onset": finding.onset,
            }
        )
    times, numbers = ("exported", "start", "end", "onset"), ("value", "low", "high", "limit_low", "limit_high")
    names = ("exported", *plain, "value", "low", "high", "n", "limit_low", "limit_high", "start", "end", "onset")
    kinds = {**dict.fromkeys(times, pa.timestamp("us", "UTC")), **dict.fromkeys(numbers, pa.float64()), "n": pa.int64()}
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, kinds.get(name, pa.string())) for name in names]))


def incidents_table(incidents: Sequence[Incident], now: datetime) -> "pa.Table":
    """A table with one row for each incident: its leading claim, suspected source, onset, and number of findings that follow from it."""
    import pyarrow as pa

    rows = [
        {
            "exported": now,
            "incident": incident.id,
            "model": incident.model,
            "severity": incident.severity,
            "because": incident.sentence,
            "likely_source": incident.source,
            "onset": incident.onset,
            "related_findings": len(incident.collateral),
        }
        for incident in incidents
    ]
    text, time = pa.string(), pa.timestamp("us", "UTC")
    kinds = {"exported": time, "onset": time, "related_findings": pa.int64()}
    names = ("exported", "incident", "model", "severity", "because", "likely_source", "onset", "related_findings")
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, kinds.get(name, text)) for name in names]))


def daily_table(store: "Store") -> "pa.Table":
    """A table of predictions by model, version, environment and day (UTC): number of all, labelled and failed predictions, latency, energy
    and cost.
    """
    import pyarrow as pa

    parts = []
    for model in store.catalog().models:
        name = view_name(model, "predictions")
        parts.append(
            all_rows(
                store,
                f"SELECT version, environment, date_trunc('day', \"at\") AS day, count(*) AS predictions, count(label) AS labelled, "
                f"count(*) FILTER (WHERE status <> 'ok') AS failed, avg(latency_ms) AS latency_ms_mean, "
                f"quantile_cont(latency_ms, 0.99) AS latency_ms_p99, sum(energy_j) AS energy_j, sum(cost) AS cost "
                f"FROM {name} WHERE environment <> 'reference' GROUP BY ALL ORDER BY ALL",
            )
        )
    columns = parts[0].columns if parts else ()
    rows = [
        {"model": model.name, **dict(zip(columns, row, strict=True))}
        for model, part in zip(store.catalog().models, parts, strict=True)
        for row in part.rows
    ]
    kinds = {"day": pa.timestamp("us", "UTC"), **dict.fromkeys(("predictions", "labelled", "failed"), pa.int64())}
    kinds |= dict.fromkeys(("latency_ms_mean", "latency_ms_p99", "energy_j", "cost"), pa.float64())
    names = (
        "model",
        "version",
        "environment",
        "day",
        "predictions",
        "labelled",
        "failed",
        "latency_ms_mean",
        "latency_ms_p99",
        "energy_j",
        "cost",
    )
    for row in rows:
        row["day"] = row["day"].replace(tzinfo=row["day"].tzinfo or UTC)
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, kinds.get(name, pa.string())) for name in names]))


def all_rows(store: "Store", query: str) -> "QueryAnswer":
    """Every row of a query. Raises UsageError if there are more than MAX_ROWS, because an incomplete table would give wrong sums."""
    answer = store.query_views(query, most_rows=MAX_ROWS, seconds=QUERY_SECONDS)
    if answer.more:
        attempt = "Write it in parts with `observability sql … --csv`"
        raise UsageError("a table has too many rows to be exported", got=query[:60], expected=f"at most {MAX_ROWS:,}", attempt=attempt)
    return answer


def view_table(store: "Store", view: str) -> "pa.Table":
    """A view of records as a table. Only nested values are changed, to JSON."""
    import pyarrow as pa

    answer = all_rows(store, f"SELECT * FROM {view}")
    columns = {}
    for place, name in enumerate(answer.columns):
        values = [row[place] for row in answer.rows]
        if any(isinstance(value, dict | list | tuple) for value in values):
            values = [None if value is None else json.dumps(value, ensure_ascii=False, default=str) for value in values]
        columns[name] = pa.array(values, from_pandas=True)
    return pa.table(columns)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _remove_old_drafts(path: Path) -> None:
    """Remove the abandoned drafts of a file: those whose writer stopped long ago without finishing."""
    for draft in path.parent.glob(f".{path.name}.*{DRAFT}"):
        with suppress(OSError):
            if time.time() - draft.stat().st_mtime > DRAFT_SECONDS:
                draft.unlink()


def _replace_parquet(path: Path, table: "pa.Table") -> None:
    """Replace a file in one step, so that simultaneous readers always read a whole file. Each writer has its own draft; the last writer
    wins.
    """
    import pyarrow as pa
    from pyarrow import parquet

    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}{DRAFT}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_old_drafts(path)
        parquet.write_table(table, draft)
        draft.replace(path)
    except (OSError, pa.ArrowException) as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StoreBrokenError("the table cannot be written", where=str(path), got=error) from None
