"""The fields that lines of one kind and model may hold, as arrays for the compiled loop."""

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from observability.records.kinds import KINDS
from observability.records.validation import RecordField
from observability.store.ingest import parse_kernel as kernel
from observability.store.ingest.parse_plan import ModelPlan, RecordPlan
from observability.store.types.loading import LoadDefaults

Array = NDArray[Any]

TABLES = {"": 0, "features": 1, "groups": 2, "score": 3}


class SchemaArrays(NamedTuple):
    """A schema for the compiled loop, in the order of its arguments (columns: see the constants of parse_kernel.py)."""

    keys: Array
    entries: Array
    buckets: Array
    following: Array
    columns: Array
    bounds: Array
    options: Array
    option_bounds: Array


@dataclass
class SchemaColumn:
    """One column of a schema."""

    name: str
    kind: int
    flags: int = 0
    low: float = -np.inf
    high: float = np.inf
    inner: int = -1
    options: tuple[str, ...] = ()
    number: int = -1
    text: int = -1
    time: int = -1


@dataclass
class LineSchema:
    """Columns with the keys that name them. places: schema columns of features and groups by their position in the plan. members: the
    columns of the numbers in each object of another kind, by name.
    """

    columns: list[SchemaColumn] = field(default_factory=list)
    keys: list[tuple[int, str, int]] = field(default_factory=list)
    by_name: dict[str, int] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)
    nulls: dict[tuple[str, str], int] = field(default_factory=dict)
    extras: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    members: dict[str, dict[str, int]] = field(default_factory=dict)
    slots: list[int] = field(default_factory=lambda: [0, 0, 0])

    def add(self, table: int, key: str, spec: SchemaColumn) -> int:
        """Add a column for this key; return its number."""
        if spec.kind in (kernel.NUMBER, kernel.SCALAR):
            spec.number = self.take(0)
        if spec.kind in (kernel.TEXT, kernel.SCALAR, kernel.EXTRA):
            spec.text = self.take(1)
        if spec.kind == kernel.TIME:
            spec.time = self.take(2)
        self.columns.append(spec)
        self.keys.append((table, key, len(self.columns) - 1))
        return len(self.columns) - 1

    def take(self, which: int) -> int:
        """The next free slot for numbers, texts or times."""
        self.slots[which] += 1
        return self.slots[which] - 1

    def arrays(self) -> SchemaArrays:
        """The schema as arrays, which the compiled parser reads."""
        entries = [(table, name.encode(), column) for table, key, column in self.keys for name in _json_spellings(key)]
        columns, options = self.columns, [option.encode() for column in self.columns for option in column.options]
        option_ends = np.cumsum([len(column.options) for column in columns])
        key_lengths, option_lengths = [len(key) for _, key, _ in entries], [len(option) for option in options]
        buckets = np.full(4 * 2 ** max(4, len(entries).bit_length()), -1, np.int64)
        for number, (table, key, _) in enumerate(entries):
            place = _key_hash(table, key) & (len(buckets) - 1)
            while buckets[place] >= 0:
                place = (place + 1) & (len(buckets) - 1)
            buckets[place] = number

        rows = []
        for column, end in zip(columns, option_ends.tolist(), strict=True):
            slot = column.time if column.kind == kernel.TIME else column.number
            rows.append((column.kind, column.flags, slot, column.text, column.inner, end - len(column.options), end))
        places = zip(_starts(key_lengths), key_lengths, entries, strict=True)
        return SchemaArrays(
            keys=np.frombuffer(b"".join(key for _, key, _ in entries) + b" ", np.uint8),
            entries=np.array([(start, length, table, column) for start, length, (table, _, column) in places], np.int64).reshape(-1, 4),
            buckets=buckets,
            following=np.full(len(entries) + len(TABLES), -1, np.int64),
            columns=np.array(rows, np.int64),
            bounds=np.array([(column.low, column.high) for column in columns]),
            options=np.frombuffer(b"".join(options) + b" ", np.uint8),
            option_bounds=np.array([*zip(_starts(option_lengths), option_lengths, strict=True)], np.int64).reshape(-1, 2),
        )


def _starts(lengths: list[int]) -> list[int]:
    """Where each text begins when they are concatenated."""
    return list(accumulate(lengths, initial=0))[:-1]


def _json_spellings(key: str) -> list[str]:
    """Spellings of a key in JSON: as it is, and with escapes for non-ASCII characters."""
    plain, escaped = ("".join(_ESCAPES.get(sign, sign) for sign in key), "".join(_escape(sign) for sign in key))
    return [plain] if plain == escaped else [plain, escaped]


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def _escape(sign: str) -> str:
    if sign in _ESCAPES or " " <= sign < "\x7f":
        return _ESCAPES.get(sign, sign)
    units = sign.encode("utf-16-be")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def _key_hash(table: int, key: bytes) -> int:
    """FNV-1a of the bytes of a key, seeded with the number of its table."""
    value = (0xCBF29CE484222325 + table) & (2**64 - 1)
    for byte in key:
        value = ((value ^ byte) * 0x100000001B3) & (2**64 - 1)
    return value ^ (value >> 32)


def prediction_schema(plan: ModelPlan, defaults: LoadDefaults) -> LineSchema:
    """The schema of a model's predictions. Objects other than features, groups and score (attributions, …) are parsed exactly."""
    schema = LineSchema()
    fields = KINDS["prediction"].fields
    probability: dict[str, Any] = {"low": 0.0, "high": 1.0}
    whole = {name: _field_keys(name, defaults) for name in ("kind", "model", *fields)}
    needed = (*_fields_in_line(defaults, "prediction", plan.name), *(() if defaults.version is not None else ("version",)))

    def put(name: str, kind: int, flags: int = 0, **more: Any) -> None:
        required = kernel.REQUIRED if name in ("id", "at", *needed) else 0
        column = schema.add(0, name, SchemaColumn(name, kind, flags | required, **more))
        schema.keys[-1:] = [(0, key, column) for key in whole[name]]
        schema.by_name[name] = column

    put("kind", kernel.LITERAL, options=("prediction",))
    put("model", kernel.LITERAL, options=tuple(_json_spellings(plan.name)))
    for name in ("id", "version", "subject", "device", "replica", "batch"):
        put(name, kernel.TEXT, kernel.INTEGERS | kernel.NOT_EMPTY)
    for name in ("at", "received_at", "acted_at"):
        put(name, kernel.TIME, kernel.LOCAL_ALLOWED if defaults.timezone else 0)
    for name in ("status", "environment", "attributions_link"):
        put(name, kernel.ENUM, options=fields[name].values)
    score: dict[str, Any] = probability if plan.task == "binary" else {}
    inner = TABLES["score"] if plan.task in (None, "multiclass") and plan.classes else -1
    put("score", kernel.OBJECT if plan.task == "multiclass" else kernel.NUMBER, kernel.NAN_ALLOWED, inner=inner, **score)
    for name in ("latency_ms", "energy_j", "cost", "base_value"):
        least = fields[name].least
        put(name, kernel.NUMBER, kernel.NAN_ALLOWED, low=-np.inf if least is None else least)
    largest = float(np.finfo(np.float64).max)
    put("threshold", kernel.NUMBER, low=-largest, high=largest)
    put("weight", kernel.NUMBER, low=5e-324, high=largest)
    put("prediction", kernel.SCALAR)
    put("label", kernel.SCALAR, kernel.NUMBERS_ONLY if plan.task == "regression" else 0)
    put("features", kernel.OBJECT, kernel.REQUIRED if defaults.features is None else 0, inner=TABLES["features"])
    put("groups", kernel.OBJECT, inner=TABLES["groups"])
    if inner >= 0:
        for name in sorted(plan.classes):
            schema.classes[name] = schema.add(inner, name, SchemaColumn(f"score.{name}", kernel.NUMBER, **probability))
    flat = set(defaults.features or ()) - {"kind", "features"}
    schema.keys = [entry for entry in schema.keys if entry[0] or schema.columns[entry[2]].name not in flat]
    _add_feature_columns(schema, plan, flat, defaults)
    taken = {key for table, key, _ in schema.keys if table == 0} | {*fields, "kind"}
    for name in sorted(plan.extras - taken):
        schema.extras[name] = schema.add(0, name, SchemaColumn(name, kernel.EXTRA))
        schema.keys[-1:] = [(0, key, schema.extras[name]) for key in _field_keys(name, defaults)]
    return schema


def _add_feature_columns(schema: LineSchema, plan: ModelPlan, flat: set[str], defaults: LoadDefaults) -> None:
    """Add the columns of features and groups, and the names that had only null values up to now."""
    kinds = {"number": kernel.NUMBER, "category": kernel.TEXT, "boolean": kernel.BOOLEAN}
    for part, places in plan.places.items():
        named = [(name, place) for name, place in places.items()] + [(name, -1) for name in plan.nulls[part] if name not in places]
        for name, place in named:
            if place < 0:
                spec = SchemaColumn(f"{part}.{name}", kernel.NULLS_ONLY)
            else:
                column = plan.columns[place]
                flags = (kernel.INTEGERS if column.numbers else 0) | (kernel.LOGICAL if column.booleans else 0)
                spec = SchemaColumn(column.reference, kinds[column.kind], kernel.NAN_ALLOWED if column.kind == "number" else flags)
            number = schema.add(TABLES[part], name, spec)
            keys = _field_keys(name, defaults)
            schema.keys[-1:] = [(TABLES[part], key, number) for key in keys]
            if part == "features" and name in flat:
                schema.keys += [(0, key, number) for key in keys]
            if place >= 0:
                schema.places[place] = number
            else:
                schema.nulls[part, name] = number


def label_schema(plan: ModelPlan, defaults: LoadDefaults) -> LineSchema:
    """The schema of a model's labels."""
    schema, needed = LineSchema(), _fields_in_line(defaults, "label", plan.name)

    def put(name: str, kind: int, flags: int = 0, **more: Any) -> None:
        required = kernel.REQUIRED if name in ("id", "at", "value", *needed) else 0
        column = schema.add(0, name, SchemaColumn(name, kind, flags | required, **more))
        schema.keys[-1:] = [(0, key, column) for key in _field_keys(name, defaults)]
        schema.by_name[name] = column

    put("kind", kernel.LITERAL, options=("label",))
    put("model", kernel.LITERAL, options=tuple(_json_spellings(plan.name)))
    for name in ("id", "annotator", "guideline"):
        put(name, kernel.TEXT, kernel.INTEGERS | kernel.NOT_EMPTY)
    for name in ("at", "received_at"):
        put(name, kernel.TIME, kernel.LOCAL_ALLOWED if defaults.timezone else 0)
    put("source", kernel.ENUM, options=KINDS["label"].fields["source"].values)
    put("value", kernel.SCALAR, kernel.NUMBERS_ONLY if plan.task == "regression" else 0)
    return schema


def record_schema(plan: RecordPlan, defaults: LoadDefaults) -> LineSchema:
    """The schema of the records of another kind, without renames. Lists and objects of other values than numbers are parsed exactly."""
    schema, kind = LineSchema(), KINDS[plan.kind]
    schema.add(0, "kind", SchemaColumn("kind", kernel.LITERAL, kernel.REQUIRED, options=(plan.kind,)))
    tables = {name: number for number, name in enumerate(plan.members, 1)}
    for name, field_ in kind.fields.items():
        required = kernel.REQUIRED if field_ in kind.required else 0
        spec = _field_column(field_, defaults)
        spec.flags |= required
        spec.inner = tables.get(name, -1)
        schema.by_name[name] = schema.add(0, name, spec)
    flags = kernel.NAN_ALLOWED | kernel.NOT_NULL
    for name, table in tables.items():
        known = sorted(plan.members[name])
        schema.members[name] = {key: schema.add(table, key, SchemaColumn(f"{name}.{key}", kernel.NUMBER, flags)) for key in known}
    return schema


def _field_column(given: RecordField, defaults: LoadDefaults) -> SchemaColumn:
    """The column of a field of another kind, by its type."""
    low = -np.inf if given.least is None else given.least
    low = low if given.above is None else np.nextafter(given.above, np.inf)
    largest = float(np.finfo(np.float64).max)
    if given.type == "text" and given.values:
        return SchemaColumn(given.name, kernel.ENUM, options=given.values)
    if given.type == "text":
        return SchemaColumn(given.name, kernel.TEXT, kernel.INTEGERS | kernel.NOT_EMPTY)
    if given.type == "time":
        return SchemaColumn(given.name, kernel.TIME, kernel.LOCAL_ALLOWED if defaults.timezone else 0)
    if given.type == "integer":
        return SchemaColumn(given.name, kernel.NUMBER, kernel.WHOLE, low=given.least or 0, high=2.0**53 - 1)
    if given.type == "number" and given.finite:
        return SchemaColumn(given.name, kernel.NUMBER, low=max(low, -largest), high=largest)
    if given.type == "number":
        return SchemaColumn(given.name, kernel.NUMBER, kernel.NAN_ALLOWED, low=low)
    return SchemaColumn(given.name, kernel.SCALAR if given.type == "scalar" else kernel.OBJECT)


def _fields_in_line(defaults: LoadDefaults, kind: str, model: str) -> list[str]:
    """Which of the fields `kind` and `model` a line must contain, because the load defaults have another value."""
    return [name for name, given, wanted in (("kind", defaults.kind, kind), ("model", defaults.model, model)) if given != wanted]


def _field_keys(name: str, defaults: LoadDefaults) -> list[str]:
    """The keys that may name a field: its own name, unless this name stands for another field, and every name that is renamed to it."""
    own = [name] if defaults.renames.get(name, name) == name else []
    return own + [theirs for theirs, ours in defaults.renames.items() if ours == name and theirs != name]
