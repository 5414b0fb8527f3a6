"""What may stand where in the lines of one kind of record of one model, as arrays for the compiled loop?"""

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from observability.records.kinds import KINDS
from observability.store.ingest.parse_kernel import (  # fmt: skip
    BOOLEAN,
    ENUM,
    EXTRA,
    INTEGERS,
    LITERAL,
    LOCAL_ALLOWED,
    LOGICAL,
    NAN_ALLOWED,
    NOT_EMPTY,
    NULLS_ONLY,
    NUMBER,
    NUMBERS_ONLY,
    OBJECT,
    REQUIRED,
    SCALAR,
    TEXT,
    TIME,
)
from observability.store.ingest.parse_plan import ModelPlan
from observability.store.ingest.parse_types import Defaults

Array = NDArray[Any]

TABLES = {"": 0, "features": 1, "groups": 2, "score": 3}


class Arrays(NamedTuple):
    """A schema for the compiled loop, in the order of its arguments (see the constants of parse_kernel.py for their columns)."""

    keys: Array
    entries: Array
    buckets: Array
    following: Array
    columns: Array
    bounds: Array
    options: Array
    option_bounds: Array


@dataclass
class ColumnSpec:
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
class Schema:
    """Columns, and by which keys of which object they are named. places: columns of the plan (features, groups) by their position in it."""

    columns: list[ColumnSpec] = field(default_factory=list)
    keys: list[tuple[int, str, int]] = field(default_factory=list)
    by_name: dict[str, int] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)
    nulls: dict[tuple[str, str], int] = field(default_factory=dict)
    extras: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    slots: list[int] = field(default_factory=lambda: [0, 0, 0])

    def add(self, table: int, key: str, spec: ColumnSpec) -> int:
        """Adds a column that this key names; gives its number."""
        if spec.kind in (NUMBER, SCALAR):
            spec.number = self.take(0)
        if spec.kind in (TEXT, SCALAR, EXTRA):
            spec.text = self.take(1)
        if spec.kind == TIME:
            spec.time = self.take(2)
        self.columns.append(spec)
        self.keys.append((table, key, len(self.columns) - 1))
        return len(self.columns) - 1

    def take(self, which: int) -> int:
        """The next free slot for numbers, texts or times."""
        self.slots[which] += 1
        return self.slots[which] - 1

    def arrays(self) -> Arrays:
        """The schema for the compiled loop."""
        entries = [(table, name.encode(), column) for table, key, column in self.keys for name in spellings(key)]
        columns, options = self.columns, [option.encode() for each in self.columns for option in each.options]
        option_ends = np.cumsum([len(each.options) for each in columns])
        key_lengths, option_lengths = [len(key) for _, key, _ in entries], [len(each) for each in options]
        buckets = np.full(4 * 2 ** max(4, len(entries).bit_length()), -1, np.int64)
        for number, (table, key, _) in enumerate(entries):
            place = hash_of(table, key) & (len(buckets) - 1)
            while buckets[place] >= 0:
                place = (place + 1) & (len(buckets) - 1)
            buckets[place] = number

        rows = [
            (
                each.kind, each.flags, each.time if each.kind == TIME else each.number, each.text, each.inner, end - len(each.options), end
            )
            for each, end in zip(columns, option_ends.tolist(), strict=True)
        ]  # fmt: skip
        places = zip(starts(key_lengths), key_lengths, entries, strict=True)
        return Arrays(
            keys=np.frombuffer(b"".join(key for _, key, _ in entries) + b" ", np.uint8),
            entries=np.array([(start, length, table, column) for start, length, (table, _, column) in places], np.int64).reshape(-1, 4),
            buckets=buckets,
            following=np.full(len(entries) + len(TABLES), -1, np.int64),
            columns=np.array(rows, np.int64),
            bounds=np.array([(each.low, each.high) for each in columns]),
            options=np.frombuffer(b"".join(options) + b" ", np.uint8),
            option_bounds=np.array([*zip(starts(option_lengths), option_lengths, strict=True)], np.int64).reshape(-1, 2),
        )


def starts(lengths: list[int]) -> list[int]:
    """Where each of some texts begins when they stand one after the other."""
    return list(accumulate(lengths, initial=0))[:-1]


def spellings(key: str) -> list[str]:
    """How a key is written in JSON: as it is, and with escapes for what is not ASCII."""
    plain, escaped = ("".join(_ESCAPES.get(each, each) for each in key), "".join(_escape(each) for each in key))
    return [plain] if plain == escaped else [plain, escaped]


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def _escape(sign: str) -> str:
    if sign in _ESCAPES or " " <= sign < "\x7f":
        return _ESCAPES.get(sign, sign)
    units = sign.encode("utf-16-be")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def hash_of(table: int, key: bytes) -> int:
    """FNV-1a of the bytes of a key, begun with the number of its table."""
    value = (0xCBF29CE484222325 + table) & (2**64 - 1)
    for each in key:
        value = ((value ^ each) * 0x100000001B3) & (2**64 - 1)
    return value ^ (value >> 32)


def prediction_schema(plan: ModelPlan, defaults: Defaults) -> Schema:
    """The schema of a model's predictions. Objects other than features, groups and score (attributions, …) take the exact path."""
    schema = Schema()
    fields = KINDS["prediction"].fields
    probability: dict[str, Any] = {"low": 0.0, "high": 1.0}
    whole = {name: names_of(name, defaults) for name in ("kind", "model", *fields)}
    needed = (*not_given(defaults, "prediction", plan.name), *(() if defaults.version is not None else ("version",)))

    def put(name: str, kind: int, flags: int = 0, **more: Any) -> None:
        required = REQUIRED if name in ("id", "at", *needed) else 0
        column = schema.add(0, name, ColumnSpec(name, kind, flags | required, **more))
        schema.keys[-1:] = [(0, key, column) for key in whole[name]]
        schema.by_name[name] = column

    put("kind", LITERAL, options=("prediction",))
    put("model", LITERAL, options=tuple(spellings(plan.name)))
    for name in ("id", "version", "subject", "device", "replica", "batch"):
        put(name, TEXT, INTEGERS | NOT_EMPTY)
    for name in ("at", "received_at", "acted_at"):
        put(name, TIME, LOCAL_ALLOWED if defaults.timezone else 0)
    for name in ("status", "environment", "attributions_link"):
        put(name, ENUM, options=fields[name].values)
    score: dict[str, Any] = probability if plan.task == "binary" else {}
    inner = TABLES["score"] if plan.task in (None, "multiclass") and plan.classes else -1
    put("score", OBJECT if plan.task == "multiclass" else NUMBER, NAN_ALLOWED, inner=inner, **score)
    for name in ("latency_ms", "energy_j", "cost", "base_value"):
        least = fields[name].least
        put(name, NUMBER, NAN_ALLOWED, low=-np.inf if least is None else least)
    largest = float(np.finfo(np.float64).max)
    put("threshold", NUMBER, low=-largest, high=largest)
    put("weight", NUMBER, low=5e-324, high=largest)
    put("prediction", SCALAR)
    put("label", SCALAR, NUMBERS_ONLY if plan.task == "regression" else 0)
    put("features", OBJECT, REQUIRED if defaults.features is None else 0, inner=TABLES["features"])
    put("groups", OBJECT, inner=TABLES["groups"])
    if inner >= 0:
        for name in sorted(plan.classes):
            schema.classes[name] = schema.add(inner, name, ColumnSpec(f"score.{name}", NUMBER, **probability))
    flat = set(defaults.features or ()) - {"kind", "features"}
    schema.keys = [each for each in schema.keys if each[0] or schema.columns[each[2]].name not in flat]
    add_features(schema, plan, flat, defaults)
    taken = {key for table, key, _ in schema.keys if table == 0} | {*fields, "kind"}
    for name in sorted(plan.extras - taken):
        schema.extras[name] = schema.add(0, name, ColumnSpec(name, EXTRA))
        schema.keys[-1:] = [(0, key, schema.extras[name]) for key in names_of(name, defaults)]
    return schema


def add_features(schema: Schema, plan: ModelPlan, flat: set[str], defaults: Defaults) -> None:
    """The columns of features and groups, and the names that were null so far."""
    kinds = {"number": NUMBER, "category": TEXT, "boolean": BOOLEAN}
    for part, places in plan.places.items():
        named = [(name, place) for name, place in places.items()] + [(name, -1) for name in plan.nulls[part] if name not in places]
        for name, place in named:
            if place < 0:
                spec = ColumnSpec(f"{part}.{name}", NULLS_ONLY)
            else:
                column = plan.columns[place]
                flags = (INTEGERS if column.numbers else 0) | (LOGICAL if column.booleans else 0)
                spec = ColumnSpec(column.reference, kinds[column.kind], NAN_ALLOWED if column.kind == "number" else flags)
            number = schema.add(TABLES[part], name, spec)
            keys = names_of(name, defaults)
            schema.keys[-1:] = [(TABLES[part], key, number) for key in keys]
            if part == "features" and name in flat:
                schema.keys += [(0, key, number) for key in keys]
            if place >= 0:
                schema.places[place] = number
            else:
                schema.nulls[part, name] = number


def label_schema(plan: ModelPlan, defaults: Defaults) -> Schema:
    """The schema of a model's labels."""
    schema, needed = Schema(), not_given(defaults, "label", plan.name)

    def put(name: str, kind: int, flags: int = 0, **more: Any) -> None:
        required = REQUIRED if name in ("id", "at", "value", *needed) else 0
        column = schema.add(0, name, ColumnSpec(name, kind, flags | required, **more))
        schema.keys[-1:] = [(0, key, column) for key in names_of(name, defaults)]
        schema.by_name[name] = column

    put("kind", LITERAL, options=("label",))
    put("model", LITERAL, options=tuple(spellings(plan.name)))
    for name in ("id", "annotator", "guideline"):
        put(name, TEXT, INTEGERS | NOT_EMPTY)
    for name in ("at", "received_at"):
        put(name, TIME, LOCAL_ALLOWED if defaults.timezone else 0)
    put("source", ENUM, options=KINDS["label"].fields["source"].values)
    put("value", SCALAR, NUMBERS_ONLY if plan.task == "regression" else 0)
    return schema


def not_given(defaults: Defaults, kind: str, model: str) -> list[str]:
    """Which of `kind` and `model` a line must say itself, since it is not what the defaults say."""
    return [name for name, given, wanted in (("kind", defaults.kind, kind), ("model", defaults.model, model)) if given != wanted]


def names_of(name: str, defaults: Defaults) -> list[str]:
    """The keys by which a field may be called: its own name unless that is renamed to another, and every name that is renamed to it."""
    own = [name] if defaults.renames.get(name, name) == name else []
    return own + [theirs for theirs, ours in defaults.renames.items() if ours == name and theirs != name]
