"""`GET /metrics`: the state of ingest, loader, store, pages and models in the OpenMetrics text format."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from observability.core import telemetry
from observability.core.version import VERSION
from observability.server import process_lock
from observability.server.access import ACTING, may_do
from observability.server.guarded_store import guarded_store
from observability.server.health import store_status

MEDIA_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PREFIX = "observability_"
Labels = Mapping[str, str]
Samples = Iterable[tuple[Labels, float | int | None]]


def open_metrics_text() -> str:
    """All metrics of this process and its store, and of the models that the holder of the request's token may see.

    Unknown values are left out.
    """
    owner = process_lock.current_owner()
    status = store_status(guarded_store(owner.store, ACTING.get()))
    lines = [
        *_metric("build", "info", "Version of the product.", [({"version": VERSION}, 1)]),
        *_ingest(owner),
        *_loader(owner, status),
        *_store(status),
        *_durations("query_seconds", "Time of one question to the store.", telemetry.QUERY_SECONDS),
        *_durations("page_seconds", "Time of one run of a page's script.", telemetry.PAGE_SECONDS),
        *_durations("ingest_post_seconds", "Time of one POST of records until its response.", telemetry.POST_SECONDS),
        *_metric("worker_jobs", "counter", "Jobs of the process that runs model files.", _by("outcome", telemetry.WORKER_JOBS)),
        *_models(owner, status),
    ]
    return "\n".join([*lines, "# EOF", ""])


def collector_metrics_text(owner: Any, looked_at: float | None, owner_at: float) -> str:
    """The metrics of a collector. looked_at: when it last read its configuration; owner_at: when the owner gave its last heartbeat; both by
    the monotonic clock.
    """
    age = None if looked_at is None else round(time.monotonic() - looked_at, 1)
    lines = [
        *_metric("build", "info", "Version of the product.", [({"version": VERSION}, 1)]),
        *_ingest(owner),
        *_metric("collector_config_age_seconds", "gauge", "Time since the configuration was read.", [({}, age)]),
        *_metric(
            "collector_owner_age_seconds", "gauge", "Time since a sign of the store's owner.", [({}, round(time.monotonic() - owner_at, 1))]
        ),
        *_durations("ingest_post_seconds", "Time of one POST of records until its response.", telemetry.POST_SECONDS),
    ]
    return "\n".join([*lines, "# EOF", ""])


def _ingest(owner: process_lock.Owner) -> list[str]:
    return [
        *_metric("ingest_accepted_records", "counter", "Records accepted over HTTP, on disk.", _by("address", telemetry.ACCEPTED)),
        *_metric("ingest_rejected_records", "counter", "Records rejected over HTTP.", _by("reason", telemetry.REJECTED)),
        *_metric("ingest_refused_requests", "counter", "Requests refused as a whole.", _by("status", telemetry.REFUSED)),
        *_metric(
            "ingest_client_dropped_records", "counter", "Records that clients said they dropped.", _by("token", telemetry.CLIENT_DROPPED)
        ),
        *_metric(
            "ingest_waiting_halves",
            "gauge",
            "Requests of model servers without their response yet, and responses without their request.",
            [({"part": part}, count) for part, count in owner.waiting.count().items()],
        ),
        *_metric(
            "ingest_dropped_halves",
            "counter",
            "Instances of such requests or responses that were never joined and went to the rejected lines, by reason.",
            _by("why", telemetry.HALVES_DROPPED),
        ),
        *_metric("ingest_spans", "counter", "Spans by outcome.", _by("outcome", telemetry.SPANS)),
        *_metric("ingest_syncs", "counter", "Syncs to disk of records over HTTP.", [({}, owner.records.groups)]),
    ]


def _loader(owner: process_lock.Owner, status: Mapping[str, Any]) -> list[str]:
    loader, state = status["loader"], owner.loader
    lag = status["waiting"]["seconds"] or 0 if status["landing"]["segments"] is not None else None
    return [
        *_metric("loader_up", "gauge", "1 while new records are loaded, 0 where loading fails.", [({}, int(loader["state"] == "works"))]),
        *_metric("loader_failures", "gauge", "Failed loads in a row.", [({}, state.failures)]),
        *_metric("loader_restarts", "counter", "Restarts of the loader's thread.", [({}, state.restarts)]),
        *_metric("loader_last_success_timestamp_seconds", "gauge", "Last load without a failure.", [({}, state.last_success)]),
        *_metric("loader_lag_seconds", "gauge", "Age of the oldest segment that waits, 0 where none does.", [({}, lag)]),
    ]


def _store(status: Mapping[str, Any]) -> list[str]:
    landing, repairs, kept = status["landing"], status["repairs"], status["keeping"]
    night = (kept["night"] or {}).get("failures")
    unseen = sum(not repair.get("seen_at") for repair in repairs)
    rejected = [({"reason": reason}, count) for reason, count in sorted(status["rejected"]["reasons"].items())]
    return [
        *_metric("landing_bytes", "gauge", "Bytes of segments that wait.", [({}, landing["bytes"])]),
        *_metric("landing_segments", "gauge", "Segments that wait.", [({}, landing["segments"])]),
        *_metric("landing_set_aside_segments", "gauge", "Segments that could not be loaded.", [({}, landing["failed"])]),
        *_metric("store_bytes", "gauge", "Bytes of the database and its log.", [({}, status["database"]["bytes"])]),
        *_metric("disk_free_bytes", "gauge", "Free bytes of the disk that holds the store.", [({}, status["disk"]["free_bytes"])]),
        *_metric("store_rejected_lines", "gauge", "Lines in the table of rejected lines.", rejected),
        *_metric("repairs", "counter", "Repairs of the store.", [({}, len(repairs))]),
        *_metric("repairs_unread", "gauge", "Repairs that nobody has acknowledged.", [({}, unseen)]),
        *_metric("backup_last_timestamp_seconds", "gauge", "Last backup.", [({}, _time_of(kept["backup"]))]),
        *_metric(
            "verified_restore_last_timestamp_seconds",
            "gauge",
            "Last backup that was restored beside the store and found whole.",
            [({}, _time_of(kept["verified_restore"]))],
        ),
        *_metric("night_failures", "gauge", "Parts of the last night's work that failed.", [({}, None if night is None else len(night))]),
        *_metric("problems", "gauge", "Sentences about what a person should know, as in status.", [({}, len(status["problems"]))]),
    ]


def _models(owner: process_lock.Owner, status: Mapping[str, Any]) -> list[str]:
    watching = owner.watching
    known = {} if watching is None else dict(watching.models)
    checked = {name: model for name, model in known.items() if may_do(ACTING.get(), "read", name)}
    incidents = [
        ({"model": name, "severity": severity}, model.incidents.get(severity, 0))
        for name, model in sorted(checked.items())
        for severity in ("act", "watch")
    ]
    maturity = [({"model": name}, model.label_maturity) for name, model in sorted(checked.items())]
    ages = [
        ({"model": model["model"]}, None if model["hours_since_last"] is None else model["hours_since_last"] * 3600)
        for model in status["models"]
    ]
    at = None if watching is None or watching.checked_at is None else watching.checked_at.timestamp()
    return [
        *_metric("watcher_last_check_timestamp_seconds", "gauge", "Last check of all live models.", [({}, at)]),
        *_metric(
            "model_open_incidents",
            "gauge",
            "Incidents at the last check, of each live model; one that was acknowledged is a watch.",
            incidents,
        ),
        *_metric("model_label_maturity_ratio", "gauge", "Share of predictions with a label, at the last check of a live model.", maturity),
        *_metric("model_last_prediction_age_seconds", "gauge", "Time since the newest prediction.", ages),
    ]


def _time_of(done: Mapping[str, Any] | None) -> float | None:
    """When something was done, in seconds since 1970; None if it was never done."""
    return None if done is None else datetime.fromisoformat(done["at"]).timestamp()


def _by(label: str, counts: telemetry.EventCounts) -> list[tuple[Labels, int]]:
    return [({label: value}, count) for value, count in counts.totals().items()]


def _metric(name: str, kind: str, meaning: str, samples: Samples) -> list[str]:
    """The lines of one metric family: type, help, and one line for each known value."""
    suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
    return [
        f"# TYPE {PREFIX}{name} {kind}",
        f"# HELP {PREFIX}{name} {meaning}",
        *(f"{PREFIX}{name}{suffix}{_labels(labels)} {value}" for labels, value in samples if value is not None),
    ]


def _durations(name: str, meaning: str, durations: telemetry.Durations) -> list[str]:
    """The lines of an OpenMetrics histogram of durations in seconds."""
    numbers, count, total = durations.cumulative()
    return [
        f"# TYPE {PREFIX}{name} histogram",
        f"# UNIT {PREFIX}{name} seconds",
        f"# HELP {PREFIX}{name} {meaning}",
        *(f'{PREFIX}{name}_bucket{{le="{end}"}} {number}' for end, number in numbers.items()),
        f'{PREFIX}{name}_bucket{{le="+Inf"}} {count}',
        f"{PREFIX}{name}_count {count}",
        f"{PREFIX}{name}_sum {total}",
    ]


def _labels(labels: Labels) -> str:
    """Labels in braces, with their values escaped; empty if there are no labels."""
    if not labels:
        return ""
    escaped = {name: str(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') for name, value in labels.items()}
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
