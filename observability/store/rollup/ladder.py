"""How does the current label of each prediction change as labels arrive?

For one prediction the events are its own arrival and each arrival of a label revision. Walking them by hour of arrival gives a state after each:
the label that is current. The ladder is +cell(first state) at the prediction's arrival, then -cell(previous) +cell(next) at each later hour
that changes it. What a load changes in the rollups is the ladder of everything minus the ladder of what was stored before; added up, the
ladders give the current state as of any whole hour, whatever the order in which rows were loaded.
"""

import duckdb
import pyarrow as pa

from observability.core.catalog import Model
from observability.store.db.expressions import arrival_hour_of, label_of

CHANGED, REVISIONS, EVENTS = "changed_predictions", "label_revisions", "ladder_events"


def write_events(writer: duckdb.DuckDBPyConnection, model: Model, changed: pa.Table, revisions: pa.Table | None) -> None:
    """Makes the temporary table of events from predictions and all label revisions of their ids.

    changed: `id`, `arrived_hour` (0 in a reference, whose rows arrive outside time), `in_reference`, `is_new` (not stored before this load),
    and whatever the cells need. revisions: `id`, `at`, `arrived`, `value`, `number`, `is_new`. Each event is a row of `changed` with `event_hour`,
    `label`, `number` and `sign` (+1 or -1).
    """
    writer.register(CHANGED, changed)
    if revisions is None or not revisions.num_rows:
        writer.execute(
            f"""CREATE OR REPLACE TEMP TABLE {EVENTS} AS
            SELECT *, arrived_hour AS event_hour, -1::SMALLINT AS label, NULL::DOUBLE AS number, 1::TINYINT AS sign FROM {CHANGED} WHERE is_new"""
        )
        return
    writer.register(REVISIONS, revisions)
    writer.execute(
        f"""CREATE OR REPLACE TEMP TABLE {EVENTS} AS
        WITH c AS (SELECT *, row_number() OVER () AS pid FROM {CHANGED}),
        r AS MATERIALIZED (
            SELECT c.pid, c.arrived_hour, c.is_new AS new_prediction, l.is_new,
                CASE WHEN c.in_reference THEN 0 ELSE greatest(c.arrived_hour, {arrival_hour_of("l.arrived")}) END AS hour,
                row_number() OVER (ORDER BY l."at", l.arrived, l.value) AS rank, {label_of(model, "l.value", "l.number")} AS label, l.number
            FROM {REVISIONS} l JOIN c ON c.id = l.id),
        after AS ({changes("r")}),
        before AS ({changes("(FROM r WHERE NOT new_prediction AND NOT is_new)")}),
        steps AS (
            {steps("after", "c", 1)}
            UNION ALL
            {steps("before", "(FROM c WHERE NOT is_new)", -1)}),
        named AS (SELECT rank, label, number FROM r)
        SELECT c.* EXCLUDE (pid), s.hour::INTEGER AS event_hour, coalesce(n.label, -1)::SMALLINT AS label, n.number, s.sign::TINYINT AS sign
        FROM steps s JOIN c ON c.pid = s.pid LEFT JOIN named n ON n.rank = s.rank"""
    )
    writer.unregister(REVISIONS)


def changes(revisions: str) -> str:
    """For each prediction and hour in which a label arrived: the rank of the label that is current after it, and the one before."""
    return f"""SELECT pid, arrived_hour, hour, rank, lag(rank) OVER (PARTITION BY pid ORDER BY hour) AS previous FROM (
        SELECT pid, arrived_hour, hour, max(max(rank)) OVER (PARTITION BY pid ORDER BY hour ROWS UNBOUNDED PRECEDING) AS rank
        FROM {revisions} GROUP BY pid, arrived_hour, hour)"""


def steps(changed: str, predictions: str, sign: int) -> str:
    """The ladder as rows (pid, hour, rank or NULL for no label, sign)."""
    return f"""SELECT pid, hour, rank, {sign} AS sign FROM {changed} WHERE previous IS DISTINCT FROM rank
        UNION ALL SELECT pid, hour, previous, {-sign} FROM {changed}
            WHERE previous IS DISTINCT FROM rank AND (previous IS NOT NULL OR hour > arrived_hour)
        UNION ALL SELECT p.pid, p.arrived_hour, NULL, {sign} FROM {predictions} p
            WHERE NOT EXISTS (FROM {changed} x WHERE x.pid = p.pid AND x.hour = p.arrived_hour)"""


def drop_events(writer: duckdb.DuckDBPyConnection) -> None:
    """Drops what `write_events` made."""
    writer.execute(f"DROP TABLE IF EXISTS {EVENTS}")
    writer.unregister(CHANGED)
