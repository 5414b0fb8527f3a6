"""Labels whose predictions are missing from the store, and ids for which a lake may have labels that were not counted."""

import json
from contextlib import suppress
from pathlib import Path

from observability.core.catalog import Model
from observability.records.private_file import replace_private_file
from observability.store.db.database import Database
from observability.store.db.schema import model_table
from observability.store.lake.manifest import LakeManifest

BEGUN = "late-labels.json"
"""In the home: the ids of a round that may have written the lake but not the store."""


def lone_labels(model: Model) -> str:
    """SQL: the labels of a model whose predictions the store does not have."""
    predictions = f"SELECT id_hash FROM {model_table('predictions', model.key)}"
    return f"(SELECT * FROM {model_table('labels', model.key)} WHERE id_hash NOT IN ({predictions}))"


def ids_begun(home: Path) -> dict[str, list[str]]:
    """By model, the ids of a round that did not end."""
    with suppress(OSError, ValueError):
        return {str(name): list(map(str, ids)) for name, ids in json.loads((home / BEGUN).read_text(encoding="utf-8")).items()}
    return {}


def note_begun(home: Path, model: str, ids: list[str]) -> None:
    """Note the ids of a round of a model; none once the round has ended."""
    before = ids_begun(home)
    if before.get(model, []) != ids:
        noted = {**before, model: ids}
        replace_private_file(home / BEGUN, json.dumps({name: own for name, own in noted.items() if own}))


def note_ids_of_former_lake(store: Database, state: LakeManifest) -> None:
    """Note the ids of labels without a prediction if a version before 0.30 wrote the lake. The lake has these labels, and they were not
    counted.
    """
    if not state.number or state.store:
        return
    for model in store.catalog().models:
        if model.rows_from is not None and not model.shared:
            with store.cursor() as cursor:
                ids = [name for (name,) in cursor.execute(f"SELECT DISTINCT id FROM {lone_labels(model)} ORDER BY id").fetchall()]
            note_begun(store.home, model.name, ids)
