"""The logger of services, jobs and scripts: one method per kind of record, one write per record.

No method raises into the caller. Records that could not be written are counted in `Logger.dropped`, with the reason in `Logger.last_error`.
"""
# ruff: noqa: A002 -- parameters have the names of the contract's fields, `id` and `bytes` among them

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import wraps
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, SupportsFloat, TypeVar

from observability.client.encode import RefusedError, describe_error, encode_line, format_time, utc_now_text
from observability.client.spool import QUOTA_BYTES, SEGMENT_BYTES, SEGMENT_SECONDS, Fsync, Spool, landing_folder
from observability.core.errors import UsageError
from observability.records.protection import Protection, protected_line

if TYPE_CHECKING:
    from observability.client.remote import RemoteSpool

Moment = datetime | date | str
Number = SupportsFloat
Fields = Mapping[str, object]

_NAMES = frozenset(("id", "model", "version", "run", "subject", "device", "replica", "batch"))
_NAMES |= frozenset(("host", "dataset", "project", "item", "annotator", "guideline"))
_TIME_FIELDS = ("at", "from", "received_at", "acted_at", "captured_from", "captured_to", "expires", "due", "synced_at", "oldest_at")
_P = ParamSpec("_P")
_R = TypeVar("_R")


class Timer:
    """Wall time of a `with` block. `ms` is the time so far inside it, and the whole time after it (milliseconds)."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._end: float | None = None

    def __enter__(self) -> Self:
        self._start, self._end = time.perf_counter(), None
        return self

    def __exit__(self, *_: object) -> None:
        self._end = time.perf_counter()

    @property
    def ms(self) -> float:
        """The measured wall time in milliseconds."""
        return ((time.perf_counter() if self._end is None else self._end) - self._start) * 1000


def _guarded(
    fallback: Callable[[Mapping[str, Any]], _R],
) -> Callable[[Callable[Concatenate["Logger", _P], _R]], Callable[Concatenate["Logger", _P], _R]]:
    """Decorate a method of the logger. If it raises, even because of wrong arguments, the record is dropped and `fallback(keyword
    arguments)` is returned.
    """

    def guard(method: Callable[Concatenate["Logger", _P], _R]) -> Callable[Concatenate["Logger", _P], _R]:
        @wraps(method)
        def call(self: "Logger", /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                return method(self, *args, **kwargs)
            except Exception as error:
                self._spool.drop(f"{method.__name__}: {describe_error(error)}")
                return fallback(kwargs)

        return call

    return guard


_acknowledged = _guarded(lambda _given: False)
_identified = _guarded(lambda given: str(given["id"]) if type(given.get("id")) in (str, int) else uuid.uuid4().hex)


class Logger:
    """Writes records to the landing folder of `home` (else OBSERVABILITY_HOME, else `.observability` in the current folder).

    With `url` and `token`, records go to a collector on another host instead. They are first written to a spool on this disk (the folder
    `spool`, by default `outbox` in the home, at most `spool_bytes`) and sent in the background. Each record is stored once, even if either
    side restarts.

    Methods take the fields of their kind as keywords. `at` defaults to now; datetimes need an offset. A field that is None is left out, and
    a field that is not listed is kept as an extra. Ids and names are written as text: 3 becomes "3". The methods return True once the
    record has been passed to the kernel (is on disk, if `fsync` is "always"); `prediction` returns the id.

    fsync: "never", "background" (at most every 0.2 s) or "always". A segment (one file of records) is published once it has `segment_bytes`
    bytes or is `segment_seconds` old. `sample` is the share of predictions that is logged; they are chosen by their id, and each gets the
    weight 1/sample. A label is logged if its prediction was. If `quota_bytes` wait in landing, or the disk has less than `floor_bytes` free
    (default: 128 MB, at most 2 % of the disk), records are dropped and counted (`dropped`, `last_error`) before any part of them is
    written. Features that the model's settings protect are hashed, put into buckets or dropped before a record is written. The constructor
    raises UsageError for a wrong option; no method raises.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        fsync: Fsync = "background",
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
        sample: float = 1.0,
        quota_bytes: int = QUOTA_BYTES,
        floor_bytes: int | None = None,
        url: str | None = None,
        token: str | None = None,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int | None = None,
    ) -> None:
        if not 0 < sample <= 1:
            raise UsageError("sample is a share of the predictions", got=sample, expected="above 0 and at most 1")
        self.sample = sample
        self._protection = Protection(landing_folder(home).parent)
        self._spool: Spool | RemoteSpool
        if url is not None:
            self._spool = _remote_spool(home, url, token, spool, fsync, spool_bytes)
            return
        if given := [name for name, value in (("token", token), ("spool", spool), ("spool_bytes", spool_bytes)) if value is not None]:
            raise UsageError(f"the argument {given[0]} needs url", attempt="Give the collector's address as url")
        self._spool = Spool(
            landing_folder(home),
            fsync=fsync,
            segment_bytes=segment_bytes,
            segment_seconds=segment_seconds,
            quota_bytes=quota_bytes,
            floor_bytes=floor_bytes,
        )

    @property
    def dropped(self) -> int:
        """Number of records that could not be written or that the collector rejected. Predictions that `sample` leaves out are not
        counted.
        """
        return self._spool.dropped

    @property
    def last_error(self) -> str | None:
        """The reason of the last dropped record or failed write; None without an error."""
        return self._spool.last_error

    def flush(self, timeout: float = 5.0) -> bool:
        """Publish the logged records, so that they can be loaded now. With `url`, send them; this takes at most `timeout` seconds.

        False if some records are left in the spool; they are sent later.
        """
        if isinstance(self._spool, Spool):
            self._spool.flush()
            return True
        return self._spool.flush(timeout)

    def close(self, timeout: float = 5.0) -> bool:
        """Publish or send the logged records, as `flush` does. A later record opens a new segment."""
        return self.flush() if isinstance(self._spool, Spool) else self._spool.close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def drop(self, reason: str, count: int = 1) -> None:
        """Count records that could not be built; the middlewares use this."""
        self._spool.drop(reason, count)

    def timed(self) -> Timer:
        """A timer. Use `with log.timed() as t: score = model(x)`, then `latency_ms=t.ms`."""
        return Timer()

    @_acknowledged
    def record(self, kind: str, /, **fields: object) -> bool:
        """Log a record of any kind, by its name."""
        return self._write(kind, fields)

    # A signature lists all fields of its kind. With one field per line, they would take 200 lines.
    # fmt: off
    @_identified
    def prediction(
        self, /, *, model: str, version: str, features: Fields, id: str | None = None, at: Moment | None = None,
        score: Number | Mapping[Any, Number] | None = None, prediction: object = None, label: object = None, status: str | None = None,
        latency_ms: Number | None = None, subject: str | None = None, groups: Fields | None = None, device: str | None = None,
        replica: str | None = None, batch: str | None = None, environment: str | None = None, threshold: Number | None = None,
        energy_j: Number | None = None, cost: Number | None = None, weight: Number | None = None,
        feature_at: Mapping[str, Moment] | None = None, acted_at: Moment | None = None, attributions: Fields | None = None,
        base_value: object = None, attributions_link: str | None = None, received_at: Moment | None = None, **extra: object
    ) -> str:
        """Log a model's answer or failure (`status`). Returns the id, a new one if none is given."""
        fields = {"id": None, **_given(locals())}
        name = fields["id"] = uuid.uuid4().hex if id is None else str(id)
        if self._is_sampled(name):
            if self.sample < 1:
                fields["weight"] = (1.0 if weight is None else float(weight)) / self.sample
            self._write("prediction", fields)
        return name

    @_acknowledged
    def label(
        self, /, *, id: str, model: str, value: object, at: Moment | None = None, source: str | None = None, annotator: str | None = None,
        guideline: str | None = None, received_at: Moment | None = None, **extra: object
    ) -> bool:
        """Log the actual outcome of the prediction `id`. A later label of the same id is a revision."""
        return self._write("label", _given(locals())) if self._is_sampled(str(id)) else True

    @_acknowledged
    def resource(
        self, /, *, device: str, at: Moment | None = None, watts: Number | None = None, utilisation: Number | None = None,
        memory_gb: Number | None = None, temperature_c: Number | None = None, run: str | None = None, model: str | None = None,
        version: str | None = None, host: str | None = None, phase: str | None = None, step: int | None = None,
        energy_j: Number | None = None, seconds: Number | None = None, source: str | None = None, **extra: object
    ) -> bool:
        """Log a device's power, utilisation, memory or temperature; at least one of them."""
        return self._write("resource", _given(locals()))

    @_acknowledged
    def annotation(
        self, /, *, project: str, item: str, annotator: str, label: object, at: Moment | None = None, seconds: Number | None = None,
        gold: object = None, suggestion: object = None, suggestion_confidence: Number | None = None, guideline: str | None = None,
        **extra: object
    ) -> bool:
        """Log an annotator's label of an item of a labelling project."""
        return self._write("annotation", _given(locals()))

    @_acknowledged
    def batch(
        self, /, *, batch: str, source: str, rows: int, at: Moment | None = None, device: str | None = None,
        rejected_rows: int | None = None, captured_from: Moment | None = None, captured_to: Moment | None = None,
        stats: Mapping[str, Fields] | None = None, **extra: object
    ) -> bool:
        """Log a batch of rows from a source."""
        return self._write("batch", _given(locals()))

    @_acknowledged
    def event(
        self, /, *, what: str, text: str, at: Moment | None = None, model: str | None = None, version: str | None = None,
        prediction: str | None = None, subject: str | None = None, run: str | None = None, **extra: object
    ) -> bool:
        """Log an event: deploy, data, threshold, guideline, incident, complaint, export or note."""
        return self._write("event", _given(locals()))

    @_acknowledged
    def export(
        self, /, *, recipient: str, text: str | None = None, at: Moment | None = None, dataset: str | None = None,
        columns: Mapping[str, Fields] | Sequence[str] | None = None, rows: int | None = None, transform: str | None = None,
        legal_basis: str | None = None, k: Number | None = None, epsilon: Number | None = None, delta: Number | None = None,
        mechanism: Fields | None = None, attestation: str | None = None, canaries: Sequence[Fields] | None = None,
        checklist: Fields | None = None, model: str | None = None, version: str | None = None, run: str | None = None, **extra: object
    ) -> bool:
        """Log that data left the organisation, as an event whose `what` is `export`. columns: names, or {name: {"tag", "transform"}}
        (docs/exports.md).
        """
        fields = _given(locals())
        if isinstance(columns, Sequence):
            fields["columns"] = {str(name): {} for name in columns}
        fields["text"] = text or f"Export of {dataset or 'data'} to {recipient}"
        return self._write("event", {"what": "export", **fields})

    @_acknowledged
    def price(
        self, /, *, from_: Moment, resource: str, amount: Number, currency: str, model: str | None = None, device: str | None = None,
        region: str | None = None, carbon_g_per_kwh: Number | None = None, pue: Number | None = None, embodied_g: Number | None = None,
        **extra: object
    ) -> bool:
        """Log the price of a resource from a time on: gpu_hour, cpu_hour, kwh, label, request or gb_month."""
        fields = _given(locals())
        return self._write("price", {"from": fields.pop("from_"), **fields})

    @_acknowledged
    def dataset(
        self, /, *, dataset: str, version: str, rows: int, at: Moment | None = None, added: int | None = None, changed: int | None = None,
        deleted: int | None = None, bytes: int | None = None, columns: Mapping[str, Fields] | None = None,
        parents: Sequence[str] | None = None, checksum: str | None = None, **extra: object
    ) -> bool:
        """Log a version of a dataset and its changes."""
        return self._write("dataset", _given(locals()))

    @_acknowledged
    def cleaning(
        self, /, *, rule: str, rows_in: int, rows_changed: int, rows_dropped: int, at: Moment | None = None, dataset: str | None = None,
        version: str | None = None, groups: Mapping[str, Mapping[str, Fields]] | None = None, **extra: object
    ) -> bool:
        """Log a run of a cleaning rule; groups: {column: {level: {"in": n, "dropped": n}}}."""
        return self._write("cleaning", _given(locals()))

    @_acknowledged
    def assignment(
        self, /, *, project: str, item: str, annotator: str, at: Moment | None = None, reason: str | None = None,
        score: Number | None = None, policy: str | None = None, **extra: object
    ) -> bool:
        """Log the assignment of an item of a labelling project to an annotator."""
        return self._write("assignment", _given(locals()))

    @_acknowledged
    def item(
        self, /, *, project: str, item: str, content: Mapping[str, object], at: Moment | None = None, classes: Sequence[str] | None = None,
        guideline: str | None = None, **extra: object
    ) -> bool:
        """Log an item of a labelling project: its text, image or table row, without any prediction."""
        return self._write("item", _given(locals()))

    @_acknowledged
    def skip(self, /, *, project: str, item: str, annotator: str, reason: str, at: Moment | None = None, **extra: object) -> bool:
        """Log that an annotator passes over an item of a labelling project without a label."""
        return self._write("skip", _given(locals()))

    @_acknowledged
    def expected_batch(
        self, /, *, batch: str, model: str, at: Moment | None = None, version: str | None = None, rows: int | None = None,
        keys: Sequence[str] | None = None, due: Moment | None = None, **extra: object
    ) -> bool:
        """Log that a batch of predictions is expected: how many rows, which keys, and when it is due."""
        return self._write("expected_batch", _given(locals()))

    @_acknowledged
    def device_report(
        self, /, *, device: str, model: str, version: str, at: Moment | None = None, synced_at: Moment | None = None,
        oldest_at: Moment | None = None, device_class: str | None = None, firmware: str | None = None, ring: str | None = None,
        answers: int | None = None, crashes: int | None = None, out_of_memory: int | None = None, compared: int | None = None,
        agreed: int | None = None, battery: Number | None = None, memory_peak_mb: Number | None = None,
        latency_p99_ms: Number | None = None, source: str | None = None, **extra: object
    ) -> bool:
        """Log what a device that serves a model has done since its last report."""
        return self._write("device_report", _given(locals()))

    @_acknowledged
    def storage_report(
        self, /, *, place: str, at: Moment | None = None, dataset: str | None = None, tier: str | None = None, capacity_bytes: int | None
        = None, used_bytes: int | None = None, files: int | None = None, small_files: int | None = None, duplicate_bytes: int | None = None,
        cold_bytes: int | None = None, oldest_at: Moment | None = None, keep_days: Number | None = None, reads: int | None = None,
        read_errors: int | None = None, read_p99_ms: Number | None = None, writes: int | None = None, write_errors: int | None = None,
        write_p99_ms: Number | None = None, checked: int | None = None, corrupt: int | None = None, backup_at: Moment | None = None,
        backup_hours: Number | None = None, restored_at: Moment | None = None, restore_days: Number | None = None, complete_to: Moment |
        None = None, source: str | None = None, **extra: object
    ) -> bool:
        """Log the state of a place that stores data."""
        return self._write("storage_report", _given(locals()))

    @_acknowledged
    def audit(
        self, /, *, model: str, version: str, audit: str, results: Fields, at: Moment | None = None, expires: Moment | None = None,
        **extra: object
    ) -> bool:
        """Log the results of an audit of a version: robustness, membership, explanations, fairness, leakage, precision, energy …"""
        return self._write("audit", _given(locals()))

    @_acknowledged
    def run(
        self, /, *, run: str, event: str, at: Moment | None = None, model: str | None = None, version: str | None = None,
        params: Fields | None = None, hardware: Fields | None = None, dataset: str | None = None, study: str | None = None,
        status: str | None = None, seed: int | None = None, metrics: Fields | None = None, directions: Fields | None = None,
        **extra: object
    ) -> bool:
        """Log the start or the end of a training run; `track_run` writes both."""
        return self._write("run", _given(locals()))

    @_acknowledged
    def step(
        self, /, *, run: str, step: int, metrics: Fields, at: Moment | None = None, rank: int | None = None, host: str | None = None,
        device: str | None = None, phase_ms: Fields | None = None, batch: str | None = None, **extra: object
    ) -> bool:
        """Log the metrics of one step of a run; phase_ms: {compute, data, communication}."""
        return self._write("step", _given(locals()))
    # fmt: on

    def _write(self, kind: str, fields: Mapping[str, object]) -> bool:
        record: dict[str, object] = {"kind": kind}
        if kind != "price" and fields.get("at") is None:
            record["at"] = utc_now_text()
        record |= {name: value for name, value in fields.items() if value is not None and name != "kind"}
        for name in _NAMES & record.keys():
            if not isinstance(record[name], str):
                record[name] = str(record[name])
        for name in _TIME_FIELDS:
            if name in record and not isinstance(record[name], str):
                record[name] = format_time(record[name], name)
        read_at = record.get("feature_at")
        if isinstance(read_at, Mapping):
            record["feature_at"] = {name: format_time(value, f"feature_at.{name}") for name, value in read_at.items()}
        line = encode_line(record)
        try:
            if record.get("model") in (rules := self._protection.rules()):
                line = (protected_line(line[:-1], rules, self._protection.key()) or b"") + b"\n"
        except (OSError, ValueError) as error:
            raise RefusedError(f"the rules or the key of protected features cannot be read: {error}") from None
        return self._spool.append(line)

    def _is_sampled(self, name: str) -> bool:
        """Whether the prediction `name` is in the logged share. The answer is the same in every process."""
        if self.sample >= 1:
            return True
        return int.from_bytes(blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()) < self.sample * 2**64


def _remote_spool(
    home: str | os.PathLike[str] | None, url: str, token: str | None, spool: str | os.PathLike[str] | None, fsync: Fsync, most: int | None
) -> "RemoteSpool":
    """The spool whose records are sent to a collector. The modules for HTTP are imported only if a logger has a url."""
    from observability.client.remote import SPOOL_BYTES, RemoteSpool, outbox_folder

    folder = outbox_folder(home, url) if spool is None else Path(spool).absolute()
    return RemoteSpool(
        url, token or os.environ.get("OBSERVABILITY_TOKEN", ""), folder, fsync=fsync, most_bytes=SPOOL_BYTES if most is None else most
    )


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a method without the logger, extras included."""
    extra = arguments.pop("extra")
    del arguments["self"]
    return {**arguments, **extra}
