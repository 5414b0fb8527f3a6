"""Tests of aggregates against results computed by hand, and of questions that are rejected."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import Edges, Version
from observability.core.errors import NotFoundError, UsageError
from observability.core.questions import ABSENT, NAN, NULL, UNSEEN, WRONG_TYPE, Aggregate, Bucket, By
from observability.core.window import Slice, Window
from observability.store.db.catalog_store import add_columns, add_model, save_version, set_sensitive
from observability.store.db.schema import SLICE_LEVELS
from observability.store.opener import open_store
from observability.store.query import aggregates as engine
from observability.store.query import raw_histograms
from tests.support import reference_engine
from tests.support.engine_world import DAYS, HOSTILE, START, copied
from tests.support.store_comparison import assert_same

DAY = timedelta(days=1)
EVERYTHING = Window("loan", START, START + DAYS * DAY)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with copied(tmp_path_factory.mktemp("world")) as opened:
        yield opened


@pytest.fixture
def tiny(store):
    """A store with a binary model with one number, one category and one sensitive boolean, registered as version 1."""
    with store.write() as writer:
        key = add_model(writer, "m", task="binary", classes=("0", "1"))
        add_columns(writer, key, [("feature", "x", "number"), ("feature", "c", "category"), ("feature", "b", "boolean")])
        set_sensitive(writer, key, ["feature.b"])
        edges = {
            "feature.x": Edges(edges=(0.0, 1.0, 2.0)),
            "feature.c": Edges(levels=("red", "blue")),
            "feature.b": Edges(levels=("false", "true")),
        }
        save_version(writer, key, Version("1", START, ("x", "c", "b"), edges))
    return store


def prediction(id_, hours=0.0, **fields):
    at = (START + timedelta(hours=hours)).isoformat()
    return {
        "kind": "prediction",
        "id": id_,
        "at": at,
        "received_at": at,
        "model": "m",
        "version": "1",
        "score": 0.5,
        "features": {},
    } | fields


def label(id_, value, hours, arrived=None):
    at, arrived = ((START + timedelta(hours=each)).isoformat() for each in (hours, hours if arrived is None else arrived))
    return {"kind": "label", "id": id_, "at": at, "model": "m", "value": value, "received_at": arrived}


WINDOW = Window("m", START, START + DAY)


def bins(store, column, source, window=WINDOW):
    frame = engine.answer_aggregate(store, Aggregate("predictions", histogram=(column,)), window, source=source)
    return dict(zip(frame["bin"], frame["n"]))


@pytest.mark.parametrize("source", ["rollup", "raw"])
def test_bins_are_closed_on_the_left_and_each_kind_of_missing_value_has_its_own_bin(tiny, landed, source):
    values = [-5, 0, 0.999, 1, 2, 1e9, "Infinity", "-Infinity", "NaN", None, "abc", True]
    landed(
        *(prediction(f"p{i}", features={"x": x, "c": "red", "b": True}) for i, x in enumerate(values)),
        prediction("none", features={"c": "red"}),
    )
    assert bins(tiny, "feature.x", source) == {0: 2, 1: 2, 2: 1, 3: 3, NAN: 1, NULL: 1, WRONG_TYPE: 2, ABSENT: 1}
    assert bins(tiny, "feature.b", source) == {1: len(values), ABSENT: 1}


@pytest.mark.parametrize("source", ["rollup", "raw"])
def test_levels_keep_their_place_and_others_are_unseen(tiny, landed, source):
    landed(
        *(
            prediction(f"p{i}", features={"x": 0, "c": c, "b": False})
            for i, c in enumerate(["red", "blue", "blue", "green", "Red", None, 7])
        )
    )
    assert bins(tiny, "feature.c", source) == {0: 1, 1: 2, UNSEEN: 2, NULL: 1, WRONG_TYPE: 1}


@pytest.mark.parametrize("source", ["rollup", "raw"])
def test_a_label_counts_only_from_its_arrival_on(tiny, landed, source):
    """The label changes at hour 5 and again at hour 9; as of an hour, only values that had arrived by then count."""
    landed(prediction("p", score=0.9), label("p", 0, 2), label("p", 1, 3, arrived=5), label("p", 0, 1, arrived=9))
    aggregate = Aggregate("outcomes", keys=(By("decision"), By("label")))
    seen = {}
    for hour in (0, 1, 2, 4, 5, 8, 9, 20):
        frame = engine.answer_aggregate(
            tiny, aggregate, Window("m", START, START + DAY, as_of=START + timedelta(hours=hour)), source=source
        )
        seen[hour] = frame[["decision", "label", "n"]].to_numpy().tolist()
    assert seen == {hour: [[1, known, 1]] for hour, known in {0: -1, 1: -1, 2: 0, 4: 0, 5: 1, 8: 1, 9: 1, 20: 1}.items()}


def test_an_instant_between_hours_is_asked_of_the_raw_rows(tiny, landed):
    landed(prediction("p", score=0.9), label("p", 1, 2.5))
    aggregate = Aggregate("outcomes", keys=(By("label"),))
    for minutes, known in ((149, -1), (150, 1)):
        window = Window("m", START, START + DAY, as_of=START + timedelta(minutes=minutes))
        assert engine.answer_aggregate(tiny, aggregate, window)["label"].tolist() == [known]
        with pytest.raises(UsageError):
            engine.answer_aggregate(tiny, aggregate, window, source="rollup")


@pytest.mark.parametrize("source", ["rollup", "raw"])
def test_weighted_counts_and_sums_equal_those_by_hand(tiny, landed, source):
    rows = [(1.0, 1.0), (2.0, 3.0), (None, 1.0), ("NaN", 5.0), ("Infinity", 5.0)]
    landed(*(prediction(f"p{i}", weight=w, features={"x": x, "c": "red", "b": True}) for i, (x, w) in enumerate(rows)))
    (row,) = engine.answer_aggregate(tiny, Aggregate("predictions", sums=("feature.x",)), WINDOW, source=source).to_dict("records")
    assert row == {"measure": "feature.x", "n": 2, "w": 4.0, "w2": 10.0, "total": 7.0, "squares": 13.0, "low": 1.0, "high": 2.0}
    (row,) = engine.answer_aggregate(tiny, Aggregate("predictions"), WINDOW, source=source).to_dict("records")
    assert row == {"n": 5, "w": 15.0, "w2": 61.0}


@pytest.mark.parametrize("source", ["rollup", "raw"])
def test_losses_are_those_of_scikit_learn(tiny, landed, source):
    from sklearn.metrics import brier_score_loss, log_loss

    scores, labels = [0.1, 0.8, 1.0, 0.0, 0.6], [0, 1, 0, 1, 1]
    landed(*(each for i, (p, y) in enumerate(zip(scores, labels)) for each in (prediction(f"p{i}", score=p), label(f"p{i}", y, 1))))
    frame = engine.answer_aggregate(tiny, Aggregate("outcomes", sums=("log_loss", "brier", "correct")), WINDOW, source=source).set_index(
        "measure"
    )
    assert frame.loc["log_loss", "total"] == pytest.approx(5 * log_loss(labels, scores), rel=1e-9)
    assert frame.loc["brier", "total"] == pytest.approx(5 * brier_score_loss(labels, scores), rel=1e-9)
    assert frame.loc["correct", "total"] == 3


def test_each_version_is_binned_on_its_own_edges(world):
    frame = engine.answer_aggregate(world, Aggregate("predictions", keys=(By("version"),), histogram=("feature.income",)), EVERYTHING)
    numbers = frame[frame["bin"] >= 0].groupby("version")["bin"].max()
    assert numbers.to_dict() == {"1": 4, "2": 3, "3": 0}


def test_a_level_that_is_rolled_up_is_not_asked_of_raw_rows(world):
    for text in ("sex=F", "race=null", "device=d2", "vip=true"):
        window = Window("loan", START, START + 3 * DAY, slice=Slice.parse(text))
        aggregate = Aggregate("outcomes", keys=(Bucket("day"), By("decision"), By("label")))
        assert_same(
            engine.answer_aggregate(world, aggregate, window, source="rollup"), reference_engine.ask(world, aggregate, window), about=text
        )


def test_groups_come_from_the_rollups_where_they_hold_every_row(world):
    window = Window("loan", START, START + 3 * DAY)
    counts, latency = {"keys": (By("label"), By("decision"))}, {"keys": (By("status"), Bucket("day")), "histogram": ("latency_ms",)}
    sums = {"keys": (By("version"),), "sums": ("latency_ms", "brier")}
    asked = [(name, counts) for name in ("feature.sex", "group.race", "device", "replica", "band.income")]
    asked += [("device", latency), ("replica", latency), ("device", sums), ("feature.vip", sums), ("band.income", sums)]
    for name, rest in asked:
        aggregate = Aggregate("outcomes", **(rest | {"keys": (By(name), *rest["keys"])}))
        got = engine.answer_aggregate(world, aggregate, window, source="rollup")
        assert_same(got, reference_engine.ask(world, aggregate, window), extremes=False, about=name)
    for name, rest in (("replica", sums), ("feature.sex", latency), ("band.income", latency)):
        aggregate = Aggregate("outcomes", **(rest | {"keys": (By(name), *rest["keys"])}))
        assert_same(
            engine.answer_aggregate(world, aggregate, window), reference_engine.ask(world, aggregate, window), extremes=False, about=name
        )
        with pytest.raises(UsageError):
            engine.answer_aggregate(world, aggregate, window, source="rollup")


def test_the_latency_of_one_replica_comes_from_the_rollups(world):
    for text in ("replica=r1", "device=d2"):
        window = Window("loan", START, START + 3 * DAY, slice=Slice.parse(text))
        aggregate = Aggregate("predictions", keys=(Bucket("day"), By("status")), histogram=("latency_ms",))
        assert_same(
            engine.answer_aggregate(world, aggregate, window, source="rollup"), reference_engine.ask(world, aggregate, window), about=text
        )


def test_a_model_that_names_no_replicas_is_not_asked_of_raw_rows(tiny, landed):
    landed(*(prediction(f"p{i}", latency_ms=10.0 + i) for i in range(5)), prediction("p5", replica="null"))
    frame = engine.answer_aggregate(
        tiny, Aggregate("predictions", keys=(By("replica"),), histogram=("latency_ms",)), WINDOW, source="rollup"
    )
    assert frame["replica"].tolist() == [None] * len(frame) and frame["n"].sum() == 6
    assert_same(frame, reference_engine.ask(tiny, Aggregate("predictions", keys=(By("replica"),), histogram=("latency_ms",)), WINDOW))


def test_more_levels_than_are_rolled_up_are_all_there(tiny, landed):
    landed(*(prediction(f"p{i}", device=f"d{i}") for i in range(SLICE_LEVELS + 5)))
    frame = engine.answer_aggregate(tiny, Aggregate("predictions", keys=(By("device"),)), WINDOW)
    assert len(frame) == SLICE_LEVELS + 5
    for i in (0, SLICE_LEVELS + 4):
        assert (
            engine.answer_aggregate(tiny, Aggregate("predictions"), Window("m", START, START + DAY, slice=Slice.parse(f"device=d{i}")))[
                "n"
            ].sum()
            == 1
        )


EMPTY = [
    (Aggregate("predictions"), {"n": "int64", "w": "float64", "w2": "float64"}),
    (
        Aggregate("outcomes", keys=(Bucket("day"), By("version"), By("label"), By("status"))),
        {
            "period": "datetime64[us]",
            "version": "object",
            "label": "int64",
            "status": "object",
            "n": "int64",
            "w": "float64",
            "w2": "float64",
        },
    ),
    (
        Aggregate("predictions", keys=(By("feature.sex"),), histogram=("feature.income", "feature.city")),
        {"feature.sex": "object", "column": "object", "bin": "int64", "n": "int64", "w": "float64", "w2": "float64"},
    ),
    (
        Aggregate("outcomes", sums=("brier",)),
        {
            "measure": "object",
            "n": "int64",
            "w": "float64",
            "w2": "float64",
            "total": "float64",
            "squares": "float64",
            "low": "float64",
            "high": "float64",
        },
    ),
]


@pytest.mark.parametrize(("aggregate", "types"), EMPTY)
@pytest.mark.parametrize("source", ["auto", "raw", "rollup"])
def test_an_empty_window_gives_an_empty_frame_of_the_same_form(world, aggregate, types, source):
    for window in (
        Window("loan", START - 30 * DAY, START - 9 * DAY),
        Window("loan", START, START + DAY, version="3", environment="reference"),
    ):
        if source == "rollup" and "feature.sex" in types and window.environment != "reference":
            continue
        frame = engine.answer_aggregate(world, aggregate, window, source=source)
        assert frame.empty and {name: str(kind) for name, kind in frame.dtypes.items()} == types


def test_the_reference_is_answered_whatever_the_window(world):
    aggregate = Aggregate("outcomes", keys=(Bucket("hour"),))
    answers = [
        engine.answer_aggregate(world, aggregate, Window("loan", a, b, version="1", as_of=as_of, environment="reference"), source=source)
        for a, b, as_of in ((START, START, None), (START - DAY, START + DAY, START - DAY))
        for source in ("rollup", "raw")
    ]
    for frame in answers:
        assert frame["period"].tolist() == [pd.Timestamp(0)] and frame["n"].tolist() == [60]


@pytest.mark.parametrize(
    ("aggregate", "near"),
    [
        (Aggregate("predictions", keys=(By("feature.incme"),)), "feature.income"),
        (Aggregate("predictions", histogram=("feature.sx",)), "feature.sex"),
        (Aggregate("outcomes", sums=("error",)), None),
        (Aggregate("predictions", keys=(By("label"),)), "outcomes"),
        (Aggregate("predictions", histogram=("score.0",)), None),
    ],
)
def test_an_unknown_column_raises_an_error_that_suggests_the_nearest_name(world, aggregate, near):
    with pytest.raises(NotFoundError, match=near):
        engine.answer_aggregate(world, aggregate, EVERYTHING)


def test_unknown_models_versions_and_columns_raise_a_not_found_error(world):
    for window in (
        Window("lone", START, START),
        Window("loan", START, START, version="9"),
        Window("loan", START, START, slice=Slice.parse("sx=F")),
    ):
        with pytest.raises(NotFoundError):
            engine.answer_aggregate(world, Aggregate("predictions"), window)


@pytest.mark.parametrize(
    "aggregate",
    [
        Aggregate("predictions", keys=(By("latency_ms"),)),
        Aggregate("predictions", histogram=("cost",)),
        Aggregate("predictions", sums=("feature.sex",)),
        Aggregate("predictions", sums=("status",)),
    ],
)
def test_a_column_that_does_not_fit_its_role_in_a_question_is_refused(world, aggregate):
    with pytest.raises(UsageError):
        engine.answer_aggregate(world, aggregate, EVERYTHING)


def test_small_batches_many_groups_and_little_memory_give_the_same_answers(world, monkeypatch):
    """Covers code paths that only large stores use: several batches, sparse counts, compaction of the counts."""
    for name, small in (("BATCH_CELLS", 2048), ("DENSE_CELLS", 10), ("COMPACT_ROWS", 50)):
        monkeypatch.setattr(raw_histograms, name, small)
    for keys in ((Bucket("hour"), By("batch")), (By("feature.income"), By("label")), (By("score_bin"),)):
        aggregate = Aggregate("outcomes", keys=keys, histogram=("feature.income", f"feature.{HOSTILE}", "latency_ms"))
        assert_same(engine.answer_aggregate(world, aggregate, EVERYTHING, source="raw"), reference_engine.ask(world, aggregate, EVERYTHING))


def test_many_threads_get_the_same_answers(world):
    aggregates = [
        Aggregate("predictions", keys=(Bucket("day"),), histogram=("feature.income", "feature.sex", "score")),
        Aggregate("outcomes", keys=(By("label"),)),
        Aggregate("outcomes", sums=("log_loss",)),
    ]
    window = Window("loan", START + timedelta(minutes=1), START + 4 * DAY)
    alone = [engine.answer_aggregate(world, each, window) for each in aggregates]
    with ThreadPoolExecutor(8) as pool:
        for i, frame in enumerate(pool.map(lambda i: engine.answer_aggregate(world, aggregates[i % 3], window), range(48))):
            assert_same(frame, alone[i % 3])


def test_an_answer_sees_one_state_of_the_store_even_if_rows_are_loaded_meanwhile(tiny, landed, monkeypatch):
    """The answer contains no rows that are loaded between the reading of the rollups and of the raw rows."""
    landed(prediction("p1", 1), prediction("p2", 30))
    original = engine.parts_from_raw_rows

    def interrupted(*arguments):
        if not interrupted.done:
            interrupted.done = True
            with ThreadPoolExecutor(1) as pool:
                pool.submit(landed, prediction("p3", 2), prediction("p4", 31)).result()
        return original(*arguments)

    interrupted.done = False
    monkeypatch.setattr(engine, "parts_from_raw_rows", interrupted)
    window = Window("m", START, START + timedelta(hours=40, minutes=1))
    assert engine.answer_aggregate(tiny, Aggregate("predictions"), window)["n"].tolist() == [2]
    assert engine.answer_aggregate(tiny, Aggregate("predictions"), window)["n"].tolist() == [4]


def test_an_instant_is_read_in_utc_whatever_its_offset(tiny, landed):
    landed({**prediction("p"), "at": "2026-03-01T01:30:00+02:00", "received_at": "2026-03-01T01:30:00+02:00"})
    east = datetime(2026, 3, 1, 1, tzinfo=UTC) - timedelta(hours=2)
    assert engine.answer_aggregate(tiny, Aggregate("predictions", keys=(Bucket("hour"),)), Window("m", east, east + timedelta(hours=1)))[
        "period"
    ].tolist() == [pd.Timestamp("2026-02-28T23:00")]


def test_a_store_that_is_reopened_answers_the_same(tmp_path):
    copied(tmp_path).close()
    with open_store(tmp_path) as store:
        assert_same(
            engine.answer_aggregate(store, Aggregate("predictions"), EVERYTHING),
            reference_engine.ask(store, Aggregate("predictions"), EVERYTHING),
        )
        assert json.dumps(engine.answer_aggregate(store, Aggregate("predictions"), EVERYTHING)["n"].tolist())
        assert not math.isnan(float(np.sum(engine.answer_aggregate(store, Aggregate("predictions"), EVERYTHING)["w"])))
