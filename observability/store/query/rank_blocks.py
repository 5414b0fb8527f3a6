"""Answer questions about the ranks of long runs from the kept summaries of their blocks of steps.

A block is summarised when it is asked for in two cases: it got records since it was summarised, or some of its records had not arrived by
the instant of the question.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import duckdb

from observability.stats.rank_blocks import BLOCK, MIN_BLOCKS, MIN_RECORDS, blocks_frame, rank_blocks
from observability.stats.rank_times import AT, RANK, STEP
from observability.store.db.expressions import sql_literal
from observability.store.db.results import Cursor

if TYPE_CHECKING:
    from pandas import DataFrame

LOG = logging.getLogger(__name__)
OF_RANKS = "rank IS NOT NULL AND phase_ms IS NOT NULL"
"""The records of steps that hold the time of a rank."""
IS_DUE = """EXISTS (SELECT 1 FROM rank_blocks_due AS due WHERE due.run = rank_blocks.run AND block BETWEEN due.low AND due.high)"""
SUMMARY = ("block", "first", "steps", "ranks", "phases", "own", "wait", "longest", "middle")
ROWS_AT_ONCE = 250_000


def answer_rank_blocks(cursor: Cursor, where: str, values: dict[str, Any]) -> "DataFrame":
    """The summaries of the blocks of each long run with ranks, in the order of runs and blocks. where: the condition on step records; if it
    holds for the latest record of a block, it holds for all records of the block. A run whose blocks cannot be computed has no summaries.
    """
    import pandas as pd

    of_block = f"SELECT run, block FROM rank_blocks WHERE ({where}) AND NOT {IS_DUE}"
    kept = cursor.execute(
        f"SELECT run, {', '.join(SUMMARY)}, records FROM rank_blocks WHERE (run, block) IN ({of_block}) ORDER BY run, block", values
    ).df()
    others = f"SELECT run FROM rank_blocks_due UNION SELECT run FROM rank_blocks WHERE NOT ({where})"
    missing = kept.iloc[:0]
    if cursor.execute(others, values).fetchall():
        missing = cursor.execute(
            f"""SELECT run, block, count(*) AS records FROM (
                SELECT run, step // {BLOCK} AS block FROM steps WHERE ({where}) AND {OF_RANKS} AND run IN ({others}))
            WHERE (run, block) NOT IN ({of_block}) GROUP BY ALL ORDER BY ALL""",
            values,
        ).df()
    of_run = pd.concat([kept[["run", "records"]], missing[["run", "records"]]]).groupby("run")["records"].agg(["sum", "size"])
    long = set(of_run.index[(of_run["sum"] >= MIN_RECORDS) & (of_run["size"] >= MIN_BLOCKS)])
    computed: list[dict[str, Any]] = []
    for run, own in missing[missing["run"].isin(long)].groupby("run"):
        try:
            parts = block_groups(own["block"].tolist(), own["records"].tolist())
            found = [summary for part in parts for summary in computed_blocks(cursor, str(run), part, where, values)]
        except duckdb.Error:
            raise
        except Exception as error:  # any error that the records of one run cause
            LOG.warning("the times of the ranks of run %r could not be summarised: %s: %s", run, type(error).__name__, error)
            long.discard(run)
        else:
            computed += [{"run": run, **summary} for summary in found]
    whole = kept.loc[kept["run"].isin(long), ["run", *SUMMARY]].astype(dict.fromkeys(("run", "ranks", "phases"), "object"))
    return pd.concat([whole, blocks_frame(computed)] if computed else [whole]).sort_values(["run", "block"], ignore_index=True)


def block_groups(blocks: Sequence[int], records: Sequence[int]) -> Iterator[list[int]]:
    """Yield groups of consecutive blocks of a run. The records of a group are about ROWS_AT_ONCE."""
    group, rows = list[int](), 0
    for block, count in zip(blocks, records, strict=True):
        if group and rows + count > ROWS_AT_ONCE:
            yield group
            group, rows = [], 0
        group.append(block)
        rows += count
    if group:
        yield group


def last_step(block: int) -> int:
    """The last step number of a block. The number after it may be too large for the database."""
    return int(block) * BLOCK + BLOCK - 1


def computed_blocks(
    cursor: Cursor, run: str, blocks: Sequence[int], where: str = "true", values: dict[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the summaries of blocks of a run, computed from its records. where: a further condition on the records, with its values."""
    asked = {**(values or {}), "blocks_of": run, "low": blocks[0] * BLOCK, "high": last_step(blocks[-1]), "blocks": list(blocks)}
    source = f"""FROM steps WHERE ({where}) AND {OF_RANKS} AND run = $blocks_of AND step BETWEEN $low AND $high
        AND step // {BLOCK} IN (SELECT unnest($blocks::BIGINT[]))"""
    texts = cursor.execute(f"SELECT DISTINCT json_keys(phase_ms) {source}", asked).fetchall()
    names = sorted({name for (held,) in texts for name in held})
    if not names:
        return
    pointers = ", ".join(sql_literal("/" + name.replace("~", "~0").replace("/", "~1")) for name in names)
    times = [f"times[{place}]" for place in range(1, len(names) + 1)]
    numbers = ", ".join(f"CASE WHEN isfinite({time}) AND {time} >= 0 THEN {time} END" for time in times)
    opened = f'SELECT step, rank, "at", json_extract(phase_ms, [{pointers}])::DOUBLE[] AS times {source}'
    frame = cursor.execute(f'SELECT rank, step, "at", {numbers} FROM ({opened})', asked).df()
    columns: list[Any] = [RANK, STEP, AT, *names]
    frame.columns = columns
    if frame.duplicated([STEP, RANK]).any():
        keys: list[Any] = [STEP, RANK]
        frame = frame.sort_values([*keys, *columns[2:]]).drop_duplicates(keys, keep="last")
    yield from rank_blocks(frame.drop(columns=AT))
