"""The kinds of records and their fields, in one table: `KINDS`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property
from typing import Any

from observability.records.validation import Check, RecordField, field_checker, field_suggestion
from observability.records.values import SCALARS, Rejected, quoted_value

INLINE = ("value", "at", "received_at", "source", "annotator", "guideline")
"""Fields of a label inside its prediction."""
TRIAGE_SOURCES = ("input", "far_from_reference", "label", "weak_slice", "boundary", "version", "degraded_path", "expected", "unknown")
"""Possible sources of a wrong prediction, in the triage of a case and in verdicts."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
KEPT_IN_EXTRA = ("item", "synced_at", "baseline")
"""Fields of a prediction that are stored unchanged in `extra`: `item`, the fixed question of a probe; `synced_at`, the time at which a
device that stores answers and sends them later sent the record; `baseline`, the answer of the old rule. The view `predictions` has a column
for each.
"""
NOTES = ("verdict", "action", "what_if", "saved_case", "review", "agenda", "signature", "dashboard", "pin", "alert", "message", "item")
"""Kinds that no analyzer reads, so they change no finding: entries by people, states of alerts, and items waiting for a label."""
OF_NO_MODEL = ("batch", "cleaning", "storage_report", "skip")
"""Kinds whose records name no model. Analyzers of single models do not read them, so they change no finding about a model's own rows."""
OF_RUNS = ("run", "step", "resource")
"""Kinds whose records belong to the model of their run if they do not name a model."""
OF_ALL_MODELS = ("price",)
"""Kinds whose records belong to every model if they do not name one."""
BATCH_STATISTICS = (
    "mean",
    "std",
    "null_share",
    "missing_share",
    "stuck_share",
    "dead_share",
    "saturated_share",
    "saturation_share",
    "out_of_range_share",
)
"""The statistics of a column that findings and pages read. If a statistic has two names in the `stats` of a batch, both are listed."""
ENVIRONMENTS = ("production", "shadow", "validation", "probe", "controller")
"""The environments in which a prediction can be made."""


@dataclass(frozen=True)
class Kind:
    """One kind of record. at_least_one: one of these fields is required (for a prediction, unless its status is a failure)."""

    name: str
    doc: str
    required: tuple[RecordField, ...]
    optional: tuple[RecordField, ...]
    at_least_one: tuple[str, ...] = ()

    @cached_property
    def fields(self) -> dict[str, RecordField]:
        """All fields by name, the required ones first, `received_at` last."""
        return {field.name: field for field in (*self.required, *self.optional, RECEIVED_AT)}

    @cached_property
    def checks(self) -> dict[str, Check]:
        """For each field, the function that checks its value and converts it to its type."""
        return {field.name: check_inline_label if field.type == "label" else field_checker(field) for field in self.fields.values()}


def _text(name: str, doc: str = "", *values: str) -> RecordField:
    """A record field that holds a text, restricted to `values` if they are given."""
    return RecordField(name, "text", doc, values)


def _number(name: str, doc: str = "", **bounds: Any) -> RecordField:
    """A record field that holds a number."""
    return RecordField(name, "number", doc, **bounds)


def _count(name: str, doc: str = "") -> RecordField:
    """A record field that holds a count: a whole number from 0 on."""
    return RecordField(name, "integer", doc, least=0)


RECEIVED_AT = RecordField("received_at", "time", "when the record first arrived (imports, replays); by default the time of loading")
ID, AT = _text("id", "unique within the model's version and environment"), RecordField("at", "time", "event time")
MODEL, VERSION = _text("model", "the model's name"), _text("version", "the version's name")
METRICS = RecordField("metrics", "object", "name: number", members="number")

_LABEL = (
    _text("source", "its origin", "outcome", "human", "proxy", "correction"),
    _text("annotator", "who gave it"),
    _text("guideline", "the version of the guideline"),
)
_ISSUE = (
    _text("issue", "its issue in a tracker, by the tracker's own id"),
    _text("issue_url", "the page of the issue"),
    _text("tracker", "the tracker's name in the alert settings"),
)
_EXPORT = (
    _text("recipient", "of an export: who got it"),
    _text("dataset", "of an export: the dataset"),
    RecordField(
        "columns", "object", 'of an export: {column: {"tag": personal, sensitive, quasi or none, "transform": what was done to it}}'
    ),
    _count("rows", "of an export: rows"),
    _text("transform", "of an export: what was done to all of it, for example none, aggregated, generalised, hashed, noised"),
    _text("legal_basis", "of an export: for example consent, contract, legal obligation, public task, legitimate interests"),
    _number("k", "of an export: smallest group of rows with equal quasi-identifying values", least=0),
    _number("epsilon", "of an export with noise: privacy loss ε", least=0),
    _number("delta", "of an export with noise: probability δ of a larger loss", least=0),
    RecordField("mechanism", "object", "of an export with noise: noise_multiplier, sampling_rate and steps, or laplace_scale and steps"),
    _text("attestation", "of an export into an enclave: the hash that it attested"),
    RecordField("canaries", "list", 'of an export: planted marks, {"name", "text"} or {"name", "row": {feature: value}, "label"}'),
    RecordField("checklist", "object", "of training on a third party's machines: {item: true or false}"),
)
"""Additional fields of an event whose `what` is `export`."""
OWN_SOURCE = "dashboard"
"""Value of the field `source` in the records of exports that the product itself made."""
_ALL = (
    Kind(
        "prediction",
        "One answer of a model",
        (ID, AT, MODEL, VERSION, RecordField("features", "object", "name: number, string, boolean or null")),
        (
            RecordField(
                "score", "score", "binary: probability of the positive class; regression: the value; multiclass: class: probability"
            ),
            RecordField("prediction", "scalar", "the answer: a class or a value"),
            _text("status", "result of the request; by default ok", "ok", "error", "timeout", "fallback", "rejected"),
            _number("latency_ms", "time to answer in milliseconds", least=0),
            _text("subject", "pseudonym of the person concerned"),
            RecordField("groups", "object", "sensitive attribute that is no feature: value"),
            _text("device", "the device it was for"),
            _text("replica", "the replica that answered"),
            _text("batch", "the batch of data it belongs to"),
            _text(
                "environment",
                "by default production; probe: a fixed question that is asked repeatedly, named by the field `item`; controller: a "
                "decision that steers a system",
                *ENVIRONMENTS,
            ),
            _number("threshold", "score from which the decision is the positive class", finite=True),
            _number("energy_j", "energy in joules", least=0),
            _number("cost", "money"),
            _number("weight", "inverse sampling rate", above=0, finite=True),
            RecordField("feature_at", "object", "feature: time it was read", members="time"),
            RecordField("acted_at", "time", "time of the action on it"),
            RecordField("attributions", "object", "feature: number; multiclass class: feature: number", members="attribution"),
            RecordField("base_value", "score", "base value of the attributions; multiclass: class: number"),
            _text("attributions_link", "the space in which attributions add up; by default identity", "identity", "logit", "log"),
            RecordField("label", "label", "the label where it is known already: a value, or an object with the fields of a label"),
        ),
        ("score", "prediction"),
    ),
    Kind("label", "The actual outcome of a prediction", (ID, AT, MODEL, RecordField("value", "scalar", "a class or a value")), _LABEL),
    Kind(
        "run",
        "A training run starts or ends",
        (_text("run", "the run's id"), AT, _text("event", "which of the two", "start", "end")),
        (
            MODEL,
            VERSION,
            RecordField("params", "object", "hyperparameters"),
            RecordField("hardware", "object", "what it ran on"),
            _text("dataset"),
            _text("study"),
            _text("status"),
            RecordField("seed", "scalar"),
            METRICS,
            RecordField("directions", "object", "metric: low or high, whichever is better, if its name does not say it"),
        ),
    ),
    Kind(
        "step",
        "One step of a training run",
        (_text("run", "the run's id"), AT, _count("step"), METRICS),
        (
            _text("rank", "the process in a distributed run"),
            _text("host"),
            _text("device", "the device that the process computes on"),
            RecordField("phase_ms", "object", "phase: milliseconds", members="number"),
            _text("batch", "the batch of data that was read in this step"),
        ),
    ),
    Kind(
        "resource",
        "What a device used",
        (AT, _text("device")),
        (
            _number("watts", least=0),
            _number("utilisation", "share, 0 to 1", least=0),
            _number("memory_gb", least=0),
            _number("temperature_c"),
            _text("run"),
            MODEL,
            VERSION,
            _text("host"),
            _text("phase"),
            _count("step"),
            _number("energy_j", "energy in joules", least=0),
            _number("seconds", "how long it covers", least=0),
            _text("source", "how it was determined", "measured", "estimated", "assumed"),
        ),
        ("watts", "utilisation", "memory_gb", "temperature_c"),
    ),
    Kind(
        "annotation",
        "One annotator labels one item",
        (_text("project"), _text("item"), _text("annotator"), AT, RecordField("label", "scalar")),
        (
            _number("seconds", "time it took", least=0),
            RecordField("gold", "scalar", "the known answer"),
            RecordField("suggestion", "scalar", "a machine's pre-label"),
            _number("suggestion_confidence"),
            _text("guideline"),
        ),
    ),
    Kind(
        "batch",
        "A batch of data arrives",
        (_text("batch"), AT, _text("source"), _count("rows")),
        (
            _text("device"),
            _count("rejected_rows"),
            RecordField("captured_from", "time"),
            RecordField("captured_to", "time"),
            RecordField("stats", "object", "column: {}"),
        ),
    ),
    Kind(
        "expected_batch",
        "A batch of predictions that should be delivered",
        (_text("batch", "the batch that the predictions name"), AT, MODEL),
        (
            VERSION,
            _count("rows", "rows that it should have"),
            RecordField("keys", "list", "the keys that it should have"),
            RecordField("due", "time", "when it should be complete"),
        ),
    ),
    Kind(
        "event",
        "Something happened that may explain a change",
        (AT, _text("what", "", "deploy", "data", "threshold", "guideline", "incident", "complaint", "export", "note"), _text("text")),
        (
            MODEL,
            VERSION,
            _text("prediction", "the id of the prediction concerned"),
            _text("subject"),
            _text("run", "the training run"),
            *_EXPORT,
        ),
    ),
    Kind(
        "price",
        "The price of a resource from a time on",
        (
            RecordField("from", "time", "start of validity"),
            _text("resource", "", "gpu_hour", "cpu_hour", "kwh", "label", "request", "gb_month"),
            _number("amount", finite=True),
            _text("currency"),
        ),
        (MODEL, _text("device"), _text("region"), _number("carbon_g_per_kwh"), _number("pue"), _number("embodied_g")),
    ),
    Kind(
        "dataset",
        "A version of a dataset",
        (_text("dataset"), VERSION, AT, _count("rows")),
        (
            _count("added"),
            _count("changed"),
            _count("deleted"),
            _count("bytes"),
            RecordField("columns", "object", "name: {}"),
            RecordField("parents", "list"),
            _text("checksum"),
        ),
    ),
    Kind(
        "cleaning",
        "A cleaning rule ran",
        (_text("rule"), AT, _count("rows_in"), _count("rows_changed"), _count("rows_dropped")),
        (_text("dataset"), VERSION, RecordField("groups", "object", 'column: {level: {"in": n, "dropped": n}}')),
    ),
    Kind(
        "assignment",
        "An item is given to an annotator",
        (_text("project"), _text("item"), _text("annotator"), AT),
        (_text("reason"), _number("score"), _text("policy")),
    ),
    Kind(
        "item",
        "An item of a labelling project, which needs no prediction; a later record of the same item replaces its content",
        (_text("project"), _text("item"), AT, RecordField("content", "object", "name: number, string, boolean or null")),
        (RecordField("classes", "list", "the labels that it may get"), _text("guideline", "version of the guideline")),
    ),
    Kind(
        "skip",
        "An annotator passes over an item without a label",
        (_text("project"), _text("item"), _text("annotator"), AT, _text("reason", "why it was not labelled")),
        (),
    ),
    Kind(
        "device_report",
        "A device that serves a model reports what it did since its last report",
        (_text("device", "the device"), AT, MODEL, VERSION),
        (
            RecordField("synced_at", "time", "when the report arrived at the collector; `at` is the device's own clock"),
            RecordField("oldest_at", "time", "time of the oldest answer since the last report"),
            _text("device_class", "class of the device, for example its type"),
            _text("firmware", "version of its system"),
            _text("ring", "ring of the roll-out that it belongs to"),
            _count("answers", "answers since the last report"),
            _count("crashes", "unexpected ends of the service"),
            _count("out_of_memory", "ends of the service because memory ran out"),
            _count("compared", "answers that the server gave as well"),
            _count("agreed", "of these, equal answers"),
            _number("battery", "charge, 0 to 1", least=0),
            _number("memory_peak_mb", least=0),
            _number("latency_p99_ms", least=0),
            _text("source", "how it was determined", "measured", "simulated"),
        ),
    ),
    Kind(
        "storage_report",
        "A place that stores data reports its state",
        (_text("place", "the place: a disk, a bucket, a table"), AT),
        (
            _text("dataset", "the dataset that it holds"),
            _text("tier", "storage tier, by speed and price", "hot", "cold", "archive"),
            _count("capacity_bytes", "bytes that it can hold"),
            _count("used_bytes", "bytes that it holds"),
            _count("files", "files or objects in it"),
            _count("small_files", "of these, smaller than 1 MB"),
            _count("duplicate_bytes", "bytes of files whose content another file has as well"),
            _count("cold_bytes", "bytes that nothing has read for 90 days"),
            RecordField("oldest_at", "time", "time of the oldest data in it"),
            _number("keep_days", "days after which data are to be removed", least=0, finite=True),
            _count("reads", "reads since the last report"),
            _count("read_errors", "of these, failed"),
            _number("read_p99_ms", "99th percentile of the time of a read since the last report", least=0),
            _count("writes", "writes since the last report"),
            _count("write_errors", "of these, failed"),
            _number("write_p99_ms", "99th percentile of the time of a write since the last report", least=0),
            _count("checked", "blocks whose checksum was compared since the last report"),
            _count("corrupt", "of these, blocks whose checksum had changed"),
            RecordField("backup_at", "time", "time of the newest complete backup"),
            _number("backup_hours", "hours that may pass between backups", above=0, finite=True),
            RecordField("restored_at", "time", "when a backup was last restored and compared"),
            _number("restore_days", "days that may pass between tests of a restore", above=0, finite=True),
            RecordField("complete_to", "time", "of a copy: the time up to which it holds all data of its source"),
            _text("source", "how it was determined", "measured", "estimated", "simulated"),
        ),
        ("used_bytes", "files", "oldest_at", "reads", "writes", "checked", "backup_at", "complete_to"),
    ),
    Kind(
        "audit",
        "An audit of a model version",
        (
            MODEL,
            VERSION,
            AT,
            _text("audit", "", "robustness", "membership", "explanations", "fairness", "leakage", "precision", "energy", "augmentation"),
            RecordField("results", "object"),
        ),
        (RecordField("expires", "time"),),
    ),
    Kind(
        "verdict",
        "A person's conclusion about one prediction; a later record of the same id adds to it",
        (
            _text("verdict", "the verdict's own id"),
            AT,
            MODEL,
            _text("prediction", "the id of the prediction"),
            _text("author", "who wrote it"),
            _text("source", "the source of the error", *TRIAGE_SOURCES),
        ),
        (
            _text("wrong", "whether the prediction was wrong, or its label", "yes", "no", "label_wrong"),
            _text("severity", "severity of the error", "low", "medium", "high"),
            _text("note"),
            _text("action", "the id of the action that follows from it"),
            _text("state", "by default standing", "standing", "withdrawn"),
        ),
    ),
    Kind(
        "action",
        "An action item; a later record of the same id adds to it",
        (_text("action", "the action's own id"), AT, _text("author", "who wrote it")),
        (
            _text("text", "the task, in words"),
            _text("do", "kind of action", "relabel", "fix_feed", "monitor_slice", "retrain", "change_threshold", "other"),
            _text("state", "by default open", "open", "done", "cancelled", "extended", "escalated", "verified"),
            _text("owner", "who does it"),
            RecordField("due", "time", "deadline"),
            MODEL,
            _text("prediction", "the id of the prediction that it is about"),
            _text("slice", "as in an address: a=x&b=y"),
            _text("incident", "the id of an incident"),
            _text("finding", "the id of a finding"),
            _text("review", "the id of a review"),
            _text("metric", "the metric it should improve"),
            _number("goal", "the value that the metric should reach", finite=True),
            _text("reason", "why it was postponed, escalated or cancelled"),
            *_ISSUE,
        ),
    ),
    Kind(
        "what_if",
        "Changed inputs of a prediction and the model's answer to them; a later record of the same id adds to it",
        (_text("what_if", "its own id"), AT, _text("author", "who wrote it")),
        (
            MODEL,
            _text("prediction", "the id of the prediction"),
            RecordField("changes", "object", "{feature: the changed value}"),
            _number("score", "the model's answer, simulated", finite=True),
            _number("before", "its answer to the stored input", finite=True),
            _text("answer", "the decision for the changed inputs"),
            _text("note"),
            _text("state", "by default standing", "standing", "withdrawn"),
        ),
    ),
    Kind(
        "saved_case",
        "A prediction that a person saved under a title; a later record of the same id adds to it",
        (
            _text("saved_case", "its own id"),
            AT,
            MODEL,
            _text("prediction", "the id of the prediction"),
            _text("author", "who wrote it"),
        ),
        (
            _text("title", "its title in the list of saved cases"),
            _text("note", "why it was saved"),
            _text("collection", "the cases that belong together"),
            _text("answer", "which of several predictions with this id, for example shadow/2"),
            _text("state", "by default standing", "standing", "withdrawn"),
        ),
    ),
    Kind(
        "review",
        "A frozen week: the figures of its review meeting, which never change",
        (
            _text("review", "the review's id, for example 2013-W27"),
            AT,
            _text("week", "the ISO week, in UTC"),
            _text("author", "who froze it"),
        ),
        (MODEL, RecordField("body", "object", "the frozen figures of the model; if the record names no model, those of all models")),
    ),
    Kind(
        "agenda",
        "A person's entry about an item of a review",
        (
            _text("review", "the review's id"),
            _text("item", "the item's id"),
            AT,
            _text("author", "who wrote it"),
            _text("does", "what happens to the item", "pin", "unpin", "rank", "add", "accept", "watch", "act", "reopen", "note", "close"),
        ),
        (_text("text", "in words"), MODEL, _text("action", "the id of the resulting action")),
    ),
    Kind(
        "decision",
        "A decision, with its decider and evidence; a later record of the same id adds to it",
        (_text("decision", "the decision's own id"), AT, _text("author", "who wrote it")),
        (
            _text("statement", "the decision, in one sentence"),
            _text("choice", "the decision about a version", "promote", "hold", "reject"),
            RecordField("options", "list", "the alternatives considered"),
            RecordField("evidence", "list", "ids or links of its evidence"),
            _text("decider", "who decided"),
            _text("dissent", "who disagreed, and why"),
            RecordField("revisit", "time", "when to review it"),
            _text("review", "the review's id"),
            _text("item", "the item's id"),
            MODEL,
            VERSION,
            *_ISSUE,
            _text("state", "by default standing", "standing", "withdrawn"),
        ),
    ),
    Kind(
        "signature",
        "A risk owner accepts a state until a date",
        (
            AT,
            _text("author", "the risk owner"),
            MODEL,
            _text("subject", "the accepted subject, for example sex or calibration"),
            RecordField("until", "time", "end of the acceptance"),
        ),
        (_text("review", "the review's id"), _text("finding", "the id of the finding"), _text("note", "why")),
    ),
    Kind(
        "alert",
        "An entry about the alert of an incident, by the dashboard or by a person",
        (
            _text("incident", "the incident's id"),
            AT,
            _text("author", "who wrote it"),
            _text(
                "says",
                "the kind of entry",
                "opened",
                "worse",
                "resolved",
                "acknowledged",
                "snoozed",
                "woken",
                "reopened",
                "useful",
                "not_useful",
                "note",
                "assigned",
            ),
        ),
        (
            MODEL,
            _text("severity", "severity of the incident", "watch", "act"),
            _text("title", "the incident in one sentence"),
            _text("source", "the suspected source", "input", "label", "model", "system"),
            _text("owner", "who owns the model; of an assignment, who takes it"),
            _text("reason", "why it is resolved", "real_fault", "expected_change", "false_alarm", "duplicate", "other"),
            _text("rule", "the rule that raised it, for example serving/drift/psi"),
            RecordField("claims", "list", "its findings, the leading one first: analyzer, subject, metric and slice"),
            RecordField("value", "number", "value of the leading finding when the alert was sent"),
            RecordField("until", "time", "end of a snooze; by default it lasts until the incident gets worse"),
            _text("text", "in words"),
        ),
    ),
    Kind(
        "dashboard",
        "A dashboard that people put together, or a page shared as a view; a later record of the same id adds to it",
        (_text("dashboard", "the dashboard's own id"), AT, _text("author", "who wrote it")),
        (
            _text("name", "its title"),
            _text("scope", "its model, version, time range and slice, as in an address"),
            _text("visibility", "who sees it; by default private", "private", "shared"),
            _text("send", "when its summary is sent; by default never", "never", "daily", *WEEKDAYS),
            _count("hour", "hour of the day at which it is sent, in the time zone of the alert settings"),
            _text("channel", "the channel that it is sent to"),
            _text("page", "of a shared view: its page"),
            _text("parameters", "of a shared view: the page's own parameters, as in an address"),
            _text("state", "by default standing", "standing", "withdrawn"),
        ),
    ),
    Kind(
        "pin",
        "A figure or a text on a dashboard; a later record of the same id adds to it",
        (_text("pin", "its own id"), _text("dashboard", "the id of the dashboard"), AT, _text("author", "who wrote it")),
        (
            _text("title"),
            _text("text", "the text, of a text between figures"),
            _text("page", "the page of the figure"),
            _text("figure", "the name of the figure on its page"),
            MODEL,
            _text("scope", "the figure's own model, version, time range and slice, as in an address"),
            _text("parameters", "the page's own parameters, as in an address"),
            _text("follows", "the part of the dashboard's scope that applies to the figure", "dashboard", "dates", "none"),
            _text("width", "", "half", "full"),
            _number("place", "its place in the order of the dashboard", finite=True),
            _text("state", "by default standing", "standing", "withdrawn"),
        ),
    ),
    Kind(
        "message",
        "A message about an alert: queued before it is sent, then sent or failed",
        (_text("message", "its idempotency key"), AT, _text("state", "its delivery state", "queued", "sent", "failed")),
        (
            _text("incident", "the incident's id"),
            _text("channel", "where it goes"),
            _text("title"),
            _text("text"),
            RecordField(
                "figures", "list", 'pictures in mails: {"title", "label", "points": [[day, value, low, high]], "limit", "share", "line"}'
            ),
            RecordField("not_before", "time", "end of the quiet hours"),
            _text("error", "why it failed"),
            MODEL,
        ),
    ),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _ALL}


def check_inline_label(value: Any, zone: tzinfo | None) -> dict[str, Any]:
    """A label inside its prediction, as typed values: "value", its other known fields, and "extra"."""
    if value.__class__ in SCALARS:
        return {"value": value, "extra": {}}
    if not isinstance(value, dict):
        raise Rejected("wrong_type", f"'label' is a value, or an object with 'value'; got {quoted_value(value)}")
    checks = KINDS["label"].checks
    own = {name: checks[name](member, zone) for name, member in value.items() if member is not None and name in INLINE}
    if "value" not in own:
        raise Rejected("missing_field", f"'label' has no 'value'{field_suggestion('value', value)}")
    return own | {"extra": {name: member for name, member in value.items() if name not in INLINE}}


def is_own_export(record: Mapping[str, object]) -> bool:
    """Whether a record notes an export that the product itself made."""
    return (record.get("kind"), record.get("what"), record.get("source")) == ("event", "export", OWN_SOURCE)
