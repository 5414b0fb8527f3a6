"""Outcomes of several models of a block, counted by the same statements: planning one for each model takes longer than running it.

Models of one task, with the same classes and the same columns that make slices, stand as one model with the key GROUP_KEY. A stream of it
stands for a stream of one of them, and an id has its model's place before it. What is counted is given back by model.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from observability.core.catalog import Model, Version
from observability.store.db.results import Cursor, arrow_result
from observability.store.db.schema import COUNT_COLUMNS, SUM_COLUMNS, create_table_sql
from observability.store.db.shared_tables import BATCH_STREAMS, GROUP_KEY, group_table
from observability.store.rollup.outcomes import add_outcome_counts, outcome_columns

ROLLUPS = {"counts": COUNT_COLUMNS, "sums": SUM_COLUMNS}
MOST_STREAMS = 30_000
"""Streams of one group: their numbers are 16 bits wide."""


@dataclass(frozen=True)
class AddedRows:
    """What a block adds to one model: predictions, predictions stored earlier that get labels, and all labels of the ids of both.

    versions: by stream. references: streams of the environment `reference`.
    """

    model: Model
    new: pa.Table | None
    older: pa.Table | None
    revisions: pa.Table | None
    versions: Mapping[int, Version]
    references: Sequence[int]

    @property
    def streams(self) -> set[int]:
        """The streams of its predictions; empty where it adds nothing, as labels of ids that are not known yet."""
        tables = [table for table in (self.new, self.older) if table is not None]
        return {int(each) for table in tables for each in pc.unique(table["stream"]).to_pylist()}


def outcome_form(model: Model) -> Hashable:
    """What models have in common whose outcomes are counted together."""
    sliced = tuple((column.name, column.column, column.kind, column.role) for column in model.columns if column.sensitive)
    return model.task, model.classes, sliced


def grouped_rows(added: Iterable[AddedRows]) -> list[list[AddedRows]]:
    """The rows of models, in groups of one form. A model that shares tables stands alone."""
    groups: dict[Hashable, list[AddedRows]] = {}
    for each in added:
        groups.setdefault(each.model.key if each.model.shared else outcome_form(each.model), []).append(each)
    return list(groups.values())


def grouped_outcome_counts(writer: Cursor, group: Sequence[AddedRows]) -> dict[str, dict[int, pa.Table]]:
    """The rows that outcomes of models of one form add, by rollup table and key of the model."""
    places = [(each.model.key, stream, each.versions[stream]) for each in group for stream in sorted(each.streams)]
    if len(places) > MOST_STREAMS and len(group) > 1:
        half = len(group) // 2
        parts = [grouped_outcome_counts(writer, part) for part in (group[:half], group[half:])]
        return {table: parts[0][table] | parts[1][table] for table in ROLLUPS}
    place_of = {(key, stream): place for place, (key, stream, _) in enumerate(places)}
    references = [place_of[each.model.key, stream] for each in group for stream in each.references if stream in each.streams]
    columns = tuple(column for column in group[0].model.columns if column.sensitive)
    model = replace(group[0].model, key=GROUP_KEY, name="", columns=columns, versions=())
    _create_tables(writer, places)
    add_outcome_counts(
        writer,
        model,
        _joined([(each.model.key, each.new) for each in group], outcome_columns(model), place_of),
        _joined([(each.model.key, each.older) for each in group], outcome_columns(model), place_of),
        _joined([(each.model.key, each.revisions) for each in group], None, place_of),
        {place: version for place, (_, _, version) in enumerate(places)},
        references,
    )
    found = {table: _by_model(writer, table) for table in ROLLUPS}
    for table in (*map(group_table, ROLLUPS), BATCH_STREAMS):
        writer.execute(f"DROP TABLE temp.{table}")
    return found


def _create_tables(writer: Cursor, places: Sequence[tuple[int, int, Version]]) -> None:
    """Create the temporary tables of a group: of its streams, and of what is counted."""
    for table, columns in ROLLUPS.items():
        writer.execute(create_table_sql(group_table(table), columns).replace("CREATE TABLE", "CREATE OR REPLACE TEMP TABLE", 1))
    keys, streams, _ = zip(*places, strict=True)
    numbered = {
        "place": pa.array(range(len(places)), pa.int16()),
        "key": pa.array(keys, pa.int32()),
        "stream": pa.array(streams, pa.int16()),
    }
    writer.register("streams_of_group", pa.table(numbered))
    writer.execute(f"CREATE OR REPLACE TEMP TABLE {BATCH_STREAMS} AS FROM streams_of_group")
    writer.unregister("streams_of_group")


def _joined(
    parts: Sequence[tuple[int, pa.Table | None]], columns: list[str] | None, place_of: Mapping[tuple[int, int], int]
) -> pa.Table | None:
    """The rows of several models as rows of the group; None where there are none. columns: those that are needed, None for all."""
    tables = []
    for key, table in parts:
        if table is None or not table.num_rows:
            continue
        own = table if columns is None else table.select(columns)
        ids = pc.binary_join_element_wise(pa.scalar(str(key)), own["id"], "/")
        own = own.set_column(own.column_names.index("id"), "id", ids)
        if "stream" in own.column_names:
            numbers = {stream: place for (owner, stream), place in place_of.items() if owner == key}
            places = np.vectorize(numbers.__getitem__, otypes=[np.int16])(own["stream"].to_numpy())
            own = own.set_column(own.column_names.index("stream"), "stream", pa.array(places))
        tables.append(own)
    return pa.concat_tables(tables) if tables else None


def _by_model(writer: Cursor, table: str) -> dict[int, pa.Table]:
    """What was counted of a group, with the streams of each model, by its key."""
    columns = ", ".join("s.stream" if name == "stream" else f"c.{name}" for name in ROLLUPS[table])
    rows = arrow_result(
        writer,
        f"SELECT s.key AS key, {columns} FROM {group_table(table)} c JOIN {BATCH_STREAMS} s ON s.place = c.stream ORDER BY s.key, c.rowid",
    )
    keys, starts = np.unique(rows["key"].to_numpy(), return_index=True)
    ends = [*starts[1:], rows.num_rows][: len(keys)]
    rows = rows.drop_columns(["key"])
    return {int(key): rows.slice(start, end - start) for key, start, end in zip(keys, starts, ends, strict=True)}
