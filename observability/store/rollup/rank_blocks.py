"""Keep summaries of the steps of ranks by block (stats/rank_blocks.py) up to date with the records.

A load notes in its own transaction which steps of which runs got records. Afterwards the blocks of these steps that differ from what is
kept are summarised anew. So the work grows with the number of new records, and if a process dies in between, the note stays. Loads may
interleave.
"""

import logging
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pyarrow as pa

from observability.core.errors import StoreBrokenError, StoreBusyError
from observability.stats.rank_blocks import BLOCK, MIN_BLOCKS, MIN_RECORDS, blocks_frame
from observability.store.db.results import Cursor, single_row
from observability.store.query.rank_blocks import OF_RANKS, block_groups, computed_blocks, last_step

if TYPE_CHECKING:
    from observability.store.db.database import Database

LOG = logging.getLogger(__name__)
MADE_OF = pa.schema(
    {
        "block": pa.int64(),
        "records": pa.int64(),
        "mark": pa.uint64(),
        "at": pa.timestamp("us"),
        "arrived": pa.timestamp("us"),
        "sample": pa.bool_(),
    }
)
"""Fields that identify the records that a block was made of."""
GONE = (0, None)
"""The number and the mark of a block without records."""


def note_steps_of_ranks(writer: Cursor, source: str) -> None:
    """Note the blocks that got step records from a table or query, within the transaction that stores the records."""
    writer.execute(
        f"""INSERT INTO rank_blocks_due SELECT run, min(step) // {BLOCK}, max(step) // {BLOCK}, uuid() FROM {source}
        WHERE {OF_RANKS} GROUP BY run"""
    )


def keep_rank_blocks(store: "Database") -> None:
    """Summarise the blocks that got or lost records since they were last summarised. If another writer delays a block, the next call
    summarises it.

    If the blocks of a run cannot be summarised, the error is logged and the run stays noted. The load does not fail, and the blocks are
    summarised when they are asked for.
    """
    with store.cursor() as cursor:
        due = cursor.execute("SELECT run, min(low), max(high), list(note) FROM rank_blocks_due GROUP BY run ORDER BY run").fetchall()
    for run, low, high, notes in due:
        try:
            _keep_run(store, run, low, high, notes)
        except StoreBusyError:
            return
        except StoreBrokenError:
            raise
        except Exception as error:  # any error that the records of one run cause
            LOG.warning("the times of the ranks of run %r could not be summarised: %s: %s", run, type(error).__name__, error)


def _keep_run(store: "Database", run: str, low: int, high: int, notes: list[UUID]) -> None:
    """Bring the kept summaries of some blocks of a run up to date, and delete the notes that asked for it.

    No summaries of a short run are kept. When a run has become long, all of its blocks are summarised. Summaries are computed outside of
    the transaction that writes them. If the records of a block changed meanwhile, its summary is not written and its note stays.
    """
    with store.cursor() as cursor:
        known = cursor.execute("SELECT 1 FROM rank_blocks WHERE run = ? LIMIT 1", [run]).fetchall()
        whole_run = f"SELECT count(*), count(DISTINCT step // {BLOCK}), min(step), max(step) FROM steps WHERE run = ? AND {OF_RANKS}"
        records, blocks, first, last = single_row(cursor, whole_run, [run]) if not known else (0, 0, 0, 0)
    if not known:
        if records < MIN_RECORDS or blocks < MIN_BLOCKS:
            _delete_notes(store, notes)
            return
        low, high = first // BLOCK, last // BLOCK
        with store.write(aside=True) as writer:
            noted = writer.execute("INSERT INTO rank_blocks_due VALUES (?, ?, ?, uuid()) RETURNING note", [run, low, high])
            notes = [*notes, *(note for (note,) in noted.fetchall())]
    with store.cursor() as cursor:
        held = _blocks_of_records(cursor, run, low, high)
        asked = "SELECT block, records, mark FROM rank_blocks WHERE run = ? AND block BETWEEN ? AND ?"
        kept = {block: (count, mark) for block, count, mark in cursor.execute(asked, [run, low, high]).fetchall()}
    changed = sorted(block for block in held.keys() | kept.keys() if held.get(block, GONE)[:2] != kept.get(block, GONE))
    written = True
    for part in block_groups(changed, [held.get(block, GONE)[0] for block in changed]):
        with store.cursor() as cursor:
            found = [{"run": run, **summary} for summary in computed_blocks(cursor, run, part)]
        with store.write(aside=True) as writer:
            written &= _write_blocks(writer, run, part, held, found)
    if written:
        _delete_notes(store, notes)


def _blocks_of_records(cursor: Cursor, run: str, low: int, high: int) -> dict[int, tuple[Any, ...]]:
    """By block number, the fields of MADE_OF, which identify the records that each block of a run is made of."""
    rows = cursor.execute(
        f"""SELECT step // {BLOCK} AS block, count(*), bit_xor(content_hash), max("at"), max(arrived), bool_or(sample) FROM steps
        WHERE run = ? AND step BETWEEN ? AND ? AND {OF_RANKS} GROUP BY ALL""",
        [run, low * BLOCK, last_step(high)],
    ).fetchall()
    return {row[0]: row[1:] for row in rows}


def _write_blocks(writer: Cursor, run: str, blocks: list[int], held: dict[int, tuple[Any, ...]], found: list[dict[str, Any]]) -> bool:
    """Replace the kept summaries by new ones; blocks that lost their records get none. Returns whether all were written. A summary is not
    written if the records of its block are no longer those that it was computed from.
    """
    now = _blocks_of_records(writer, run, blocks[0], blocks[-1])
    same = [block for block in blocks if now.get(block) == held.get(block)]
    writer.execute("DELETE FROM rank_blocks WHERE run = ? AND list_contains(?::BIGINT[], block)", [run, same])
    rows = [{"block": block, **dict(zip(MADE_OF.names[1:], held[block]))} for block in same if block in held]
    if rows and found:
        writer.register("blocks_made_of", pa.Table.from_pylist(rows, MADE_OF))
        writer.register("summarised_blocks", blocks_frame(found))
        writer.execute("INSERT INTO rank_blocks BY NAME FROM summarised_blocks JOIN blocks_made_of USING (block)")
        writer.unregister("summarised_blocks")
        writer.unregister("blocks_made_of")
    return len(same) == len(blocks)


def _delete_notes(store: "Database", notes: list[UUID]) -> None:
    """Delete the notes that were read, but not those that came meanwhile."""
    with store.write(aside=True) as writer:
        writer.execute("DELETE FROM rank_blocks_due WHERE list_contains(?::UUID[], note)", [notes])


def redo_rank_blocks(writer: Cursor) -> None:
    """Delete all summaries and note the blocks of every run, after texts of step records were changed."""
    writer.execute("DELETE FROM rank_blocks")
    writer.execute("DELETE FROM rank_blocks_due")
    note_steps_of_ranks(writer, "steps")


def drop_blocks_without_steps(writer: Cursor) -> None:
    """Delete the summaries of blocks without records and the notes of runs without records, and note the blocks that lost some records."""
    steps = f"SELECT run, step // {BLOCK} AS block, count(*) AS held FROM steps WHERE {OF_RANKS} GROUP BY ALL"
    writer.execute(f"CREATE OR REPLACE TEMP TABLE steps_left AS {steps}")
    writer.execute("DELETE FROM rank_blocks WHERE (run, block) NOT IN (SELECT run, block FROM steps_left)")
    writer.execute("DELETE FROM rank_blocks_due WHERE run NOT IN (SELECT run FROM steps_left)")
    writer.execute(
        """INSERT INTO rank_blocks_due SELECT run, min(block), max(block), uuid() FROM rank_blocks JOIN steps_left
        USING (run, block) WHERE records <> held GROUP BY run"""
    )
    writer.execute("DROP TABLE steps_left")
