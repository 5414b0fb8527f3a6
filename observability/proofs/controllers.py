"""Write SQL for figures of models that steer a system, from the predictions with environment `controller` and their labels."""

from collections.abc import Mapping

from observability.core.analyzer import Context, Proofs
from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.view_names import view_name
from observability.proofs.rows import number_literal, time_literal, where_clause


def decisions_sql(finding: Finding, context: Context) -> str | None:
    """The first part of a query: the decisions of a controller on its evaluated days, with both outcomes and with what steered.

    None if the model is not known.
    """
    models: Mapping[str, Model] = context.counters.get("models") or {}
    model = models.get(finding.model or "")
    if model is None:
        return None
    known = [] if context.window.as_of is None else [f"arrived <= {time_literal(context.window.as_of)}"]
    span = [f'"at" >= {time_literal(finding.start)}', f'"at" < {time_literal(finding.end)}']
    where = where_clause(["environment = 'controller'", *span, *known])
    arrived = f"\n  {where_clause(known)}" if known else ""
    return f"""WITH labelled AS (
  SELECT id, max(struct_pack(a := "at", b := arrived, c := "value", d := extra)) AS newest FROM {view_name(model, "labels")}{arrived}
  GROUP BY id
), decisions AS (
  SELECT p.*, {_finite_sql("newest.c")} AS outcome,
    {_finite_sql("coalesce(newest.d->>'baseline_outcome', p.extra->>'baseline_outcome')")} AS baseline_outcome,
    CASE WHEN json_type(p.extra, '$.kill_switch') = 'BOOLEAN' AND (p.extra->>'kill_switch') = 'true' THEN 'off'
      WHEN status <> 'ok' THEN 'guardrail' WHEN (p.extra->>'steered_by') = 'heuristic' THEN 'heuristic' ELSE 'model' END AS steered
  FROM {view_name(model, "predictions")} p LEFT JOIN labelled USING (id)
  {where}
)"""


def regret_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the mean outcome under the model divided by that under the heuristic, minus 1."""
    start = decisions_sql(finding, context)
    if start is None:
        return None
    if finding.evidence.get("paired"):
        where = where_clause(["steered = 'model'", "outcome IS NOT NULL", "baseline_outcome IS NOT NULL"])
        return f"{start}\nSELECT sum(outcome) / sum(baseline_outcome) - 1 AS controller_regret FROM decisions {where}"
    sides = [f"avg(outcome) FILTER (steered = '{by}')" for by in ("model", "heuristic")]
    return f"{start}\nSELECT {sides[0]} / {sides[1]} - 1 AS controller_regret FROM decisions"


def tail_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a high quantile of the outcomes under the model, divided by that under the heuristic."""
    start, q = decisions_sql(finding, context), finding.evidence.get("quantile")
    if start is None or q is None:
        return None
    both = "steered = 'model' AND outcome IS NOT NULL AND baseline_outcome IS NOT NULL"
    sides = ("outcome", both), ("baseline_outcome", both)
    if not finding.evidence.get("paired"):
        sides = ("outcome", "steered = 'model' AND outcome IS NOT NULL"), ("outcome", "steered = 'heuristic' AND outcome IS NOT NULL")
    ranked = [
        f"(SELECT list_sort(list({value}))[ceil({number_literal(q)} * count(*))::BIGINT] FROM decisions WHERE {where})"
        for value, where in sides
    ]
    return f"{start}\nSELECT {ranked[0]} / {ranked[1]} AS controller_tail_ratio"


def steering_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of decisions in which a guardrail stopped the model, or in which the kill switch left the decision to the
    heuristic.
    """
    start = decisions_sql(finding, context)
    hit = "guardrail" if finding.metric == "controller_guardrail_rate" else "off"
    where = "WHERE steered IN ('model', 'guardrail')" if hit == "guardrail" else ""
    return start and f"{start}\nSELECT count(*) FILTER (steered = '{hit}') / count(*) AS {finding.metric} FROM decisions {where}".rstrip()


def bias_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the sum of (actual − predicted) outcomes, divided by the sum of actual outcomes."""
    start = decisions_sql(finding, context)
    where = where_clause(["steered = 'model'", "outcome IS NOT NULL", "isfinite(score)"])
    return start and f"{start}\nSELECT sum(outcome - score) / sum(outcome) AS controller_bias FROM decisions {where}"


def coverage_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of outcomes inside the predicted interval."""
    start = decisions_sql(finding, context)
    low, high, level = (_finite_sql(f"(extra->>'{name}')") for name in ("score_low", "score_high", "interval_level"))
    conditions = ["steered = 'model'", "outcome IS NOT NULL", f"{low} IS NOT NULL", f"{high} IS NOT NULL"]
    conditions.append(f"CASE WHEN (extra->'interval_level') IS NULL THEN true ELSE coalesce({level} > 0 AND {level} < 1, false) END")
    return start and (
        f"{start}\nSELECT count(*) FILTER (outcome >= {low} AND outcome <= {high}) / count(*) AS controller_coverage\n"
        f"FROM decisions {where_clause(conditions)}"
    )


def _finite_sql(text: str) -> str:
    """SQL for a text as a finite number; null if it is none."""
    return f"(CASE WHEN isfinite(TRY_CAST({text} AS DOUBLE)) THEN TRY_CAST({text} AS DOUBLE) END)"


CONTROLLER_PROOFS: Proofs = {
    "controller_regret": regret_proof,
    "controller_tail_ratio": tail_proof,
    "controller_guardrail_rate": steering_proof,
    "controller_off_share": steering_proof,
    "controller_bias": bias_proof,
    "controller_coverage": coverage_proof,
    "controller_feedback": "it compares ranks of all pairs of two stretches of time",
}
