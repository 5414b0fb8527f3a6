"""The raw rows of a store, one by one in plain Python, with the reference engine's bins and slices (reference_engine.py)."""

import bisect
import json
import math
from collections import defaultdict
from datetime import UTC, datetime

from observability.core.catalog import Edges, Version
from observability.core.questions import (
    ABSENT,
    NAN,
    NULL,
    UNKNOWN,
    UNSEEN,
    WRONG_TYPE,
    Bucket,
)
from observability.stats.quantile import LOG_EDGES
from observability.stats.scores import SCORE_EDGES

EPSILON = 2.220446049250313e-16
CACHE = {}


class Row:
    """One prediction, with the label that is valid at the time of the question."""

    def __init__(self, model, version, environment, fields, label):
        self.model, self.version, self.environment, self.fields, self.label = model, version, environment, fields, label

    @property
    def weight(self):
        return 1.0 if missing(self.fields["weight"]) else self.fields["weight"]

    @property
    def code(self):
        """The class index of the label. It is 0 for a labelled row of a regression, and -1 without a known label."""
        if self.label is None:
            return UNKNOWN
        if self.model.task == "regression":
            return UNKNOWN if self.label["number"] is None else 0
        return class_index(self.model, self.label["value"])

    @property
    def probabilities(self):
        text = self.fields["probabilities"]
        return None if missing(text) else json.loads(text)

    def number(self, reference):
        """The number that a reference (such as `score`) names: None if unknown; NaN stays NaN."""
        column = self.model.column(reference)
        if column is not None:
            return self.fields[column.column]
        if reference in ("score", "latency_ms", "energy_j", "cost"):
            return self.fields[reference]
        if reference.startswith("score."):
            return None if self.probabilities is None else self.probabilities.get(self.model.classes[int(reference[6:])])
        score = self.fields["score"]
        if reference == "label_value":
            return None if self.label is None else self.label["number"]
        if self.code == UNKNOWN:
            return None
        if reference in ("error", "absolute_error", "squared_error"):
            if score is None:
                return None
            error = score - self.label["number"]
            return {"error": error, "absolute_error": abs(error), "squared_error": error * error}[reference]
        if reference == "correct":
            return None if self.fields["decision"] < 0 else float(self.fields["decision"] == self.code)
        if self.model.task == "binary":
            if missing(score) or not math.isfinite(score):
                return None
            return log_loss(score if self.code == 1 else 1 - score) if reference == "log_loss" else (score - self.code) ** 2
        own = None if self.probabilities is None else self.probabilities.get(self.model.classes[self.code])
        if missing(own):
            return None
        if reference == "log_loss":
            return log_loss(own)
        return math.fsum((self.probabilities.get(name, 0.0) - (k == self.code)) ** 2 for k, name in enumerate(self.model.classes))

    def bin(self, reference):
        """The bin of the value that a reference (such as `score`) names; None if the row is not counted."""
        column = self.model.column(reference)
        edges = bins(self.model, self.version, reference)
        if column is not None and column.id in (self.fields["absent"] if self.fields["absent"] is not None else ()):
            return ABSENT
        if column is not None and column.id in (self.fields["wrong"] if self.fields["wrong"] is not None else ()):
            return WRONG_TYPE
        if column is not None and column.kind != "number":
            text = level(self.fields[column.column])
            return NULL if text is None else edges.levels.index(text) if text in edges.levels else UNSEEN
        if reference == "error" and self.code == UNKNOWN:
            return None
        value = self.number(reference)
        return NULL if value is None else NAN if math.isnan(value) else bisect.bisect_right(edges.edges, value)

    def key(self, key):
        """The value by which the row is grouped."""
        if isinstance(key, Bucket):
            if self.environment == "reference":
                return datetime(1970, 1, 1)
            at = self.fields["at"].replace(minute=0, second=0, microsecond=0)
            return at if key.period == "hour" else at.replace(hour=0)
        name = key.column
        if name == "version":
            return self.version.name
        if name == "currency":
            stated = json.loads(self.fields["extra"] or "{}").get("currency")
            return stated if isinstance(stated, str) and stated else None
        if name == "label":
            return self.code
        if name == "decision":
            return int(self.fields["decision"])
        if name == "score_bin":
            return self.bin("score") if self.model.classes else -1
        return self.band(name[5:]) if name.startswith("band.") else self.text(name)

    def band(self, name):
        """The band of a sensitive number; None if the number is missing or the version has no bands."""
        column = self.model.column(f"feature.{name}") or self.model.column(f"group.{name}")
        limits, value = self.version.edges.get(f"band.{name}", Edges()).edges, self.fields[column.column]
        if not limits or missing(value):
            return None
        place = sum(limit <= value for limit in limits)
        if place in (0, len(limits)):
            return f"below {limits[0]:.12g}" if place == 0 else f"{limits[-1]:.12g} and above"
        return f"{limits[place - 1]:.12g} to below {limits[place]:.12g}"

    def text(self, name):
        """A field, feature or group as text; None if it is missing."""
        column = self.model.column(name)
        text = level(self.fields[name if column is None else column.column])
        return None if text == "null" else text


def missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def level(value):
    """The canonical text of a value; None if the value is null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if math.isfinite(value) and value == math.floor(value) else repr(value)


def log_loss(p):
    return -math.log(min(max(p, EPSILON), 1 - EPSILON))


def class_index(model, value):
    if model.classes == ("0", "1"):
        value = {"true": "1", "false": "0"}.get(value, value)
    return model.classes.index(value) if value in model.classes else UNKNOWN


def bins(model, version, reference):
    """The reference's edges for a version."""
    if reference == "latency_ms":
        return Edges(edges=tuple(LOG_EDGES))
    if model.classes and (reference == "score" or reference.startswith("score.")):
        return Edges(edges=tuple(SCORE_EDGES))
    return version.edges.get(reference, Edges())


def table(cursor, name):
    """Every row of a table as a dictionary of plain values."""
    found = cursor.execute(f"SELECT * FROM {name}")
    names = [each[0] for each in found.description]
    return [dict(zip(names, row)) for row in found.fetchall()]


def stored(store, model):
    """All raw rows of a model: predictions, label revisions by id, streams by number. They are cached for one generation of the store."""
    key = (str(store.home), model.name)
    if key not in CACHE or CACHE[key][0] != store.generation:
        cursor = store.cursor()
        revisions = defaultdict(list)
        for label in table(cursor, f"labels_{model.key}"):
            revisions[label["id"]].append(label)
        streams = {each["stream"]: (each["version"], each["environment"]) for each in table(cursor, "streams") if each["key"] == model.key}
        CACHE[key] = (store.generation, table(cursor, f"predictions_{model.key}"), revisions, streams)
        cursor.close()
    return CACHE[key][1:]


def rows_of(store, window):
    """The rows of a window, one by one."""
    model = store.catalog().model(window.model)
    predictions, revisions, streams = stored(store, model)
    start, end, as_of = (
        None if each is None else each.astimezone(UTC).replace(tzinfo=None) for each in (window.start, window.end, window.as_of)
    )
    timeless = window.environment == "reference"
    for fields in predictions:
        version, environment = streams[fields["stream"]]
        if environment != window.environment or window.version not in (None, version):
            continue
        known = [each for each in revisions[fields["id"]] if timeless or as_of is None or each["arrived"] <= as_of]
        if not timeless and not (start <= fields["at"] < end and (as_of is None or fields["arrived"] <= as_of)):
            continue
        label = max(known, key=lambda each: (each["at"], each["arrived"], each["value"]), default=None)
        row = Row(model, model.version(version) or Version(version), environment, fields, label)
        if all(in_slice(row, model.resolve(name), value) for name, value in (window.slice.conditions if window.slice else ())):
            yield row


def in_slice(row, reference, value):
    if reference == "version":
        return row.version.name == value
    column = row.model.column(reference)
    if column is not None and column.kind == "number" and value not in ("null", "NaN"):
        number = row.number(reference)
        words = value.split()
        if "below" in words or "above" in words:
            low = float(words[0]) if words[0] != "below" else -math.inf
            high = math.inf if words[-1] == "above" else float(words[-1])
            return number is not None and low <= number and (number < high or high == math.inf)
        try:
            return number == float(value)
        except ValueError:
            return False
    return (row.text(reference) or "null") == value
