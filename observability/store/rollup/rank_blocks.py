"""Keep summaries of the steps of ranks by block (stats/rank_blocks.py) up to date with the records.

A load notes in its own transaction which steps of which runs got records. Afterwards the blocks of these steps that differ from what is
kept are summarised anew. So the work grows with what arrived, and a process that dies in between leaves the note.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from observability.core.errors import StoreBusyError
from observability.stats.rank_blocks import BLOCK, blocks_frame
from observability.store.db.results import Cursor
from observability.store.query.rank_blocks import OF_RANKS, block_groups, computed_blocks

if TYPE_CHECKING:
    from observability.store.db.database import Database

CHANGED = pa.schema(
    {
        "block": pa.int64(),
        "records": pa.int64(),
        "mark": pa.uint64(),
        "at": pa.timestamp("us"),
        "arrived": pa.timestamp("us"),
        "sample": pa.bool_(),
    }
)
"""What a block was made of."""


def note_steps_of_ranks(writer: Cursor, source: str) -> None:
    """Note the blocks that the records of steps in a table or query got, within the transaction that stores them."""
    writer.execute(
        f"""INSERT INTO rank_blocks_due SELECT run, min(step) // {BLOCK}, max(step) // {BLOCK} FROM {source}
        WHERE {OF_RANKS} GROUP BY run"""
    )


def keep_rank_blocks(store: "Database") -> None:
    """Summarise the blocks that got or lost records since they were kept. What another writer delays is left for the next call."""
    with store.cursor() as cursor:
        due = cursor.execute("SELECT run, min(low), max(high) FROM rank_blocks_due GROUP BY run ORDER BY run").fetchall()
    try:
        for run, low, high in due:
            _keep_run(store, run, low, high)
    except StoreBusyError:
        return


def _keep_run(store: "Database", run: str, low: int, high: int) -> None:
    """Bring the kept summaries of some blocks of a run up to date."""
    span = {"run": run, "low": low, "high": high}
    with store.cursor() as cursor:
        rows = cursor.execute(
            f"""WITH present AS (
                SELECT step // {BLOCK} AS block, count(*) AS records, bit_xor(content_hash) AS mark, max("at") AS "at",
                    max(arrived) AS arrived, bool_or(sample) AS sample FROM steps
                WHERE run = $run AND step >= $low * {BLOCK} AND step < ($high + 1) * {BLOCK} AND {OF_RANKS} GROUP BY ALL),
            kept AS (SELECT block, records, mark FROM rank_blocks WHERE run = $run AND block BETWEEN $low AND $high)
            SELECT block, coalesce(present.records, 0) AS records, present.mark, "at", arrived, sample
            FROM present FULL JOIN kept USING (block)
            WHERE present.records IS DISTINCT FROM kept.records OR present.mark IS DISTINCT FROM kept.mark ORDER BY block""",
            span,
        ).fetchall()
    changed = pa.Table.from_pylist([dict(zip(CHANGED.names, row)) for row in rows], CHANGED)
    for part in block_groups([row[0] for row in rows], [row[1] for row in rows]):
        with store.write(aside=True) as writer:
            _write_blocks(writer, run, part, changed)
    with store.write(aside=True) as writer:
        writer.execute("DELETE FROM rank_blocks_due WHERE run = $run AND low >= $low AND high <= $high", span)


def _write_blocks(writer: Cursor, run: str, blocks: list[int], changed: pa.Table) -> None:
    """Put new summaries in the place of the kept ones; none for blocks that lost their records. changed: the records of each block."""
    writer.execute("DELETE FROM rank_blocks WHERE run = ? AND list_contains(?::BIGINT[], block)", [run, blocks])
    found = [{"run": run, **summary} for summary in computed_blocks(writer, run, blocks)]
    if found:
        writer.register("changed_blocks", changed)
        writer.register("summarised_blocks", blocks_frame(found))
        writer.execute("INSERT INTO rank_blocks BY NAME FROM summarised_blocks JOIN changed_blocks USING (block)")
        writer.unregister("summarised_blocks")
        writer.unregister("changed_blocks")


def drop_blocks_without_steps(writer: Cursor) -> None:
    """Delete the summaries of blocks whose records were removed and the notes of such runs, and note the blocks that lost some records."""
    steps = f"SELECT run, step // {BLOCK} AS block, count(*) AS held FROM steps WHERE {OF_RANKS} GROUP BY ALL"
    writer.execute(f"CREATE OR REPLACE TEMP TABLE steps_left AS {steps}")
    writer.execute("DELETE FROM rank_blocks WHERE (run, block) NOT IN (SELECT run, block FROM steps_left)")
    writer.execute("DELETE FROM rank_blocks_due WHERE run NOT IN (SELECT run FROM steps_left)")
    writer.execute(
        """INSERT INTO rank_blocks_due SELECT run, min(block), max(block) FROM rank_blocks JOIN steps_left USING (run, block)
        WHERE records <> held GROUP BY run"""
    )
    writer.execute("DROP TABLE steps_left")
