"""Count outcomes of several models of a block with the same statements, since planning a statement takes longer than running it.

Models with the same task, the same classes and the same slicing columns are counted as one model with the key GROUP_KEY. In it every stream
of a member has its own number, and every id has the member's key as a prefix. The counts are then split by member again.
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
    """Rows that a block adds to one model.

    new: new predictions of the model. older: predictions stored earlier that this block labels. revisions: every label of the ids in new
    and older. versions: the version of each stream. references: streams of the environment `reference`.
    """

    model: Model
    new: pa.Table | None
    older: pa.Table | None
    revisions: pa.Table | None
    versions: Mapping[int, Version]
    references: Sequence[int]

    @property
    def streams(self) -> set[int]:
        """The streams of these predictions; empty if the block holds only labels of unknown ids."""
        tables = [table for table in (self.new, self.older) if table is not None]
        return {int(each) for table in tables for each in pc.unique(table["stream"]).to_pylist()}


def outcome_form(model: Model) -> Hashable:
    """Task, classes and slicing columns: models with equal forms are counted together."""
    sliced = tuple((column.name, column.column, column.kind, column.role) for column in model.columns if column.sensitive)
    return model.task, model.classes, sliced


def grouped_rows(added: Iterable[AddedRows]) -> list[list[AddedRows]]:
    """Group the rows of models by form. A model whose tables are shared forms a group by itself."""
    groups: dict[Hashable, list[AddedRows]] = {}
    for each in added:
        groups.setdefault(each.model.key if each.model.shared else outcome_form(each.model), []).append(each)
    return list(groups.values())


def grouped_outcome_counts(writer: Cursor, group: Sequence[AddedRows]) -> dict[str, dict[int, pa.Table]]:
    """Count the outcomes of a group of models: the rows to add, by rollup table and model key."""
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
    """Create the temporary tables of a group: one lists its streams, the others take its counts."""
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
    """Join the rows of several models into one table; None without rows. columns: columns to keep, None for all."""
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
    """Split the counts of a group by model key, with each model's own stream numbers."""
    columns = ", ".join("s.stream" if name == "stream" else f"c.{name}" for name in ROLLUPS[table])
    rows = arrow_result(
        writer,
        f"SELECT s.key AS key, {columns} FROM {group_table(table)} c JOIN {BATCH_STREAMS} s ON s.place = c.stream ORDER BY s.key, c.rowid",
    )
    keys, starts = np.unique(rows["key"].to_numpy(), return_index=True)
    ends = [*starts[1:], rows.num_rows][: len(keys)]
    rows = rows.drop_columns(["key"])
    return {int(key): rows.slice(start, end - start) for key, start, end in zip(keys, starts, ends, strict=True)}
