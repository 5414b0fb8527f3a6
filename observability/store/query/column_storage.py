"""Report how much room each column of a model's predictions takes in the database, and how DuckDB compresses it."""

from typing import TYPE_CHECKING

from observability.core.catalog import Model
from observability.store.db.database import Database
from observability.store.db.schema import model_table
from observability.store.db.shared_tables import shared_table
from observability.store.query.source import snapshot_cursor

if TYPE_CHECKING:
    from pandas import DataFrame

BLOCK = "SELECT block_size FROM pragma_database_size() WHERE database_name = current_database()"


def column_storage(store: Database, model: Model) -> "DataFrame":
    """Columns of the table of predictions: `column` (as questions name it), `codecs` (of its values, commonest first), `segments`, `blocks`
    and `bytes`.

    bytes: size of the distinct blocks that hold the column's segments. If several columns share a block, its size is divided among them in
    proportion to their segments in it. So the bytes of all columns add up to the size of the table. Rows that are not written to disk yet
    (after a load, until the next checkpoint) have no block. For a model in the shared tables, the numbers include all models of these
    tables.
    """
    table = shared_table("predictions") if model.shared else model_table("predictions", model.key)
    names = {column.column: column.reference for column in model.columns}
    with snapshot_cursor(store) as cursor:
        found = cursor.execute(
            f"""WITH parts AS (
                SELECT column_name, compression, segment_type, persistent,
                       unnest(CASE WHEN persistent THEN [block_id] || coalesce(additional_block_ids, []) ELSE [NULL] END) AS block
                FROM pragma_storage_info('{table}')),
            shared AS (SELECT block, count(*) AS holders FROM parts WHERE block >= 0 GROUP BY block)
            SELECT column_name AS "column", string_agg(DISTINCT compression, ', ') FILTER (segment_type <> 'VALIDITY') AS codecs,
                   count(*)::BIGINT AS segments, count(DISTINCT shared.block)::BIGINT AS blocks,
                   coalesce(sum(({BLOCK}) / holders), 0)::BIGINT AS bytes
            FROM parts LEFT JOIN shared ON parts.block = shared.block GROUP BY ALL ORDER BY bytes DESC, "column\""""
        ).df()
    return found.assign(column=found["column"].map(lambda name: names.get(name, name)))
