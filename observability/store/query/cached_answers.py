"""What did a model's file say about one prediction, the last time it was asked the same?

A row of `computed_<key>` is one answer that a worker computed: to which question (`part`, and `asked`, a hash of everything that it depends on) and the
answer as JSON. It is a memory, no record: losing one costs a second, so a write is given up where the store is busy or the disk is full.
"""

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.store.db.schema import model_table
from observability.store.query.source import snapshot, stored

if TYPE_CHECKING:
    import duckdb

    from observability.store.db.database import Store

LOG = logging.getLogger(__name__)
MOST_OF_ONE, MOST_OF_ALL = 40, 20_000
"""Answers that are kept of one part of one prediction, and of a model: the newest."""


def find(store: "Store", model: Model, prediction: str, part: str, asked: str) -> Any:
    """The kept answer, as JSON has it; None where there is none."""
    with snapshot(store) as cursor:
        held = cursor.execute(
            f"SELECT body FROM {model_table('computed', model.key)} WHERE id_hash = hash($id) AND id = $id AND part = $part AND asked = $asked",
            {"id": prediction, "part": part, "asked": asked},
        ).fetchall()
    return json.loads(held[0][0]) if held else None


def keep(store: "Store", model: Model, prediction: str, part: str, asked: str, body: str) -> None:
    """Keep an answer (JSON) beside what is there, the oldest go where there are many. Never raises for a store that cannot be written just now."""
    table = model_table("computed", model.key)
    said = {"id": prediction, "part": part, "asked": asked, "at": stored(datetime.now(UTC)), "body": body}
    try:
        with store.write(aside=True) as writer:
            writer.execute(f"DELETE FROM {table} WHERE id_hash = hash($id) AND id = $id AND part = $part AND asked = $asked", {name: said[name] for name in ("id", "part", "asked")})  # fmt: skip
            writer.execute(f"INSERT INTO {table} SELECT hash($id), $id, $part, $asked, $at, $body", said)
            writer.execute(
                f"""DELETE FROM {table} WHERE id_hash = hash($id) AND id = $id AND part = $part AND asked NOT IN (
                    SELECT asked FROM {table} WHERE id_hash = hash($id) AND id = $id AND part = $part ORDER BY "at" DESC LIMIT {MOST_OF_ONE})""",
                {"id": prediction, "part": part},
            )
            writer.execute(
                f"""DELETE FROM {table} WHERE "at" < (SELECT "at" FROM {table} ORDER BY "at" DESC OFFSET {MOST_OF_ALL - 1} LIMIT 1)"""
            )
    except ObservabilityError as error:
        LOG.info("an answer about %s was not kept: %s", prediction[:80], error)


def forget(writer: "duckdb.DuckDBPyConnection", key: int, ids: Iterable[str]) -> int:
    """Deletes the answers about some predictions, in the transaction that forgets these; gives how many."""
    ((count,),) = writer.execute(
        f"DELETE FROM {model_table('computed', key)} WHERE id_hash IN (SELECT hash(unnest($ids::VARCHAR[]))) AND id IN (SELECT unnest($ids::VARCHAR[]))",
        {"ids": list(ids)},
    ).fetchall()
    return int(count)
