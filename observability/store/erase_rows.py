"""Erase the data about erased subjects from the database: rows about them are deleted, and texts that mention them get a mark.

The rollups of the touched days are computed again. Counts of arrivals stay, because they name nobody.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from observability.core.catalog import Model
from observability.store.db.catalog_store import read_catalog, stream_numbers
from observability.store.db.erased_texts import cleaned_value, mentions_sql
from observability.store.db.erasures import SHORTEST_WORD, ErasedMatcher, text_core
from observability.store.db.kept_numbers import kept_columns
from observability.store.db.record_tables import kind_columns, kind_tables
from observability.store.db.results import Cursor
from observability.store.db.schema import model_table, quoted_identifier
from observability.store.db.shared_tables import give_own_tables
from observability.store.erased_images import named_images, remove_images
from observability.store.rollup.noted_steps import redo_noted_steps
from observability.store.rollup.rank_blocks import redo_rank_blocks
from observability.store.rollup.rollup import rebuild_days

FOLLOWED = {"verdict": "verdict", "action": "action", "what_if": "what_if", "saved_case": "saved_case"}
"""Kinds of records about one prediction whose later records name only the first record's id; and the field with that id."""
LABELLING = ("annotation", "assignment", "skip", "item")
"""Kinds of records about an item of a labelling project; the item is a prediction if the project belongs to a model."""
KEPT_TABLES = (
    "rejected",
    "manifest",
    "migrations",
    "hashing",
    "streams",
    "columns",
    "rollups",
    "arrivals",
    "rank_blocks",
    "rank_blocks_due",
    "not_finite_steps",
    "step_extremes",
)
KEPT_COLUMNS = {("models", "name"), ("versions", "version"), ("edges", "version"), ("edges", "reference"), ("reviews", "review")}
"""Columns with names that the product needs; these names are not values of records."""


@dataclass
class ErasedRows:
    """The result of an erasure: number of rows by table, number of texts that got a mark, ids of predictions by model."""

    rows: Counter[str] = field(default_factory=Counter)
    texts: int = 0
    reviews: int = 0
    ids: dict[str, list[str]] = field(default_factory=dict)


def prediction_ids(cursor: Cursor, model: Model, erased: ErasedMatcher, subject: str | None = None) -> list[str]:
    """Ids of the predictions of a model about erased subjects, by their subject or their id. Read-only.

    subject: a subject that is being erased; ids of predictions and labels are also searched for it.
    """
    predictions, labels = model_table("predictions", model.key), model_table("labels", model.key)
    subjects = _column(cursor, f"SELECT DISTINCT subject FROM {predictions} WHERE subject IS NOT NULL")
    found = set(
        _column(
            cursor,
            f"SELECT DISTINCT id FROM {predictions} WHERE list_contains(?::VARCHAR[], subject)",
            [name for name in subjects if erased.is_subject(name)],
        )
    )
    for table in (predictions, labels):
        if subject is not None and len(text_core(subject)) >= SHORTEST_WORD:
            some = _column(cursor, f"SELECT DISTINCT id FROM {table} WHERE contains(id, ?)", text_core(subject))
            found.update(name for name in some if erased.cleaned_text(name) != name)
        if erased.predictions.get(model.name):
            found.update(name for name in _column(cursor, f"SELECT DISTINCT id FROM {table}") if erased.is_prediction(model.name, name))
    return sorted(found)


def erase_rows(
    writer: Cursor,
    erased: ErasedMatcher,
    home: Path,
    subject: str | None = None,
    ids: Collection[str] | None = None,
    *,
    threads: int = 2,
) -> ErasedRows:
    """Erase the data about erased subjects from the database, and the images of its home that their predictions name.

    subject: the subject that is being erased. ids: ids of its predictions. Only texts that hold one of these are checked; if the subject or
    the ids are not known, every text is checked. Ids are looked for in records and unknown fields, not in features. The blocks of the
    database keep the bytes of deleted rows until the database is rewritten.
    """
    done = ErasedRows()
    models = read_catalog(writer).models
    for model in models:
        ids = prediction_ids(writer, model, erased, subject)
        if ids:
            done.ids[model.name] = ids
            _delete_predictions(writer, model, ids, home, done, threads)
    _delete_records(writer, erased, done)
    _delete_labelling(writer, models, erased, done)
    _delete_rejected(writer, erased, subject, done)
    _mark_texts(writer, erased, None if subject is None or ids is None else (subject, *ids), done)
    return done


def _delete_predictions(writer: Cursor, model: Model, ids: Sequence[str], home: Path, done: ErasedRows, threads: int) -> None:
    """Delete the predictions of these ids with all that belongs to them, and all cached answers of the model, because these name
    neighbours.
    """
    give_own_tables(writer, model.key)
    predictions = model_table("predictions", model.key)
    references = {number: version for (version, place), number in stream_numbers(writer, model.key).items() if place == "reference"}
    writer.register("erased_ids", pa.table({"id": pa.array(ids, pa.string())}))
    mine = "id IN (SELECT id FROM erased_ids)"
    touched = writer.execute(f'SELECT DISTINCT stream, "at"::DATE FROM {predictions} WHERE {mine}').fetchall()
    of_references = writer.execute(
        f"SELECT stream, count(*) FROM {predictions} WHERE {mine} AND list_contains(?::SMALLINT[], stream) GROUP BY stream",
        [list(references)],
    ).fetchall()
    images = named_images(writer, model, mine, home)
    for table in ("predictions", "labels", "attributions", "estimates"):
        done.rows[table] += _count(writer, f"DELETE FROM {model_table(table, model.key)} WHERE {mine}")
    writer.unregister("erased_ids")
    done.rows["images"] += remove_images(writer, model, images)
    done.rows["cached answers"] += _count(writer, f"DELETE FROM {model_table('computed', model.key)}")
    for stream, count in of_references:
        writer.execute(
            "UPDATE versions SET reference_rows = reference_rows - ? WHERE key = ? AND version = ?", [count, model.key, references[stream]]
        )
    rebuild_days(writer, model.name, touched, threads=threads)


def _delete_records(writer: Cursor, erased: ErasedMatcher, done: ErasedRows) -> None:
    """Delete records of other kinds about erased subjects and their predictions, with later records of the same verdict or action."""
    for kind, table in kind_tables().items():
        columns = kind_columns(kind)
        if "subject" in columns and kind != "signature":
            subjects = _column(writer, f"SELECT DISTINCT subject FROM {table} WHERE subject IS NOT NULL")
            gone = [name for name in subjects if erased.is_subject(name)]
            done.rows[table] += _count(writer, f"DELETE FROM {table} WHERE list_contains(?::VARCHAR[], subject)", gone)
        if "prediction" not in columns:
            continue
        pairs = writer.execute(f"SELECT DISTINCT model, prediction FROM {table} WHERE prediction IS NOT NULL").fetchall()
        for model, name in pairs:
            if not erased.is_prediction(model, name):
                continue
            about = "prediction = ? AND model IS NOT DISTINCT FROM ?"
            if kind in FOLLOWED:
                own = quoted_identifier(FOLLOWED[kind])
                about = f"{own} IN (SELECT {own} FROM {table} WHERE {about})"
            done.rows[table] += _count(writer, f"DELETE FROM {table} WHERE {about}", name, model)


def _delete_labelling(writer: Cursor, models: Sequence[Model], erased: ErasedMatcher, done: ErasedRows) -> None:
    """Delete the labelling records (annotations, assignments, skips, items) about erased predictions."""
    of_project: dict[str, set[str]] = {}
    for model in models:
        for project in (model.name, *model.settings.projects):
            of_project.setdefault(project, set()).add(model.name)
    for kind in LABELLING:
        table = kind_tables()[kind]
        for project, item in writer.execute(f"SELECT DISTINCT project, item FROM {table}").fetchall():
            if any(erased.is_prediction(model, item) for model in of_project.get(project, ())):
                done.rows[table] += _count(writer, f"DELETE FROM {table} WHERE project = ? AND item = ?", project, item)


def _delete_rejected(writer: Cursor, erased: ErasedMatcher, subject: str | None, done: ErasedRows) -> None:
    """Delete rejected lines that are about erased subjects or mention them."""
    searched = (
        "" if subject is None or erased.predictions else f"WHERE {mentions_sql('raw', [subject])} OR {mentions_sql('message', [subject])}"
    )
    rows = writer.execute(f"SELECT rowid, raw, message FROM rejected {searched}").fetchall()
    gone = [
        rowid
        for rowid, raw, message in rows
        if any(erased.cleaned_text(text) != text for text in (raw or "", message or ""))
        or erased.is_about((raw or "").encode("utf-8", "surrogatepass"))
    ]
    done.rows["rejected"] += _count(writer, "DELETE FROM rejected WHERE list_contains(?::BIGINT[], rowid)", gone)


def _mark_texts(writer: Cursor, erased: ErasedMatcher, names: Sequence[str] | None, done: ErasedRows) -> None:
    """Put a mark in place of erased subjects and ids in the texts of every table.

    names: the subject, then the ids. Only texts that hold one of them are checked; without names, every text is checked.
    """
    records = set(kind_tables().values())
    kept = {table: tuple(kept_columns(kind)) for kind, table in kind_tables().items()}
    people = {table for kind, table in kind_tables().items() if {"author", "text", "note"} & kind_columns(kind).keys()}
    columns = writer.execute(
        """SELECT table_name, column_name, data_type FROM duckdb_columns() JOIN duckdb_tables() USING (database_name, table_name)
        WHERE database_name = current_database() AND NOT duckdb_tables.temporary AND data_type IN ('VARCHAR', 'JSON', 'VARCHAR[]')
        ORDER BY ALL"""
    ).fetchall()
    steps_changed = False
    for table, column, kind in columns:
        if table in KEPT_TABLES or (table, column) in KEPT_COLUMNS or column in kept.get(table, ()):
            continue
        if table.startswith(("predictions_", "labels_")) and column == "id":
            continue
        name, quoted = quoted_identifier(table), quoted_identifier(column)
        sought = [] if names is None or table in people else names if table in records or column == "extra" else names[:1]
        searched = f"AND {mentions_sql(quoted, sought)}" if sought else ""
        if kind == "VARCHAR[]":  # features in the shared tables
            done.texts += _mark_list_texts(writer, erased, name, quoted)
            continue
        changed: dict[str, str] = {}
        for text in _column(
            writer, f"SELECT DISTINCT {quoted}::VARCHAR FROM {name} WHERE length({quoted}::VARCHAR) >= {SHORTEST_WORD} {searched}"
        ):
            cleaned = cleaned_value(erased, text, kind, marks_review=(table, column) == ("reviews", "body"))
            if cleaned != text:
                changed[text] = cleaned
        if not changed:
            continue
        writer.register("changed_texts", pa.table({"old": pa.array(list(changed), pa.string()), "new": pa.array(list(changed.values()))}))
        # numbers kept from the old text are dropped; questions parse the text instead
        stale = "".join(f", {quoted_identifier(each)} = NULL" for each in kept.get(table, ()) if each.startswith(f"{column}."))
        count = _count(
            writer,
            f"""UPDATE {name} SET {quoted} = changed_texts.new::{kind}{stale} FROM changed_texts
            WHERE {quoted}::VARCHAR = changed_texts.old""",
        )
        writer.unregister("changed_texts")
        done.texts += count
        steps_changed |= table == kind_tables()["step"]
        done.reviews += count if table == "reviews" else 0
    if steps_changed:
        redo_rank_blocks(writer)
        redo_noted_steps(writer)


def _mark_list_texts(writer: Cursor, erased: ErasedMatcher, name: str, column: str) -> int:
    """Put marks into the categories of a column of lists; return the number of changed rows. Numbers are stored there as texts, and are not
    changed.
    """
    texts = _column(
        writer,
        f"""SELECT DISTINCT text
        FROM (SELECT key, unnest({column}) AS text, generate_subscripts({column}, 1) AS place FROM {name}) AS shared
        JOIN columns ON columns.key = shared.key AND columns.id = place AND columns.kind = 'category'
        WHERE length(text) >= {SHORTEST_WORD}""",
    )
    changed = {text: cleaned for text in texts if (cleaned := erased.cleaned_text(text)) != text}
    if not changed:
        return 0
    values = {"old": list(changed), "new": list(changed.values())}
    marked = "CASE WHEN list_contains(places, place) THEN coalesce($new[list_position($old, text)], text) ELSE text END"
    replaced = f"list_transform({column}, lambda text, place: {marked})"
    categories = "(SELECT key, list(id) AS places FROM columns WHERE kind = 'category' GROUP BY key) AS categories"
    return _count(
        writer,
        f"""UPDATE {name} SET {column} = {replaced} FROM {categories} WHERE categories.key = {name}.key AND list_has_any(
            list_transform(places, lambda place: {column}[place]), $old)""",
        values,
    )


def _column(cursor: Cursor, query: str, *parameters: object) -> list[str]:
    """The only column of a query result."""
    return [value for (value,) in cursor.execute(query, list(parameters)).fetchall()]


def _count(writer: Cursor, statement: str, *parameters: object) -> int:
    """Run a statement that changes rows; return their number. parameters: by place, or one dict by name."""
    values = parameters[0] if parameters and isinstance(parameters[0], dict) else list(parameters)
    ((count,),) = writer.execute(statement, values).fetchall()
    return int(count)
