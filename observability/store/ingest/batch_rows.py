"""The rows of many small models as rows of one model (store/db/batched_models.py), and the names of their members."""

from collections.abc import Sequence
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.store.db.batched_models import MAX_STREAMS, ModelBatch, may_be_batched
from observability.store.ingest.parse_tables import COLUMN, PREDICTION
from observability.store.ingest.parse_types import ParsedBlock
from observability.store.ingest.stage import stage_labels, staged_predictions

Cursor = duckdb.DuckDBPyConnection
MIN_MEMBERS = 4
"""Minimum number of small models for storing them together."""


def member_batches(models: Sequence[Model], parsed: ParsedBlock) -> tuple[list[Model], list[list[Model]]]:
    """Models that are stored one by one, and batches of models that are stored together."""
    members = [model for model in models if may_be_batched(model)]
    if len(members) < MIN_MEMBERS:
        return [*models], []
    names = {model.name for model in members}
    batches: list[list[Model]] = [[]]
    streams = 0
    for model in members:
        own = len(model.versions) + (parsed.predictions[model.name].num_rows if model.name in parsed.predictions else 0)
        if batches[-1] and streams + 4 * own > MAX_STREAMS:
            batches.append([])
            streams = 0
        batches[-1].append(model)
        streams += 4 * own
    return [model for model in models if model.name not in names], batches


def streams_of_members(members: Sequence[Model], parsed: ParsedBlock) -> set[tuple[int, str, str]]:
    """Key, version and environment of the predictions of some models of a block."""
    found = set()
    for model in members:
        if (table := parsed.predictions.get(model.name)) is not None:
            pairs = zip(table["version"].to_pylist(), table["environment"].to_pylist(), strict=True)
            found |= {(model.key, version, environment or "production") for version, environment in pairs}
    return found


def stage_batch(writer: Cursor, batch: ModelBatch, parsed: ParsedBlock, now: datetime) -> tuple[pa.Table | None, pa.Table | None]:
    """The predictions and the labels of a batch as stored rows, with `line`; None if there are none."""
    predictions = [(key, parsed.predictions[model.name]) for key, model in batch.members.items() if model.name in parsed.predictions]
    rows = revisions = None
    if sum(table.num_rows for _, table in predictions):
        table = _with_member_ids([(key, _of_batch(batch, key, table)) for key, table in predictions])
        versions = pc.binary_join_element_wise(table["key"].cast(pa.string()), table["version"], "/")
        table = table.set_column(table.column_names.index("version"), "version", versions)
        streams = [(place, f"{key}/{version}", environment) for (key, version, environment), place in batch.streams.items()]
        rows = staged_predictions(writer, batch.model, table, streams, now, "own_id")
    labels = [(key, parsed.labels[model.name]) for key, model in batch.members.items() if model.name in parsed.labels]
    if sum(table.num_rows for _, table in labels):
        revisions = stage_labels(writer, _with_member_ids(labels), now, "own_id")
    return rows, revisions


def prediction_names(owner: str | ModelBatch, rows: pa.Table) -> str | NDArray[np.object_]:
    """The name of the model of staged predictions; for a batch, an array with the name of the model of each row."""
    return owner if isinstance(owner, str) else owner.names[rows["stream"].to_numpy()]


def label_names(owner: str | ModelBatch, labels: pa.Table) -> str | NDArray[np.object_]:
    """The name of the model of staged labels; for a batch, an array with the name of the model of each row."""
    if isinstance(owner, str):
        return owner
    return np.array([owner.members[int(id_.partition("/")[0])].name for id_ in labels["id"].to_pylist()], object)


def _of_batch(batch: ModelBatch, key: int, table: pa.Table) -> pa.Table:
    """A member's parsed predictions with the names of the batch's columns."""
    references = batch.references(batch.members[key])
    kinds = {f"feature.{place}": kind for (_, kind), place in batch.measures.items()}
    names = [*(name for name in PREDICTION if name in table.column_names), *(name for name in references if name in table.column_names)]
    arrays = [table[name] for name in names]
    if table["wrong"].null_count < table.num_rows:
        lists = [None if own is None else [references[name] for name in own if name in references] for own in table["wrong"].to_pylist()]
        arrays[names.index("wrong")] = pa.chunked_array([pa.array(lists, PREDICTION["wrong"])])
    renamed = [references.get(name, name) for name in names]
    typed = [array.cast(COLUMN[kinds[name]]) if name in kinds else array for name, array in zip(renamed, arrays, strict=True)]
    return pa.Table.from_arrays(typed, names=renamed)


def _with_member_ids(parts: Sequence[tuple[int, pa.Table]]) -> pa.Table:
    """Tables of several members as one, with `key`, the ids of the batch, and the members' own ids as `own_id`."""
    table = pa.concat_tables([part for _, part in parts], promote_options="default").combine_chunks()
    keys = pa.array(np.repeat([key for key, _ in parts], [part.num_rows for _, part in parts]), pa.int32())
    ids = pc.binary_join_element_wise(keys.cast(pa.string()), table["id"], "/")
    table = table.append_column("own_id", table["id"]).append_column("key", keys)
    return table.set_column(table.column_names.index("id"), "id", ids)
