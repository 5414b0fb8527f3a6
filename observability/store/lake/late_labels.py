"""Count labels that arrived after retention had removed their predictions from the store, if the lake has these predictions.

Such a label stands in the store without its prediction, and the export leaves it out. Here its prediction and the earlier labels of its id
are read from the lake, the counts change as for any late label (rollup/ladder.py), and the label moves from the store to the lake. Each run
of this work is a round, and the moved label carries the name of its round. The store keeps the names of all rounds that its counts include.
So a label in the lake was counted if the store knows its round. If not, the round was killed after it wrote the lake and before it wrote
the store, or an older backup was restored. Such a label comes back into the store and is counted as soon as another label of its id waits
there. A label that is sent again after it was counted is a duplicate. If a day of the lake cannot be read, the labels wait.
"""

import secrets

import pyarrow as pa
import pyarrow.compute as pc

from observability.core.catalog import Model
from observability.core.time import naive_utc
from observability.core.view_names import quoted_identifier
from observability.store.db.database import Database
from observability.store.db.results import Cursor, arrow_result, single_row
from observability.store.db.schema import LABEL_COLUMNS, model_table
from observability.store.ingest.dedupe import LABEL_KEY
from observability.store.lake.export import WRITING, export_leaving, is_lake_of_home
from observability.store.lake.lake_owner import open_known_lake
from observability.store.lake.manifest import COUNTED_BY, read_manifest
from observability.store.lake.uncounted_labels import ids_begun, lone_labels, note_begun, note_ids_of_former_lake
from observability.store.rollup.outcomes import outcome_columns
from observability.store.rollup.rollup import add_to_rollups


def count_late_labels(store: Database, address: str) -> dict[str, int]:
    """Count the labels whose predictions only the lake of a home still has. Returns the number of new labels by model; models without any
    are left out.

    Raises StoreBrokenError if the lake cannot be used. A lake in a bucket is not read, so labels of its predictions are not counted.
    """
    counted: dict[str, int] = {}
    if not is_lake_of_home(store.home, place := open_known_lake(store.home, address)):
        return counted
    note_ids_of_former_lake(store, read_manifest(place))
    for model in store.catalog().models:
        if model.rows_from is None or model.shared or store.unread_days(model.name):
            continue
        with store.cursor() as cursor:
            (waiting,) = single_row(cursor, f"SELECT count(*) FROM {lone_labels(model)}")
        if waiting:
            with WRITING, store.write() as writer:
                store.note_changed_models([model.name])
                if found := _count_from_lake(store, writer, address, model):
                    counted[model.name] = found
        note_begun(store.home, model.name, [])
    return counted


SAME = " AND ".join(f"k.{name} IS NOT DISTINCT FROM l.{name}" for name in map(quoted_identifier, LABEL_KEY))


def _is_uncounted(label: str) -> str:
    """SQL: whether a label in the lake names a round that the counts do not have."""
    return f"({label}.{COUNTED_BY} IS NOT NULL AND {label}.{COUNTED_BY} NOT IN (SELECT round FROM late_rounds))"


def _bring_back_uncounted(writer: Cursor, model: Model, known: pa.Table) -> None:
    """Put labels of the lake that were not counted (`_is_uncounted`) back into the store. They replace equal labels that were sent
    again.
    """
    labels, columns = model_table("labels", model.key), ", ".join(map(quoted_identifier, LABEL_COLUMNS))
    writer.register("lake_labels", known)
    counted_since = f"EXISTS (SELECT 1 FROM lake_labels l WHERE {SAME} AND NOT {_is_uncounted('l')})"
    lost = f"(SELECT {columns} FROM lake_labels k WHERE {_is_uncounted('k')} AND NOT {counted_since})"
    writer.execute(f"DELETE FROM {labels} l WHERE EXISTS (SELECT 1 FROM {lost} k WHERE {SAME})")
    writer.execute(f"INSERT INTO {labels} ({columns}) SELECT {columns} FROM {lost}")
    writer.unregister("lake_labels")


def _count_from_lake(store: Database, writer: Cursor, address: str, model: Model) -> int:
    """Count the labels whose prediction is in the lake and not in the store, and move them to the lake. Returns how many were new.

    Labels without any prediction that are older than the first kept day go to the lake too, because their prediction would be refused.
    """
    if (lake := store.removed_rows(model)) is None:
        return 0
    labels, mine = model_table("labels", model.key), "id IN (SELECT id FROM lone_labels) AND id_hash IN (SELECT id_hash FROM lone_labels)"
    lone = arrow_result(writer, f"SELECT * FROM {lone_labels(model)}")
    lake.register("lone_labels", lone)
    named = ", ".join(map(quoted_identifier, outcome_columns(model)))
    older = arrow_result(lake, f"SELECT {named} FROM {model_table('predictions', model.key)} WHERE {mine}")
    known = arrow_result(lake, f"SELECT * FROM {labels} WHERE {mine}")
    lake.unregister("lone_labels")
    ids = pc.unique(older["id"]).to_pylist()
    assert model.rows_from is not None
    first = naive_utc(model.rows_from)
    if not ids and not pc.any(pc.less(lone["at"], pa.scalar(first, lone["at"].type))).as_py():
        return 0
    _bring_back_uncounted(writer, model, known)
    lone, round_ = arrow_result(writer, f"SELECT * FROM {lone_labels(model)}"), secrets.token_hex(8)
    chosen, own = "id IN (SELECT id FROM counted_ids)", 'id, "at", arrived, value, number'
    tables = {"lone_labels": lone, "lake_labels": known, "counted_ids": pa.table({"id": ids})}
    tables["begun_ids"] = pa.table({"id": pa.array(ids_begun(store.home).get(model.name, []), pa.string())})
    for name, table in tables.items():
        writer.register(name, table)
    writer.execute(
        f"""CREATE OR REPLACE TEMP TABLE known_labels AS SELECT * FROM lake_labels k WHERE {chosen} AND NOT {_is_uncounted("k")} AND NOT (
            id IN (SELECT id FROM begun_ids) AND EXISTS (SELECT 1 FROM lone_labels l WHERE {SAME} AND l.arrived = k.arrived))"""
    )
    is_known = f"EXISTS (SELECT 1 FROM known_labels k WHERE {SAME})"
    revisions = arrow_result(
        writer,
        f"""SELECT {own}, false AS is_new FROM known_labels
        UNION ALL SELECT {own}, true AS is_new FROM lone_labels l WHERE {chosen} AND NOT {is_known}""",
    )
    fresh = revisions.filter(revisions["is_new"])
    add_to_rollups(writer, model, None, older, revisions)
    writer.execute(f"DELETE FROM {labels} l WHERE {chosen} AND {is_known}")
    is_lone = "id_hash IN (SELECT id_hash FROM lone_labels)"
    leaving = f"({chosen} OR {is_lone} AND \"at\" < TIMESTAMP '{first}')"
    export_leaving(store, writer, address, model, lone=leaving, counted_by=round_)
    writer.execute("INSERT INTO late_rounds VALUES (?)", [round_])
    writer.execute(f"DELETE FROM {labels} WHERE {leaving}")
    writer.execute("DROP TABLE known_labels")
    for name in tables:
        writer.unregister(name)
    return fresh.num_rows
