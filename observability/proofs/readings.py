"""Write SQL for the energy of devices, from raw records of their readings. Overlaps are counted once, and watts are integrated over time
(metrics/energy_readings.py).
"""

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.metrics.energy_readings import GAP, JOULES_A_WH, LONGEST_GAP_S
from observability.proofs.prices import building_factor_sql
from observability.proofs.rows import indented_clause, number_literal, proven_rows, text_literal, time_literal


def model_record_conditions(context: Context) -> list[str]:
    """The conditions that select a model's records of other kinds than predictions: they name the model, or belong to one of its runs."""
    window, of_model = context.window, f"model = {text_literal(context.model.name)}"
    known = [] if window.as_of is None else [f"arrived <= {time_literal(window.as_of)}"]
    runs = " UNION ".join(f"SELECT run FROM {view} WHERE {' AND '.join([of_model, *known])}" for view in ("runs", "resources"))
    return [
        f"({of_model} OR (model IS NULL AND run IN ({runs})))",
        *known,
        *([] if context.model.sample else ["sample IS NOT TRUE"]),
    ]


def run_energy_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the energy of a run, from its readings and the building's factor at the end of the run."""
    if not finding.evidence.get("all_readings"):
        return None
    run = text_literal(finding.subject.removeprefix("run:"))
    conditions = [*model_record_conditions(context), f'"at" < {time_literal(context.window.end)}']
    ended = " AND ".join([f"run = {run}", *conditions])
    return f"""{_energy_sql([*conditions, "run IS NOT NULL"])}, ended AS (
  SELECT coalesce(max("at") FILTER (event = 'end'), min("at") FILTER (event = 'start')) AS hour FROM runs
  WHERE {ended}
)
SELECT (SELECT sum(joules) FROM energy WHERE run = {run}) / {number_literal(JOULES_A_WH)} * {building_factor_sql(context)} AS run_energy
FROM ended"""


def idle_share_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of the energy of a service's devices that its predictions do not state, in the hours that have readings."""
    rows = proven_rows(finding, context)
    span = [f'"at" >= {time_literal(finding.start)}', f'"at" < {time_literal(finding.end)}']
    version = finding.version or context.version.name
    everyone = rows.where().replace(f"  AND version = {text_literal(version)}\n", "")
    own = f"version = {text_literal(version)}"
    return f"""{_energy_sql([*model_record_conditions(context), *span])}, made AS (
  SELECT date_trunc('hour', "at") AS hour, coalesce(sum(weight) FILTER ({own}), 0) AS served, sum(weight) AS everyone,
    sum(weight) FILTER ({own} AND isfinite(energy_j)) AS carriers, sum(weight * energy_j) FILTER ({own} AND isfinite(energy_j)) AS carried
  {indented_clause(everyone)}
  GROUP BY ALL
), hours AS (
  SELECT date_trunc('hour', middle) AS hour, coalesce(sum(joules) FILTER (version = ''), 0) AS shared,
    coalesce(sum(joules) FILTER ({own}), 0) AS named
  FROM energy WHERE run = '' AND version IN ('', {text_literal(version)}) GROUP BY ALL
), used AS (
  SELECT shared * coalesce(served / everyone, (SELECT sum(served) / sum(everyone) FROM made)) + named AS joules, served, carriers, carried
  FROM hours LEFT JOIN made USING (hour)
)
SELECT least(greatest(1 - sum(carried) / sum(carriers) * sum(served) / sum(joules), 0), 1) AS idle_share FROM used"""


def _energy_sql(conditions: list[str]) -> str:
    """The common table expressions up to `energy`: run, version, the middle of each reading, and its joules without overlaps."""
    joined = f"step > 0 AND step <= least({number_literal(GAP)} * usual, {number_literal(LONGEST_GAP_S)})"
    return f"""WITH readings AS (
  SELECT coalesce(run, '') AS run, coalesce(version, '') AS version, coalesce(device, '') AS device, coalesce(source, '') AS source,
    coalesce(nullif(host, ''), concat('run ', run, ' ', version)) AS place, "at", watts, energy_j, seconds,
    energy_j IS NULL AND seconds IS NULL AND watts IS NOT NULL AS bare
  FROM resources
  WHERE {" AND ".join(conditions)}
), steps_of_series AS (
  SELECT *, lag(watts) OVER series AS before, date_diff('microsecond', lag("at") OVER series, "at") / 1e6 AS step FROM readings
  WINDOW series AS (PARTITION BY place, device, run, bare ORDER BY "at", watts, version, source)
), usual_steps AS (
  SELECT *, median(CASE WHEN step > 0 THEN step END) OVER (PARTITION BY place, device, run, bare) AS usual FROM steps_of_series
), drawn AS (
  SELECT run, version, place, device, "at", epoch_us("at") / 1e6 AS stop,
    CASE WHEN NOT bare THEN coalesce(seconds, 0) WHEN {joined} THEN step ELSE 0 END AS length,
    CASE WHEN NOT bare THEN coalesce(energy_j, watts * seconds) WHEN {joined} THEN (watts + before) / 2 * step END AS joules
  FROM usual_steps
), covered AS (
  SELECT *, stop - length AS start, max(stop) OVER (
    PARTITION BY place, device ORDER BY stop - length, stop, joules, run, version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
  ) AS until FROM drawn WHERE joules IS NOT NULL
), energy AS (
  SELECT run, version, "at" - to_microseconds(CAST(round(length * 5e5) AS BIGINT)) AS middle, joules * CASE WHEN length > 0
    THEN least(greatest(stop - greatest(start, coalesce(until, start)), 0) / length, 1) ELSE 1 END AS joules
  FROM covered
)"""
