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

    If several ranks log a metric, their mean counts. A block whose records came in several loads has several notes.
    """
    writer.execute(
        f"""INSERT INTO step_extremes
        WITH logged AS (SELECT run, step, unnest(map_entries(TRY_CAST(metrics::JSON AS MAP(VARCHAR, DOUBLE)))) AS metric FROM {source}),
        means AS (
            SELECT run, step, metric.key AS metric, avg(metric.value) AS value FROM logged WHERE isfinite(metric.value) GROUP BY ALL)
        SELECT run, step // {BLOCK}, metric, min(value), arg_min(step, (value, step)), max(value), arg_max(step, (value, -step))
        FROM means WHERE isfinite(value) GROUP BY ALL"""
    )


def redo_noted_steps(writer: Cursor) -> None:
    """Note the steps of all records anew, after their texts changed."""
    writer.execute("DELETE FROM not_finite_steps")
    writer.execute("DELETE FROM step_extremes")
    note_steps(writer, "steps")


def drop_noted_steps(writer: Cursor) -> None:
    """Delete the notes of blocks that have no records any more."""
    left = f"(SELECT DISTINCT run, step // {BLOCK} FROM steps)"
    writer.execute(f"DELETE FROM not_finite_steps WHERE (run, step // {BLOCK}) NOT IN {left}")
    writer.execute(f"DELETE FROM step_extremes WHERE (run, block) NOT IN {left}")
