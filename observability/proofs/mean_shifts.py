"""Write SQL for the shift of a column's mean, from raw rows. Each row counts at the position of its bin."""

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.core.view_names import view_name
from observability.proofs.rows import column_in_view, indented_clause, number_literal, proven_rows, reference_rows, text_literal


def mean_shift_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the mean of the window minus that of the reference, in standard deviations of the reference.

    A value counts as the mean of the reference's values in its bin, clipped to the ends of the reference's range. The standard deviation
    was measured when the version was registered.
    """
    reference = finding.evidence["column"]
    edges = context.version.edges.get(reference)
    if edges is None or not edges.scale:
        return None
    column = column_in_view(context.model, reference)
    known = f"{column} IS NOT NULL", f"NOT isnan({column})"
    position = "position"
    if edges.low is not None and edges.high is not None:
        position = f"greatest(least(position, {number_literal(edges.high)}), {number_literal(edges.low)})"
    mean = "sum(weight * place) FILTER ({0}) / sum(weight) FILTER ({0})"
    return f"""WITH rows_of_both AS (
  SELECT false AS reference, weight, {column} AS value
  {indented_clause(proven_rows(finding, context).where(*known))}
  UNION ALL
  SELECT true, weight, {column}
  {indented_clause(reference_rows(finding, context).where(*known))}
), placed AS (
  SELECT reference, weight, {position} AS place FROM rows_of_both ASOF LEFT JOIN (
    SELECT low, position FROM {view_name(context.model, "edges")}
    WHERE version = {text_literal(context.version.name)} AND "column" = {text_literal(reference)}) e ON value >= e.low
)
SELECT ({mean.format("NOT reference")} - {mean.format("reference")}) / {number_literal(edges.scale)} AS mean_shift FROM placed"""
