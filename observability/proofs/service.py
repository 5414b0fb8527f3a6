"""Write SQL for figures of a service, from raw rows: latency percentiles, the share of failures and requests per hour."""

from observability.core.analyzer import Context, Proofs
from observability.core.finding import Finding
from observability.core.window import HOUR, Slice
from observability.metrics.traffic import ANSWERED, QUANTILES
from observability.proofs.rows import ProvenRows, indented_clause, number_literal, proven_rows, slice_conditions, text_literal
from observability.stats.quantile import LOG_EDGES, RELATIVE_ERROR


def service_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a latency percentile, error rate or request rate of a version, or of one of its replicas.

    A latency beyond the outermost edges counts as the outermost edge.
    """
    rows = _served_rows(finding, context)
    if finding.metric == "error_rate":
        return f"SELECT coalesce(sum(weight) FILTER (status <> 'ok'), 0) / sum(weight) AS error_rate\n{rows.where()}"
    if finding.metric == "request_rate":
        until = min(finding.end, max(context.now, finding.start + HOUR))
        hours = max((until - finding.start) / HOUR, 1 / 60)
        return f"SELECT count(*) / {number_literal(hours)} AS request_rate\n{rows.where()}"
    answered = f"status IN ({', '.join(map(text_literal, ANSWERED))})"
    least, most = (number_literal(float(LOG_EDGES[end])) for end in (0, -1))
    return f"""WITH ordered AS (
  SELECT latency_ms, sum(weight) OVER (ORDER BY latency_ms) / sum(weight) OVER () AS share
  {indented_clause(rows.where(answered, "latency_ms IS NOT NULL"))}
)
SELECT greatest(least(min(latency_ms), {most}), {least}) AS {finding.metric} FROM ordered
WHERE share >= {number_literal(QUANTILES[finding.metric] * (1 - 1e-12))}"""


def _served_rows(finding: Finding, context: Context) -> ProvenRows:
    """The rows of a finding. If its subject names a replica or device, only the rows of that replica or device."""
    rows = proven_rows(finding, context)
    if "=" not in finding.subject:
        return rows
    name, _, value = finding.subject.partition("=")
    return ProvenRows(rows.source, (*rows.conditions, *slice_conditions(context.model, Slice(((name, value),)))))


SERVICE_PROOFS: Proofs = {
    **dict.fromkeys(("error_rate", "request_rate", *QUANTILES), service_proof),
    "error_budget_left": "it is the remaining error budget of four weeks, computed from hourly bins of latency",
    "burn_rate": "it is the fastest of several rolling windows that a search found",
}
STATED_ERRORS = dict.fromkeys(QUANTILES, RELATIVE_ERROR)
"""Relative error of a percentile that is computed from stored counts, compared with the percentile of the raw rows. Other values equal
those of raw rows.
"""
