"""The job that scores a text several times, each time without one of its words.

The words reach the model in one of two ways: the text is a feature itself, or the model file holds the vectoriser that turned the text into
some of the features. The second way is assumed only if the vectoriser reproduces the logged values of the whole text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Floats
from observability.worker.explain_job import score_table, scores_frame, task_from_arguments
from observability.worker.job import Output, Report
from observability.worker.model_files import open_model
from observability.worker.model_sklearn import load_skops

ROUNDED = 1e-3
"""Largest difference between a logged value and the vectoriser's value at which they count as the same, because logs are rounded."""


def score_word_omissions(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """Scores of the frame `row` with each text of `texts` in place of the first text, which is the logged one. They are in the frame
    `scores`.

    feature: the feature that is the text; None if a vectoriser in the file gives features from it. Values: `through`, the features through
    which the words reach the model. Raises UsageError if the words reach the model in no known way.
    """
    row, task, texts = frames["row"], task_from_arguments(arguments), list(arguments["texts"])
    model = open_model(arguments["kind"], files["model"], row, task)
    columns = list(model.columns)
    table = pd.concat([row[columns]] * len(texts), ignore_index=True)
    feature = arguments["feature"]
    if feature is not None:
        if feature not in columns:
            raise UsageError("the model does not take the text", where="artifact", got=f"no feature {feature}")
        through = [feature]
        table[feature] = pd.Series(texts, dtype=object)
    else:
        found = text_features(files["model"], arguments["kind"], row[columns], texts[0])
        through = list(found.names)
        table[through] = found.vectors(texts)
    report(0.5, "The words are left out one by one")
    return Output({"through": through}, {"scores": scores_frame(score_table(model, table, task))})


@dataclass(frozen=True)
class TextFeatures:
    """The vectoriser in a model file, and the names of the features that it gives."""

    vectoriser: Any
    names: tuple[str, ...]

    def vectors(self, texts: Sequence[str]) -> Floats:
        """The features of each text, (texts, names)."""
        return dense_vectors(self.vectoriser, texts)


def dense_vectors(vectoriser: Any, texts: Sequence[str]) -> Floats:
    """The output of a vectoriser for texts, as a full array."""
    given = vectoriser.transform(list(texts))
    return np.asarray(given.todense() if hasattr(given, "todense") else given, dtype=float)


def text_features(path: Path, kind: str, row: pd.DataFrame, text: str) -> TextFeatures:
    """The vectoriser in a model file whose features are neighbouring columns of the row, and which reproduces the logged values for the
    text. Raises UsageError if there is no such vectoriser.
    """
    if kind != "skops":
        raise UsageError("the model file does not hold what turns words into features", where="artifact", got=f"a file of {kind}")
    numbers = pd.to_numeric(row.iloc[0], errors="coerce").to_numpy(dtype=float)
    for vectoriser in vars(load_skops(path)).values():
        if not hasattr(vectoriser, "transform"):
            continue
        try:
            vectors = dense_vectors(vectoriser, [text])
        except Exception:  # noqa: S112 - another transformer than one of texts
            continue
        if vectors.ndim != 2 or not np.any(vectors[0]):
            continue
        width = vectors.shape[1]
        for start in range(len(numbers) - width + 1):
            if np.all(np.abs(numbers[start : start + width] - vectors[0]) <= ROUNDED):
                return TextFeatures(vectoriser, tuple(str(name) for name in row.columns[start : start + width]))
    raise UsageError(
        "the model file does not hold what turns words into features",
        where="artifact",
        got="no vectoriser that gives the logged values of this text again",
        attempt="Keep the fitted vectoriser as an attribute of the saved model, or log the text as a feature that the model takes",
    )
