"""Keep the steps at which runs logged a value that is not finite, and the extremes of each metric by block of steps.

A question about a long run reads every nth step (store/query/spread_steps.py). With these notes it also reads some other steps of each
metric without a search through all records: the first and the last step with a value that is not finite, and the steps of extremes that
stand out. A note whose record was removed is not harmful: the query looks at the records again.
"""

from observability.stats.extreme_blocks import BLOCK
from observability.store.db.results import Cursor
from observability.store.db.schema import NOT_FINITE


def note_steps(writer: Cursor, source: str) -> None:
    """Note the steps of a table or query of step records, within the transaction that stores them."""
    note_not_finite_steps(writer, source)
    note_step_extremes(writer, source)


def note_not_finite_steps(writer: Cursor, source: str) -> None:
    """Note the steps with a value that is not finite, of a table or query of step records."""
    writer.execute(f"INSERT INTO not_finite_steps SELECT DISTINCT run, step FROM {source} WHERE {NOT_FINITE}")


def note_step_extremes(writer: Cursor, source: str) -> None:
    """Note the least and the greatest value of each metric in each block of steps, with their steps, of a table or query of step records.

    If several ranks log a metric, their mean counts. A block has one note of each metric, which later records of the block only widen. Of
    equal values the first step is noted. A note does not depend on arrival times. If it is newer than the instant of a question, the only
    effect is that no other step of its block is read: the query reads the records themselves with their arrival.
    """
    writer.execute(
        f"""MERGE INTO step_extremes noted USING (
            WITH logged AS (SELECT run, step, unnest(map_entries(TRY_CAST(metrics::JSON AS MAP(VARCHAR, DOUBLE)))) AS metric FROM {source}),
            means AS (
                SELECT run, step, metric.key AS metric, avg(metric.value) AS value FROM logged WHERE isfinite(metric.value) GROUP BY ALL)
            SELECT run, step // {BLOCK} AS block, metric, min(value) AS low, arg_min(step, (value, step)) AS low_step,
                max(value) AS high, arg_max(step, (value, -step)) AS high_step
            FROM means WHERE isfinite(value) GROUP BY ALL) fresh
        ON noted.run = fresh.run AND noted.block = fresh.block AND noted.metric = fresh.metric
        WHEN MATCHED AND ((fresh.low, fresh.low_step) < (noted.low, noted.low_step)
            OR (fresh.high, -fresh.high_step) > (noted.high, -noted.high_step))
        THEN UPDATE SET low = least(noted.low, fresh.low), high = greatest(noted.high, fresh.high),
            low_step = CASE WHEN (fresh.low, fresh.low_step) < (noted.low, noted.low_step) THEN fresh.low_step ELSE noted.low_step END,
            high_step = CASE WHEN (fresh.high, -fresh.high_step) > (noted.high, -noted.high_step) THEN fresh.high_step
                ELSE noted.high_step END
        WHEN NOT MATCHED THEN INSERT BY NAME"""
    )


def redo_noted_steps(writer: Cursor) -> None:
    """Note the steps of all records anew, after their texts changed."""
    writer.execute("DELETE FROM not_finite_steps")
    writer.execute("DELETE FROM step_extremes")
    note_steps(writer, "steps")


def drop_noted_steps(writer: Cursor) -> None:
    """Delete the notes of steps that have no records any more. A block that still has other records is noted anew."""
    gone = "NOT EXISTS (FROM steps WHERE steps.run = noted.run AND steps.step = noted.{})"
    writer.execute(f"DELETE FROM not_finite_steps noted WHERE {gone.format('step')}")
    writer.execute(
        f"""CREATE OR REPLACE TEMP TABLE blocks_to_note AS
        SELECT DISTINCT run, block FROM step_extremes noted WHERE {gone.format("low_step")} OR {gone.format("high_step")}"""
    )
    writer.execute("DELETE FROM step_extremes WHERE (run, block) IN (FROM blocks_to_note)")
    note_step_extremes(writer, f"(FROM steps WHERE (run, step // {BLOCK}) IN (FROM blocks_to_note))")
    writer.execute("DROP TABLE blocks_to_note")
