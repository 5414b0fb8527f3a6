"""Build rows and bin edges from a reference.

The rows have the form of parsed records (parse_types.ParsedBlock), so that they are stored like all other rows.
"""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from observability.core.catalog import Edges, Kind, Model
from observability.stats.edges import NumericEdges, category_levels, numeric_edges
from observability.store.ingest.parse_exact import time_zone
from observability.store.ingest.parse_tables import COLUMN, PREDICTION
from observability.store.registry.column_profile import arrow_kind, coded_values, float_values, is_text_type
from observability.store.registry.event_times import event_times
from observability.store.registry.targets import ReferenceOutcomes
from observability.store.types.registration import Inference

if TYPE_CHECKING:
    from pandas import DataFrame

CARRIED = ("weight", "threshold", "subject", "device", "replica", "batch")
"""Further fields that are kept if a reference consists of prediction records."""


def _stored_values(column: pa.ChunkedArray, kind: Kind) -> pa.Array:
    """The values of a column as stored: numbers as doubles (null is kept apart from NaN), categories as canonical text, booleans."""
    if kind == "category":
        if is_text_type(column.type):
            return _one_array(column.cast(pa.string()))
        names, rows = coded_values(column)
        return pa.array(names, pa.string()).take(pa.array(rows, mask=rows < 0))
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return _one_array(column.cast(pa.float64() if kind == "number" else pa.bool_(), safe=False))


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    """The chunks as one array."""
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def reference_edges(table: pa.Table, inference: Inference, target: ReferenceOutcomes) -> dict[str, Edges]:
    """Edges by column reference: of features and groups, of score and error of a regression, and of bands of sensitive numbers
    (`band.NAME`).
    """
    usable = target.usable
    rows = pa.array(usable)
    found: dict[str, Edges] = {}
    for column in inference.columns:
        values = _stored_values(table[column.source], column.kind).filter(rows)
        found[f"{column.role}.{column.name}"] = _value_edges(values, column.kind)
        if column.bands:
            found[f"band.{column.name}"] = Edges(edges=column.bands)
    if inference.task == "regression":
        score = target.matrix[:, 0]
        found["score"] = _catalog_edges(numeric_edges(score[usable]))
        found["error"] = _catalog_edges(numeric_edges((score - target.values)[usable & target.labelled]))
    return found


def _value_edges(values: pa.Array, kind: Kind) -> Edges:
    """The bin edges of a column of numbers, or the levels of another column."""
    if kind == "number":
        return _catalog_edges(numeric_edges(values.to_numpy(zero_copy_only=False)))
    return Edges(levels=category_levels(values.to_pylist()).levels)


def _catalog_edges(edges: NumericEdges) -> Edges:
    """Numeric edges in the form in which the catalog stores them."""
    return Edges(
        edges=tuple(edges.edges.tolist()),
        deciles=tuple(edges.deciles.tolist()),
        positions=tuple(edges.positions.tolist()),
        scale=edges.scale,
        low=edges.low,
        high=edges.high,
        lowest=edges.lowest,
        highest=edges.highest,
    )


def reference_inputs(table: pa.Table, inference: Inference, places: NDArray[np.int64]) -> "DataFrame":
    """Some rows of the features and groups as a model takes stored values: numbers float64, others objects, None for missing."""
    import pandas as pd

    taken, found = pa.array(places), {}
    for column in inference.columns:
        values = _stored_values(table[column.source], column.kind).take(taken)
        number = column.kind == "number"
        found[column.name] = values.to_numpy(zero_copy_only=False) if number else pd.Series(values.to_pylist(), dtype=object)
    return pd.DataFrame(found)


def prediction_rows(table: pa.Table, inference: Inference, target: ReferenceOutcomes, model: Model, now: datetime) -> pa.Table:
    """The usable rows as parsed predictions of the environment `reference`. Ids are `reference/VERSION/ROW` (row of the file, from 1)."""
    places = np.flatnonzero(target.usable)
    taken = pa.array(places)
    size = places.size
    logged = target.predicted_rows
    columns: dict[str, pa.Array] = {name: pa.nulls(size, kind) for name, kind in PREDICTION.items()}
    columns |= {
        "line": pa.array(places + 1),
        "id": pc.binary_join_element_wise(f"reference/{inference.version}/", pa.array(places + 1).cast(pa.string()), ""),
        "version": _repeated(inference.version, size),
        "environment": _repeated("reference", size),
        "at": event_times(table, inference.at, now, time_zone(inference.timezone) or UTC).take(taken),
        "score": _row_scores(target, places),
    }
    if inference.task == "multiclass":
        columns["probabilities"] = _row_probabilities(target, places)
    if logged is not None:
        columns["prediction"] = _texts_by_index(target.predicted_texts, logged[places])
    features = {feature.source for feature in inference.columns}
    for name in CARRIED:
        if inference.records and name in table.column_names and name not in features and arrow_kind(table[name].type)[0]:
            columns[name] = _carried_field(table[name], PREDICTION[name]).take(taken)
    for feature in inference.columns:
        columns[f"{feature.role}.{feature.name}"] = _stored_values(table[feature.source], feature.kind).take(taken)
    for column in model.columns:
        columns.setdefault(column.reference, pa.nulls(size, COLUMN[column.kind]))
    return pa.table(columns)


def label_rows(predictions: pa.Table, inference: Inference, target: ReferenceOutcomes) -> pa.Table:
    """The labels of the labelled usable rows, as parsed labels inside their predictions."""
    labelled = target.labelled[target.usable]
    rows = target.label_rows[target.usable][labelled]
    own = predictions.select(["line", "id", "at", "received_at"]).filter(pa.array(labelled))
    as_numbers = np.array([_number(text) for text in target.label_texts], np.float64)
    values = as_numbers[rows] if as_numbers.size else np.empty(0)
    empty = {name: pa.nulls(rows.size, pa.string()) for name in ("source", "annotator", "guideline", "extra")}
    added = {
        "value": _texts_by_index(target.label_texts, rows),
        "number": pa.array(values, mask=np.isnan(values)),
        **empty,
        "inline": _repeated(True, rows.size),
    }
    for name, column in added.items():
        own = own.append_column(name, column)
    return own


def _number(text: str) -> float:
    """The number that a canonical text spells; NaN if it spells none."""
    try:
        return float(text) if text.strip() == text and "_" not in text else float("nan")
    except ValueError:
        return float("nan")


def _repeated(value: object, size: int) -> pa.Array:
    """An array that repeats the value `size` times."""
    return pa.repeat(pa.scalar(value), size)


def _texts_by_index(names: tuple[str, ...], rows: NDArray[np.int64]) -> pa.Array:
    """Texts by their index, null for -1."""
    return pa.array(list(names), pa.string()).take(pa.array(rows, mask=rows < 0))


def _carried_field(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """A field of the record in its type. Weights and thresholds that are not finite and positive are null."""
    if pa.types.is_string(kind):
        return _stored_values(column, "category")
    if arrow_kind(column.type)[0] != "number":
        return pa.nulls(len(column), kind)
    values = float_values(column)
    return pa.array(values, mask=~(np.isfinite(values) & (values > 0)))


def _row_scores(target: ReferenceOutcomes, places: NDArray[np.int64]) -> pa.Array:
    """The score of each row; for a multiclass model the largest probability."""
    if not target.matrix.shape[1]:
        return pa.nulls(places.size, pa.float64())
    matrix = target.matrix[places]
    known = np.isfinite(matrix).any(axis=1)
    values = np.where(np.isfinite(matrix), matrix, -np.inf).max(axis=1)
    return pa.array(np.where(known, values, 0.0), mask=~known)


def _row_probabilities(target: ReferenceOutcomes, places: NDArray[np.int64]) -> pa.Array:
    """JSON text {class: probability} of each row; null if the row has no probability."""
    names = [json.dumps(str(name), ensure_ascii=False) for name, _ in target.scores]
    rows = []
    for values in target.matrix[places].tolist():
        parts = [f"{name}: {value!r}" for name, value in zip(names, values, strict=True) if value == value]
        rows.append("{" + ", ".join(parts) + "}" if parts else None)
    return pa.array(rows, pa.string())
