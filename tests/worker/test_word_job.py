"""The effect of a word is a difference between the model's own probabilities. It is refused if it is unknown how words reach the model.

The comparison values are independent: the vectoriser and the weights of the sample's text model, multiplied here step by step.
"""

import importlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io

from observability.core.errors import UsageError
from observability.investigation import word_effects
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.logged_content import LoggedText
from observability.worker import word_job
from observability.worker.process import JobAnswer
from sample_data.texts import FEATURES, TextService
from tests.support.text_row import text_row

ARTIFACT = Path(__file__).parents[2] / "sample_data" / "sentiment.skops"
CLASSES = ("negative", "neutral", "positive")
TEXT = "What a nice day, I love it"


@pytest.fixture(scope="module")
def service() -> TextService:
    return TextService(ARTIFACT, 12)


def arguments(*texts: str, feature: str | None = None) -> dict[str, Any]:
    return {"task": "multiclass", "classes": list(CLASSES), "kind": "skops", "texts": list(texts), "feature": feature}


def run(row: pd.DataFrame, **given: Any) -> Any:
    return word_job.score_word_omissions({"row": row}, given, {"model": ARTIFACT}, lambda *_: None)


def test_changed_texts_change_only_the_word_features_and_scores_equal_those_of_the_weights(service: TextService) -> None:
    features, _ = service.answer(TEXT)
    found = run(pd.DataFrame([features]), **arguments(TEXT, "What a nice day, I it"))
    assert found.values["through"] == [name for name in FEATURES if name.startswith("component_")]
    parts = service.model.text_vectoriser_.transform([TEXT, "What a nice day, I it"])
    counted = [features[name] for name in FEATURES if not name.startswith("component_")]
    rows = np.array([[*counted, *part] for part in parts])
    raw = (rows - service.mean) / service.scale @ service.weights + service.intercept
    chances = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    assert found.frames["scores"].to_numpy() == pytest.approx(chances, abs=1e-6)
    assert chances[0, 2] > chances[1, 2] + 0.01, "without `love` the text is less positive"


def test_another_text_than_the_logged_one_is_refused(service: TextService) -> None:
    features, _ = service.answer("something else was logged here")
    with pytest.raises(UsageError, match="does not hold what turns words into features"):
        run(pd.DataFrame([features]), **arguments(TEXT))
    with pytest.raises(UsageError, match="does not take the text"):
        run(pd.DataFrame([features]), **arguments(TEXT, feature="text"))


def test_a_text_that_is_a_feature_is_replaced_itself(tmp_path: Path) -> None:
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    table = pd.DataFrame({"body": ["good good", "bad", "good", "bad bad"] * 5, "size": [1.0, 2.0, 3.0, 4.0] * 5})
    words = ColumnTransformer([("words", CountVectorizer(), "body")], remainder="passthrough")
    model = Pipeline([("words", words), ("model", LogisticRegression())]).fit(table, [1, 0, 1, 0] * 5)
    skops.io.dump(model, tmp_path / "model.skops")
    row = table.iloc[[0]].astype({"body": object})
    given = {"task": "binary", "classes": ["0", "1"], "kind": "skops", "texts": ["good good", "good", ""], "feature": "body"}
    found = word_job.score_word_omissions({"row": row}, given, {"model": tmp_path / "model.skops"}, lambda *_: None)
    theirs = model.predict_proba(pd.concat([row] * 3).assign(body=given["texts"]))[:, 1]
    assert found.values["through"] == ["body"] and found.frames["scores"]["score"].to_numpy() == pytest.approx(theirs)


class InProcess:
    """A worker that runs its jobs in this process."""

    def call(self, job: str, frames: Any, arguments: Mapping[str, Any], *, files: Any, **_: Any) -> JobAnswer:
        module, _, function = job.partition(":")
        found = getattr(importlib.import_module(module), function)(frames, dict(arguments), files, lambda *_: None)
        return JobAnswer(found.values, found.frames, {}, 0.0, True, True)


class Kept:
    """The part of a store that keeps a model file's answers."""

    def __init__(self) -> None:
        self.held: dict[Any, str] = {}

    def artifact(self, _version: object) -> Path:
        return ARTIFACT

    def cached_answer(self, _model: object, *key: str) -> Any:
        held = self.held.get(key)
        return None if held is None else json.loads(held)

    def cache_answer(self, _model: object, *entry: str) -> None:
        self.held[entry[:-1]] = entry[-1]


def test_word_effects_are_placed_at_their_words_and_kept_in_the_store(service: TextService) -> None:
    features, _ = service.answer(TEXT)
    row, store, text = text_row(features, CLASSES, decision=2), Kept(), LoggedText("text", TEXT, False)
    with pytest.raises(NotGivenError):
        word_effects.word_effects(store, row, text)
    found = word_effects.word_effects(store, row, text, worker=InProcess())
    assert [TEXT[start:end] for start, end, _ in found.words] == TEXT.split()
    best = max(found.words, key=lambda word: word[2])
    assert TEXT[best[0] : best[1]] == "love" and found.class_name == "positive" and found.kept == 17
    assert word_effects.word_effects(store, row, text) == found, "the worker is not needed a second time"
    with pytest.raises(NotGivenError):
        word_effects.word_effects(store, replace(row, version=replace(row.version, artifact=None)), text)
