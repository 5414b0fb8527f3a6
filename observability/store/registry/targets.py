"""Outcomes of a reference: label, score, prediction and classes of every row, and the performance of the model."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from observability.core.catalog import Task
from observability.core.errors import UsageError
from observability.store.ingest.class_scores import require_score_of_each_class
from observability.store.registry.column_profile import arrow_kind, coded_values, float_values, value_frequencies
from observability.store.registry.score_columns import (
    DEFAULT_CLASSES,
    ScoreColumns,
    find_column,
    name_list,
    quoted_name,
    refuse_outside,
    score_matrix,
    score_option_pairs,
)
from observability.store.types.registration import RegistrationRequest

POSITIVES = ("1", "true", "yes")
MAX_CLASSES = 1000
LABEL_NAMES = ("label", "target", "y", "y_true", "actual", "outcome", "ground_truth", "true_label", "class")
SCORE_NAMES = ("score", "probability", "proba", "prob", "y_score", "y_prob", "y_proba", "predicted_probability", "y_pred", "y_hat")
PREDICTION_NAMES = ("prediction", "predicted", "predicted_class", "decision")


@dataclass(frozen=True)
class ReferenceOutcomes:
    """Label and output of every row of a reference; arrays have one entry per row.

    classes: by index; empty for regression. codes: class index of the label, -1 unlabelled (regression: 0 if labelled). values: the label
    as a number (regression; NaN if unlabelled). label_texts: canonical label values; label_rows: index into them, -1 null. scores: (class,
    column), class None for binary and regression. matrix: shape (rows, scores), NaN if there is none. predicted_texts, predicted_rows: like
    label_texts and label_rows, for the logged prediction.
    """

    task: Task
    label: str
    scores: ScoreColumns
    prediction: str | None
    classes: tuple[str, ...]
    codes: NDArray[np.int64]
    values: NDArray[np.float64]
    label_texts: tuple[str, ...]
    label_rows: NDArray[np.int64]
    matrix: NDArray[np.float64]
    predicted_texts: tuple[str, ...] = ()
    predicted_rows: NDArray[np.int64] | None = None

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """A mask of the rows with a label."""
        return self.codes >= 0

    @property
    def scored(self) -> NDArray[np.bool_]:
        """A mask of the rows with a score."""
        return np.asarray(np.isfinite(self.matrix).any(axis=1), bool) if self.matrix.shape[1] else np.zeros(len(self.codes), bool)

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Rows with a score or a prediction."""
        return self.scored if self.predicted_rows is None else np.asarray(self.scored | (self.predicted_rows >= 0), bool)

    def predicted(self) -> NDArray[np.int64]:
        """Class index of the logged prediction, -1 if there is none."""
        if self.predicted_rows is None:
            return np.full(len(self.codes), -1, np.int64)
        return _class_indexes(self.predicted_texts, self.classes)[self.predicted_rows]

    def decisions(self, threshold: float) -> NDArray[np.int64]:
        """Class index of the decision: the logged prediction, else the score against the threshold, or the most probable class."""
        logged = self.predicted()
        if not self.classes or not self.matrix.shape[1]:
            return logged
        if self.task == "binary":
            decided = (self.matrix[:, 0] >= threshold).astype(np.int64)
        else:
            order = _class_indexes([str(name) for name, _ in self.scores], self.classes)
            decided = order[np.argmax(np.nan_to_num(self.matrix, nan=-1.0), axis=1)]
        return np.where(logged >= 0, logged, np.where(self.scored, decided, -1))


def read_outcomes(table: pa.Table, request: RegistrationRequest, where: str | None = None) -> ReferenceOutcomes:
    """Label, score and prediction of a table, by the request or by their usual names.

    Raises UsageError if a column is missing or its values do not fit the task.
    """
    columns, renames = table.column_names, request.renames
    if request.label:
        label = find_column(request.label, columns, renames, "label", where)
    else:
        label = _usual_column(columns, LABEL_NAMES, "label", "--label")
    task = request.task or _guess_task(table[label], len(request.score) > 1)
    column = table[label]
    kind, obstacle = arrow_kind(column.type)
    if kind is None:
        raise UsageError(f"the label column {label!r} holds {obstacle}", where=where, expected="numbers, words or true and false")
    levels = value_frequencies(column)
    if not levels:
        raise UsageError(f"the label column {label!r} is empty", where=where, attempt="Check --label")
    prediction: str | None
    if request.prediction:
        prediction = find_column(request.prediction, columns, renames, "prediction", where)
    else:
        usual = [name for name in PREDICTION_NAMES if name in columns and name != label and name not in request.score]
        prediction = next((name for name in usual if name == "prediction" or _names_classes(table[name], levels)), None)
    classes: tuple[str, ...] = ()
    if task == "regression":
        _require_numbers(column, label, levels, where)
    elif task == "binary":
        classes = _binary_classes(levels, request.positive, label)
    given = request.score or tuple(name for name in SCORE_NAMES if name in columns and name not in (label, prediction))[:1]
    if task == "binary" and not given and not request.prediction:
        given = tuple(name for name in PREDICTION_NAMES if name in columns and name != label and holds_probabilities(table[name]))[:1]
        prediction = None if given else prediction
    if not given and prediction is None:
        given = (_usual_column(columns, SCORE_NAMES, "score", "--score"),)
    wanted = score_option_pairs(given, columns, renames, task, classes, where)
    pairs, matrix = score_matrix(table, wanted, task, where, [name for name, _ in levels])
    if not pairs and task == "regression" and prediction is not None:
        pairs, matrix = score_matrix(table, ((None, prediction),), task, where)
    if task != "regression":
        refuse_outside(matrix, pairs, where)
    matrix = np.where(np.isfinite(matrix), matrix, np.nan)
    texts, rows = coded_values(column)
    predicted_texts, predicted_rows = (
        coded_values(table[prediction]) if prediction and arrow_kind(table[prediction].type)[0] else ([], None)
    )
    if task == "multiclass":
        require_score_of_each_class(texts, {name: column for name, column in wanted if name is not None}, columns, where)
        classes = _multiclass_classes(texts, [str(name) for name, _ in pairs], label)
    values = np.where(np.isfinite(raw := float_values(column)), raw, np.nan) if task == "regression" else np.empty(0)
    codes = np.where(np.isfinite(values), 0, -1) if task == "regression" else _class_indexes(texts, classes)[rows]
    labels = codes.astype(np.int64), values, tuple(texts), rows
    return ReferenceOutcomes(task, label, pairs, prediction, classes, *labels, matrix, tuple(predicted_texts), predicted_rows)


def holds_probabilities(column: pa.ChunkedArray) -> bool:
    """Whether all values of a column are numbers from 0 to 1, and not all of them 0 or 1."""
    if arrow_kind(column.type)[0] != "number":
        return False
    values = float_values(column)
    values = values[~np.isnan(values)]
    return bool(values.size and ((values >= 0) & (values <= 1)).all() and ((values > 0) & (values < 1)).any())


def _names_classes(column: pa.ChunkedArray, levels: list[tuple[str, int]]) -> bool:
    """Whether every value of a column is also a label value."""
    return arrow_kind(column.type)[0] is not None and {name for name, _ in value_frequencies(column)} <= {name for name, _ in levels}


def _require_numbers(column: pa.ChunkedArray, label: str, levels: list[tuple[str, int]], where: str | None) -> None:
    """Raise UsageError if the label of a regression is not numeric."""
    kind, _ = arrow_kind(column.type)
    if kind != "number":
        raise UsageError(
            f"the label column {label!r} does not hold numbers, but a regression needs numbers",
            where=where,
            got=name_list([name for name, _ in levels], 5),
            attempt="Check --label, or give --task binary or multiclass",
        )


def _multiclass_classes(labels: list[str], scored: list[str], label: str) -> tuple[str, ...]:
    """All classes among labels and scores: numbers in numeric order, then words in alphabetical order."""
    names = {*labels, *scored}
    if len(names) > MAX_CLASSES:
        raise UsageError(
            f"the label {label!r} has {len(names):,} different values",
            expected=f"at most {MAX_CLASSES:,} classes",
            attempt="Try --task regression",
        )
    return tuple(sorted(names, key=lambda name: (0, float(name), name) if _is_finite_number(name) else (1, 0.0, name)))


def _is_finite_number(text: str) -> bool:
    """Whether a text is a finite number."""
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _class_indexes(texts: Iterable[str], classes: tuple[str, ...]) -> NDArray[np.int64]:
    """The class index of each text, -1 for texts that are no class. An extra -1 is appended, so that indexing with row -1 (no value) also
    gives -1.

    For the classes 0 and 1, false and true are accepted as well.
    """
    places = {name: index for index, name in enumerate(classes)}
    if classes == DEFAULT_CLASSES:
        places |= {"false": 0, "true": 1}
    return np.array([places.get(text, -1) for text in texts] + [-1], np.int64)


def _usual_column(columns: list[str], names: tuple[str, ...], what: str, option: str) -> str:
    """The first column with a usual name. Raises UsageError that lists the columns if there is none."""
    lowered = {column.lower(): column for column in reversed(columns)}
    for name in names:
        if name in lowered:
            return lowered[name]
    raise UsageError(f"no column has a usual name of the {what}", got=f"columns {name_list(columns, 20)}", attempt=f"Name it with {option}")


def _guess_task(column: pa.ChunkedArray, several_scores: bool) -> Task:
    """The task that a label suggests: two values binary, numbers regression, anything else multiclass."""
    kind, _ = arrow_kind(column.type)
    levels = value_frequencies(column) if kind else []
    if len(levels) <= 2:
        return "binary"
    return "multiclass" if several_scores or kind == "category" else "regression"


def _binary_classes(levels: list[tuple[str, int]], positive: str | None, label: str) -> tuple[str, str]:
    """The negative and the positive class of a label. Raises UsageError with the label values if that is ambiguous."""
    seen = [name for name, _ in levels]
    more = f" and {len(seen) - 8} more" if len(seen) > 8 else ""
    got = ", ".join(f"{quoted_name(name)} ({count:,} rows)" for name, count in levels[:8]) + more
    if len(seen) > 2 and not set(seen) <= {*DEFAULT_CLASSES, "true", "false"}:
        raise UsageError(
            f"the label {label!r} has {len(seen):,} different values",
            got=got,
            expected="two for a binary model",
            attempt="Check --label, or give --task multiclass or regression",
        )
    if set(seen) <= {*DEFAULT_CLASSES, "true", "false"} and positive in (None, "1", "true"):
        return DEFAULT_CLASSES
    if positive is None:
        matches = [name for name in seen if name.strip().casefold() in POSITIVES]
        if len(matches) != 1:
            raise UsageError(
                f"no value of the label {label!r} is plainly the positive class",
                got=got,
                expected="one of 1, true or yes",
                attempt=f"Name it with --positive, for example --positive {quoted_name(seen[-1])}",
            )
        positive = matches[0]
    others = [name for name in seen if name != positive]
    if len(others) == len(seen) and len(seen) == 2:
        raise UsageError(f"no row has the positive label {positive!r}", got=got, attempt="Give --positive one of these")
    if not others:
        return ("0" if positive == "1" else f"not {positive}"), positive
    return others[0], positive


def reference_metrics(target: ReferenceOutcomes, threshold: float) -> dict[str, float]:
    """A few figures of the labelled rows, as a sanity check. Empty without labelled rows.

    binary, multiclass: accuracy, and majority_share, the accuracy of always predicting the most frequent class; binary: roc_auc.
    regression: mae, and mae_of_median, the MAE if the median is always predicted.
    """
    labelled = target.labelled
    if target.task == "regression":
        rows = labelled & target.scored
        if not rows.any():
            return {}
        values = target.values[rows]
        return {
            "mae": float(np.abs(target.matrix[rows, 0] - values).mean()),
            "mae_of_median": float(np.abs(values - np.median(values)).mean()),
        }
    decided = target.decisions(threshold)
    rows = labelled & (decided >= 0)
    if not rows.any():
        return {}
    codes = target.codes[rows]
    figures = {
        "accuracy": float((decided[rows] == codes).mean()),
        "majority_share": float(np.bincount(codes).max() / codes.size),
    }
    if target.task == "binary" and target.matrix.shape[1]:
        rows = labelled & target.scored
        area = _roc_auc(target.matrix[rows, 0], target.codes[rows])
        if area is not None:
            figures["roc_auc"] = area
    return figures


def _roc_auc(scores: NDArray[np.float64], codes: NDArray[np.int64]) -> float | None:
    """Probability that a positive (1) scores higher than a negative (0), ties half; None without both. Hanley and McNeil 1982."""
    positives = int(codes.sum())
    negatives = codes.size - positives
    if not positives or not negatives:
        return None
    _, places, times = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[places]
    return float((ranks[codes == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))
