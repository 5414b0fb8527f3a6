"""Put rollups that were computed elsewhere in place of the store's own for some days of a model."""

from collections.abc import Callable, Collection, Sequence
from datetime import date

import pyarrow as pa

from observability.core.catalog import Model
from observability.store.db.database import Database
from observability.store.db.results import Cursor
from observability.store.db.schema import COUNT_COLUMNS, SUM_COLUMNS, model_table
from observability.store.db.shared_tables import give_own_tables
from observability.store.rollup.rollup import coarsen_arrivals, compaction_hours, merge_rollups

EPOCH_DAY = date(1970, 1, 1)


def land_rollups(
    store: Database,
    model: Model,
    rows: pa.Table,
    streams: Sequence[int],
    days: Collection[date],
    slices: Sequence[tuple[int, str, str]],
    left: Callable[[Cursor], Collection[date]],
) -> dict[str, int]:
    """Replace the counts and sums of these streams on some days in one transaction. Returns how many rows of counts and of sums were
    written.

    rows: counts and sums together; the column `sums` tells them apart. slices: number, reference and level of every slice that the rows
    name. left: called within the transaction; it returns the days that stay as they are.
    """
    landed = {}
    with store.write() as writer:
        store.note_changed_models([model.name])
        give_own_tables(writer, model.key)
        numbers = sorted((day - EPOCH_DAY).days for day in set(days) - set(left(writer)))
        there = f"list_contains({numbers}::INTEGER[], floor(period / 24)::INTEGER)"
        known = {number for (number,) in writer.execute(f"SELECT slice FROM {model_table('slices', model.key)}").fetchall()}
        used = {number for number in rows["slice"].unique().to_pylist() if number}
        fresh = [item for item in slices if item[0] not in known and item[0] in used]
        if fresh:
            writer.executemany(f"INSERT INTO {model_table('slices', model.key)} VALUES (?, ?, ?)", fresh)
        writer.register("computed_rollups", rows)
        writer.execute(f"CREATE OR REPLACE TEMP TABLE landed_rollups AS SELECT * FROM computed_rollups WHERE {there}")
        writer.unregister("computed_rollups")
        mine = ", ".join(map(str, streams)) or "NULL"
        for table, columns, is_sum in (("counts", COUNT_COLUMNS, "false"), ("sums", SUM_COLUMNS, "true")):
            name = model_table(table, model.key)
            writer.execute(f"DELETE FROM {name} WHERE stream IN ({mine}) AND {there}")
            picked = ", ".join(f"{column}::{kind} AS {column}" for column, kind in columns.items())
            extremes = "isnan(low)" if is_sum == "true" else "false"
            writer.execute(f"INSERT INTO {name} SELECT {picked} FROM landed_rollups WHERE sums = {is_sum} AND NOT ({extremes} AND n = 0)")
            ((landed[table],),) = writer.execute(f"SELECT count(*) FROM landed_rollups WHERE sums = {is_sum}").fetchall()
        writer.execute("DROP TABLE landed_rollups")
        coarsen_arrivals(writer, model, compaction_hours(writer).get(model.key, 0))
        merge_rollups(writer, model)
    return landed
