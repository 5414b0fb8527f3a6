"""What does a stored row mean, said in SQL: its hour, its decision, its label's class, its error and its losses?

The rollups and the raw engine use the same expressions, so that both give the same counts. All give NULL where a value is unknown, decisions
and labels the code -1.
"""

import sys
from collections.abc import Sequence

from observability.core.catalog import Model
from observability.store.db.schema import STATUS_CODES

EPOCH = "TIMESTAMP '1970-01-01'"
SMALLEST_PROBABILITY = sys.float_info.epsilon
"""Probabilities are kept this far from 0 and 1 in the log loss, as scikit-learn does."""


def hour_of(instant: str) -> str:
    """Whole hours since 1970, rounded down: the period."""
    return f"date_diff('hour', {EPOCH}, {instant})::INTEGER"


def day_of(instant: str) -> str:
    """The first hour of the day, in hours since 1970."""
    return f"(24 * date_diff('day', {EPOCH}, {instant}))::INTEGER"


def arrival_hour_of(instant: str) -> str:
    """Whole hours since 1970, rounded up: what had arrived by that hour."""
    return f"(date_diff('hour', {EPOCH}, {instant} - INTERVAL 1 MICROSECOND) + 1)::INTEGER"


def text(value: str) -> str:
    """A text literal."""
    return "'" + value.replace("'", "''") + "'"


def finite(value: str) -> str:
    """The number, NULL where it is not finite."""
    return f"CASE WHEN isfinite({value}) THEN {value} END"


def status_of(status: str = "status") -> str:
    """Code of the status (schema.STATUS_CODES)."""
    cases = " ".join(f"WHEN {text(name)} THEN {code}" for name, code in STATUS_CODES.items())
    return f"(CASE {status} {cases} ELSE 0 END)::UTINYINT"


def class_texts(model: Model) -> list[tuple[str, int]]:
    """Canonical texts of the classes and their indices; with the classes 0 and 1, false and true count as well."""
    codes = [(name, index) for index, name in enumerate(model.classes)]
    return [*codes, ("false", 0), ("true", 1)] if model.classes == ("0", "1") else codes


def class_of(value: str, model: Model) -> str:
    """Index of the class that a canonical text names, NULL where it names none."""
    known = class_texts(model)
    if not known:
        return "NULL::SMALLINT"
    names = ", ".join(text(name) for name, _ in known)
    return f"[{', '.join(str(code) for _, code in known)}][nullif(list_position([{names}], {value}), 0)]::SMALLINT"


def probabilities_of(model: Model, probabilities: str = "probabilities") -> str:
    """List of the probabilities of a multiclass model by class index."""
    pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in model.classes]
    return f"TRY_CAST(json_extract({probabilities}, [{', '.join(map(text, pointers))}]) AS DOUBLE[])"


def decision_of(
    model: Model, score: str = "score", prediction: str = "prediction", threshold: str = "threshold", probabilities: str = "probabilities"
) -> str:
    """Class index of the decision: the logged prediction, else the score against the threshold, or the most probable class; -1 unknown."""
    if model.task == "binary":
        limit = f"coalesce({threshold}, {float(model.settings.threshold)!r})"
        decided = f"CASE WHEN {score} IS NULL OR isnan({score}) THEN -1 WHEN {score} >= {limit} THEN 1 ELSE 0 END"
    elif model.task == "multiclass" and model.classes:
        decided = f"coalesce(nullif(list_position({probabilities_of(model, probabilities)}, {score}), 0) - 1, -1)"
    else:
        return "-1::SMALLINT"
    return f"coalesce({class_of(prediction, model)}, {decided})::SMALLINT"


def label_of(model: Model, value: str = "value", number: str = "number") -> str:
    """Code of a label: the class index, of a regression 0 where it is a number; -1 unknown."""
    if model.task == "regression":
        return f"(CASE WHEN {number} IS NULL THEN -1 ELSE 0 END)::SMALLINT"
    return f"coalesce({class_of(value, model)}, -1)::SMALLINT"


def labelled_measures(
    model: Model, score: str = "score", label: str = "label", number: str = "number", decision: str = "decision"
) -> dict[str, str]:
    """What a labelled row adds to the sums, by the name of the measure; NULL where it adds nothing.

    score: binary the probability of the positive class. multiclass rows have a column `by_class` (probabilities_of).
    """
    measures = {"label_value": finite(number)}
    if model.task == "regression":
        error = f"({score} - {number})"
        return measures | {
            "error": finite(error),
            "absolute_error": finite(f"abs({error})"),
            "squared_error": finite(f"({error} * {error})"),
        }
    measures["correct"] = f"CASE WHEN {decision} >= 0 AND {label} >= 0 THEN ({decision} = {label})::DOUBLE END"
    if model.task == "binary":
        usable = f"{label} >= 0 AND isfinite({score})"
        measures["log_loss"] = f"CASE WHEN {usable} THEN {log_loss_of(f'(CASE WHEN {label} = 1 THEN {score} ELSE 1 - {score} END)')} END"
        measures["brier"] = f"CASE WHEN {usable} THEN ({score} - {label}) * ({score} - {label}) END"
    elif model.task == "multiclass":
        own = f"by_class[{label} + 1]"
        measures["log_loss"] = f"CASE WHEN {label} >= 0 AND isfinite({own}) THEN {log_loss_of(own)} END"
        squares = "list_sum(list_transform(by_class, lambda p: coalesce(p, 0) * coalesce(p, 0)))"
        measures["brier"] = f"CASE WHEN {label} >= 0 AND isfinite({own}) THEN {finite(f'({squares} - 2 * {own} + 1)')} END"
    return measures


def log_loss_of(probability: str) -> str:
    """-ln of the probability that was given to what happened."""
    return f"-ln(least(greatest({probability}, {SMALLEST_PROBABILITY!r}), {1 - SMALLEST_PROBABILITY!r}))"


def columns_of(names: Sequence[str], prefix: str = "") -> str:
    """Quoted names, joined by commas."""
    return ", ".join(f'{prefix}"{name}"' for name in names)
