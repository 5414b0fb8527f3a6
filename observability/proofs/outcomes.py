"""Write SQL for performance, from raw rows: errors, accuracy and confusion, ranking, probability losses and the share of labels."""

import sys

from observability.core.analyzer import OTHERS, Context, Proofs
from observability.core.finding import Finding
from observability.core.view_names import view_name
from observability.proofs.rows import (
    ProvenRows,
    class_literals,
    column_in_view,
    indented_clause,
    measured_rows,
    number_literal,
    proven_rows,
    sample_sql,
    text_literal,
)

SMALLEST_PROBABILITY = sys.float_info.epsilon
"""In the log loss, probabilities are clipped at this distance from 0 and 1."""
SLOPE_ROWS, REQUEST_ROWS = 10_000, 20_000
"""Number of rows in the samples on which the slope and the most frequent score are measured."""
BOTH = "decision IS NOT NULL AND label IS NOT NULL"
ERROR = "(score - label)"
WEIGHTED_MEAN = "sum(weight * {0}) FILTER (isfinite({0})) / sum(weight) FILTER (isfinite({0}))"


def performance_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a performance metric on the measured days of a finding."""
    return metric_sql(finding.metric, context, measured_rows(finding, context))


def reliance_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the share of a model's errors that people followed, or of its right answers that they overrode. None if the figure was
    measured on a sample of the predictions.
    """
    if finding.evidence.get("sampled", True):
        return None
    action = "extra->>'action'"
    known = f"({action}) IN ({', '.join(class_literals(context.model))})"
    right, hit = ("<>", "=") if finding.metric == "over_reliance" else ("=", "<>")
    rows = proven_rows(finding, context).where(BOTH, known, f"decision {right} label")
    return f"SELECT count(*) FILTER (({action}) {hit} decision) / count(*) AS {finding.metric}\n{rows}"


def metric_sql(metric: str, context: Context, rows: ProvenRows) -> str | None:
    """The SQL for a performance metric of the model's task over some rows; None if there is no SQL for the metric."""
    if context.model.task == "regression":
        return _regression_sql(metric, rows)
    if metric in ("log_loss", "brier"):
        return _probability_sql(metric, context, rows)
    if metric in ("roc_auc", "pr_auc"):
        return _ranking_sql(metric, context, rows)
    if metric == "accuracy":
        return f"SELECT coalesce(sum(weight) FILTER (decision = label), 0) / sum(weight) AS accuracy\n{rows.where(BOTH)}"
    if context.model.task == "binary" and len(context.model.classes) == 2:
        return _binary_sql(metric, context, rows)
    return _macro_sql(metric, context, rows) if metric in ("precision", "recall", "f1") else None


def _regression_sql(metric: str, rows: ProvenRows) -> str | None:
    """MAE, RMSE, bias or R² of a regression."""
    known = rows.where("label IS NOT NULL")
    variance = f"{WEIGHTED_MEAN.format('label ** 2')} - ({WEIGHTED_MEAN.format('label')}) ** 2"
    value = {
        "mae": WEIGHTED_MEAN.format(f"abs({ERROR[1:-1]})"),
        "bias": WEIGHTED_MEAN.format(ERROR),
        "rmse": f"sqrt({WEIGHTED_MEAN.format(f'{ERROR} ** 2')})",
        "r2": f"1 - ({WEIGHTED_MEAN.format(f'{ERROR} ** 2')})\n  / ({variance})",
    }.get(metric)
    return value and f"SELECT {value} AS {metric}\n{known}"


def _binary_sql(metric: str, context: Context, rows: ProvenRows) -> str | None:
    """Precision, recall, F1 or selection rate of a binary model."""
    positive = class_literals(context.model)[1]
    hit, decided, known = (
        f"coalesce(sum(weight) FILTER ({condition}), 0)"
        for condition in (f"decision = {positive} AND label = {positive}", f"decision = {positive}", f"label = {positive}")
    )
    value = {
        "precision": f"{hit} / {decided}",
        "recall": f"{hit} / {known}",
        "f1": f"2 * {hit} / ({decided} + {known})",
        "selection_rate": f"{decided} / sum(weight)",
    }.get(metric)
    return value and f"SELECT {value} AS {metric}\n{rows.where(BOTH)}"


def _macro_sql(metric: str, context: Context, rows: ProvenRows) -> str:
    """Precision, recall or F1, averaged over the classes. If it is undefined for a class, it counts as 0."""
    value = {"precision": "hit / nullif(decided, 0)", "recall": "hit / nullif(known, 0)", "f1": "2 * hit / nullif(decided + known, 0)"}
    classes = ", ".join(class_literals(context.model))
    return f"""WITH pairs AS (
  SELECT decision, label, sum(weight) AS w
  {indented_clause(rows.where(BOTH))}
  GROUP BY ALL
), classes AS (
  SELECT name, coalesce(sum(w) FILTER (decision = name AND label = name), 0) AS hit,
    coalesce(sum(w) FILTER (decision = name), 0) AS decided, coalesce(sum(w) FILTER (label = name), 0) AS known
  FROM (SELECT unnest([{classes}]) AS name) CROSS JOIN pairs GROUP BY name
)
SELECT avg(coalesce({value[metric]}, 0)) AS {metric} FROM classes"""


def _probability_sql(metric: str, context: Context, rows: ProvenRows) -> str | None:
    """Log loss or Brier score."""
    model = context.model
    names = model.view_columns
    if model.task == "binary" and len(model.classes) == 2:
        positive = class_literals(model)[1]
        own = f"CASE WHEN label = {positive} THEN score ELSE 1 - score END"
        squares = f"(score - (label = {positive})::INTEGER) ** 2"
        usable = rows.where("label IS NOT NULL", "isfinite(score)")
    elif model.task == "multiclass" and all(f"score.{index}" in names for index in range(len(model.classes))):
        columns = [column_in_view(model, f"score.{index}") for index in range(len(model.classes))]
        cases = " ".join(f"WHEN {name} THEN {column}" for name, column in zip(class_literals(model), columns, strict=True))
        own = f"CASE label {cases} END"
        squares = f"{' + '.join(f'coalesce({column}, 0) ** 2' for column in columns)} - 2 * ({own}) + 1"
        usable = rows.where(f"isfinite({own})")
    else:
        return None
    least, most = number_literal(SMALLEST_PROBABILITY), number_literal(1 - SMALLEST_PROBABILITY)
    loss = squares if metric == "brier" else f"-ln(least(greatest({own}, {least}), {most}))"
    return f"SELECT sum(weight * ({loss})) / sum(weight) AS {metric}\n{usable}"


def _ranking_sql(metric: str, context: Context, rows: ProvenRows) -> str:
    """ROC AUC or PR AUC. Scores in the same bin count as ties, as they do in the counts."""
    positive = class_literals(context.model)[1]
    figure, order = ("w - hits", "bin") if metric == "roc_auc" else ("hits", "bin DESC")
    value = {
        "roc_auc": "sum(hits * (found - (w - hits) / 2)) / (sum(hits) * sum(w - hits))",
        "pr_auc": "sum(hits * found / decided) / sum(hits)",
    }[metric]
    return f"""{_score_bins(context, rows, f"label = {positive}")}, ranked AS (
  SELECT *, sum({figure}) OVER (ORDER BY {order}) AS found, sum(w) OVER (ORDER BY bin DESC) AS decided FROM bins
)
SELECT {value} AS {metric} FROM ranked"""


def calibration_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the expected or the cumulative calibration error. The score of a row is the middle of its bin."""
    model, rows = context.model, proven_rows(finding, context)
    if model.task == "binary":
        bins = _score_bins(context, rows, f"label = {class_literals(model)[1]}")
    else:
        bins = _score_bins(context, rows, "decision = label", "decision IS NOT NULL")
    if finding.metric == "ecce":
        return f"""{bins}, paths AS (
  SELECT w, sum(hits - w * middle) OVER (ORDER BY bin) AS path FROM bins
)
SELECT (greatest(max(path), 0) - least(min(path), 0)) / sum(w) AS ecce FROM paths"""
    first = finding.evidence.get("group_bins")
    if first is None:
        return None
    cases = " ".join(f"WHEN bin < {number} THEN {place}" for place, number in enumerate(first))
    group = f"CASE {cases} ELSE {len(first)} END" if first else "0"
    return f"""{bins}, groups AS (
  SELECT {group} AS part, abs(sum(hits) - sum(w * middle)) AS off, sum(w) AS w FROM bins GROUP BY part
)
SELECT sum(off) / sum(w) AS ece FROM groups"""


def _score_bins(context: Context, rows: ProvenRows, event: str, *more: str) -> str:
    """The first part of a query: for the labelled rows with a score, rows and events by score bin (`bins`: bin, middle, w, hits)."""
    version = text_literal(context.version.name)
    return f"""WITH bins AS (
  SELECT bin, least(greatest((greatest(low, 0) + least(high, 1)) / 2, 0), 1) AS middle, sum(weight) AS w,
    coalesce(sum(weight) FILTER ({event}), 0) AS hits
  FROM (
    SELECT weight, label, decision, score
    {indented_clause(rows.where("label IS NOT NULL", "NOT isnan(score)", *more), 4)}) p
  ASOF LEFT JOIN (
    SELECT low, high, bin FROM {view_name(context.model, "edges")}
    WHERE version = {version} AND "column" = 'score') e ON p.score >= e.low
  GROUP BY bin, low, high
)"""


def label_share_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of predictions that have a label."""
    known = "label IS NOT NULL"
    return f"SELECT count(*) FILTER ({known}) / count(*) AS label_maturity\n{proven_rows(finding, context).where()}"


def largest_error_proof(finding: Finding, context: Context) -> str:
    """The SQL for the largest error in the window."""
    return f"SELECT max(abs(score - label)) AS largest_error\n{proven_rows(finding, context).where('isfinite(score - label)')}"


def calibration_slope_proof(finding: Finding, context: Context) -> str:
    """The SQL for the slope of the label against the score, on the sample that was read."""
    return f"""WITH sample AS (
  {sample_sql(proven_rows(finding, context), SLOPE_ROWS)}
)
SELECT regr_slope(label, score) AS calibration_slope FROM sample WHERE isfinite(score) AND isfinite(label)"""


def default_score_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of the most frequent score, on the sample that was read."""
    return f"""WITH sample AS (
  {sample_sql(proven_rows(finding, context), REQUEST_ROWS)}
), scores AS (
  SELECT score, count(*) AS n FROM sample WHERE isfinite(score) GROUP BY score
)
SELECT max(n) / sum(n) AS default_score_rate FROM scores"""


def late_share_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of late predictions, on the sample that was read."""
    left_out = ", ".join(text_literal(each) for each in finding.evidence["without_devices"])
    devices = f"\nWHERE device IS NULL OR device NOT IN ({left_out})" if left_out else ""
    late = f"date_diff('microsecond', \"at\", arrived) / 3.6e9 > {number_literal(finding.evidence['late_from_hours'])}"
    return f"""WITH sample AS (
  {sample_sql(proven_rows(finding, context), REQUEST_ROWS)}
)
SELECT count(*) FILTER ({late}) / count(*) AS late_rate FROM sample{devices}"""


def restated_share_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of answers that were sent long after the end of their day, on the sample that was read."""
    after = number_literal(24 + finding.evidence["restated_after_hours"])
    late = f"date_diff('microsecond', date_trunc('day', \"at\"), synced_at) / 3.6e9 > {after}"
    return f"""WITH sample AS (
  {sample_sql(proven_rows(finding, context), REQUEST_ROWS)}
)
SELECT count(*) FILTER ({late}) / count(*) AS restated_share FROM sample
WHERE synced_at IS NOT NULL"""


def threshold_proof(finding: Finding, context: Context) -> str:
    """The SQL for the share of decisions that would certainly be different with the usual threshold, on the days since it moved."""
    negative, positive = class_literals(context.model)
    below, above = (number_literal(finding.evidence[each]) for each in ("negative_below", "positive_from"))
    days = ", ".join(f"DATE '{day}'" for day, _ in finding.evidence["positive_decisions_by_day"])
    other = f"(decision = {positive} AND score < {below}) OR (decision = {negative} AND score >= {above})"
    rows = proven_rows(finding, context).where("decision IS NOT NULL AND isfinite(score)", f'"at"::DATE IN ({days})')
    return f"SELECT count(*) FILTER ({other}) / count(*) AS threshold_shift\n{rows}"


PERFORMANCE_PROOFS: Proofs = {
    **dict.fromkeys(
        ("mae", "rmse", "bias", "r2", "accuracy", "precision", "recall", "f1", "selection_rate", "log_loss", "brier", "roc_auc", "pr_auc"),
        performance_proof,
    ),
    "label_maturity": label_share_proof,
    "largest_error": largest_error_proof,
    "threshold_shift": threshold_proof,
}
CALIBRATION_PROOFS: Proofs = {
    "calibration_slope": calibration_slope_proof,
    "ece": calibration_proof,
    "ecce": calibration_proof,
}
REQUEST_PROOFS: Proofs = {
    "default_score_rate": default_score_proof,
    "late_rate": late_share_proof,
    "restated_share": restated_share_proof,
    OTHERS: "it is the outcome of a search over groups of similar requests, or over devices",
}
