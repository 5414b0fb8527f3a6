"""Typed search conditions agree with pandas masks, and typed text is never executed."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import NotFoundError, UsageError
from observability.core.questions import Sample
from observability.core.window import Slice, Window
from observability.store.query import listing, search
from observability.store.types import search_terms
from tests.support.engine_world import DAYS, HOSTILE, START, copied

COLUMNS = (
    "id",
    "at",
    "subject",
    "score",
    "decision",
    "label",
    "label_value",
    "correct",
    "feature.income",
    "feature.city",
    "feature.vip",
    "feature.sex",
    "device",
    "latency_ms",
    f"feature.{HOSTILE}",
    "version",
    "feature.score",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with copied(tmp_path_factory.mktemp("world")) as opened:
        yield opened


def window(model="loan", **fields):
    return Window(model, START, START + timedelta(days=DAYS), **fields)


def found(world, typed, model="loan", limit=10_000, order="-at", **fields):
    return search.search_predictions(world, window(model, **fields), search_terms.parse_search_terms(typed), limit, order)


MASKS = {
    "income > 0.5": lambda f: f["feature.income"] > 0.5,
    "income != 0.5 and sex = F": lambda f: (f["feature.income"] != 0.5) & (f["feature.sex"] == "F"),
    "income <= 0.5 or null": lambda f: (f["feature.income"] <= 0.5) | (f["feature.income"].isna() & ~f["nan"]),
    "income > \u22120.5 and sex = F": lambda f: (f["feature.income"] > -0.5) & (f["feature.sex"] == "F"),
    "income = null": lambda f: f["feature.income"].isna() & ~f["nan"],
    'city = "a&b=c"': lambda f: f["feature.city"] == "a&b=c",
    "city != JFK & vip = true": lambda f: (f["feature.city"] != "JFK") & (f["feature.vip"] == True),  # noqa: E712 - it holds None too
    "answer = 1 and label = 0": lambda f: (f["decision"] == 1) & (f["label"] == 0),
    "outcome = wrong": lambda f: f["correct"] == 0,
    "outcome != right": lambda f: f["correct"] != 1,
    "outcome = unknown and latency_ms >= 20": lambda f: f["correct"].isna() & (f["latency_ms"] >= 20),
    "version = 2 and device = d1": lambda f: (f["version"] == "2") & (f["device"] == "d1"),
    "feature.score < 0.5": lambda f: f["feature.score"] < 0.5,
    "score >= 0.5 and score < 0.7": lambda f: f["score"].between(0.5, 0.7, inclusive="left"),
    "label = null": lambda f: f["label"] == -1,
}


@pytest.mark.parametrize("typed", list(MASKS))
def test_search_conditions_find_the_same_rows_as_a_mask(world, typed):
    every = listing.answer_sample(world, Sample("outcomes", COLUMNS, 100_000), window())
    cursor = world.cursor()
    column = world.catalog().model("loan").column("feature.income").column
    nans = {each for (each,) in cursor.execute(f"SELECT id FROM predictions_1 WHERE isnan({column})").fetchall()}
    wanted = every[MASKS[typed](every.assign(nan=every["id"].isin(nans)))]
    got = found(world, typed)
    assert sorted(got["id"]) == sorted(wanted["id"]) and 0 < len(got) < len(every)
    assert got["at"].is_monotonic_decreasing and set(got["model"]) == {"loan"}


def test_search_works_for_regressions_and_for_classes_with_odd_names(world):
    eta = listing.answer_sample(
        world, Sample("outcomes", ("id", "error", "label_value", "score", "absolute_error"), 100_000), window("eta")
    )
    assert sorted(found(world, "error > 2", "eta")["id"]) == sorted(eta[eta["error"] > 2]["id"])
    assert sorted(found(world, "label <= 10", "eta")["id"]) == sorted(eta[eta["label_value"] <= 10]["id"])
    worst = found(world, "score > 0", "eta", limit=5, order="-absolute_error")
    known = eta[(eta["score"] > 0) & np.isfinite(eta["absolute_error"])].sort_values("absolute_error", ascending=False)
    assert worst["error"].abs().tolist() == known["absolute_error"].head(5).tolist() and len(worst) == 5
    kind = listing.answer_sample(world, Sample("outcomes", ("id", "decision"), 100_000), window("kind"))
    assert sorted(found(world, "answer = it's", "kind")["id"]) == sorted(kind[kind["decision"] == 2]["id"])
    assert len(found(world, "colour = red", "stray")) > 0


def test_a_search_respects_its_window_version_and_slice(world):
    part = found(world, "score >= 0", slice=Slice.parse("device=d1"), version="1")
    assert set(part["version"]) == {"1"} and 0 < len(part) < len(found(world, "score >= 0"))


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("incom > 1", "Did you mean 'income'"),
        ("income > x", "is a number"),
        ("city > JFK", "compare with = or != only"),
        ("vip = maybe", "true, false or null"),
        ("answer = 7", "not a class"),
        ("outcome = bad", "right, wrong, unknown"),
        ("answer > 0", "with = or != only"),
        ("= 3", "cannot be read"),
        ("income >", "cannot be read"),
        ("1; DROP TABLE models", "cannot be read"),
    ],
)
def test_invalid_search_conditions_raise_a_helpful_error(world, typed, says):
    with pytest.raises((UsageError, NotFoundError), match=says):
        found(world, typed)


def test_typed_search_text_is_never_executed(world):
    assert len(found(world, 'city = "x\' OR true --"')) == 0
    assert len(found(world, 'subject = "s\'; DROP TABLE models; --"')) == 0
    assert len(world.catalog().models) == 4


def test_predictions_are_found_by_subject_and_by_id_prefix_over_all_models(world):
    every = pd.concat(
        [
            listing.answer_sample(
                world, Sample("predictions", ("id", "at", "subject"), 100_000), window(model, environment=environment)
            ).assign(model=model)
            for model in ("loan", "eta", "kind", "stray")
            for environment in ("production", "shadow", "validation")
        ]
    )
    every = every[~every["id"].str.startswith("reference/")]
    subject = every["subject"].value_counts().index[0]
    wanted = every[every["subject"] == subject].sort_values("at", ascending=False)
    got = search.predictions_of_subject(world, subject, 10_000)
    assert sorted(zip(got["model"], got["id"], strict=True)) == sorted(zip(wanted["model"], wanted["id"], strict=True))
    assert got["at"].is_monotonic_decreasing and len(search.predictions_of_subject(world, subject, 3)) == min(3, len(wanted))
    start = every["id"].iloc[0][:3]
    assert sorted(search.predictions_by_id_prefix(world, start, 10_000)["id"]) == sorted(every[every["id"].str.startswith(start)]["id"])
    assert search.predictions_of_subject(world, "nobody", 5).empty and search.predictions_by_id_prefix(world, "%", 5).empty


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("a1", False), ("reference/1/3", False), ("a=b", True), ("x > 3", True), ("5e3f-22", False), ('"a b" = c', True), ("", False)],
)
def test_search_text_is_recognised_as_conditions_or_not(typed, answer):
    assert search_terms.is_search_filter(typed) is answer


def test_the_steps_of_traces_are_counted_as_their_rows_are(landed, store):
    """Independent count with pandas: the rows of each trace. An id that only begins like that of a trace is no step of it."""
    random_ = np.random.default_rng(3)
    traces = [f"{k:032x}" for k in range(5)]
    lines = [
        {"kind": "prediction", "id": f"{traces[k % 4]}-{k:016x}", "at": (START + timedelta(seconds=int(random_.integers(900)))).isoformat(),
         "model": ("gpt", "tools")[k % 3 == 0], "version": str(k % 2), "prediction": "stop", "features": {"a": 1},
         "status": ("ok", "error", "timeout")[k % 3], "latency_ms": (None, 1e300)[k % 2] if k % 7 == 0 else float(random_.exponential(1e5))}
        for k in range(80)
    ]  # fmt: skip
    landed(*lines, {**lines[0], "id": f"{traces[0]}-x"}, {**lines[0], "id": f"{traces[4]}0-{1:016x}"})
    rows = store.rows_by_id_prefix("0", 1000)
    rows = rows[rows["id"].str.len() == 49].assign(trace=rows["id"].str[:32], failed=rows["status"] != "ok")
    rows["end"] = rows["at"] + pd.to_timedelta(rows["latency_ms"].where(rows["latency_ms"] < 1e12, 0), unit="ms").dt.round("us")
    wanted = rows[rows["trace"].isin(traces[1:])].groupby(["trace", "model"])
    expected = wanted.agg(steps=("id", "size"), failed=("failed", "sum"), at=("at", "min"), end=("end", "max")).reset_index()
    answer = store.trace_totals(traces[1:])
    assert len(answer) == 6 and list(answer.columns) == ["model", "trace", "steps", "failed", "at", "end"]
    pd.testing.assert_frame_equal(answer, expected[list(answer.columns)], check_dtype=False)
    assert store.trace_totals([]).empty
