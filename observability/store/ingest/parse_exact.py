"""Parse single lines exactly. The fast parser is tested against this one.

All rules are here: JSON, the rules of records, what the catalog holds about the model, and the load defaults.
"""

from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from observability.core.catalog import Catalog
from observability.core.errors import UsageError
from observability.core.time import naive_utc
from observability.records.kinds import KINDS
from observability.records.record import validate
from observability.records.values import EXACT, NON_FINITE, Rejected, canonical_text, number_or_none, quoted_value
from observability.store.ingest import parse_tables
from observability.store.ingest.parse_json import MAX_LINE_BYTES, canonical_json, decode_json, escape_surrogates
from observability.store.ingest.parse_plan import OBJECTS, SCANNED_KINDS, ModelPlan, model_plan, record_plan
from observability.store.ingest.parse_types import RefusedLine
from observability.store.ingest.rounded_numbers import is_rounded, rounded_fields
from observability.store.types.loading import LoadDefaults

SHOWN_CHARACTERS = 10_000
"""Number of characters that are kept of a line that is too large."""
LONGEST_NAME = 200
MAX_CLASSES = 1000
PLAIN_PREDICTION = tuple(parse_tables.PREDICTION)[10:15]
TEXT_PREDICTION = tuple(parse_tables.PREDICTION)[16:20]
Row = tuple[Any, ...]


class ExactParser:
    """Parse the lines of one block and collect the results. Lines that bring new columns must be passed to `read` in their order."""

    def __init__(self, catalog: Catalog, defaults: LoadDefaults) -> None:
        self.catalog, self.defaults, self.zone = catalog, defaults, time_zone(defaults.timezone)
        self.plain = not (defaults.kind or defaults.model or defaults.version or defaults.renames) and defaults.features is None
        self.new_models: list[str] = []
        self.plans: dict[str, ModelPlan] = {}
        self.predictions: dict[str, list[tuple[Row, list[Any]]]] = {}
        self.labels: dict[str, list[Row]] = {}
        self.others: dict[str, list[Row]] = {}
        self.rejected: list[Row] = []
        self.seen: dict[tuple[str, str], int] = {}
        self.record_plans = {kind: record_plan(kind) for kind in SCANNED_KINDS}
        self.rounded: dict[tuple[str, str], tuple[int, int]] = {}

    def plan(self, model: str) -> ModelPlan:
        """The plan of a model, created on first use. Raises Rejected for a new model beyond the limit."""
        if model not in self.plans:
            limit = self.defaults.new_models
            if model not in self.catalog.by_name and (limit is None or model not in limit.admitted):
                if limit is not None and len(self.new_models) >= limit.most:
                    raise Rejected("too_many_models", f"the model {quoted_value(model)} is new: {limit.why}")
                self.new_models.append(model)
            self.plans[model] = model_plan(model, self.catalog)
        return self.plans[model]

    def read(self, line: int, raw: bytes) -> None:
        """Parse one line into a row, or into `rejected`."""
        obj: Any = None
        try:
            text = _decoded_line(raw)
            obj = decode_json(text)
            if not self.plain and obj.__class__ is dict:
                obj = _with_defaults(obj, self.defaults)
            record = validate(obj, timezone=self.zone)
            kind = record["kind"]
            if kind == "prediction":
                self.take_prediction(line, record)
            elif kind == "label":
                self.take_label(line, record)
            else:
                self.others.setdefault(kind, []).append(_other_row(line, record))
                if self.plain and kind in SCANNED_KINDS:
                    self.record_plans[kind].note(record)
                    self.seen[kind, ""] = self.seen.get((kind, ""), 0) + 1
            for name, value in rounded_fields(obj, kind):
                self.note_rounded(record.get("model") or f"kind {kind}", name, line, value)
        except Rejected as refusal:
            self.refuse(line, raw.decode("utf-8", "backslashreplace").rstrip("\r\n"), refusal.reason, refusal.message, obj)

    def refuse(self, line: int, raw: str, reason: str, message: str, obj: Any = None) -> None:
        """Add a line to the rejected ones, with the reason and the message."""
        given = obj if obj.__class__ is dict else {}
        kind, model = (
            name if name.__class__ is str and len(name) <= LONGEST_NAME else None for name in (given.get("kind"), given.get("model"))
        )
        raw = raw[:SHOWN_CHARACTERS] if reason == "too_large" else raw
        whole = (line, raw, reason, message, kind if kind in KINDS else None, model)
        self.rejected.append(tuple(escape_surrogates(value) if value.__class__ is str else value for value in whole))

    def note_rounded(self, owner: str, name: str, line: int, value: int) -> None:
        """Keep, for a column of a model or of a kind, the first line with a number that is rounded, and this number."""
        self.rounded[owner, name] = min(self.rounded.get((owner, name), (line, value)), (line, value))

    def refuse_all(self, refused: tuple[RefusedLine, ...]) -> None:
        """Add lines that the reader of the file has already rejected."""
        for line in refused:
            self.refuse(line.line, line.raw, line.reason, line.message)

    def take_prediction(self, line: int, record: dict[str, Any]) -> None:
        """Add a row of predictions, and one of labels if the record holds its label."""
        plan, take = self.plan(record["model"]), record.get
        score = take("score")
        _check_score(plan, score)
        label, at = take("label"), naive_utc(record["at"])
        if label is not None:
            _check_label(plan, "label", label["value"])
        if score.__class__ is dict and len(plan.classes) < MAX_CLASSES:
            plan.classes.update(score)
        extra: dict[str, Any] = record["extra"]
        wrong: list[str] = []
        values = self.features(plan, record, extra, wrong, line)
        features, expected = record["features"], plan.registered.get(record["version"])
        absent = (
            [f"feature.{name}" for name in expected if name not in features] if expected and not features.keys() >= set(expected) else None
        )
        probabilities = canonical_json(score) if score.__class__ is dict else None
        prediction, base, times = take("prediction"), take("base_value"), take("feature_at")
        attributions = take("attributions")
        row = (
            line,
            record["id"],
            record["version"],
            take("environment", "production"),
            at,
            _naive(take("received_at")),
            take("status", "ok"),
            max(score.values()) if score.__class__ is dict else score,
            probabilities,
            None if prediction is None else canonical_text(prediction),
            *map(take, PLAIN_PREDICTION),
            None if base is None else canonical_json(base),
            *map(take, TEXT_PREDICTION),
            _naive(take("acted_at")),
            None if times is None else canonical_json({name: _utc_text(instant) for name, instant in times.items()}),
            None if attributions is None else canonical_json(attributions),
            take("attributions_link"),
            absent or None,
            wrong or None,
            canonical_json(extra) if extra else None,
        )
        self.predictions.setdefault(plan.name, []).append((row, values))
        self.seen["prediction", plan.name] = self.seen.get(("prediction", plan.name), 0) + 1
        if label is not None:
            received = _naive(label.get("received_at") or take("received_at"))
            self.labels.setdefault(plan.name, []).append(
                _label_row(line, record["id"], label, _naive(label.get("at")) or at, received, True)
            )

    def features(self, plan: ModelPlan, record: dict[str, Any], extra: dict[str, Any], wrong: list[str], line: int) -> list[Any]:
        """Values of the columns of one record. Values of another type or without a column go to `extra`, and so do numbers that are
        rounded. The references of columns with a value of another type go to `wrong`.
        """
        values: list[Any] = [None] * len(plan.columns)
        plan.extras.update(name for name, value in extra.items() if value.__class__ not in (dict, list) and len(plan.extras) < 100)
        for part in OBJECTS:
            given = record.get(part)
            if not given:
                continue
            places = plan.places[part]
            for name, value in given.items():
                place = places.get(name)
                if place is None:
                    place = plan.add(part, name, value)
                    if place is None:
                        if value is None:
                            plan.nulls[part].add(name)
                        else:
                            extra.setdefault(part, {})[name] = value
                        continue
                    values.append(None)
                if value is None:
                    continue
                column, given_class = plan.columns[place], value.__class__
                if column.kind == "number":
                    if given_class is float:
                        values[place] = value
                        continue
                    if given_class is int or (given_class is str and value in NON_FINITE):
                        values[place] = number_or_none(value)
                        if given_class is int and not -EXACT <= value <= EXACT and is_rounded(value):
                            extra.setdefault(part, {})[name] = value
                            self.note_rounded(plan.name, column.reference, line, value)
                        continue
                elif column.kind == "category":
                    if given_class is str:
                        values[place] = value
                        continue
                    if (column.numbers and given_class in (int, float)) or (column.booleans and given_class is bool):
                        values[place] = canonical_text(value)
                        continue
                elif given_class is bool:
                    values[place] = value
                    continue
                wrong.append(column.reference)
                extra.setdefault(part, {})[name] = value
        return values

    def take_label(self, line: int, record: dict[str, Any]) -> None:
        """Add a row of labels."""
        plan = self.plan(record["model"])
        _check_label(plan, "value", record["value"])
        at, received = naive_utc(record["at"]), _naive(record.get("received_at"))
        self.labels.setdefault(plan.name, []).append(_label_row(line, record["id"], record, at, received, False))
        self.seen["label", plan.name] = self.seen.get(("label", plan.name), 0) + 1

    def prediction_tables(self) -> dict[str, pa.Table]:
        """The predictions so far, one table per model."""
        tables = {}
        for name, rows in self.predictions.items():
            fixed = parse_tables.table_from_rows(parse_tables.PREDICTION, [row for row, _ in rows])
            width, columns = len(self.plans[name].columns), self.plans[name].columns
            values = zip(*(row + [None] * (width - len(row)) for _, row in rows), strict=True)
            arrays = [
                pa.array(column_values, parse_tables.COLUMN[column.kind]) for column_values, column in zip(values, columns, strict=True)
            ]
            tables[name] = pa.Table.from_arrays(
                [*fixed.columns, *arrays], names=[*fixed.column_names, *(column.reference for column in columns)]
            )
        return tables


def _decoded_line(raw: bytes) -> str:
    """A line as text. Raises Rejected if it is too large or not UTF-8."""
    if len(raw) > MAX_LINE_BYTES:
        raise Rejected("too_large", f"the line has {len(raw):,} bytes; a record has at most {MAX_LINE_BYTES:,}")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected("bad_encoding", f"not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start + 1}") from None


def time_zone(name: str | None) -> tzinfo | None:
    """The time zone of that name. Raises UsageError if there is none."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(
            "there is no such time zone", got=repr(name), expected="an IANA name", attempt="Write Europe/Paris or UTC"
        ) from None


def _naive(instant: datetime | None) -> datetime | None:
    return None if instant is None else naive_utc(instant)


def _utc_text(instant: datetime) -> str:
    """An instant in JSON: UTC, microseconds."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _with_defaults(obj: dict[str, Any], defaults: LoadDefaults) -> dict[str, Any]:
    """The record with the renames, flat features, kind, model and version of the load defaults."""
    if defaults.renames:
        obj = _with_renames(obj, defaults.renames)
        obj |= {part: _with_renames(obj[part], defaults.renames) for part in OBJECTS if obj.get(part).__class__ is dict}
    for name in ("kind", "model", "version"):
        value = getattr(defaults, name)
        kind = KINDS.get(str(obj.get("kind")))
        if value is not None and obj.get(name) is None and (kind is None or name in kind.fields):
            obj = obj | {name: value}
    if defaults.features is not None and obj.get("kind") == "prediction":
        flat = {name: obj[name] for name in defaults.features if name in obj and name not in ("kind", "features")}
        inner = obj.get("features")
        if inner is None or inner.__class__ is dict:
            obj = {name: value for name, value in obj.items() if name not in flat} | {"features": (inner or {}) | flat}
    return obj


def _with_renames(obj: dict[str, Any], renames: Any) -> dict[str, Any]:
    """The object with renamed keys. Raises Rejected if a new name is already there."""
    found: dict[str, Any] = {}
    for name, value in obj.items():
        ours = renames.get(name, name)
        if ours in found:
            raise Rejected("duplicate_key", f"a field is to be renamed to {ours!r}, which is there too")
        found[ours] = value
    return found


def _check_score(plan: ModelPlan, score: Any) -> None:
    """Raise Rejected if a score does not fit the task of a registered model."""
    if score is None or plan.task is None:
        return
    if plan.task == "multiclass":
        if score.__class__ is not dict:
            raise Rejected(
                "wrong_type", f"'score' of {plan.name}, a multiclass model, is an object of class: probability; got {quoted_value(score)}"
            )
    elif score.__class__ is dict:
        raise Rejected("wrong_type", f"'score' of {plan.name}, a {plan.task} model, is a number; got {quoted_value(score)}")
    elif plan.task == "binary" and (score < 0 or score > 1):
        raise Rejected("bad_value", f"'score' of {plan.name}, a binary model, is a probability from 0 to 1; got {quoted_value(score)}")


def _check_label(plan: ModelPlan, field: str, value: Any) -> None:
    """Raise Rejected if a label does not fit the task of a registered model."""
    if plan.task == "regression" and number_or_none(value) is None:
        raise Rejected("wrong_type", f"{field!r} of {plan.name}, a regression model, is a number; got {quoted_value(value)}")


def _label_row(line: int, prediction: str, label: dict[str, Any], at: datetime | None, received: datetime | None, inline: bool) -> Row:
    """The row of one label for the table of labels."""
    value, extra = label["value"], label["extra"]
    others = (label.get("source"), label.get("annotator"), label.get("guideline"), canonical_json(extra) if extra else None, inline)
    return (line, prediction, at, received, canonical_text(value), number_or_none(value), *others)


@lru_cache
def _stored_fields(kind: str) -> tuple[tuple[str, ...], tuple[tuple[int, Callable[[Any], Any]], ...]]:
    """The fields of another kind; and, by place in the row, the conversions of fields that are converted before storing."""
    texts: dict[str, Callable[[Any], Any]] = {
        "object": canonical_json,
        "list": canonical_json,
        "scalar": canonical_text,
        "time": naive_utc,
    }
    fields = KINDS[kind].fields.values()
    return tuple(field.name for field in fields), tuple(
        (place, texts[field.type]) for place, field in enumerate(fields, 1) if field.type in texts
    )


def _other_row(line: int, record: dict[str, Any]) -> Row:
    """A row of another kind: objects and lists as JSON text, scalars as canonical text."""
    names, texts = _stored_fields(record["kind"])
    extra = record["extra"]
    values = [line, *map(record.get, names), canonical_json(extra) if extra else None]
    for place, text in texts:
        if values[place] is not None:
            values[place] = text(values[place])
    return tuple(values)
