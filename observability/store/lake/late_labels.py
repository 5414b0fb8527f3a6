"""Count labels that came after retention removed their predictions, whose rows the lake has.

Such a label stands in the store without its prediction, and the export leaves it out. Here its prediction and the earlier labels of its id
are read from the lake, the change of counts is that of any late label (rollup/ladder.py), and the label goes from the store to the lake. So
a label that the lake has was counted: one that comes again is a duplicate. The ids are noted before the lake is written, so that those of a
round that was killed are not taken for duplicates.
"""

import json
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from observability.core.catalog import Model
from observability.core.view_names import quoted_identifier
from observability.lake.file_place import open_file_place
from observability.records.private_file import replace_private_file
from observability.store.db.database import Database
from observability.store.db.results import Cursor, arrow_result, single_row
from observability.store.db.schema import model_table
from observability.store.ingest.dedupe import LABEL_KEY
from observability.store.lake.export import WRITING, export_leaving, is_lake_of_home
from observability.store.rollup.outcomes import outcome_columns
from observability.store.rollup.rollup import add_to_rollups

BEGUN = "late-labels.json"
"""In the home: the ids of a round that may have written the lake and not the store."""


def count_late_labels(store: Database, address: str) -> dict[str, int]:
    """Count the labels of predictions that the lake of a home alone has, by model; models without any are left out.

    Raises StoreBrokenError where the lake cannot be used. A lake in a bucket is not read, so labels of its predictions are not counted.
    """
    counted: dict[str, int] = {}
    if not is_lake_of_home(store.home, open_file_place(address)):
        return counted
    for model in store.catalog().models:
        if model.rows_from is None or model.shared:
            continue
        with store.cursor() as cursor:
            (waiting,) = single_row(cursor, f"SELECT count(*) FROM {_lone_labels(model)}")
        if waiting:
            with WRITING, store.write() as writer:
                store.note_changed_models([model.name])
                if found := _count_from_lake(store, writer, address, model):
                    counted[model.name] = found
        _note_begun(store.home, model.name, [])
    return counted


def _lone_labels(model: Model) -> str:
    """SQL: the labels of a model whose predictions the store does not have."""
    predictions = f"SELECT id_hash FROM {model_table('predictions', model.key)}"
    return f"(SELECT * FROM {model_table('labels', model.key)} WHERE id_hash NOT IN ({predictions}))"


def _count_from_lake(store: Database, writer: Cursor, address: str, model: Model) -> int:
    """Add the labels without a prediction in the store to the counts where the lake has it, and move them there; how many were new."""
    if (lake := store.removed_rows(model)) is None:
        return 0
    labels, mine = model_table("labels", model.key), "id IN (SELECT id FROM lone_labels) AND id_hash IN (SELECT id_hash FROM lone_labels)"
    lone = arrow_result(writer, f"SELECT * FROM {_lone_labels(model)}")
    lake.register("lone_labels", lone)
    named = ", ".join(map(quoted_identifier, outcome_columns(model)))
    older = arrow_result(lake, f"SELECT {named} FROM {model_table('predictions', model.key)} WHERE {mine}")
    known = arrow_result(lake, f"SELECT * FROM {labels} WHERE {mine}")
    lake.unregister("lone_labels")
    ids = pc.unique(older["id"]).to_pylist()
    if not ids:
        return 0
    chosen, own = "id IN (SELECT id FROM counted_ids)", 'id, "at", arrived, value, number'
    same = " AND ".join(f"k.{name} IS NOT DISTINCT FROM l.{name}" for name in map(quoted_identifier, LABEL_KEY))
    tables = {"lone_labels": lone, "lake_labels": known, "counted_ids": pa.table({"id": ids})}
    tables["begun_ids"] = pa.table({"id": pa.array(ids_begun(store.home).get(model.name, []), pa.string())})
    for name, table in tables.items():
        writer.register(name, table)
    writer.execute(
        f"""CREATE OR REPLACE TEMP TABLE known_labels AS SELECT * FROM lake_labels k WHERE {chosen} AND NOT (
            id IN (SELECT id FROM begun_ids) AND EXISTS (SELECT 1 FROM lone_labels l WHERE {same} AND l.arrived = k.arrived))"""
    )
    is_known = f"EXISTS (SELECT 1 FROM known_labels k WHERE {same})"
    revisions = arrow_result(
        writer,
        f"""SELECT {own}, false AS is_new FROM known_labels
        UNION ALL SELECT {own}, true AS is_new FROM lone_labels l WHERE {chosen} AND NOT {is_known}""",
    )
    fresh = revisions.filter(revisions["is_new"])
    _note_begun(store.home, model.name, pc.unique(fresh["id"]).to_pylist())
    add_to_rollups(writer, model, None, older, revisions)
    writer.execute(f"DELETE FROM {labels} l WHERE {chosen} AND {is_known}")
    export_leaving(store, writer, address, model, lone=chosen)
    writer.execute(f"DELETE FROM {labels} WHERE {chosen}")
    writer.execute("DROP TABLE known_labels")
    for name in tables:
        writer.unregister(name)
    return fresh.num_rows


def ids_begun(home: Path) -> dict[str, list[str]]:
    """By model, the ids of a round that did not end."""
    with suppress(OSError, ValueError):
        return {str(name): list(map(str, ids)) for name, ids in json.loads((home / BEGUN).read_text(encoding="utf-8")).items()}
    return {}


def _note_begun(home: Path, model: str, ids: list[str]) -> None:
    """Note the ids of a round of a model; none where it ended."""
    before = ids_begun(home)
    if before.get(model, []) != ids:
        noted = {**before, model: ids}
        replace_private_file(home / BEGUN, json.dumps({name: own for name, own in noted.items() if own}))
