"""SQL expressions over stored rows: the hour, the decision, the class of a label, errors and losses.

The rollups and the raw-row queries use the same expressions, so that both give the same counts. Unknown values are NULL. Unknown decisions
and labels have the code -1.
"""

import sys

from observability.core.catalog import Model
from observability.store.db.schema import STATUS_CODES

EPOCH = "TIMESTAMP '1970-01-01'"
SMALLEST_PROBABILITY = sys.float_info.epsilon
"""Probabilities are clipped this far from 0 and 1 in the log loss, as in scikit-learn."""


def hour_sql(instant: str) -> str:
    """Whole hours since 1970, rounded down: the period of a row."""
    return f"date_diff('hour', {EPOCH}, {instant})::INTEGER"


def day_sql(instant: str) -> str:
    """The first hour of the day, in hours since 1970."""
    return f"(24 * date_diff('day', {EPOCH}, {instant}))::INTEGER"


def arrival_hour_sql(instant: str) -> str:
    """Whole hours since 1970, rounded up: the first full hour by which a row had arrived."""
    return f"(date_diff('hour', {EPOCH}, {instant} - INTERVAL 1 MICROSECOND) + 1)::INTEGER"


def sql_literal(value: str) -> str:
    """The text as an SQL literal in single quotes."""
    return "'" + value.replace("'", "''") + "'"


def finite_sql(value: str) -> str:
    """SQL for a number; NULL if the number is not finite."""
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def status_code_sql(status: str = "status") -> str:
    """Code of the status (schema.STATUS_CODES)."""
    cases = " ".join(f"WHEN {sql_literal(name)} THEN {code}" for name, code in STATUS_CODES.items())
    return f"(CASE {status} {cases} ELSE 0 END)::UTINYINT"


def _class_texts(model: Model) -> list[tuple[str, int]]:
    """Canonical texts of the classes with their indices. For the classes 0 and 1, false and true are accepted as well."""
    codes = [(name, index) for index, name in enumerate(model.classes)]
    return [*codes, ("false", 0), ("true", 1)] if model.classes == ("0", "1") else codes


def _class_index_sql(value: str, model: Model) -> str:
    """Index of the class with this canonical text; NULL for any other text."""
    known = _class_texts(model)
    if not known:
        return "NULL::SMALLINT"
    names = ", ".join(sql_literal(name) for name, _ in known)
    return f"[{', '.join(str(code) for _, code in known)}][nullif(list_position([{names}], {value}), 0)]::SMALLINT"


def probability_list_sql(model: Model, probabilities: str = "probabilities") -> str:
    """List of the probabilities of a multiclass model by class index."""
    pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in model.classes]
    return f"TRY_CAST(json_extract({probabilities}, [{', '.join(map(sql_literal, pointers))}]) AS DOUBLE[])"


def decision_sql(
    model: Model, score: str = "score", prediction: str = "prediction", threshold: str = "threshold", probabilities: str = "probabilities"
) -> str:
    """Class index of the decision: the logged prediction, else the score against the threshold, or the most probable class; -1 if the
    decision is unknown.
    """
    if model.task == "binary":
        limit = f"coalesce({threshold}, {float(model.settings.threshold)!r})"
        decided = f"CASE WHEN {score} IS NULL OR isnan({score}) THEN -1 WHEN {score} >= {limit} THEN 1 ELSE 0 END"
    elif model.task == "multiclass" and model.classes:
        decided = f"coalesce(nullif(list_position({probability_list_sql(model, probabilities)}, {score}), 0) - 1, -1)"
    else:
        return "-1::SMALLINT"
    return f"coalesce({_class_index_sql(prediction, model)}, {decided})::SMALLINT"


def label_code_sql(model: Model, value: str = "value", number: str = "number") -> str:
    """Code of a label: the class index; 0 for a numeric label of a regression; -1 if the label is unknown."""
    if model.task == "regression":
        return f"(CASE WHEN {number} IS NULL THEN -1 ELSE 0 END)::SMALLINT"
    return f"coalesce({_class_index_sql(value, model)}, -1)::SMALLINT"


def labelled_measures(
    model: Model, score: str = "score", label: str = "label", number: str = "number", decision: str = "decision"
) -> dict[str, str]:
    """Measures that a labelled row adds to the sums, by name; NULL if it adds nothing.

    score: for a binary model the probability of the positive class. Rows of a multiclass model have a column `by_class`
    (`probability_list_sql`).
    """
    measures = {"label_value": finite_sql(number)}
    if model.task == "regression":
        error = f"({score} - {number})"
        return measures | {
            "error": finite_sql(error),
            "absolute_error": finite_sql(f"abs({error})"),
            "squared_error": finite_sql(f"({error} * {error})"),
        }
    measures["correct"] = f"CASE WHEN {decision} >= 0 AND {label} >= 0 THEN ({decision} = {label})::DOUBLE END"
    if model.task == "binary":
        usable = f"{label} >= 0 AND isfinite({score})"
        measures["log_loss"] = f"CASE WHEN {usable} THEN {_log_loss_sql(f'(CASE WHEN {label} = 1 THEN {score} ELSE 1 - {score} END)')} END"
        measures["brier"] = f"CASE WHEN {usable} THEN ({score} - {label}) * ({score} - {label}) END"
    elif model.task == "multiclass":
        own = f"by_class[{label} + 1]"
        measures["log_loss"] = f"CASE WHEN {label} >= 0 AND isfinite({own}) THEN {_log_loss_sql(own)} END"
        squares = "list_sum(list_transform(by_class, lambda p: coalesce(p, 0) * coalesce(p, 0)))"
        measures["brier"] = f"CASE WHEN {label} >= 0 AND isfinite({own}) THEN {finite_sql(f'({squares} - 2 * {own} + 1)')} END"
    return measures


def _log_loss_sql(probability: str) -> str:
    """Negative logarithm of the probability of the observed class."""
    return f"-ln(least(greatest({probability}, {SMALLEST_PROBABILITY!r}), {1 - SMALLEST_PROBABILITY!r}))"
