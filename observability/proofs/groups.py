"""Write SQL for rates of sensitive groups and for figures of slices, from raw rows."""

from observability.core.analyzer import OTHERWISE, Context, Proofs
from observability.core.finding import Finding
from observability.core.window import Slice
from observability.proofs.rank_shifts import NO_QUERY, rank_shift_sql
from observability.proofs.rows import (
    ProvenRows,
    class_literals,
    last_days,
    proven_rows,
    sample_sql,
    slice_condition,
    slice_conditions,
    text_literal,
)
from observability.proofs.rows import column_in_view as column_of

SAMPLE_ROWS = 20_000
"""Maximum number of rows of each side that the search for slices reads. The rows with the smallest `sample_order` are read."""


def group_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for a difference between two groups, or for the rate of one group."""
    if "widest" in finding.evidence:
        return _difference_sql(finding, context)
    attribute, _, level = finding.subject.partition("=")
    if not level:
        return None
    whole = finding.evidence.get("whole", True)
    rows = proven_rows(finding, context) if whole else last_days(finding, context, finding.evidence["days"])
    value = _rate_sql(finding.metric, context, slice_condition(context.model, attribute, level))
    return value and f"SELECT {value} AS {_figure_name(finding.metric)}\n{rows.where()}"


def _difference_sql(finding: Finding, context: Context) -> str | None:
    """The SQL for the difference (or ratio) between the groups with the highest and the lowest rate."""
    evidence, name = finding.evidence, finding.subject
    rates = [_rate_sql(evidence["widest"], context, slice_condition(context.model, name, evidence[side])) for side in ("highest", "lowest")]
    if None in rates:
        return None
    high, low = rates
    value = f"{low}\n  / ({high})" if finding.metric == "demographic_parity_ratio" else f"{high}\n  - {low}"
    return f"SELECT {value} AS {_figure_name(finding.metric)}\n{proven_rows(finding, context).where()}"


def _figure_name(metric: str) -> str:
    return metric.partition(" of ")[0]


def _rate_sql(metric: str, context: Context, group: str) -> str | None:
    """The SQL for a rate among the rows of a group; None if the rate is unknown."""
    rate, _, name = metric.partition(" of ")
    if context.model.task == "regression":
        known = f"{group} AND isfinite(score - label)"
        error = f"sum(weight * abs(score - label)) FILTER ({known}) / sum(weight) FILTER ({known})"
        return error if rate == "mae" else None
    classes = class_literals(context.model)
    positive = text_literal(name) if name else classes[1] if len(classes) == 2 else ""
    decided = "decision IS NOT NULL"
    pair = {
        "accuracy": (f"{decided} AND label IS NOT NULL", "decision = label"),
        "selection_rate": (decided, f"decision = {positive}"),
        "true_positive_rate": (f"{decided} AND label = {positive}", f"decision = {positive}"),
        "false_positive_rate": (f"{decided} AND label <> {positive}", f"decision = {positive}"),
        "precision": (f"label IS NOT NULL AND decision = {positive}", f"label = {positive}"),
        "base_rate": ("label IS NOT NULL", f"label = {positive}"),
    }.get(rate)
    if pair is None or (not positive and rate != "accuracy"):
        return None
    among, hit = pair
    return f"coalesce(sum(weight) FILTER ({group} AND {among} AND {hit}), 0) / sum(weight) FILTER ({group} AND {among})"


def slice_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the figure of a slice, on the sample that was searched."""
    inside = " AND ".join(f"({each})" for each in _conditions_of(finding, context)) or "true"
    searched = str(context.window.slice) if context.window.slice else ""
    rows = proven_rows(finding, context, part=searched)
    flag = {
        "accuracy": ("(decision = label)::INTEGER", "decision IS NOT NULL AND label IS NOT NULL"),
        "error_rate": ("(status <> 'ok')::INTEGER", "true"),
        "null_rate": (None, "true"),
    }.get(finding.metric)
    if flag is not None:
        value, known = flag
        if value is None:
            column = column_of(context.model, context.model.resolve(finding.subject))
            kind = context.model.column(context.model.resolve(finding.subject))
            missing = f"{column} IS NULL" + (f" OR isnan({column})" if kind is not None and kind.kind == "number" else "")
            value = f"({missing})::INTEGER"
        return _sample_mean(finding.metric, value, rows, f"{known} AND {inside}")
    return _error_sql(finding, context, rows, inside) if finding.metric in ("mae", "bias") else None


def rank_proof(finding: Finding, context: Context) -> str | None:
    """The SQL for the shift of a slice's ranks among the reference's values."""
    inside = " AND ".join(f"({each})" for each in _conditions_of(finding, context)) or "true"
    return rank_shift_sql(finding, context, inside, SAMPLE_ROWS)


def _sample_mean(metric: str, value: str, rows: ProvenRows, condition: str) -> str:
    """SQL for a mean over some rows of the sample."""
    return f"WITH sample AS (\n  {sample_sql(rows, SAMPLE_ROWS)}\n)\nSELECT avg({value}) AS {metric} FROM sample\nWHERE {condition}"


def _error_sql(finding: Finding, context: Context, rows: ProvenRows, inside: str) -> str | None:
    """SQL for the mean error of a slice, on the sample."""
    if context.model.task == "regression":
        value = "abs(score - label)" if finding.metric == "mae" else "score - label"
    elif context.model.task == "binary" and finding.metric == "bias":
        value = f"score - (label = {class_literals(context.model)[1]})::INTEGER"
    else:
        return None
    return _sample_mean(finding.metric, value, rows, f"label IS NOT NULL AND isfinite({value}) AND {inside}")


def _conditions_of(finding: Finding, context: Context) -> list[str]:
    """The conditions that select the slice of a finding."""
    named = [(name, level) for name, level in finding.evidence.get("conditions", []) if name]
    if named:
        return [slice_condition(context.model, name, level) for name, level in named]
    return slice_conditions(context.model, Slice.parse(finding.slice))


FAIRNESS_PROOFS: Proofs = dict.fromkeys(
    (
        "equal_opportunity_difference",
        "equalized_odds_difference",
        "demographic_parity_difference",
        "demographic_parity_ratio",
        "predictive_parity_difference",
        "true_positive_rate",
        "false_positive_rate",
        "selection_rate",
        "precision",
        "accuracy",
        "mae",
    ),
    group_proof,
)
SLICE_PROOFS: Proofs = {
    **dict.fromkeys(("accuracy", "error_rate", "null_rate", "mae", "bias"), slice_proof),
    "rank_shift": rank_proof,
    f"rank_shift{OTHERWISE}": NO_QUERY,
    "slices_named": "it counts the slices that the search found",
}
