"""Write SQL for shares of the trials of a study: trials that failed, and trials that led when they were pruned."""

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.detection.study_checks import MIN_PRUNED
from observability.metrics.training_curves import FINISHED, PRUNED
from observability.proofs.rows import known_record_conditions, text_literal, time_literal, where_clause
from observability.proofs.run_curves import metric_sql


def failed_trials_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of a study's trials that failed."""
    fine = _status_list(FINISHED | PRUNED)
    return f"""{_ends_sql(finding, context)}
SELECT (SELECT count(*) FROM ends WHERE lower(status) NOT IN ({fine})) / (SELECT count(*) FROM members) AS study_failed_share"""


def pruned_trials_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of a study's pruned trials that, when they were pruned, were better than three quarters of the completed
    trials.
    """
    metric, better = finding.evidence.get("metric"), finding.evidence.get("better")
    if metric is None or better not in ("low", "high"):
        return None
    value, sign = metric_sql(metric), "-" if better == "high" else ""
    where = where_clause([f"{value} IS NOT NULL", *known_record_conditions(context)])
    return f"""{_ends_sql(finding, context)}, logged AS (
  SELECT run, coalesce(rank, '') AS rank, step, arg_max({value}, "at") AS value FROM steps SEMI JOIN members USING (run)
  {where} GROUP BY ALL
), curves AS (
  SELECT run, step, {sign}median(value) AS cost FROM logged WHERE isfinite(value) GROUP BY ALL
), pruned AS (
  SELECT run, max(step) AS last FROM logged SEMI JOIN (FROM ends WHERE lower(status) IN ({_status_list(PRUNED)})) USING (run) GROUP BY run
), completed AS (
  SELECT run FROM ends WHERE coalesce(lower(status), 'finished') IN ({_status_list(FINISHED)})
), own AS (
  SELECT run, last, arg_max(cost, step) AS cost FROM pruned JOIN curves USING (run) WHERE step <= last GROUP BY ALL
), rivals AS (
  SELECT own.run, own.cost, curves.run AS rival, arg_max(curves.cost, step) AS rival_cost
  FROM own JOIN curves ON step <= last AND curves.run IN (SELECT run FROM completed) GROUP BY ALL
), compared AS (
  SELECT cost < quantile_cont(rival_cost, 0.25) AS led FROM rivals GROUP BY run, cost HAVING count(*) >= {MIN_PRUNED}
)
SELECT avg(led::INTEGER) AS study_pruned_share FROM compared"""


def _ends_sql(finding: Finding, context: Context) -> str:
    """The first part of a query: the trials of a study, and the status with which each ended (tables `members` and `ends`)."""
    known = [f'"at" < {time_literal(finding.end)}', *known_record_conditions(context)]
    of_study = where_clause([f"study = {text_literal(finding.subject.removeprefix('study:'))}", *known])
    return f"""WITH members AS (
  SELECT DISTINCT run FROM runs {of_study}
), ends AS (
  SELECT run, arg_max(status, "at") AS status FROM runs SEMI JOIN members USING (run) {where_clause(["event = 'end'", *known])} GROUP BY run
)"""


def _status_list(names: frozenset[str]) -> str:
    """Statuses as SQL literals."""
    return ", ".join(map(text_literal, sorted(names)))
