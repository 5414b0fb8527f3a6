"""Spark on a lake gives the same answers as the reference engine, and the same rollups as the store.

The tests use a single session on one thread. test_spark_cluster.py tests a cluster; tests/benchmarks/bench_lake.py asks every question and
kills parts of a cluster.
"""

import random
import shutil
from datetime import timedelta

import pandas as pd
import pytest

from observability.core.errors import NotFoundError, UsageError
from observability.core.questions import Sample
from observability.core.window import Window
from observability.store.lake.export import export_lake
from observability.store.query import listing
from tests.store.conftest import rollups
from tests.support import reference_engine
from tests.support.engine_world import DAYS, START, copied
from tests.support.lake_home import labels_counted, late_records, loaded
from tests.support.landing import land
from tests.support.length import every_second, repeats, some
from tests.support.question_shapes import shapes, windows
from tests.support.store_comparison import assert_same, assert_same_rollups

pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed")
DAY = timedelta(days=1)
AS_OF = (None, START + 50 * timedelta(hours=1))


@pytest.fixture(scope="module")
def spark():
    from tests.support.spark_session import local_session

    session = local_session()
    yield session
    session.stop()


@pytest.fixture(scope="module")
def world(tmp_path_factory, spark):
    from observability.store.spark_engine import SparkEngine

    folder = tmp_path_factory.mktemp("world")
    with copied(folder / "home") as store:
        export_lake(store, str(folder / "lake"))
        yield store, SparkEngine(store, str(folder / "lake"), spark)


def test_questions_that_are_asked_together_have_the_answers_of_the_reference_engine(world):
    store, engine = world
    wanted = {}
    for model in some(("kind", "loan", "eta"), 2):
        for aggregate, window in every_second(zip(shapes(model), windows(model, random.Random(1)))):
            if window.as_of not in AS_OF or window.environment != "production":
                continue
            try:
                wanted[aggregate, window] = reference_engine.ask(store, aggregate, window)
            except (NotFoundError, UsageError):
                continue
    answers = engine.ask_many(wanted)
    assert answers.keys() == wanted.keys() and len(wanted) > repeats(7, 50)
    assert sum(len(answer) > 0 for answer in answers.values()) > repeats(3, 25)
    for (aggregate, window), answer in answers.items():
        assert_same(answer, wanted[aggregate, window], about=(aggregate, window))


def test_a_sample_of_the_spark_engine_equals_that_of_the_store(world):
    store, engine = world
    sample = Sample("outcomes", ("id", "label", "decision", "score_bin", "log_loss", "version", "status", "feature.income"), 100)
    window = Window("loan", START, START + DAYS * DAY, as_of=START + 2 * DAY)
    pd.testing.assert_frame_equal(engine.ask(sample, window), listing.answer_sample(store, sample, window))


def test_an_unknown_name_is_refused_before_a_job_runs(world):
    _, engine = world
    with pytest.raises(NotFoundError):
        engine.ask(Sample("predictions", ("feature.nobody",), 5), Window("loan", START, START + DAY))


def test_rollups_from_the_lake_are_those_of_the_store_with_late_labels(world):
    store, engine = world
    key = store.catalog().model("loan").key
    wanted = rollups(store, key)
    with store.write() as writer:
        for table in ("counts", "sums"):
            writer.execute(f"DELETE FROM {table}_{key} WHERE period > 0")
    assert rollups(store, key) != wanted
    report = engine.compute_rollups("loan", START.date(), (START + DAYS * DAY).date())
    assert report["rows"] > 500
    assert_same_rollups(rollups(store, key), wanted)


def test_days_whose_lake_files_differ_from_the_store_keep_their_counts_and_are_reported(world, tmp_path):
    from observability.store.spark_engine import SparkEngine

    _, engine = world
    with copied(tmp_path / "home") as store:
        export_lake(store, str(tmp_path / "lake"))
        late = {
            "kind": "prediction",
            "id": "late",
            "at": "2026-03-02T05:00:00Z",
            "model": "eta",
            "version": "1",
            "score": 3.0,
            "features": {},
        }
        key, beyond = store.catalog().model("eta").key, {**late, "id": "beyond", "at": "2026-03-29T05:00:00Z"}
        with store.cursor() as cursor:
            ((old,),) = cursor.execute(f"SELECT min(id) FROM predictions_{key} WHERE \"at\"::DATE = DATE '2026-03-04'").fetchall()
        land(store, late, beyond, {"kind": "label", "id": old, "at": "2026-04-01T00:00:00Z", "model": "eta", "value": 7})
        assert store.load_landing().stored == 3
        wanted = rollups(store, key)
        report = SparkEngine(store, str(tmp_path / "lake"), engine.spark).compute_rollups("eta", START.date(), START.date() + 40 * DAY)
        assert report["left"].keys() >= {"2026-03-02", "2026-03-04", "2026-03-29"} and report["rows"] > 100
        assert report["left"]["2026-03-02"] == "its rows are not those of the store"
        assert report["left"]["2026-03-04"] == "its labels are not those of the store"
        assert report["left"]["2026-03-29"] == "the lake does not have it"
        assert "2026-03-03" not in report["left"]
        assert_same_rollups(rollups(store, key), wanted)
        export_lake(store, str(tmp_path / "lake"))
        assert SparkEngine(store, str(tmp_path / "lake"), engine.spark).compute_rollups("eta", START.date(), START.date())["left"] == {}


def test_labels_of_a_round_that_the_store_has_not_counted_add_nothing(late, spark):
    from observability.store.spark_engine import SparkEngine

    store, lake, ids = late
    loaded(store, *late_records(ids[:3], 7))
    assert store.nightly(START + 7 * DAY)["retention"]["late_labels"] == {"m": 3}
    engine = SparkEngine(store, str(lake), spark)
    assert engine.compute_rollups("m", START.date(), START.date())["left"] == {} and labels_counted(store) == {1: 3}
    with store.write() as writer:
        writer.execute("DELETE FROM late_rounds")
    assert engine.compute_rollups("m", START.date(), START.date())["left"] == {} and labels_counted(store) == {}
