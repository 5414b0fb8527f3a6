"""Tables that small unregistered models share, so that a further model costs only rows and no tables.

`predictions_shared`, `labels_shared` and so on have the columns of a model's tables and its `key`; the values of features are texts in the
list `features`, each at the number of its column. Views with the names of a model's own tables (`predictions_3`) show its rows with typed
columns, so readers work in the same way for both. Loading appends to the shared tables. Any other change of a model's rows first gives the
model its own tables (`give_own_tables`); so does loading if the model has more than SHARED_ROWS rows.
"""

from collections.abc import Collection, Sequence

from observability.core.catalog import Kind
from observability.core.view_names import quoted_identifier
from observability.store.db.results import Cursor, first_row
from observability.store.db.schema import COLUMN_TYPES, MODEL_TABLES, create_table_sql, model_table

BATCH_KEY, BATCH_STREAMS, BATCH_COLUMNS = 0, "batch_streams", "batch_columns"
"""The key that stands for many small models at once (store/db/batched_models.py), and its temporary tables: for each stream of the batch,
the member's `key` and `stream`; for each column of the batch, the `number` of the member's column. No model has this key."""
GROUP_KEY = -1
"""The key that stands for several models with tables of their own, whose outcomes are counted together (rollup/grouped_outcomes.py)."""
SHARED_ROWS = 1000
"""Maximum number of predictions and labels of a model in the shared tables: nine tables of its own would take about as much space as this
number of rows.
"""
WITH_ROWIDS = ("predictions", "labels")
"""Tables from which the loader reads single rows by their row ids."""


def shared_table(table: str) -> str:
    """Name of the shared table that stands for a model's table: `predictions_shared`."""
    return f"{table}_shared"


def group_table(table: str) -> str:
    """Name of the temporary table for the counts of a group of models: `counts_of_group`."""
    return f"{table}_of_group"


def create_shared_tables(writer: Cursor) -> None:
    """Create the missing shared tables, empty."""
    for table, columns in MODEL_TABLES.items():
        features = {"features": "VARCHAR[]"} if table == "predictions" else {}
        statement = create_table_sql(shared_table(table), {**columns, **features, "key": "INTEGER"})
        writer.execute(statement.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))


def shares_tables(cursor: Cursor, key: int) -> bool:
    """Whether the rows of a model are in the shared tables. Read-only."""
    return first_row(cursor, "SELECT key FROM shared_models WHERE key = ?", [key]) is not None


def table_sources(cursor: Cursor, table: str, keys: Collection[int]) -> dict[str, list[int]]:
    """Sources that together hold the rows of a table for some models, each row with the `key` of its model; by source, the keys of its
    models. All models that share tables have one common source, each other model has its own. Read-only.
    """
    shared = sorted({key for (key,) in cursor.execute("SELECT key FROM shared_models").fetchall()}.intersection(keys))
    own = {f"(SELECT *, {int(key)} AS key FROM {model_table(table, key)})": [key] for key in keys if key not in shared}
    chosen = f"WHERE key IN ({', '.join(map(str, shared))})"
    return {**own, f"(SELECT * FROM {shared_table(table)} {chosen})": shared} if shared else own


def create_shared_views(writer: Cursor, key: int, columns: Sequence[tuple[int, str, Kind]] = ()) -> None:
    """Create the views of a new model that shares tables. columns: number, column and kind of each of its columns."""
    writer.execute("; ".join(_view_sql(table, key, _typed_columns(table, columns)) for table in MODEL_TABLES))


def refresh_predictions_view(writer: Cursor, key: int) -> None:
    """Give the view of a model's predictions the columns that the catalog has."""
    writer.execute(_view_sql("predictions", key, _columns(writer, "predictions", key)))


def _view_sql(table: str, key: int, columns: Sequence[tuple[str, str, str]]) -> str:
    """The statement that creates the view of a model's table."""
    place = "rowid, " if table in WITH_ROWIDS else ""
    picked = ", ".join(f"{expression} AS {quoted_identifier(name)}" for name, _, expression in columns)
    return f"CREATE OR REPLACE VIEW {model_table(table, key)} AS SELECT {place}{picked} FROM {shared_table(table)} WHERE key = {int(key)}"


def _columns(cursor: Cursor, table: str, key: int) -> list[tuple[str, str, str]]:
    """Columns of a model's table: name, type, and the expression that reads the column from the shared table."""
    own: Sequence[tuple[int, str, Kind]] = ()
    if table == "predictions":
        own = cursor.execute('SELECT id, "column", kind FROM columns WHERE key = ? ORDER BY id', [key]).fetchall()
    return _typed_columns(table, own)


def _typed_columns(table: str, columns: Sequence[tuple[int, str, Kind]]) -> list[tuple[str, str, str]]:
    """Columns of the table of a model with these columns: name, type, and the expression that reads the column from the shared table."""
    found = [(name, kind, quoted_identifier(name)) for name, kind in MODEL_TABLES[table].items()]
    if table == "predictions":
        found += [(name, COLUMN_TYPES[kind], f"features[{number}]::{COLUMN_TYPES[kind]}") for number, name, kind in columns]
    return found


def feature_list_sql(columns: Sequence[tuple[int, str]]) -> str:
    """The list `features` from columns (number, column) of a row, each as text at the position of its number."""
    by_number = dict(columns)
    texts = (f"{by_number[number]}::VARCHAR" if number in by_number else "NULL" for number in range(1, max(by_number, default=0) + 1))
    return f"[{', '.join(texts)}]::VARCHAR[]"


def insert_sql(table: str, key: int, select: str, *, shared: bool) -> str:
    """The statement that appends the rows of a query to a table of a model. The query has the columns of the table, in their order."""
    if key == BATCH_KEY:
        return _batched_insert_sql(table, select)
    if key == GROUP_KEY:
        return f"INSERT INTO {group_table(table)} {select}"
    if shared:
        return f"INSERT INTO {shared_table(table)} SELECT *, {int(key)} FROM ({select})"
    return f"INSERT INTO {model_table(table, key)} {select}"


def _batched_insert_sql(table: str, select: str) -> str:
    """The statement that appends counts or sums of a batch to the shared table, each with its member's stream, column and key."""
    values = {name: f"c.{name}" for name in MODEL_TABLES[table]} | {"stream": "s.stream", "measure": "coalesce(m.number, c.measure)"}
    return f"""INSERT INTO {shared_table(table)} SELECT {", ".join(values.values())}, s.key FROM ({select}) c
        JOIN {BATCH_STREAMS} s ON s.place = c.stream
        LEFT JOIN {BATCH_COLUMNS} m ON m.place = c.stream AND m.measure = c.measure WHERE c.measure <= 0 OR m.number IS NOT NULL"""


def own_key_sql(id_: str) -> str:
    """The key of the member, taken from an id of a batch."""
    return f"split_part({id_}, '/', 1)::INTEGER"


def own_id_sql(id_: str) -> str:
    """The member's own id, taken from an id of a batch."""
    return f"substr({id_}, strpos({id_}, '/') + 1)"


def shared_row_counts(cursor: Cursor) -> dict[int, int]:
    """Number of predictions and labels of each model in the shared tables, by the model's key. Read-only."""
    rows = cursor.execute(
        """SELECT key, count(*) FROM (SELECT key FROM predictions_shared UNION ALL SELECT key FROM labels_shared) GROUP BY key"""
    ).fetchall()
    return dict(rows)


def give_own_tables(writer: Cursor, key: int) -> bool:
    """Move the rows of a model from the shared tables into tables of its own; return whether it shared them.

    The model's views become tables of the same names in the caller's transaction: readers see either the views or the tables.
    """
    if not shares_tables(writer, key):
        return False
    for table in MODEL_TABLES:
        columns = _columns(writer, table, key)
        own, names = model_table(table, key), ", ".join(quoted_identifier(name) for name, _, _ in columns)
        writer.execute(f"DROP VIEW {own}")
        writer.execute(create_table_sql(own, {name: kind for name, kind, _ in columns}))
        values = ", ".join(expression for _, _, expression in columns)
        writer.execute(f"INSERT INTO {own} ({names}) SELECT {values} FROM {shared_table(table)} WHERE key = {int(key)} ORDER BY rowid")
        writer.execute(f"DELETE FROM {shared_table(table)} WHERE key = ?", [key])
    writer.execute("DELETE FROM shared_models WHERE key = ?", [key])
    return True


def drop_shared_rows(writer: Cursor, key: int) -> None:
    """Delete the rows of a model from the shared tables, and its views."""
    for table in MODEL_TABLES:
        writer.execute(f"DROP VIEW {model_table(table, key)}")
        writer.execute(f"DELETE FROM {shared_table(table)} WHERE key = ?", [key])
    writer.execute("DELETE FROM shared_models WHERE key = ?", [key])
