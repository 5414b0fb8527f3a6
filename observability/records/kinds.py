"""Which kinds of records are there, and which fields has each? One table of facts, `KINDS`."""

from dataclasses import dataclass
from datetime import tzinfo
from functools import cached_property
from typing import Any

from observability.records.validation import Check, Field, checker, suggestion
from observability.records.values import SCALARS, Rejected, shown

INLINE = ("value", "at", "received_at", "source", "annotator", "guideline")
"""Fields of a label that stands inside its prediction."""
TRIAGE_SOURCES = ("input", "far_from_reference", "label", "weak_slice", "boundary", "version", "degraded_path", "unknown")
"""Where a bad prediction may come from: of the triage of a case, and of what a person concludes."""


@dataclass(frozen=True)
class Kind:
    """One kind of record. at_least_one: of these fields one must be there (of a prediction: unless its status says that it failed)."""

    name: str
    doc: str
    required: tuple[Field, ...]
    optional: tuple[Field, ...]
    at_least_one: tuple[str, ...] = ()

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Every field by its name, the required ones first, `received_at` last."""
        return {each.name: each for each in (*self.required, *self.optional, RECEIVED_AT)}

    @cached_property
    def checks(self) -> dict[str, Check]:
        """How the value of each field is checked and typed."""
        return {each.name: check_label if each.type == "label" else checker(each) for each in self.fields.values()}


def text(name: str, doc: str = "", *values: str) -> Field:
    """A field that is a text, one of `values` where they are given."""
    return Field(name, "text", doc, values)


def number(name: str, doc: str = "", **bounds: Any) -> Field:
    """A field that is a number."""
    return Field(name, "number", doc, **bounds)


def count(name: str, doc: str = "") -> Field:
    """A field that counts something."""
    return Field(name, "integer", doc, least=0)


RECEIVED_AT = Field("received_at", "time", "when it first arrived (imports, replays); absent, the time of loading")
ID, AT = text("id", "unique within the model"), Field("at", "time", "event time")
MODEL, VERSION = text("model", "the model's name"), text("version", "the version's name")
METRICS = Field("metrics", "object", "name: number", members="number")

_LABEL = (
    text("source", "where it is from", "outcome", "human", "proxy", "correction"),
    text("annotator", "who gave it"),
    text("guideline", "the version of the guideline"),
)
_ALL = (
    Kind(
        "prediction",
        "One answer of a model",
        (ID, AT, MODEL, VERSION, Field("features", "object", "name: number, string, boolean or null")),
        (
            Field("score", "score", "binary: probability of the positive class; regression: the value; multiclass: class: probability"),
            Field("prediction", "scalar", "what was answered: a class or a value"),
            text("status", "what became of the request; absent, ok", "ok", "error", "timeout", "fallback", "rejected"),
            number("latency_ms", "time to answer in milliseconds", least=0),
            text("subject", "pseudonym of the person concerned"),
            Field("groups", "object", "sensitive attribute that is no feature: value"),
            text("device", "the device it was for"),
            text("replica", "the replica that answered"),
            text("batch", "the batch of data it belongs to"),
            text("environment", "absent, production", "production", "shadow", "validation"),
            number("threshold", "score from which the decision is the positive class", finite=True),
            number("energy_j", "energy in joules", least=0),
            number("cost", "money"),
            number("weight", "inverse sampling rate", above=0, finite=True),
            Field("feature_at", "object", "feature: time it was read", members="time"),
            Field("acted_at", "time", "when somebody acted on it"),
            Field("attributions", "object", "feature: number; multiclass class: feature: number", members="attribution"),
            Field("base_value", "score", "what the attributions start from; multiclass: class: number"),
            text("attributions_link", "the space they add up in; absent, identity", "identity", "logit", "log"),
            Field("label", "label", "the label where it is known at once: a value, or an object with the fields of a label"),
        ),
        ("score", "prediction"),
    ),
    Kind("label", "What turned out to be true", (ID, AT, MODEL, Field("value", "scalar", "a class or a value")), _LABEL),
    Kind(
        "run",
        "A training run starts or ends",
        (text("run", "the run's id"), AT, text("event", "which of the two", "start", "end")),
        (
            MODEL,
            VERSION,
            Field("params", "object", "hyperparameters"),
            Field("hardware", "object", "what it ran on"),
            text("dataset"),
            text("study"),
            text("status"),
            Field("seed", "scalar"),
            METRICS,
        ),
    ),
    Kind(
        "step",
        "One step of a training run",
        (text("run", "the run's id"), AT, count("step"), METRICS),
        (
            text("rank", "the process in a distributed run"),
            text("host"),
            Field("phase_ms", "object", "phase: milliseconds", members="number"),
        ),
    ),
    Kind(
        "resource",
        "What a device used",
        (AT, text("device")),
        (
            number("watts", least=0),
            number("utilisation", "share, 0 to 1", least=0),
            number("memory_gb", least=0),
            number("temperature_c"),
            text("run"),
            MODEL,
            VERSION,
            text("host"),
            text("phase"),
            count("step"),
            number("energy_j", "energy in joules", least=0),
            number("seconds", "how long it covers", least=0),
            text("source", "how it was found", "measured", "estimated", "assumed"),
        ),
        ("watts", "utilisation", "memory_gb", "temperature_c"),
    ),
    Kind(
        "annotation",
        "One annotator labels one item",
        (text("project"), text("item"), text("annotator"), AT, Field("label", "scalar")),
        (
            number("seconds", "time it took", least=0),
            Field("gold", "scalar", "the known answer"),
            Field("suggestion", "scalar", "a machine's pre-label"),
            number("suggestion_confidence"),
            text("guideline"),
        ),
    ),
    Kind(
        "batch",
        "A batch of data arrives",
        (text("batch"), AT, text("source"), count("rows")),
        (
            text("device"),
            count("rejected_rows"),
            Field("captured_from", "time"),
            Field("captured_to", "time"),
            Field("stats", "object", "column: {}"),
        ),
    ),
    Kind(
        "event",
        "Something happened that may explain a change",
        (AT, text("what", "", "deploy", "data", "threshold", "guideline", "incident", "complaint", "export", "note"), text("text")),
        (MODEL, VERSION, text("prediction", "the id of the prediction concerned"), text("subject")),
    ),
    Kind(
        "price",
        "What something costs from now on",
        (
            Field("from", "time", "from when on"),
            text("resource", "", "gpu_hour", "cpu_hour", "kwh", "label", "request", "gb_month"),
            number("amount", finite=True),
            text("currency"),
        ),
        (MODEL, text("device"), text("region"), number("carbon_g_per_kwh"), number("pue"), number("embodied_g")),
    ),
    Kind(
        "dataset",
        "A version of a dataset",
        (text("dataset"), VERSION, AT, count("rows")),
        (
            count("added"),
            count("changed"),
            count("deleted"),
            count("bytes"),
            Field("columns", "object", "name: {}"),
            Field("parents", "list"),
            text("checksum"),
        ),
    ),
    Kind(
        "cleaning",
        "A cleaning rule ran",
        (text("rule"), AT, count("rows_in"), count("rows_changed"), count("rows_dropped")),
        (text("dataset"), VERSION, Field("groups", "object", 'column: {level: {"in": n, "dropped": n}}')),
    ),
    Kind(
        "assignment",
        "An item is given to an annotator",
        (text("project"), text("item"), text("annotator"), AT),
        (text("reason"), number("score"), text("policy")),
    ),
    Kind(
        "audit",
        "An audit of a model version",
        (MODEL, VERSION, AT, text("audit", "", "robustness", "membership", "precision"), Field("results", "object")),
        (Field("expires", "time"),),
    ),
    Kind(
        "verdict",
        "What a person concludes about one prediction; a later record of the same id adds to it",
        (
            text("verdict", "the verdict's own id"),
            AT,
            MODEL,
            text("prediction", "the id of the prediction"),
            text("author", "who says it"),
            text("source", "where the error comes from", *TRIAGE_SOURCES),
        ),
        (
            text("wrong", "whether the prediction was wrong, or its label", "yes", "no", "label_wrong"),
            text("severity", "how bad it is", "low", "medium", "high"),
            text("note"),
            text("action", "the id of the action that follows from it"),
            text("state", "absent, standing", "standing", "withdrawn"),
        ),
    ),
    Kind(
        "action",
        "What somebody has to do; a later record of the same id adds to it",
        (text("action", "the action's own id"), AT, text("author", "who says it")),
        (
            text("text", "what has to be done, in words"),
            text("do", "what kind of thing", "relabel", "fix_feed", "monitor_slice", "retrain", "change_threshold", "other"),
            text("state", "absent, open", "open", "done", "cancelled", "extended", "escalated"),
            text("owner", "who does it"),
            Field("due", "time", "until when"),
            MODEL,
            text("prediction", "the id of the prediction that it is about"),
            text("slice", "as in an address: a=x&b=y"),
            text("incident", "the id of an incident"),
            text("finding", "the id of a finding"),
            text("review", "the id of a review"),
            text("metric", "what it should move"),
            number("goal", "the value that the metric should reach", finite=True),
            text("reason", "why it was put off, passed on or given up"),
        ),
    ),
    Kind(
        "what_if",
        "Values that somebody tried on a prediction, and what the model said to them; a later record of the same id adds to it",
        (text("what_if", "its own id"), AT, text("author", "who says it")),
        (
            MODEL,
            text("prediction", "the id of the prediction"),
            Field("changes", "object", "{feature: the value that was tried}"),
            number("score", "the model's answer, simulated", finite=True),
            number("before", "its answer to the stored input", finite=True),
            text("answer", "what it would have decided"),
            text("note"),
            text("state", "absent, standing", "standing", "withdrawn"),
        ),
    ),
    Kind(
        "review",
        "A week is frozen: the numbers that its meeting reads, which never change",
        (text("review", "the review's id, as 2013-W27"), AT, text("week", "the ISO week, in UTC"), text("author", "who froze it")),
        (MODEL, Field("body", "object", "the frozen numbers: of one model, or without a model what concerns them all")),
    ),
    Kind(
        "agenda",
        "What somebody says about an item of a review",
        (
            text("review", "the review's id"),
            text("item", "the item's id"),
            AT,
            text("author", "who says it"),
            text("does", "what becomes of the item", "pin", "unpin", "rank", "add", "accept", "watch", "act", "reopen", "note"),
        ),
        (text("text", "in words"), MODEL, text("action", "the id of the action it ends in")),
    ),
    Kind(
        "decision",
        "What was decided, by whom, on which evidence; a later record of the same id adds to it",
        (text("decision", "the decision's own id"), AT, text("author", "who says it")),
        (
            text("statement", "what was decided, in one sentence"),
            text("choice", "of a version", "promote", "hold", "reject"),
            Field("options", "list", "what else was considered"),
            Field("evidence", "list", "ids or links that it rests on"),
            text("decider", "who decided"),
            text("dissent", "who disagreed, and why"),
            Field("revisit", "time", "when to look at it again"),
            text("review", "the review's id"),
            text("item", "the item's id"),
            MODEL,
            VERSION,
            text("state", "absent, standing", "standing", "withdrawn"),
        ),
    ),
    Kind(
        "signature",
        "A risk owner accepts a state until a date",
        (
            AT,
            text("author", "the risk owner"),
            MODEL,
            text("subject", "what is accepted, as sex or calibration"),
            Field("until", "time", "until when"),
        ),
        (text("review", "the review's id"), text("finding", "the id of the finding that showed it"), text("note", "why")),
    ),
    Kind(
        "alert",
        "What is said about the alert of an incident, by the dashboard or by a person",
        (
            text("incident", "the incident's id"),
            AT,
            text("author", "who says it"),
            text(
                "says",
                "what",
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
            ),
        ),
        (
            MODEL,
            text("severity", "how bad it is", "watch", "act"),
            text("title", "the incident in one sentence"),
            text("source", "what is suspected", "input", "label", "model", "system"),
            text("owner", "who owns the model"),
            text("rule", "the rule that raised it, as serving/drift/psi"),
            Field("claims", "list", "what its findings are about, the leading one first: analyzer, subject, metric and slice"),
            Field("value", "number", "of the leading claim, when it was told"),
            Field("until", "time", "of a snooze: until when; without it until it gets worse"),
            text("text", "in words"),
        ),
    ),
    Kind(
        "message",
        "A message about an alert: queued before it is sent, then sent or failed",
        (text("message", "its idempotency key"), AT, text("state", "what became of it", "queued", "sent", "failed")),
        (
            text("incident", "the incident's id"),
            text("channel", "where it goes"),
            text("title"),
            text("text"),
            Field("not_before", "time", "when quiet hours end"),
            text("error", "why it failed"),
            MODEL,
        ),
    ),
)
KINDS: dict[str, Kind] = {each.name: each for each in _ALL}


def check_label(value: Any, zone: tzinfo | None) -> dict[str, Any]:
    """An inline label: {"value", and what else it says, "extra"}."""
    if value.__class__ in SCALARS:
        return {"value": value, "extra": {}}
    if not isinstance(value, dict):
        raise Rejected("wrong_type", f"'label' is a value, or an object with 'value'; got {shown(value)}")
    checks = KINDS["label"].checks
    own = {name: checks[name](each, zone) for name, each in value.items() if each is not None and name in INLINE}
    if "value" not in own:
        raise Rejected("missing_field", f"'label' has no 'value'{suggestion('value', value)}")
    return own | {"extra": {name: each for name, each in value.items() if name not in INLINE}}
