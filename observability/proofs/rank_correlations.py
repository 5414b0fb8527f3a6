"""Write SQL for the rank correlation of two numbers, from sampled raw rows."""

from datetime import datetime

from observability.core.analyzer import OTHERS, Context, Proofs
from observability.core.finding import Finding
from observability.core.window import EPOCH
from observability.detection.correlation_changes import EDGE
from observability.proofs.rows import (
    DAY,
    column_in_view,
    indented_clause,
    number_literal,
    proven_rows,
    reference_rows,
    sample_sql,
    time_literal,
)

ROWS, PAST_ROWS, PAST_DAYS = 2000, 4000, 28
"""Maximum number of rows read from the window and from the reference (those whose ids have the smallest random numbers); maximum number of
rows from the past; number of days of the past.
"""


def rank_correlation_proof(finding: Finding, context: Context) -> str:
    """The SQL for the correlation of two numbers within days, computed from their ranks among the rows of reference, window and past
    together.
    """
    model = context.model
    one, other = (column_in_view(model, f"feature.{name}") for name in finding.evidence["features"])
    sides = {
        "reference": sample_sql(reference_rows(finding, context), ROWS),
        "window": sample_sql(proven_rows(finding, context), ROWS),
        "past": sample_sql(proven_rows(finding, context, start=finding.start - PAST_DAYS * DAY, end=finding.start), PAST_ROWS),
    }
    parts = "\n  UNION ALL\n".join(
        f"""  SELECT '{side}' AS side, "at", {one} AS one, {other} AS other FROM (
    {indented_clause(rows, 4)})"""
        for side, rows in sides.items()
    )
    ranks = ",\n    ".join(
        f"""CASE WHEN isfinite({name}) THEN rank() OVER (PARTITION BY coalesce(isfinite({name}), false) ORDER BY {name})
      + (count(*) OVER (PARTITION BY {name}) - 1) / 2 END AS {name}"""
        for name in ("one", "other")
    )
    moved = ", ".join(f'{name} - avg({name}) OVER (PARTITION BY "at"::DATE) AS {name}' for name in ("one", "other"))
    first, end = _compared_span(finding, context)
    inside = f'"at" >= {time_literal(first)} AND "at" < {time_literal(end)}'
    value = "sum(one * other) / sqrt(sum(one * one) * sum(other * other))"
    return f"""WITH samples AS (
{parts}
), ranked AS (
  SELECT side, "at", {ranks}
  FROM samples
), within_days AS (
  SELECT {moved} FROM ranked
  WHERE side = 'window' AND {inside} AND one IS NOT NULL AND other IS NOT NULL
)
SELECT least(greatest({value}, {number_literal(-EDGE)}), {number_literal(EDGE)}) AS rank_correlation FROM within_days"""


def _compared_span(finding: Finding, context: Context) -> tuple[datetime, datetime]:
    """Start and end of the rows that were compared: the window, or its last complete days."""
    days = finding.evidence["days"]
    if days >= context.window.days:
        return finding.start, finding.end
    end = EPOCH + (context.whole_days[1] + 1) * DAY
    return max(end - days * DAY, finding.start), min(end, finding.end)


MULTIVARIATE_PROOFS: Proofs = {
    "rank_correlation": rank_correlation_proof,
    OTHERS: "it is measured by a classifier that is trained on a sample",
}
