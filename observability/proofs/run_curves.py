"""Write SQL for sudden changes in the curves of a training run: spikes of a metric, and jumps of the learning rate."""

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.proofs.rows import json_pointer_part, known_record_conditions, text_literal, where_clause


def metric_sql(metric: str) -> str:
    """SQL for a metric of a step, as a number; NULL if it was not logged."""
    return f"CAST(json_extract(metrics, {text_literal(f'/{json_pointer_part(metric)}')}) AS DOUBLE)"


def run_literal(finding: Finding) -> str:
    """The SQL literal of the run that a finding is about."""
    return text_literal(finding.subject.removeprefix("run:"))


def curve_sql(finding: Finding, metric: str, context: Context) -> str:
    """The first part of a query: the finite values of a metric by step, as the median over ranks (tables `logged` and `curve`)."""
    value = metric_sql(metric)
    where = where_clause([f"run = {run_literal(finding)}", f"{value} IS NOT NULL", *known_record_conditions(context)])
    return f"""WITH logged AS (
  SELECT coalesce(rank, '') AS rank, step, arg_max({value}, "at") AS value FROM steps
  {where} GROUP BY ALL
), curve AS (
  SELECT step, median(value) AS value FROM logged WHERE isfinite(value) GROUP BY step ORDER BY step DESC LIMIT {finding.n}
)"""


def spike_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the distance between the worst value of a spike and the median of the five values before the spike."""
    metric, step, better = (finding.evidence.get(name) for name in ("metric", "step", "better"))
    if metric is None or step is None or better not in ("low", "high"):
        return None
    back = finding.evidence.get("recovered_step")
    during = f"step >= {step}" + ("" if back is None else f" AND step < {back}")
    before = f"SELECT median(value) FROM (SELECT value FROM curve WHERE step < {step} ORDER BY step DESC LIMIT 5)"
    height = f"max(value) - ({before})" if better == "low" else f"({before}) - min(value)"
    return f"{curve_sql(finding, metric, context)}\nSELECT {height} AS metric_spike FROM curve WHERE {during}"


def rate_jump_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a learning rate divided by the rate at the step before; None if the finding is about rates of zero."""
    metric, step = finding.evidence.get("metric"), finding.evidence.get("step")
    if metric is None or step is None or not finding.value:
        return None
    return f"""{curve_sql(finding, metric, context)}, pairs AS (
  SELECT step, value / lag(value) OVER (ORDER BY step) AS ratio FROM curve
)
SELECT ratio AS learning_rate_jump FROM pairs WHERE step = {step}"""
