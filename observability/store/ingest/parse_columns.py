"""Convert the columns that the compiled loop filled into the tables of the parser."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from observability.core.time import naive_utc
from observability.records.values import canonical_text
from observability.store.ingest.parse_json import canonical_json
from observability.store.ingest.parse_kernel import (
    ABSENT,
    BOOLEANS,
    ENUM,
    LOCAL,
    NULL,
    NUMBER,
    ODD_NUMBER,
    PLAIN,
    RAW,
    SCALAR,
    gather_texts,
)
from observability.store.ingest.parse_kernel import TEXT as TEXT_FIELD
from observability.store.ingest.parse_kernel import TIME as TIME_FIELD
from observability.store.ingest.parse_plan import ModelPlan
from observability.store.ingest.parse_schema import LineSchema
from observability.store.ingest.parse_tables import COLUMN, LABEL, PREDICTION, REFERENCES, TEXT, TIME, other_columns
from observability.store.types.loading import LoadDefaults

Array = np.ndarray[Any, np.dtype[Any]]
NOTHING = np.zeros(1, np.uint8)
EPOCH = datetime(1970, 1, 1)
EXACT = 1e15
"""Whole numbers below this have the same text as integers and as doubles."""


class ScanBuffers(NamedTuple):
    """Output arrays of the compiled loop, in the order of its arguments.

    lines: line number by row. state: by line and column of the schema. numbers, times: by slot and row. texts: start and length in the
    buffer, by slot and row. later: numbers left to Python, see `scan_lines`.
    """

    lines: Array
    state: Array
    numbers: Array
    times: Array
    texts: Array
    later: Array


@dataclass(frozen=True)
class ScannedRows:
    """The rows that the compiled loop parsed. states: by column of the schema and row. columns: the output arrays."""

    raw: Any
    buffer: Array
    count: int
    states: Array
    columns: ScanBuffers

    def text(self, slot: int, row: int) -> str:
        """The text of a slot as written in the line."""
        start, length = self.columns.texts[slot, row].tolist()
        return bytes(self.raw[start : start + length]).decode()


def _masked_array(values: Array, valid: Array, kind: pa.DataType) -> pa.Array:
    """Values as an array, null where not valid. NaN stays NaN."""
    if valid.all():
        return pa.array(values, kind)
    bits = np.packbits(valid, bitorder="little")
    nulls = int(valid.size - np.count_nonzero(valid))
    return pa.Array.from_buffers(kind, len(values), [pa.py_buffer(bits), pa.py_buffer(np.ascontiguousarray(values))], nulls)


def _number_column(rows: ScannedRows, schema: LineSchema, column: int) -> pa.Array:
    """A NUMBER column; the numeric values of a SCALAR column."""
    state = rows.states[column]
    return _masked_array(rows.columns.numbers[schema.columns[column].number, : rows.count], state >= PLAIN, pa.float64())


def _time_column(rows: ScannedRows, schema: LineSchema, column: int, zone: Any) -> pa.Array:
    """A TIME column in UTC; times without an offset are local in `zone`."""
    state = rows.states[column]
    values = rows.columns.times[schema.columns[column].time, : rows.count]
    local = np.flatnonzero(state == LOCAL)
    if local.size:
        instants, place = np.unique(values[local], return_inverse=True)
        values[local] = np.array([_local_to_utc(instant, zone) for instant in instants.tolist()], np.int64)[place]
    return _masked_array(values, state >= PLAIN, TIME)


def _local_to_utc(local: int, zone: Any) -> int:
    """UTC microseconds since 1970 of a local time in microseconds since 1970."""
    instant = naive_utc((EPOCH + timedelta(microseconds=local)).replace(tzinfo=zone))
    return (instant - EPOCH) // timedelta(microseconds=1)


def _text_column(rows: ScannedRows, schema: LineSchema, column: int) -> pa.Array:
    """A TEXT or SCALAR column; numbers in their canonical text."""
    spec, state = schema.columns[column], rows.states[column]
    places = rows.columns.texts[spec.text, : rows.count]
    side, odd = NOTHING, np.flatnonzero(state == ODD_NUMBER)
    if odd.size:
        written = [_number_text(rows, spec.text, spec.number, row).encode() for row in odd.tolist()]
        sizes = np.array([len(text) for text in written])
        places[odd, 0], places[odd, 1] = np.cumsum(sizes) - sizes, sizes
        side = np.frombuffer(b"".join(written), np.uint8)
    valid = state >= PLAIN
    out = np.empty(int(places[valid, 1].sum()) + 1, np.uint8)
    offsets = np.empty(rows.count + 1, np.int32)
    used = gather_texts(rows.buffer, side, places, state, offsets, out)
    bits, nulls = (None, 0) if valid.all() else (pa.py_buffer(np.packbits(valid, bitorder="little")), int(np.count_nonzero(~valid)))
    return pa.Array.from_buffers(TEXT, rows.count, [bits, pa.py_buffer(offsets), pa.py_buffer(out[:used])], nulls)


def _number_text(rows: ScannedRows, text: int, number: int, row: int) -> str:
    """The canonical text of a number whose text in the line is not canonical."""
    value = float(rows.columns.numbers[number, row])
    return canonical_text(value) if abs(value) < EXACT else canonical_text(json.loads(rows.text(text, row)))


def _enum_column(rows: ScannedRows, schema: LineSchema, column: int, default: str | None) -> pa.Array:
    """An ENUM column, with a default for absent and null values."""
    names = [*schema.columns[column].options, default]
    codes = rows.states[column].astype(np.int32) - PLAIN
    codes[codes < 0] = len(names) - 1
    if (codes == codes[0]).all():
        return pa.repeat(pa.scalar(names[codes[0]], TEXT), rows.count)
    return pa.array(names, TEXT).take(pa.array(codes))


def _filled(array: pa.Array, default: str | None) -> pa.Array:
    """The array with a default in place of nulls."""
    return array if default is None or not array.null_count else array.fill_null(default)


def prediction_tables(
    rows: ScannedRows, schema: LineSchema, plan: ModelPlan, defaults: LoadDefaults, zone: Any
) -> tuple[pa.Table | None, pa.Table | None]:
    """The table of predictions, and the table of the labels inside them."""
    if not rows.count:
        return None, None
    of = schema.by_name
    score, probabilities = _score_columns(rows, schema)
    made: dict[str, pa.Array] = {"line": pa.array(rows.columns.lines[: rows.count]), "score": score, "probabilities": probabilities}
    for name in ("id", "version", "subject", "device", "replica", "batch", "prediction"):
        made[name] = _text_column(rows, schema, of[name])
    made["version"] = _filled(made["version"], defaults.version)
    for name in ("at", "received_at", "acted_at"):
        made[name] = _time_column(rows, schema, of[name], zone)
    for name, default in (("status", "ok"), ("environment", "production"), ("attributions_link", None)):
        made[name] = _enum_column(rows, schema, of[name], default)
    for name in ("threshold", "latency_ms", "energy_j", "cost", "weight"):
        made[name] = _number_column(rows, schema, of[name])
    base = _number_column(rows, schema, of["base_value"])
    if base.null_count < rows.count:
        made["base_value"] = pa.array([None if value is None else canonical_json(value) for value in base.to_pylist()], TEXT)
    made["absent"] = _absent_column(rows, schema, plan, made["version"])
    made["extra"] = _extra_column(rows, schema)
    arrays = [made[name] if name in made else pa.nulls(rows.count, kind) for name, kind in PREDICTION.items()]
    names = list(PREDICTION)
    for place, planned in enumerate(plan.columns):
        column = schema.places.get(place, -1)
        names.append(planned.reference)
        if column < 0 or not rows.states[column].any():
            arrays.append(pa.nulls(rows.count, COLUMN[planned.kind]))
        elif planned.kind == "number":
            arrays.append(_number_column(rows, schema, column))
        elif planned.kind == "category":
            arrays.append(_text_column(rows, schema, column))
        else:
            arrays.append(pa.array(rows.states[column] == RAW, pa.bool_(), mask=rows.states[column] < PLAIN))
    labelled = rows.states[of["label"]] >= PLAIN
    labels = None
    if labelled.any():
        labels = _label_columns(
            made, _text_column(rows, schema, of["label"]), _label_numbers(rows, schema, of["label"]), rows.count, inline=True
        )
        labels = labels if labelled.all() else labels.filter(pa.array(labelled))
    return pa.Table.from_arrays(arrays, names=names), labels


def label_table(rows: ScannedRows, schema: LineSchema, field: str, zone: Any) -> pa.Table | None:
    """The label records of a block as a table; None without rows."""
    if not rows.count:
        return None
    of = schema.by_name
    made = {name: _text_column(rows, schema, of[name]) for name in ("id", "annotator", "guideline")}
    made |= {name: _time_column(rows, schema, of[name], zone) for name in ("at", "received_at")}
    made |= {"line": pa.array(rows.columns.lines[: rows.count]), "source": _enum_column(rows, schema, of["source"], None)}
    return _label_columns(made, _text_column(rows, schema, of[field]), _label_numbers(rows, schema, of[field]), rows.count, inline=False)


def record_table(rows: ScannedRows, schema: LineSchema, kind: str, zone: Any) -> pa.Table | None:
    """The records of one kind other than prediction and label as a table; None without rows."""
    if not rows.count:
        return None
    columns = other_columns(kind)
    made: dict[str, pa.Array] = {"line": pa.array(rows.columns.lines[: rows.count])}
    for name, column in schema.by_name.items():
        spec = schema.columns[column]
        if not rows.states[column].any():
            continue
        if spec.kind in (TEXT_FIELD, SCALAR):
            made[name] = _text_column(rows, schema, column)
        elif spec.kind == ENUM:
            made[name] = _enum_column(rows, schema, column, None)
        elif spec.kind == TIME_FIELD:
            made[name] = _time_column(rows, schema, column, zone)
        elif spec.kind == NUMBER:
            made[name] = _number_column(rows, schema, column).cast(columns[name])
        elif name in schema.members:
            made[name] = _object_column(rows, schema, column, schema.members[name])
    return pa.Table.from_arrays([made.get(name, pa.nulls(rows.count, type_)) for name, type_ in columns.items()], names=list(columns))


def _object_column(rows: ScannedRows, schema: LineSchema, column: int, members: Mapping[str, int]) -> pa.Array:
    """An OBJECT column as canonical JSON text. members: schema columns of its numbers by name."""
    names, written = sorted(members), np.full(rows.count, None, object)
    there = np.flatnonzero(rows.states[column] == RAW)
    values = rows.columns.numbers[[schema.columns[members[name]].number for name in names]][:, there]
    present = rows.states[[members[name] for name in names]][:, there] >= PLAIN
    patterns, of_row = np.unique(present, axis=1, return_inverse=True) if names else (np.zeros((0, 1), bool), np.zeros(there.size, int))
    for place, pattern in enumerate(patterns.T):
        chosen = np.flatnonzero(of_row.ravel() == place)
        keys = [name for name, has in zip(names, pattern.tolist(), strict=True) if has]
        template = "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:".replace("%", "%%") + "%r" for key in keys) + "}"
        own = values[pattern][:, chosen]
        written[there[chosen]] = [template % each for each in zip(*own.tolist(), strict=True)] if keys else "{}"
        for row in np.flatnonzero(~np.isfinite(own).all(axis=0)).tolist():
            written[there[chosen[row]]] = canonical_json(dict(zip(keys, own[:, row].tolist(), strict=True)))
    return pa.array(written, TEXT)


def _label_columns(made: dict[str, pa.Array], value: pa.Array, number: pa.Array, count: int, *, inline: bool) -> pa.Table:
    """A table of labels. Labels that are objects inside a prediction are parsed exactly."""
    kept = ("line", "id", "at", "received_at") if inline else tuple(made)
    columns = {name: made[name] for name in kept} | {"value": value, "number": number, "inline": pa.array(np.full(count, inline))}
    return pa.Table.from_arrays(
        [columns[name] if name in columns else pa.nulls(count, kind) for name, kind in LABEL.items()], names=list(LABEL)
    )


def _label_numbers(rows: ScannedRows, schema: LineSchema, column: int) -> pa.Array:
    """The labels that are numbers; null for other labels."""
    state = rows.states[column]
    values = rows.columns.numbers[schema.columns[column].number, : rows.count]
    return _masked_array(values, (state == RAW) | (state == ODD_NUMBER), pa.float64())


def _score_columns(rows: ScannedRows, schema: LineSchema) -> tuple[pa.Array, pa.Array]:
    """The score (for an object, the largest probability), and the objects as JSON text."""
    column = schema.by_name["score"]
    state, spec = rows.states[column], schema.columns[column]
    values = rows.columns.numbers[spec.number, : rows.count].copy() if spec.number >= 0 else np.zeros(rows.count)
    objects = np.flatnonzero(state == RAW)
    if not objects.size:
        return _masked_array(values, state >= PLAIN, pa.float64()), pa.nulls(rows.count, TEXT)
    pieces: list[list[str]] = [[] for _ in range(objects.size)]
    largest = np.full(objects.size, -np.inf)
    for name, inner in sorted(schema.classes.items()):
        key = json.dumps(name, ensure_ascii=False)
        chosen = rows.columns.numbers[schema.columns[inner].number, : rows.count][objects]
        there = rows.states[inner][objects] >= PLAIN
        largest[there] = np.maximum(largest[there], chosen[there])
        for place in np.flatnonzero(there).tolist():
            pieces[place].append(f"{key}:{chosen[place].item()!r}")
    values[objects] = largest
    written: list[str | None] = [None] * rows.count
    for row, piece in zip(objects.tolist(), pieces, strict=True):
        written[row] = "{" + ",".join(piece) + "}"
    return _masked_array(values, state >= PLAIN, pa.float64()), pa.array(written, TEXT)


def _absent_column(rows: ScannedRows, schema: LineSchema, plan: ModelPlan, versions: pa.Array) -> pa.Array:
    """References of the features with which the row's version was registered and which the row lacks; null if it lacks none."""
    lacking = np.zeros((rows.count, 0), np.bool_)
    names: list[str] = []
    if plan.registered:
        coded = versions.dictionary_encode()
        codes, known = coded.indices.to_numpy(zero_copy_only=False), coded.dictionary.to_pylist()
        every = list(dict.fromkeys(name for version in known for name in plan.registered.get(version, ())))
        states = [
            rows.states[schema.places[plan.places["features"][name]]] == ABSENT if name in plan.places["features"] else None
            for name in every
        ]
        names = [f"feature.{name}" for name in every]
        lacking = np.stack([np.ones(rows.count, np.bool_) if state is None else state for state in states], 1) if every else lacking
        for code, version in enumerate(known):
            expected = set(plan.registered.get(version, ()))
            lacking[np.ix_(codes == code, [name not in expected for name in every])] = False
    if not lacking.any():
        return pa.nulls(rows.count, REFERENCES)
    counts = lacking.sum(1)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(names, TEXT).take(pa.array(np.nonzero(lacking)[1])), mask=pa.array(counts == 0))


def _extra_column(rows: ScannedRows, schema: LineSchema) -> pa.Array:
    """Unknown fields as JSON text."""
    found = sorted((name, column) for name, column in schema.extras.items() if rows.states[column].any())
    if not found:
        return pa.nulls(rows.count, TEXT)
    columns = [_extra_pieces(rows, schema, name, column) for name, column in found]
    joined = [",".join(filter(None, pieces)) for pieces in zip(*columns, strict=True)]
    return pa.array([f"{{{fields}}}" if fields else None for fields in joined], TEXT)


def _extra_pieces(rows: ScannedRows, schema: LineSchema, name: str, column: int) -> list[str]:
    """An unknown field of each row as `"name":value`, empty if it is absent."""
    key, slot = json.dumps(name, ensure_ascii=False), schema.columns[column].text
    pieces = []
    for row, state in enumerate(rows.states[column].tolist()):
        if state == ABSENT:
            pieces.append("")
        elif state == NULL:
            pieces.append(f"{key}:null")
        else:
            text = rows.text(slot, row)
            plain = text if state in (RAW, BOOLEANS) else canonical_json(json.loads(text)) if state == ODD_NUMBER else f'"{text}"'
            pieces.append(f"{key}:{plain}")
    return pieces
