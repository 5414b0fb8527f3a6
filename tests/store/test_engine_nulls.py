"""Every engine agrees on groups whose values are all null, in the predictions of a version or in a reference."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.questions import Aggregate, Attributions, Bucket, By, Question, Sample
from observability.core.window import Window
from observability.store.db.database import Database
from observability.store.ingest.loader import load_files
from observability.store.query import aggregates
from observability.store.registry.register import register_version
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support import live_world, reference_engine
from tests.support.length import some
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
GROUPS = ("group.sex", "group.income", "group.flag")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A store with a model of two versions. The groups of version 1 are null in every prediction, those of version 2 also in its
    reference.
    """
    folder = tmp_path_factory.mktemp("nulls")
    store, rng = new_store(folder / "home", threads=1), np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.normal(40, 10, 200), "score": rng.random(200), "label": rng.integers(0, 2, 200)})
    groups = pd.DataFrame({"sex": rng.choice(["F", "M"], 200), "income": rng.normal(0, 1, 200), "flag": rng.random(200) < 0.5})
    for version, own in (("1", groups), ("2", groups.map(lambda _: None))):
        frame.join(own).to_parquet(folder / "reference.parquet")
        request = RegistrationRequest(
            model="m",
            version=version,
            task="binary",
            reference=folder / "reference.parquet",
            label="label",
            score=("score",),
            features=("age",),
            sensitive=("sex", "income", "flag"),
        )
        register_version(store, request)
    lines = [
        {
            "kind": "prediction",
            "id": f"p{i}",
            "at": (START + timedelta(hours=i)).isoformat(),
            "model": "m",
            "version": "12"[i % 2],
            "features": {"age": 4.0},
            "groups": {"sex": None, "income": None, "flag": None} if i % 3 else {},
            "score": 0.4,
            "label": i % 5 // 4,
            "base_value": 0.1,
            "attributions": {"age": 0.3},
        }
        for i in range(48)
    ]
    path = folder / "lines.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    assert load_files(store, [path], LoadDefaults()).rejected == 0
    live_world.explain(store)
    yield store
    store.close()


QUESTIONS: list[Question] = [
    Attributions(30, GROUPS),
    Sample("outcomes", (*GROUPS, "score"), 500),
    Aggregate("predictions", histogram=GROUPS),
    Aggregate("outcomes", keys=(By("version"),), sums=("group.income", "score")),
    *(Aggregate("outcomes", keys=(Bucket("day"), By(name), By("label"))) for name in (*GROUPS, "band.income")),
    Aggregate("outcomes", keys=(By("group.sex"), By("group.flag"), By("band.income")), sums=("brier",)),
]


@pytest.mark.parametrize("question", some(QUESTIONS, 5), ids=str)
@pytest.mark.parametrize("version", [None, "1", "2"])
def test_every_engine_gives_the_same_answers_for_missing_values(store: Database, question: Question, version: str | None) -> None:
    window = Window("m", START, START + timedelta(days=2), version=version)
    for asked in (window, *([replace(window, environment="reference")] if version and not isinstance(question, Attributions) else [])):
        wanted = reference_engine.answer(store, question, asked)
        answers = [store.ask(question, asked)]
        answers += [aggregates.answer_aggregate(store, question, asked, source="raw")] if isinstance(question, Aggregate) else []
        for got in answers:
            pd.testing.assert_frame_equal(got.reset_index(drop=True), wanted, rtol=1e-9, check_dtype=len(wanted) > 0)
        assert len(wanted) or (asked.environment == "production" and getattr(question, "sums", ()))
