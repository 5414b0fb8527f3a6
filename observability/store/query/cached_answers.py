"""Cached answers that a model artifact computed about single predictions.

A row of `computed_<key>` is one answer of a worker: the question (`part`, and `asked`, a hash of everything it depends on) and the answer
as JSON. Losing a row costs a second of computation, so a write is skipped if the store is busy or the disk is full.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.time import naive_utc
from observability.store.db.database import Database
from observability.store.db.schema import model_table
from observability.store.db.shared_tables import shares_tables
from observability.store.query.source import snapshot_cursor

LOG = logging.getLogger(__name__)
MAX_OF_ONE, MAX_OF_ALL = 40, 20_000
"""Maximum number of cached answers about one part of one prediction, and about a model."""
SAME_PART = "id_hash = hash($id) AND id = $id AND part = $part"


def find_cached_answer(store: Database, model: Model, prediction: str, part: str, asked: str) -> Any:
    """The cached answer, parsed from JSON; None if there is none."""
    table, key = model_table("computed", model.key), {"id": prediction, "part": part, "asked": asked}
    with snapshot_cursor(store) as cursor:
        held = cursor.execute(f"SELECT body FROM {table} WHERE {SAME_PART} AND asked = $asked", key).fetchall()
    return json.loads(held[0][0]) if held else None


def cache_answer(store: Database, model: Model, prediction: str, part: str, asked: str, body: str) -> None:
    """Cache an answer (JSON) and evict the oldest ones. If the store cannot be written, the answer is not cached and no error is raised."""
    table, key = model_table("computed", model.key), {"id": prediction, "part": part, "asked": asked}
    newest = f"""SELECT asked FROM {table} WHERE {SAME_PART} ORDER BY "at" DESC LIMIT {MAX_OF_ONE}"""
    oldest = f"""SELECT "at" FROM {table} ORDER BY "at" DESC OFFSET {MAX_OF_ALL - 1} LIMIT 1"""
    try:
        with store.write(aside=True) as writer:
            if shares_tables(writer, model.key):
                return  # a model in shared tables has no artifact, so no answers to cache
            writer.execute(f"DELETE FROM {table} WHERE {SAME_PART} AND asked = $asked", key)
            row = key | {"at": naive_utc(datetime.now(UTC)), "body": body}
            writer.execute(f"INSERT INTO {table} SELECT hash($id), $id, $part, $asked, $at, $body", row)
            writer.execute(f"DELETE FROM {table} WHERE {SAME_PART} AND asked NOT IN ({newest})", {"id": prediction, "part": part})
            writer.execute(f"""DELETE FROM {table} WHERE "at" < ({oldest})""")
    except ObservabilityError as error:
        LOG.info("an answer about %s was not cached: %s", prediction[:80], error)
