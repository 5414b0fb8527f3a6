"""A model file's answer about a case is cached exactly, and only while the file, the inputs and the settings stay the same."""

import dataclasses
import json
import threading

import pytest

from observability.investigation import counterfactuals, decision_boundary, score_explanation, version_replay
from observability.investigation.case import case
from observability.investigation.evidence_types import NotGivenError
from observability.investigation.find_prediction import prediction_row
from observability.store.db.database import Database
from observability.store.query import cached_answers
from observability.worker.process import Worker
from tests.support.case_model_world import ModelWorld
from tests.support.length import some

MODELLED = ("explanation", "counterfactuals", "versions")


class Nobody(Worker):
    """A worker that must not be called."""

    def call(self, *_args: object, **_more: object) -> None:
        raise AssertionError("the model was asked again")


@pytest.mark.parametrize(("name", "model"), some([("c-250", "credit"), ("m-11", "mood"), ("r-7", "rent")], 1))
def test_opening_a_case_again_calls_no_model_and_gives_the_same_answers(
    name: str, model: str, model_world: ModelWorld, model_worker: Worker
) -> None:
    first = case(model_world.store, name, model=model, worker=model_worker)
    generation = model_world.store.generation
    again = case(model_world.store, name, model=model, worker=Nobody())
    stored = case(model_world.store, name, model=model)
    assert first.explanation is not None and (first.counterfactuals or "were scored" in first.why["counterfactuals"])
    for part in MODELLED:
        assert getattr(first, part) == getattr(again, part) == getattr(stored, part)
        assert first.why.get(part) == again.why.get(part) == stored.why.get(part)
    assert json.dumps(first.to_json(), sort_keys=True) == json.dumps(again.to_json(), sort_keys=True)
    assert model_world.store.generation == generation, "caching the answer does not make any page's cache stale"


def test_other_inputs_files_or_settings_do_not_reuse_cached_answers(model_world: ModelWorld, model_worker: Worker) -> None:
    store, row = model_world.store, prediction_row(model_world.store, "c-251", model="credit")
    first = counterfactuals.search(store, row, worker=model_worker)
    (name, *_) = first.counterfactuals[0].changes
    locked = dataclasses.replace(row.model, settings=dataclasses.replace(row.model.settings, immutable=(name,)))
    found = counterfactuals.search(store, dataclasses.replace(row, model=locked), worker=model_worker)
    assert found.locked == (name,) and all(name not in each.changes for each in found.counterfactuals)
    assert counterfactuals.search(store, row, worker=Nobody()) == first, "the first answer is still cached"

    other = dataclasses.replace(row, features={**row.features, "rooms": (row.features["rooms"] or 0) + 1})
    file = dataclasses.replace(row, version=dataclasses.replace(row.version, artifact="artifacts/lightgbm-" + "0" * 64 + ".txt"))
    score_explanation.computed_attributions(store, row, model_worker, None)
    decision_boundary.what_if(store, row, {"rooms": 6}, worker=model_worker)
    assert (
        decision_boundary.what_if(store, row, {"rooms": 6}, worker=None).score
        == decision_boundary.what_if(store, row, {"rooms": 6}, worker=Nobody()).score
    )
    for changed in (other, file):
        with pytest.raises(NotGivenError):
            score_explanation.computed_attributions(store, changed, None, None)
    with pytest.raises(NotGivenError):
        decision_boundary.what_if(store, row, {"rooms": 7}, worker=None)
    with pytest.raises(NotGivenError):
        decision_boundary.what_if(store, file, {"rooms": 6}, worker=None)
    answered = {each.version: each.score for each in version_replay.replayed_answers(store, row, worker=model_worker)}
    assert {each.version: each.score for each in version_replay.replayed_answers(store, row)} == answered


def test_the_answer_cache_is_bounded_and_its_callers_do_not_wait_for_a_writer(
    model_world: ModelWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, model = model_world.store, model_world.store.catalog().model("rent")
    monkeypatch.setattr(cached_answers, "MAX_OF_ONE", 3)
    for place in range(6):
        store.cache_answer(model, "kept-1", "score", str(place), "[1]")
    assert [store.cached_answer(model, "kept-1", "score", str(place)) for place in range(6)] == [None] * 3 + [[1]] * 3
    monkeypatch.setattr(cached_answers, "MAX_OF_ALL", 2)
    store.cache_answer(model, "kept-2", "score", "x", "[2]")
    ((held,),) = store.cursor().execute(f"SELECT count(*) FROM computed_{model.key}").fetchall()
    assert held == 2
    begun, end = threading.Event(), threading.Event()

    def load(store: Database) -> None:
        with store.write():
            begun.set()
            assert end.wait(60)

    loader = threading.Thread(target=load, args=(store,))
    loader.start()
    assert begun.wait(60)
    store.cache_answer(model, "kept-3", "score", "x", "[3]")  # returns at once
    end.set()
    loader.join()
    assert store.cached_answer(model, "kept-3", "score", "x") is None
