"""Tests of stored attributions: arrival, removal, migration of older stores, and versions with different features."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from unittest import mock

import duckdb
import numpy as np
import pytest

from observability.core.catalog import computed_values
from observability.core.errors import NotFoundError
from observability.core.questions import Attributions
from observability.core.settings import ModelSettings
from observability.core.window import Slice, Window
from observability.enrichment import enrich
from observability.enrichment.explanations import explain_rows
from observability.monitoring import check
from observability.store import removal
from observability.store.db.database import Database
from observability.store.query import attribution_plan, attributions
from observability.store.registry.register import register_version, update_settings
from observability.store.types import explanations
from observability.store.types.registration import RegistrationRequest
from observability.worker.limits import WorkerError
from tests.support.explained_model import DAYS, START, again, explain, load, prediction, registered
from tests.support.new_store import new_store

WINDOW = Window("loan", START, START + timedelta(days=DAYS), "1")


@pytest.fixture
def store(tmp_path: Path):
    found = registered(tmp_path / "home")
    load(found, [prediction(f"p{k}", START + timedelta(minutes=k * 36)) for k in range(40 * DAYS)])
    yield found
    found.close()


def worked(store: Database, explain=explain) -> int:
    """Explain predictions until none is left; returns how many were explained."""
    total = 0
    with mock.patch("observability.worker.requests.explain_scores", explain):
        while rows := explain_rows(store, None, store.catalog().model("loan"), enrich.no_progress, threading.Event()):
            total += rows
    return total


def test_a_bounded_sample_of_each_day_and_the_reference_are_explained_once(store: Database) -> None:
    update_settings(store, "loan", ModelSettings(explanations_per_day=25))
    assert worked(store) == 60 + 25 * DAYS and worked(store) == 0
    rows = attributions.answer_attributions(store, Attributions(1000, ("feature.age", "feature.region", "score")), WINDOW)
    cursor = store.cursor()
    for day in range(DAYS):
        start = START.replace(tzinfo=None) + timedelta(days=day)
        smallest = cursor.execute(
            'SELECT id FROM predictions_1 WHERE "at" >= ? AND "at" < ? ORDER BY sample_hash, id LIMIT 25',
            [start, start + timedelta(days=1)],
        ).fetchall()
        assert set(rows.loc[rows["at"].dt.day == start.day, "id"]) == {name for (name,) in smallest}
    assert (rows["attribution.age"] == rows["feature.age"]).all() and (rows["output"] == rows["score"]).all()
    assert rows["adds_up"].all() and rows["reproduces"].all() and (rows["class"] == -1).all() and set(rows["link"]) == {"identity"}
    assert {None, "north", "south"} == set(rows["feature.region"])
    assert len(attributions.answer_attributions(store, Attributions(1000), WINDOW.reference())) == 60
    assert len(attributions.answer_attributions(store, Attributions(7), WINDOW)) == 7
    state = attributions.stored_explanation_state(store, "loan", "1")
    assert state is not None and state.method == "shap linear" and state.background_rows == 100 and state.rows == 60 + 25 * DAYS


def test_the_explanations_worker_changes_nothing_but_computed_values(store: Database) -> None:
    """Findings that read no explanations are unchanged while explanations are computed."""
    before = dict(store.generations)
    assert worked(store)
    changed = {name for name, generation in store.generations.items() if generation != before.get(name)}
    assert changed == {computed_values("loan")}


def test_days_with_new_rows_or_a_larger_setting_get_more_explanations(store: Database) -> None:
    asked: list[int] = []

    def counting(worker, artifact, rows, **options):
        asked.append(len(rows))
        return explain(worker, artifact, rows, **options)

    assert worked(store) == 60 + 40 * DAYS
    load(store, [prediction(f"p{900 + k}", START + timedelta(minutes=k)) for k in range(10)])
    assert worked(store, counting) == 10 and asked == [10]
    update_settings(store, "loan", ModelSettings(explanations_per_day=200))
    assert worked(store, counting) == 0 and asked == [10]


def test_attributions_are_selected_by_slice_window_and_arrival(store: Database) -> None:
    load(store, [prediction("p990", START + timedelta(hours=1), received_at=(START + timedelta(days=9)).isoformat())])
    worked(store)
    early = replace(WINDOW, as_of=START + timedelta(days=8))
    assert (
        len(attributions.answer_attributions(store, Attributions(), WINDOW))
        == len(attributions.answer_attributions(store, Attributions(), early)) + 1
    )
    north = attributions.answer_attributions(
        store, Attributions(columns=("feature.region",)), replace(WINDOW, slice=Slice((("region", "north"),)))
    )
    assert len(north) and set(north["feature.region"]) == {"north"}
    assert len(attributions.answer_attributions(store, Attributions(), replace(WINDOW, end=START + timedelta(days=1)))) == 41
    empty = attributions.answer_attributions(store, Attributions(), replace(WINDOW, end=START))
    assert len(empty) == 0 and "attribution.age" in empty
    with pytest.raises(NotFoundError):
        attributions.answer_attributions(store, Attributions(columns=("feature.nobody",)), WINDOW)


def test_the_worst_errors_are_explained_ahead_and_are_no_sample(store: Database) -> None:
    update_settings(store, "loan", ModelSettings(explanations_per_day=5))
    labels = [
        {
            "kind": "label",
            "id": f"p{k}",
            "at": (START + timedelta(days=2)).isoformat(),
            "model": "loan",
            "value": 1000 if k % 10 == 3 else k % 50 + (k * 7) % 100 + 5,
        }
        for k in range(40 * DAYS)
    ]
    load(store, labels)
    worst = [f"p{k}" for k in range(40 * DAYS) if k % 10 == 3]
    with mock.patch("observability.enrichment.explanations.ERROR_ROWS", len(worst)):
        worked(store)
        sample = attributions.answer_attributions(store, Attributions(), WINDOW)
        every = attributions.answer_attributions(store, Attributions(errors=True), WINDOW)
        assert set(every["id"]) == set(sample["id"]) | set(worst) and len(sample) == 5 * DAYS
        assert not every.loc[~every["id"].isin(sample["id"]), "sampled"].any()
        update_settings(store, "loan", ModelSettings(explanations_per_day=40))
        worked(store)
    assert len(attributions.answer_attributions(store, Attributions(), WINDOW)) == 40 * DAYS


def test_another_artifact_discards_the_attributions_and_they_are_computed_again(store: Database) -> None:
    worked(store)
    again(store, "tree\nversion=v4\nother=1\n")
    assert (
        len(attributions.answer_attributions(store, Attributions(), WINDOW)) == 0
        and attributions.stored_explanation_state(store, "loan", "1") is None
    )
    assert worked(store) == 60 + 40 * DAYS
    ((held,),) = store.cursor().execute("SELECT count(*) FROM attributions_1").fetchall()
    assert held == 60 + 40 * DAYS


def test_another_reference_of_the_same_artifact_is_explained_anew_and_other_attributions_stay(store: Database) -> None:
    worked(store)
    before = attributions.answer_attributions(store, Attributions(), WINDOW)
    version = store.catalog().model("loan").version("1")
    state = attributions.stored_explanation_state(store, "loan", "1")
    again(store, None, rows=80)
    now = store.catalog().model("loan").version("1")
    assert now.artifact == version.artifact and now.registered_at == version.registered_at
    assert len(attributions.answer_attributions(store, Attributions(), WINDOW.reference())) == 0
    late = explanations.AttributionBatch(explanations.ATTRIBUTION_SCHEMA.empty_table(), state)
    assert attributions.write_attributions(store, store.catalog().model("loan"), version, late) == 0
    assert attributions.stored_explanation_state(store, "loan", "1") is None
    assert worked(store) == 80 + 40 * DAYS
    assert len(attributions.answer_attributions(store, Attributions(), WINDOW.reference())) == 80
    assert attributions.answer_attributions(store, Attributions(), WINDOW).equals(before)


def test_a_check_reports_that_an_artifact_failed_and_what_to_try(store: Database) -> None:
    def breaks(*_args, **_options):
        raise WorkerError("the model ended the process", reason="crash", got="signal 11")

    def said() -> list[tuple[str, str]]:
        options = {"start": START, "end": START + timedelta(days=DAYS), "only": ("trust/explanations",)}
        return [(each.severity, each.because) for each in check.check(store, model="loan", **options).findings]

    worked(store, breaks)
    ((severity, because),) = said()
    assert severity == "unknown" and "signal 11" in because and "`register --artifact FILE`" in because
    again(store, "tree\nversion=v4\nother=1\n")
    assert "is explained yet" in said()[0][1]


def test_a_failed_explanation_is_not_tried_again_until_the_code_changes(store: Database) -> None:
    calls: list[int] = []

    def breaks(*_args, **_options):
        calls.append(1)
        raise WorkerError("the model ended the process", reason="crash", got="signal 11")

    assert worked(store, breaks) == 0 and worked(store, breaks) == 0 and len(calls) == 1
    state = attributions.stored_explanation_state(store, "loan", "1")
    assert state is not None and state.failure and "signal 11" in state.failure
    assert len(attributions.answer_attributions(store, Attributions(), WINDOW)) == 0
    with mock.patch("observability.enrichment.explanations.FORM", 2):
        assert worked(store) == 60 + 40 * DAYS
    fixed = attributions.stored_explanation_state(store, "loan", "1")
    assert fixed is not None and fixed.failure is None


def test_a_process_that_cannot_start_is_no_failure_of_the_artifact(store: Database) -> None:
    def cannot(*_args, **_options):
        raise WorkerError("no process could be started", reason="start")

    with pytest.raises(WorkerError):
        worked(store, cannot)
    state = attributions.stored_explanation_state(store, "loan", "1")
    assert state is not None and state.failure is None


def test_a_slow_model_is_tried_with_fewer_rows(store: Database) -> None:
    sizes: list[int] = []

    def slow(worker, artifact, rows, **options):
        sizes.append(len(rows))
        if len(rows) > 50:
            raise WorkerError("it took too long", reason="time")
        return replace(explain(worker, artifact, rows, **options), seconds=5.0)

    with mock.patch("observability.enrichment.explanations.MIN_STEP_ROWS", 100):
        step = explain_rows
        with mock.patch("observability.worker.requests.explain_scores", slow):
            step(store, None, store.catalog().model("loan"), enrich.no_progress, threading.Event())
    assert sizes == [60, 50]
    assert len(attributions.answer_attributions(store, Attributions(), WINDOW.reference())) == 50


def test_removing_a_model_or_a_prediction_removes_its_attributions(store: Database) -> None:
    worked(store)
    with store.write() as writer:
        writer.execute("DELETE FROM predictions_1 WHERE id = 'p3'")
    assert "p3" not in set(attributions.answer_attributions(store, Attributions(), WINDOW)["id"])
    removal.remove_model(store, "loan")
    left = store.cursor().execute(
        "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'attributions_%' OR table_name LIKE 'enrichment_%' ORDER BY 1"
    )
    assert left.fetchall() == [("attributions_shared",), ("enrichment_shared",)]


def test_an_older_store_gets_the_tables_of_attributions(tmp_path: Path) -> None:
    store = registered(tmp_path / "home")
    path = store.path
    store.close()
    with duckdb.connect(str(path)) as old:
        for later in ("attributions", "enrichment", "estimates", "computed"):
            for table in old.execute(f"SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '{later}_%'").fetchall():
                old.execute(f"DROP TABLE {table[0]}")
        old.execute("DELETE FROM migrations WHERE version > 1")
    with new_store(tmp_path / "home") as store:
        assert len(attributions.answer_attributions(store, Attributions(), WINDOW)) == 0
        assert worked(store) == 60


def logged(k: int, **fields: object) -> dict:
    """A prediction of a probability, with attributions that add up in log odds."""
    values = {"age": (k % 5 - 2) * 0.3, "income": (k % 3 - 1) * 0.2}
    total = sum(values.values()) - 0.5
    body = {"score": float(1 / (1 + np.exp(-total))), "attributions": values, "base_value": -0.5, "attributions_link": "logit"}
    return prediction(f"p{k}", START + timedelta(minutes=k * 20), model="risk", version="7") | body | fields


def test_logged_attributions_are_used_as_they_are_and_checked_in_their_own_space(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        rounded = [logged(k, score=round(logged(k)["score"], 3)) for k in range(60)]
        broken = [logged(k, score=0.999) for k in range(60, 66)]
        bare = [prediction(f"p{k}", START + timedelta(minutes=k * 20), model="risk", version="7", score=0.5) for k in range(66, 80)]
        other = [
            logged(80, attributions={"carrier=AA": 0.1}, base_value="NaN"),
            logged(81, attributions={"carrier=AA": 0.5}, base_value=-0.5, score=0.5),
        ]
        load(store, [*rounded, *broken, *bare, *other])

        def nobody(*_args, **_options):
            raise AssertionError("nothing is computed where attributions were logged")

        with mock.patch("observability.worker.requests.explain_scores", nobody):
            assert enrich.enrich_models(store, "risk", jobs=(explain_rows,), worker=mock.Mock()).rows == {"risk": 68}
        rows = attributions.answer_attributions(store, Attributions(), Window("risk", START, START + timedelta(days=DAYS), "7")).set_index(
            "id"
        )
        assert set(rows["method"]) == {"logged"} and set(rows["link"]) == {"logit"} and set(rows["reproduces"]) == {None}
        assert rows.loc["p3", "attribution.age"] == pytest.approx(0.3, abs=1e-6) and rows.loc["p3", "base"] == -0.5
        assert rows.loc[[f"p{k}" for k in range(60)], "adds_up"].all()
        assert not rows.loc[[f"p{k}" for k in range(60, 66)], "adds_up"].any() and not rows.loc["p80", "adds_up"]
        assert (
            rows.loc["p81", "adds_up"]
            and rows.loc["p81", "attribution.carrier=AA"] == 0.5
            and rows.loc["p3", "attribution.carrier=AA"] == 0
        )


def test_multiclass_attributions_are_those_of_the_decided_class(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        reference = tmp_path / "reference.csv"
        reference.write_text("x,a,b,label\n" + "\n".join(f"{k},0.6,0.4,{'ab'[k % 2]}" for k in range(40)) + "\n", encoding="utf-8")
        register_version(
            store,
            RegistrationRequest(
                model="mood", version="1", reference=reference, task="multiclass", label="label", score=("a=a", "b=b"), features=("x",)
            ),
        )
        body = {
            "kind": "prediction",
            "model": "mood",
            "version": "1",
            "features": {"x": 1.0},
            "score": {"a": 0.3, "b": 0.7},
            "prediction": "b",
            "attributions": {"a": {"x": -0.2}, "b": {"x": 0.2}},
            "base_value": {"a": 0.5, "b": 0.5},
        }
        load(store, [body | {"id": f"m{k}", "at": (START + timedelta(minutes=k)).isoformat()} for k in range(9)])
        enrich.enrich_models(store, "mood", jobs=(explain_rows,), worker=mock.Mock())
        rows = attributions.answer_attributions(store, Attributions(), Window("mood", START, START + timedelta(days=1), "1"))
        assert len(rows) == 9 and set(rows["class"]) == {1} and rows["adds_up"].all()
        assert rows["attribution.x"].to_numpy() == pytest.approx(0.2) and rows["output"].to_numpy() == pytest.approx(0.7)


def test_the_parts_to_explain_are_listed_by_day_with_their_numbers_of_rows(store: Database) -> None:
    model = store.catalog().model("loan")
    parts = attribution_plan.explanation_parts(store, model, model.versions[0], 100, 1000)
    assert [each.name for each in parts] == ["reference", *(f"2026-05-0{day}" for day in (7, 6, 5, 4))]
    assert [each.rows for each in parts] == [60, 40, 40, 40, 40] and not any(each.done for each in parts)
    worked(store)
    assert all(each.done for each in attribution_plan.explanation_parts(store, model, model.versions[0], 100, 1000))
