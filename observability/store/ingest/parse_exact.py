"""Which row, or which reason, is in one line? The exact path, line by line, by which the fast one is judged.

Every rule is here: JSON, the record's own rules, what the catalog says about the model, and the defaults of whoever loads.
"""

from datetime import datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from observability.core.catalog import Catalog
from observability.core.errors import UsageError
from observability.core.time import naive_utc
from observability.records.kinds import KINDS
from observability.records.record import validate
from observability.records.values import NON_FINITE, Rejected, as_number, canonical_text, shown
from observability.store.ingest import parse_tables
from observability.store.ingest.parse_json import MAX_LINE_BYTES, canonical_json, decode
from observability.store.ingest.parse_plan import OBJECTS, ModelPlan, plan_of
from observability.store.ingest.parse_types import Defaults, Refused

SHOWN_CHARACTERS = 10_000
"""Of a line that is too large, this much is kept."""
LONGEST_NAME = 200
MOST_CLASSES = 1000
PLAIN_PREDICTION = tuple(parse_tables.PREDICTION)[10:15]
TEXT_PREDICTION = tuple(parse_tables.PREDICTION)[16:20]
Row = tuple[Any, ...]


class Reader:
    """What the lines of one block gave so far. Lines are given to `read` in any order; those that bring new columns in their own."""

    def __init__(self, catalog: Catalog, defaults: Defaults) -> None:
        self.catalog, self.defaults, self.zone = catalog, defaults, zone_of(defaults.timezone)
        self.plain = defaults == Defaults(timezone=defaults.timezone)
        self.plans: dict[str, ModelPlan] = {}
        self.predictions: dict[str, list[tuple[Row, list[Any]]]] = {}
        self.labels: dict[str, list[Row]] = {}
        self.others: dict[str, list[Row]] = {}
        self.rejected: list[Row] = []
        self.seen: dict[tuple[str, str], None] = {}

    def plan(self, model: str) -> ModelPlan:
        """The plan of a model, made when it is first asked for."""
        if model not in self.plans:
            self.plans[model] = plan_of(model, self.catalog)
        return self.plans[model]

    def read(self, line: int, raw: bytes) -> None:
        """Takes one line into a row, or into `rejected`."""
        obj: Any = None
        try:
            text = text_of(raw)
            obj = decode(text)
            if not self.plain and obj.__class__ is dict:
                obj = adapted(obj, self.defaults)
            record = validate(obj, timezone=self.zone)
            kind = record["kind"]
            if kind == "prediction":
                self.take_prediction(line, record)
            elif kind == "label":
                self.take_label(line, record)
            else:
                self.others.setdefault(kind, []).append(other_row(line, record))
        except Rejected as refusal:
            self.refuse(line, raw.decode("utf-8", "backslashreplace").rstrip("\r\n"), refusal.reason, refusal.message, obj)

    def refuse(self, line: int, raw: str, reason: str, message: str, obj: Any = None) -> None:
        """Notes a line that is no row."""
        said = obj if obj.__class__ is dict else {}
        kind, model = (
            each if each.__class__ is str and len(each) <= LONGEST_NAME else None for each in (said.get("kind"), said.get("model"))
        )
        raw = raw[:SHOWN_CHARACTERS] if reason == "too_large" else raw
        whole = (line, raw, reason, message, kind if kind in KINDS else None, model)
        self.rejected.append(tuple(clean(each) if each.__class__ is str else each for each in whole))

    def refuse_all(self, refused: tuple[Refused, ...]) -> None:
        """Notes lines that the reader of the file refused."""
        for each in refused:
            self.refuse(each.line, each.raw, each.reason, each.message)

    def take_prediction(self, line: int, record: dict[str, Any]) -> None:
        """A row of predictions, and one of labels where the label is known at once."""
        plan, take = self.plan(record["model"]), record.get
        score = take("score")
        check_score(plan, score)
        label, at = take("label"), naive(record["at"])
        if label is not None:
            check_value(plan, "label", label["value"])
        if score.__class__ is dict and len(plan.classes) < MOST_CLASSES:
            plan.classes.update(score)
        extra: dict[str, Any] = record["extra"]
        wrong: list[str] = []
        values = self.features(plan, record, extra, wrong)
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
            naive(take("received_at")),
            take("status", "ok"),
            max(score.values()) if score.__class__ is dict else score,
            probabilities,
            None if prediction is None else canonical_text(prediction),
            *map(take, PLAIN_PREDICTION),
            None if base is None else canonical_json(base),
            *map(take, TEXT_PREDICTION),
            naive(take("acted_at")),
            None if times is None else canonical_json({name: written(each) for name, each in times.items()}),
            None if attributions is None else canonical_json(attributions),
            take("attributions_link"),
            absent or None,
            wrong or None,
            canonical_json(extra) if extra else None,
        )
        self.predictions.setdefault(plan.name, []).append((row, values))
        self.seen["prediction", plan.name] = None
        if label is not None:
            received = naive(label.get("received_at") or take("received_at"))
            self.labels.setdefault(plan.name, []).append(label_row(line, record["id"], label, naive(label.get("at")) or at, received, True))

    def features(self, plan: ModelPlan, record: dict[str, Any], extra: dict[str, Any], wrong: list[str]) -> list[Any]:
        """The values of the columns. What is of another type, or has no column, goes to `extra`; references of the former to `wrong`."""
        values: list[Any] = [None] * len(plan.columns)
        plan.extras.update(name for name, each in extra.items() if each.__class__ not in (dict, list) and len(plan.extras) < 100)
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
                        values[place] = as_number(value)
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
        """A row of labels."""
        plan = self.plan(record["model"])
        check_value(plan, "value", record["value"])
        at, received = naive(record["at"]), naive(record.get("received_at"))
        self.labels.setdefault(plan.name, []).append(label_row(line, record["id"], record, at, received, False))
        self.seen["label", plan.name] = None

    def prediction_tables(self) -> dict[str, pa.Table]:
        """The predictions so far, a table a model."""
        tables = {}
        for name, rows in self.predictions.items():
            fixed = parse_tables.table(parse_tables.PREDICTION, [row for row, _ in rows])
            width, columns = len(self.plans[name].columns), self.plans[name].columns
            values = zip(*(each + [None] * (width - len(each)) for _, each in rows), strict=True)
            arrays = [pa.array(each, parse_tables.COLUMN[column.kind]) for each, column in zip(values, columns, strict=True)]
            tables[name] = pa.Table.from_arrays(
                [*fixed.columns, *arrays], names=[*fixed.column_names, *(each.reference for each in columns)]
            )
        return tables


def text_of(raw: bytes) -> str:
    """A line as text; raises Rejected where it is too large or not UTF-8."""
    if len(raw) > MAX_LINE_BYTES:
        raise Rejected("too_large", f"the line has {len(raw):,} bytes; a record has at most {MAX_LINE_BYTES:,}")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Rejected("bad_encoding", f"not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start + 1}") from None


def clean(text: str) -> str:
    """The text without halves of characters."""
    return text.encode("utf-8", "backslashreplace").decode()


def zone_of(name: str | None) -> tzinfo | None:
    """The time zone of that name; raises UsageError where there is none."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(
            "there is no such time zone", got=repr(name), expected="an IANA name", attempt="Write Europe/Paris or UTC"
        ) from None


def naive(instant: datetime | None) -> datetime | None:
    """The same instant without its zone, which is UTC."""
    return None if instant is None else naive_utc(instant)


def written(instant: datetime) -> str:
    """An instant in JSON: UTC, microseconds."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def adapted(obj: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    """The record with the renames, flat features, kind, model and version that the person who loads gave."""
    if defaults.renames:
        obj = renamed(obj, defaults.renames)
        obj |= {part: renamed(obj[part], defaults.renames) for part in OBJECTS if obj.get(part).__class__ is dict}
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


def renamed(obj: dict[str, Any], renames: Any) -> dict[str, Any]:
    """The object with their names replaced by ours; raises Rejected where ours is there as well."""
    found: dict[str, Any] = {}
    for name, value in obj.items():
        ours = renames.get(name, name)
        if ours in found:
            raise Rejected("duplicate_key", f"a field is to be renamed to {ours!r}, which is there too")
        found[ours] = value
    return found


def check_score(plan: ModelPlan, score: Any) -> None:
    """Whether a score fits the task of a registered model; raises Rejected."""
    if score is None or plan.task is None:
        return
    if plan.task == "multiclass":
        if score.__class__ is not dict:
            raise Rejected(
                "wrong_type", f"'score' of {plan.name}, a multiclass model, is an object of class: probability; got {shown(score)}"
            )
    elif score.__class__ is dict:
        raise Rejected("wrong_type", f"'score' of {plan.name}, a {plan.task} model, is a number; got {shown(score)}")
    elif plan.task == "binary" and (score < 0 or score > 1):
        raise Rejected("bad_value", f"'score' of {plan.name}, a binary model, is a probability from 0 to 1; got {shown(score)}")


def check_value(plan: ModelPlan, field: str, value: Any) -> None:
    """Whether a label fits the task of a registered model; raises Rejected."""
    if plan.task == "regression" and as_number(value) is None:
        raise Rejected("wrong_type", f"{field!r} of {plan.name}, a regression model, is a number; got {shown(value)}")


def label_row(line: int, prediction: str, label: dict[str, Any], at: datetime | None, received: datetime | None, inline: bool) -> Row:
    """A row of labels."""
    value, extra = label["value"], label["extra"]
    others = (label.get("source"), label.get("annotator"), label.get("guideline"), canonical_json(extra) if extra else None, inline)
    return (line, prediction, at, received, canonical_text(value), as_number(value), *others)


def other_row(line: int, record: dict[str, Any]) -> Row:
    """A row of another kind: objects and lists as JSON text, scalars as canonical text."""
    values: list[Any] = [line]
    for field in KINDS[record["kind"]].fields.values():
        value = record.get(field.name)
        if value is not None:
            if field.type in ("object", "list"):
                value = canonical_json(value)
            elif field.type == "scalar":
                value = canonical_text(value)
            elif field.type == "time":
                value = naive(value)
        values.append(value)
    extra = record["extra"]
    return (*values, canonical_json(extra) if extra else None)
