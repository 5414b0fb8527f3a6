"""Write SQL for how far a slice's values have shifted within the reference: mean ranks from sampled raw rows."""

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.proofs.rows import column_in_view, indented_clause, proven_rows, reference_rows, sample_sql

NO_QUERY = "its baseline is the month before, or the other rows"
"""The reason why there is no query for a shift that is not measured against the reference."""


def rank_shift_sql(finding: Finding, context: Context, inside: str, most: int) -> str | None:
    """The SQL for how much more a slice's mean rank has changed than the mean rank of all other rows; None if the baseline is not the
    reference.

    inside: the condition of the slice. most: maximum number of rows of each side that were searched. A rank is the share of the reference's
    values below a value, plus half the share of values equal to it. Categories are ordered from the most frequent to the rarest.
    """
    if finding.against != "reference":
        return None
    model = context.model
    reference = "score" if finding.subject == model.subject("score") else model.resolve(finding.subject)
    known, column = model.column(reference), column_in_view(model, reference)
    number = reference == "score" or (known is not None and known.kind == "number")
    rows = proven_rows(finding, context, part=str(context.window.slice) if context.window.slice else "")
    numbers = "numbers AS (SELECT reference, inside, value AS place FROM rows_of_both WHERE value IS NOT NULL)"
    value = f"CASE WHEN isnan({column}) THEN NULL ELSE {column} END" if number else column
    return f"""WITH rows_of_both AS (
  SELECT false AS reference, coalesce({inside}, false) AS inside, {value} AS value FROM (
    {indented_clause(sample_sql(rows, most), 4)})
  UNION ALL
  SELECT true, coalesce({inside}, false), {value} FROM (
    {indented_clause(sample_sql(reference_rows(finding, context), most), 4)})
), {numbers if number else _places()}, ranks AS (
  SELECT place, (2 * sum(count(*) FILTER (reference AND isfinite(place::DOUBLE))) OVER (ORDER BY place)
    - count(*) FILTER (reference AND isfinite(place::DOUBLE)))
    / (2.0 * sum(count(*) FILTER (reference AND isfinite(place::DOUBLE))) OVER ()) AS rank
  FROM numbers GROUP BY place
)
SELECT avg(rank) FILTER (NOT reference AND inside) - avg(rank) FILTER (reference AND inside)
  - avg(rank) FILTER (NOT reference AND NOT inside) + avg(rank) FILTER (reference AND NOT inside) AS rank_shift
FROM numbers JOIN ranks USING (place)"""


def _places() -> str:
    """SQL for the position of each category in the reference, most frequent first. All other categories get the position after the last."""
    return """levels AS (
  SELECT value, row_number() OVER (ORDER BY count(*) DESC, value) - 1 AS place FROM rows_of_both
  WHERE reference AND value IS NOT NULL GROUP BY value
), numbers AS (
  SELECT reference, inside, coalesce(place, (SELECT count(*) FROM levels)) AS place
  FROM rows_of_both LEFT JOIN levels USING (value) WHERE value IS NOT NULL
)"""
