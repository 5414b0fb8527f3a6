"""List the changes of the current label of each prediction, by hour of arrival.

The events of a prediction are its own arrival and the arrival of each label revision. After each of them the prediction has a state: its
current label. The ladder is +cell(first state) at the arrival of the prediction, then -cell(previous) +cell(next) at each later hour that
changes it. A load adds to the rollups the ladder of everything minus the ladder of what was stored before. The sum of all ladders gives the
current state as of any whole hour, for any order of loading.
"""

import pyarrow as pa
import pyarrow.compute as pc

from observability.core.catalog import Model
from observability.store.db.expressions import arrival_hour_sql, label_code_sql
from observability.store.db.results import Cursor

CHANGED, REVISIONS, EVENTS = "changed_predictions", "label_revisions", "ladder_events"


def write_ladder_events(writer: Cursor, model: Model, changed: pa.Table, revisions: pa.Table | None) -> None:
    """Create the temporary table of events from predictions and all label revisions of their ids.

    changed: `id`, `arrived_hour` (0 in a reference, which has no arrival times), `in_reference`, `is_new` (not stored before this load),
    and the columns that the cells need. revisions: `id`, `at`, `arrived`, `value`, `number`, `is_new`. Each event is a row of `changed`
    with `event_hour`, `label`, `number` and `sign` (+1 or -1).
    """
    writer.register(CHANGED, changed)
    if revisions is None or not revisions.num_rows:
        writer.execute(
            f"""CREATE OR REPLACE TEMP TABLE {EVENTS} AS
            SELECT *, arrived_hour AS event_hour, -1::SMALLINT AS label, NULL::DOUBLE AS number, 1::TINYINT AS sign
            FROM {CHANGED} WHERE is_new"""
        )
        return
    writer.register(REVISIONS, revisions)
    before, steps = "", _ladder_steps("after", "c", 1)
    if not pc.all(changed["is_new"]).as_py():
        before = f"before AS ({_label_changes('(FROM r WHERE NOT new_prediction AND NOT is_new)')}),"
        steps += f" UNION ALL {_ladder_steps('before', '(FROM c WHERE NOT is_new)', -1)}"
    writer.execute(
        f"""CREATE OR REPLACE TEMP TABLE {EVENTS} AS
        WITH c AS (SELECT *, row_number() OVER () AS pid FROM {CHANGED}),
        r AS MATERIALIZED (
            SELECT c.pid, c.arrived_hour, c.is_new AS new_prediction, l.is_new,
                CASE WHEN c.in_reference THEN 0 ELSE greatest(c.arrived_hour, {arrival_hour_sql("l.arrived")}) END AS hour,
                row_number() OVER (ORDER BY l."at", l.arrived, l.value) AS rank,
                {label_code_sql(model, "l.value", "l.number")} AS label, l.number
            FROM {REVISIONS} l JOIN c ON c.id = l.id),
        after AS ({_label_changes("r")}),
        {before}
        steps AS ({steps}),
        named AS (SELECT rank, label, number FROM r)
        SELECT c.* EXCLUDE (pid), s.hour::INTEGER AS event_hour, coalesce(n.label, -1)::SMALLINT AS label, n.number, s.sign::TINYINT AS sign
        FROM steps s JOIN c ON c.pid = s.pid LEFT JOIN named n ON n.rank = s.rank"""
    )
    writer.unregister(REVISIONS)


def _label_changes(revisions: str) -> str:
    """For each prediction and hour in which a label arrived: rank of the label that is current after that hour, and rank of the label
    before.
    """
    return f"""SELECT pid, arrived_hour, hour, rank, lag(rank) OVER (PARTITION BY pid ORDER BY hour) AS previous FROM (
        SELECT pid, arrived_hour, hour, max(max(rank)) OVER (PARTITION BY pid ORDER BY hour ROWS UNBOUNDED PRECEDING) AS rank
        FROM {revisions} GROUP BY pid, arrived_hour, hour)"""


def _ladder_steps(changed: str, predictions: str, sign: int) -> str:
    """The ladder as rows (pid, hour, rank or NULL for no label, sign)."""
    return f"""SELECT pid, hour, rank, {sign} AS sign FROM {changed} WHERE previous IS DISTINCT FROM rank
        UNION ALL SELECT pid, hour, previous, {-sign} FROM {changed}
            WHERE previous IS DISTINCT FROM rank AND (previous IS NOT NULL OR hour > arrived_hour)
        UNION ALL SELECT p.pid, p.arrived_hour, NULL, {sign} FROM {predictions} p
            WHERE NOT EXISTS (FROM {changed} x WHERE x.pid = p.pid AND x.hour = p.arrived_hour)"""


def drop_ladder_events(writer: Cursor) -> None:
    """Drop the table and the view that `write_ladder_events` created."""
    writer.execute(f"DROP TABLE IF EXISTS {EVENTS}")
    writer.unregister(CHANGED)
