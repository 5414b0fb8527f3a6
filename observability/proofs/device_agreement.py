"""Write SQL for the share of a version's answers on devices that differ from the server's answers with the same id."""

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.metrics.device_agreement import TOLERANCE
from observability.proofs.rows import known_predictions, number_literal, text_literal, time_literal


def device_disagreement_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share; None if only a sample of the rows was compared."""
    if not finding.evidence.get("whole"):
        return None
    regression = context.model.task == "regression"
    answer = "score" if regression else "decision"
    limit = f"abs(d.answer - s.answer) > {number_literal(TOLERANCE)} * stddev_pop(s.answer) OVER ()"
    known = f"isfinite({answer})" if regression else f"{answer} IS NOT NULL"
    return f"""WITH answers AS (
  SELECT id, environment, device, version, {answer} AS answer FROM {known_predictions(context)}
  WHERE environment IN ('production', 'shadow') AND {known}
    AND "at" >= {time_literal(finding.start)} AND "at" < {time_literal(finding.end)}
), servers AS (
  SELECT id, any_value(answer) AS answer
  FROM (SELECT id, answer, rank() OVER (PARTITION BY id ORDER BY environment) AS place FROM answers WHERE device IS NULL)
  WHERE place = 1 GROUP BY id HAVING count(*) = 1
), pairs AS (
  SELECT d.version, {limit if regression else "d.answer <> s.answer"} AS differs
  FROM answers d JOIN servers s ON d.id = s.id WHERE d.device IS NOT NULL
)
SELECT avg(differs::INTEGER) AS {finding.metric} FROM pairs WHERE version = {text_literal(str(finding.evidence["version"]))}"""
