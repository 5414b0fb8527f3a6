"""Jobs of a robustness audit: attacks on rows, noise and missing features, and changed texts. They return the result of each row."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Bools, Floats
from observability.worker import text_changes
from observability.worker.attack_search import CheapestChange, any_changes, single_changes
from observability.worker.explain_job import score_table, task_from_arguments
from observability.worker.job import Output, Report
from observability.worker.matrix_scorer import AnswerChange, AttackFeature, MatrixScorer, attack_features
from observability.worker.model import CannotExplain, OpenModel, Task
from observability.worker.model_files import open_model
from observability.worker.word_job import text_features

CHANGES, MOST_THRESHOLDS = 5, 100_000
"""Maximum number of changed features of a case that are named; number of thresholds of a forest above which a grid is used instead."""


def attack_rows(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """The cheapest changes of the frame `rows` that give another answer. `real`: real rows for the search.

    arguments: kind, task, classes, threshold, tolerance, free (as AttackFeature). The frame `found`: `decision`, `single` and `any` (costs,
    infinite if none was found). Values: `exact` (whether the changes of one feature are exact), `changes` (for each row, {"single",
    "any"}: {feature: [from, to]}), `asked`.
    """
    _, scorer, outcome, free, real = _opened(frames, arguments, files)
    report(0.02, "the model is open")
    thresholds = _forest_thresholds(scorer.model, free)
    single = single_changes(scorer, outcome, free, thresholds, real)
    report(0.4, "changes of one feature searched")
    several = any_changes(scorer, outcome, free, real, single, lambda share, text: report(0.4 + 0.6 * share, text))
    found = pd.DataFrame({"decision": outcome.decisions(scorer.scores(scorer.own)), "single": single.cost, "any": several.cost})
    changes = [{"single": _changed(scorer, single, row), "any": _changed(scorer, several, row)} for row in range(len(scorer.own))]
    return Output({"exact": thresholds is not None, "changes": changes, "asked": scorer.asked}, {"found": found})


def _opened(
    frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path]
) -> tuple[Task, MatrixScorer, AnswerChange, dict[int, AttackFeature], Floats]:
    """The open model, with the frames `rows` and `real`. The scorer holds the rows, and the real rows come as a matrix."""
    task = task_from_arguments(arguments)
    rows, real = frames["rows"], frames.get("real", frames["rows"])
    model = open_model(arguments["kind"], files["model"], rows, task)
    columns = list(model.columns)
    free = attack_features(arguments.get("free", []), columns)
    together = MatrixScorer(model, task, pd.concat([rows[columns], real[columns]], ignore_index=True), free)
    matrix, together.own = together.own[len(rows) :], together.own[: len(rows)]
    return task, together, AnswerChange(task, arguments["threshold"], arguments["tolerance"]), free, matrix


def _forest_thresholds(model: OpenModel, free: dict[int, AttackFeature]) -> dict[int, Floats] | None:
    """The thresholds of each number of a forest. None for other models, for a number that is split by category, and beyond
    MOST_THRESHOLDS.
    """
    try:
        found = model.thresholds() if model.thresholds is not None else None
    except CannotExplain:
        return None
    numbers = {place: values for place, values in (found or {}).items() if place in free and free[place].is_number}
    if found is None or sum(map(len, numbers.values())) > MOST_THRESHOLDS or any(np.isnan(values).any() for values in numbers.values()):
        return None
    return {place: values[np.isfinite(values)] for place, values in numbers.items()}


def _changed(scorer: MatrixScorer, found: CheapestChange, row: int) -> dict[str, list[Any]]:
    """The changed features of a row with the values before and after, at most CHANGES; empty if no change was found."""
    if not np.isfinite(found.cost[row]):
        return {}
    own, other = scorer.own[row], found.rows[row]
    places = [int(place) for place in np.flatnonzero((own != other) & ~(np.isnan(own) & np.isnan(other)))]
    return {scorer.columns[place]: [scorer.value(place, own[place]), scorer.value(place, other[place])] for place in places[:CHANGES]}


def disturb_rows(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """The answers of the model to the frame `rows` with noise, and without some features.

    arguments: as in `attack_rows`, and levels (of noise, in standard deviations), labels (class index, or the value of a regression), seed.
    Frames: `right` (one column per point of the curve: 1 if the decision is the label; for regression the absolute error): `clean`,
    `noise/LEVEL`, `without/K` (the K features whose absence costs most). Values: `order` (the features in that order), `filled` (features
    that are filled with a usual value, since the model takes no missing one).
    """
    task, scorer, outcome, free, _ = _opened(frames, arguments, files)
    labels, rng = np.asarray(arguments["labels"], np.float64), np.random.default_rng(arguments["seed"])

    def measured(matrix: Floats) -> Floats:
        scores = scorer.scores(matrix)
        if task.name == "regression":
            return np.asarray(np.abs(scores - labels), np.float64)
        return np.asarray(outcome.decisions(scores) == labels, np.float64)

    points = {"clean": measured(scorer.own)}
    for place, level in enumerate(arguments["levels"]):
        points[f"noise/{level:g}"] = measured(noisy_rows(scorer, free, float(level), rng))
        report(0.3 * (place + 1) / len(arguments["levels"]), f"noise of {level:g} standard deviations")
    order, filled = without_features(scorer, measured, task, points, report)
    return Output({"order": order, "filled": filled}, {"right": pd.DataFrame(points)})


def noisy_rows(scorer: MatrixScorer, free: dict[int, AttackFeature], level: float, rng: np.random.Generator) -> Floats:
    """The rows with normal noise on each free number. Each other free feature gets a random level with a probability of `level` / 2 (at
    most 1).
    """
    matrix = scorer.own.copy()
    for place, feature in free.items():
        known = np.isfinite(matrix[:, place])
        if feature.is_number:
            matrix[:, place] = np.where(known, feature.within(matrix[:, place] + rng.normal(0, level * feature.scale, len(matrix))), np.nan)
        elif feature.levels:
            drawn = rng.integers(0, len(feature.levels), len(matrix))
            matrix[:, place] = np.where(known & (rng.random(len(matrix)) < level / 2), drawn, matrix[:, place])
    return matrix


def without_features(
    scorer: MatrixScorer, measured: Any, task: Task, points: dict[str, Floats], report: Report
) -> tuple[list[str], list[str]]:
    """The features ordered by the cost of their absence, and the features that were filled. Adds the points `without/K` to the curve."""
    width, filled = scorer.own.shape[1], []
    blanks = np.full(width, np.nan)
    for place in range(width):
        if not _takes_missing(scorer, place):
            column = scorer.own[:, place]
            known = column[np.isfinite(column)]
            blanks[place] = (
                (np.bincount(known.astype(np.int64)).argmax() if place in scorer.levels else np.median(known)) if known.size else 0
            )
            filled.append(scorer.columns[place])
    harm = []
    for place in range(width):
        matrix = scorer.own.copy()
        matrix[:, place] = blanks[place]
        change = float(np.mean(measured(matrix) - points["clean"]))
        harm.append(change if task.name == "regression" else -change)
        report(0.3 + 0.4 * (place + 1) / width, f"without {scorer.columns[place]}")
    order = [int(place) for place in np.argsort(-np.array(harm), kind="stable")]
    matrix = scorer.own.copy()
    for number, place in enumerate(order, start=1):
        matrix[:, place] = blanks[place]
        points[f"without/{number}"] = measured(matrix)
        report(0.7 + 0.3 * number / width, f"without {number} features")
    return [scorer.columns[place] for place in order], filled


def _takes_missing(scorer: MatrixScorer, place: int) -> bool:
    """Whether the model gives a finite score for a row without a value of a feature."""
    matrix = scorer.own[:2].copy()
    matrix[:, place] = np.nan
    try:
        return bool(np.isfinite(scorer.scores(matrix)).all())
    except (UsageError, ValueError, TypeError):
        return False


def change_texts(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """The answers of the model to rows with a changed text: typos, casing, synonyms.

    arguments: as in `disturb_rows`, and texts (one for each row) and feature (None if the model file holds a vectoriser). The frame `right`
    has `clean` and a column for each change; `flipped` the same without `clean`: 1 if the decision became another one. Values: `through`
    (features through which the text reaches the model), `cases` (the first changed texts with another decision of each change).
    """
    task, texts = task_from_arguments(arguments), [str(text) for text in arguments["texts"]]
    rows, labels = frames["rows"], np.asarray(arguments["labels"], np.float64)
    model = open_model(arguments["kind"], files["model"], rows, task)
    table, feature = rows[list(model.columns)].reset_index(drop=True), arguments["feature"]
    held = None if feature is not None else text_features(files["model"], arguments["kind"], table.head(1), texts[0])
    outcome, rng = AnswerChange(task, arguments["threshold"], arguments["tolerance"]), np.random.default_rng(arguments["seed"])
    clean = _scores_with_texts(model, task, table, texts, feature, held)
    right, flipped = {"clean": outcome.decisions(clean) == labels}, {}
    cases: dict[str, list[list[Any]]] = {}
    for place, (name, change) in enumerate(text_changes.CHANGES.items()):
        changed = [change(text, rng) for text in texts]
        scores = _scores_with_texts(model, task, table, changed, feature, held)
        right[name], flipped[name] = outcome.decisions(scores) == labels, outcome.flipped(clean, scores)
        cases[name] = [[row, changed[row]] for row in np.flatnonzero(flipped[name])[:CHANGES].tolist()]
        report((place + 1) / len(text_changes.CHANGES), f"texts with {name}")
    through = [feature] if held is None else list(held.names)
    return Output({"through": through, "cases": cases}, {"right": _flags(right), "flipped": _flags(flipped)})


def _scores_with_texts(model: OpenModel, task: Task, table: pd.DataFrame, texts: list[str], feature: str | None, held: Any) -> Floats:
    """The scores of rows with other texts."""
    changed = table.copy()
    if held is None:
        changed[feature] = pd.Series(texts, dtype=object)
    else:
        changed[list(held.names)] = held.vectors(texts)
    return score_table(model, changed, task)


def _flags(columns: dict[str, Bools]) -> pd.DataFrame:
    """Flags as a table of 0 and 1."""
    return pd.DataFrame({name: np.asarray(values, np.float64) for name, values in columns.items()})
