"""Write SQL for the checks of a batch of predictions, from raw rows: expected keys or rows, duplicates, lateness, the most frequent score,
and the PSI.
"""

from datetime import timedelta

import numpy as np

from observability.core.analyzer import Context, Proofs
from observability.core.finding import Finding
from observability.core.time import instant_from_text
from observability.core.window import Slice
from observability.detection.batch_gate import MAX_BINS, MIN_ROWS
from observability.proofs.rows import (
    DAY,
    column_in_view,
    indented_clause,
    known_record_conditions,
    number_literal,
    proven_rows,
    sample_sql,
    slice_conditions,
    text_literal,
    time_literal,
    where_clause,
)
from observability.proofs.values import PSI_FLOOR

ROWS, PAST_ROWS, PAST_DAYS = 200_000, 50_000, 28
"""Maximum number of rows read from the window and from the month before it; number of days in that month."""


def missing_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of a batch's expected keys, or expected rows, that were not delivered."""
    batch, expected = text_literal(finding.evidence["batch"]), finding.evidence.get("expected")
    known = [f"model = {text_literal(context.model.name)}", f"batch = {batch}", *known_record_conditions(context)]
    known += [f'"at" >= {time_literal(finding.start - timedelta(days=PAST_DAYS))}', f'"at" < {time_literal(finding.end)}']
    if expected == "keys":
        return f"""{_batch_rows_sql(finding, context)}, expected AS (
  SELECT DISTINCT unnest(CAST(arg_max(keys, "at") AS VARCHAR[])) AS key FROM expected_batches
  {where_clause(known)}
)
SELECT count(*) FILTER (key NOT IN (SELECT key FROM own)) / count(*) AS missing_key_rate FROM expected"""
    if expected != "rows":
        return None
    settings = context.model.settings.batch_rows
    stated = f'(SELECT arg_max(rows, "at") FROM expected_batches {where_clause(known)})'
    wanted = stated if settings is None else f"coalesce({stated}, {int(settings)})"
    rows = proven_rows(finding, context, start=finding.start - PAST_DAYS * DAY, part="").where(f"batch = {batch}")
    counted = f"SELECT {wanted} AS wanted, count(*) AS n {indented_clause(rows)}"
    return f"SELECT greatest(wanted - n, 0) / wanted AS missing_key_rate FROM (\n  {counted}\n)"


def lateness_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the hours from the time at which a batch was due to its last row; if no row came, to the time of the check."""
    due = instant_from_text(finding.evidence.get("due"), "due")
    if due is None:
        return None
    hours = f"date_diff('microsecond', {time_literal(due)}, coalesce(max(arrived), {time_literal(context.now)})) / 3.6e9"
    return f"{_batch_rows_sql(finding, context)}\nSELECT greatest({hours}, 0) AS batch_late_hours FROM own"


def duplicates_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of rows in a batch that repeat a key."""
    share = "(count(*) - count(DISTINCT key)) / count(*)"
    return f"{_batch_rows_sql(finding, context)}\nSELECT {share} AS duplicate_key_rate FROM own"


def default_scores_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share that the most frequent score has in a batch."""
    return f"""{_batch_rows_sql(finding, context)}, scores AS (
  SELECT score, count(*) AS n FROM own WHERE isfinite(score) GROUP BY score
)
SELECT max(n) / sum(n) AS batch_default_rate FROM scores"""


def score_drift_proof(finding: Finding, context: Context) -> str:
    """The SQL for the PSI of the scores of a batch, or of one slice of it, compared with earlier batches."""
    cuts = ", ".join(number_literal(cut) for cut in np.linspace(0, 1, MAX_BINS + 1)[1:-1].tolist())
    batch, floor = text_literal(finding.evidence["batch"]), number_literal(PSI_FLOOR)
    return f"""{_batch_rows_sql(finding, context)}, moments AS (
  SELECT batch, min("at") AS began FROM batch_rows GROUP BY batch
), begin AS (
  SELECT began AS own_begin FROM moments WHERE batch = {batch}
), earlier AS (
  SELECT score, count(*) OVER (PARTITION BY batch) AS n FROM batch_rows JOIN moments USING (batch), begin
  WHERE inside AND isfinite(score) AND began < own_begin AND began >= own_begin - INTERVAL {PAST_DAYS} DAY
), pooled AS (
  SELECT false AS now, score FROM earlier WHERE n >= {MIN_ROWS}
), score_edges AS (
  SELECT DISTINCT unnest(quantile_cont(score, [{cuts}])) AS edge FROM pooled
), bins AS (
  SELECT now, edge FROM (SELECT * FROM pooled UNION ALL SELECT true, score FROM own WHERE inside AND isfinite(score))
  ASOF LEFT JOIN score_edges ON score >= edge
), shares AS (
  SELECT greatest(count(*) FILTER (NOT now) / (SELECT count(*) FROM bins WHERE NOT now), {floor}) AS p,
    greatest(count(*) FILTER (now) / (SELECT count(*) FROM bins WHERE now), {floor}) AS q
  FROM bins GROUP BY edge
)
SELECT sum((q - p) * ln(q / p)) AS batch_score_drift FROM shares"""


def _batch_rows_sql(finding: Finding, context: Context) -> str:
    """The rows of all batches in the window and the month before it (`batch_rows`), and the rows of one batch (`own`).

    key: the name of the key in the settings. inside: SQL that tells whether a row is in the slice of the finding.
    """
    name = context.model.settings.batch_key or "id"
    feature = context.model.column(f"feature.{name}")
    key = name if name == "subject" else "id" if feature is None else f"{column_in_view(context.model, feature.reference)}::VARCHAR"
    now = proven_rows(finding, context, part="")
    past = proven_rows(finding, context, start=finding.start - PAST_DAYS * DAY, end=finding.start, part="")
    inside = " AND ".join(slice_conditions(context.model, Slice.parse(finding.slice))) or "true"
    once = "" if key == "id" else '\n  QUALIFY row_number() OVER (PARTITION BY id, past ORDER BY "at", version) = 1'
    return f"""WITH batch_rows AS (
  SELECT batch, "at", arrived, score, coalesce({key}, 'None') AS key, coalesce({inside}, false) AS inside FROM (
    SELECT *, false AS past FROM ({indented_clause(sample_sql(now, ROWS), 4)})
    UNION ALL
    SELECT *, true FROM ({indented_clause(sample_sql(past, PAST_ROWS), 4)})
  ) WHERE batch IS NOT NULL{once}
), own AS (
  SELECT * FROM batch_rows WHERE batch = {text_literal(finding.evidence["batch"])}
)"""


BATCH_GATE_PROOFS: Proofs = {
    "missing_key_rate": missing_proof,
    "batch_late_hours": lateness_proof,
    "duplicate_key_rate": duplicates_proof,
    "batch_default_rate": default_scores_proof,
    "batch_score_drift": score_drift_proof,
}
