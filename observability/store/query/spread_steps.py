"""Answer a question about the steps of runs. Of a long run, only a part of the steps is read."""

from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.questions import Records
from observability.core.step_shares import step_strides
from observability.stats.extreme_blocks import BLOCK, outlying_blocks
from observability.store.db.record_tables import kind_tables
from observability.store.db.results import Cursor
from observability.store.db.schema import NOT_FINITE

if TYPE_CHECKING:
    from pandas import DataFrame


def spread_steps(cursor: Cursor, records: Records, where: str, columns: str, values: dict[str, Any]) -> "DataFrame":
    """Steps of each run. Of a long run, only these steps are read: every nth step from the first one, the last step, and two groups of
    steps for each metric. These groups are the first and the last step with a value that is not finite, and the steps of extremes that
    stand out. `stride` is n for every nth and the last step, and 1 for a step that was read because of its value.

    The spacing of a run's steps is estimated, so that a run that logs only every tenth step is thinned correctly too. The rows are chosen
    by narrow columns only, before wide ones are read.
    """
    import pandas as pd

    table = kind_tables()["step"]
    runs = cursor.execute(
        f"""SELECT run, count(*) AS n, min(step) AS first, max(step) AS last, min("at") AS began, max("at") AS ended,
            greatest(round((max(step) - min(step)) / greatest(approx_count_distinct(step) - 1, 1)), 1)::BIGINT AS gap
        FROM {table} WHERE {where} GROUP BY run ORDER BY ended DESC, run""",
        values,
    ).df()
    strides = pd.Series(step_strides(runs["n"].tolist(), records.rows, records.spread), dtype="int64")
    long, whole = runs[strides > 1], runs["run"][strides == 1].tolist()
    named: dict[str, Any] = {name: long[name].tolist() for name in ("run", "first", "last", "gap")}
    named["stride"] = strides[strides > 1].tolist()
    noted = cursor.execute("SELECT DISTINCT run FROM not_finite_steps WHERE list_contains(?::VARCHAR[], run)", [named["run"]]).fetchall()
    named["far_runs"], named["far_steps"] = _steps_of_extremes(cursor, long)
    odd = "SELECT unnest($far_runs::VARCHAR[]) AS run, unnest($far_steps::BIGINT[]) AS step"
    if noted:
        named["noted"] = [run for (run,) in noted]
        logged = f"""SELECT run, step, unnest(map_entries(metrics::MAP(VARCHAR, VARCHAR))) AS metric FROM {table}
            WHERE {where} AND list_contains($noted::VARCHAR[], run) AND ({NOT_FINITE})"""
        odd += f""" UNION ALL SELECT run, unnest([min(step), max(step)]) FROM ({logged})
            WHERE metric.value IN ('NaN', 'Infinity', '-Infinity') GROUP BY run, metric.key"""
    narrow = f"SELECT rowid AS place, run, step FROM {table} WHERE {where}"
    chosen = f"""SELECT place, if(nth, stride, 1) AS stride FROM (
            SELECT place, run, step, stride, ((step - first) // gap) % stride = 0 OR step = last AS nth
            FROM ({narrow}) JOIN thinned USING (run))
        WHERE nth OR (run, step) IN (SELECT run, step FROM odd)"""
    if whole:
        named["whole"] = whole
        chosen += f" UNION ALL SELECT place, 1::BIGINT AS stride FROM ({narrow}) WHERE run IN (SELECT unnest($whole::VARCHAR[]))"
    frame = cursor.execute(
        f"""WITH thinned AS (
            SELECT unnest($run::VARCHAR[]) AS run, unnest($first::BIGINT[]) AS first, unnest($last::BIGINT[]) AS last,
                unnest($gap::BIGINT[]) AS gap, unnest($stride::BIGINT[]) AS stride),
        odd AS ({odd}), chosen AS ({chosen})
        SELECT {columns}, stride FROM {table} t JOIN chosen ON t.rowid = place ORDER BY "at", content_hash""",
        values | named,
    ).df()
    old = runs[strides == 0]
    ends = [old[["run", at, step]].set_axis(["run", "at", "step"], axis=1) for at, step in (("began", "first"), ("ended", "last"))]
    if old.empty:
        return frame
    unread = pd.concat(ends).drop_duplicates().reindex(columns=frame.columns.drop("stride")).assign(stride=0)
    return pd.concat([unread, frame.astype({"stride": "int64"})]).sort_values("at", kind="stable", ignore_index=True)


def _steps_of_extremes(cursor: Cursor, runs: "DataFrame") -> tuple[list[str], list[int]]:
    """The runs and the steps of noted extremes that stand out from the extremes of the neighbouring blocks. runs: run, and its first and
    last step.
    """
    names = runs["run"].tolist()
    notes = cursor.execute(
        f"""SELECT place, hash(metric) AS metric, low, low_step, -high AS high, high_step FROM step_extremes JOIN (
            SELECT unnest(range(?)) AS place, unnest(?::VARCHAR[]) AS run, unnest(?::BIGINT[]) AS first, unnest(?::BIGINT[]) AS last)
        USING (run) WHERE block BETWEEN first // {BLOCK} AND last // {BLOCK} ORDER BY place, metric, block""",
        [len(names), names, runs["first"].tolist(), runs["last"].tolist()],
    ).fetchnumpy()
    place, metric = np.asarray(notes["place"]), np.asarray(notes["metric"])
    series = np.cumsum((np.diff(place, prepend=-1) != 0) | np.append(True, metric[1:] != metric[:-1])[: len(metric)])
    found = set()
    for name in ("low", "high"):
        far = outlying_blocks(series, -np.asarray(notes[name]))
        found |= set(zip(place[far].tolist(), np.asarray(notes[f"{name}_step"])[far].tolist(), strict=True))
    begins = runs["first"].tolist()  # the first step is read anyway
    chosen = sorted((names[run], step) for run, step in found if step != begins[run])
    return [run for run, _ in chosen], [step for _, step in chosen]
