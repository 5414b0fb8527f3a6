"""Answers derived from shared queries equal the answers to single questions."""

from datetime import timedelta

import pandas as pd
import pytest

from observability.core.questions import Aggregate, Bucket, By, Records, Sample
from observability.core.window import Slice, Window
from observability.monitoring import check
from observability.store.query import aggregates, listing, query_batching, records
from tests.support.engine_world import START, copied
from tests.support.store_comparison import assert_same

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW, PAST, ALL = (START + 3 * DAY, START + 5 * DAY), (START + DAY, START + 3 * DAY), (START, START + 3 * DAY)
BY_SCORE = (By("decision"), By("label"), By("score_bin"))
COUNTS = [
    (Aggregate("predictions", keys=(Bucket("hour"), By("version"), By("status"))), PAST, None),
    (Aggregate("predictions", keys=(Bucket("hour"),)), NOW, None),
    (Aggregate("predictions", keys=(Bucket("day"), By("status"))), NOW, "1"),
    (Aggregate("predictions", keys=(Bucket("hour"), By("version"))), ALL, None),
]
OUTCOMES = [
    (Aggregate("outcomes", keys=(Bucket("day"), *BY_SCORE)), PAST, "2"),
    (Aggregate("outcomes", keys=(Bucket("day"), *BY_SCORE)), NOW, "2"),
    (Aggregate("outcomes", keys=(By("label"),)), NOW, "2"),
    (Aggregate("outcomes", keys=(By("decision"), By("label"))), PAST, None),
    (Aggregate("outcomes"), NOW, None),
]
SUMS = [
    (Aggregate("predictions", keys=(Bucket("hour"), By("version")), sums=("latency_ms", "energy_j", "cost")), ALL, None),
    (Aggregate("predictions", keys=(Bucket("day"),), sums=("energy_j",)), NOW, "1"),
    (Aggregate("predictions", keys=(Bucket("day"),), sums=("cost", "latency_ms")), PAST, None),
]
HISTOGRAMS = [
    (Aggregate("predictions", keys=(Bucket("day"),), histogram=("feature.income", "feature.city")), NOW, "1"),
    (Aggregate("predictions", keys=(Bucket("day"),), histogram=("score", "feature.city")), PAST, "1"),
    (Aggregate("predictions", keys=(Bucket("day"), By("device"), By("status")), histogram=("latency_ms",)), PAST, None),
    (Aggregate("predictions", keys=(Bucket("day"), By("device"), By("status")), histogram=("latency_ms",)), NOW, "1"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with copied(tmp_path_factory.mktemp("world")) as opened:
        yield opened


def windows(asked, **more):
    return [(question, Window("loan", *span, version=version, **more)) for question, span, version in asked]


@pytest.mark.parametrize("asked", [COUNTS, OUTCOMES, SUMS, HISTOGRAMS], ids=["counts", "outcomes", "sums", "histograms"])
@pytest.mark.parametrize(
    "more",
    [{}, {"as_of": START + 50 * HOUR}, {"slice": Slice.parse("sex=F")}, {"environment": "shadow"}],
    ids=["all", "as of", "slice", "shadow"],
)
def test_each_answer_of_a_batch_equals_the_answer_asked_alone(store, asked, more):
    put = []
    questions = windows(asked, **more)
    found = query_batching.answer_batch(
        questions, None, lambda question, window: put.append(question) or aggregates.aggregate_cells(store, question, window)
    )
    assert len(found) == len(questions) and len(put) <= 2
    for question, window in questions:
        assert_same(found[question, window], aggregates.answer_aggregate(store, question, window), about=(question, window))


def test_windows_that_begin_inside_a_period_share_a_question_only_if_they_begin_together():
    hours = Aggregate("predictions", keys=(Bucket("hour"),))
    ragged = timedelta(minutes=7)
    now, past = Window("loan", START + ragged, START + DAY + ragged), Window("loan", START - DAY + ragged, START + ragged)
    assert query_batching.shared_questions([(hours, now), (hours, past)]) == []
    with_versions = Aggregate("predictions", keys=(Bucket("hour"), By("version")))
    assert [len(each.members) for each in query_batching.shared_questions([(hours, now), (with_versions, now)])] == [2]


def test_questions_are_not_joined_if_keys_or_periods_would_be_added():
    window = Window("loan", *NOW)
    features = Aggregate("predictions", keys=(Bucket("day"),), histogram=("feature.income",))
    latency = Aggregate("predictions", keys=(Bucket("day"), By("status")), histogram=("latency_ms",))
    assert query_batching.shared_questions([(features, window), (latency, window)]) == []
    hourly = Aggregate("predictions", keys=(Bucket("hour"),), histogram=("latency_ms",))
    assert query_batching.shared_questions([(features, window), (hourly, window)]) == []
    device = Aggregate("outcomes", keys=(Bucket("day"), By("device"), By("label")))
    assert query_batching.shared_questions([(device, window), (Aggregate("outcomes", keys=(Bucket("hour"), By("label"))), window)]) == []


def test_questions_are_asked_separately_if_the_joint_answer_would_be_too_large():
    hourly, daily = (Aggregate("predictions", keys=(Bucket(each),), histogram=("latency_ms",)) for each in ("hour", "day"))
    end = START + 40 * DAY
    now, past = Window("loan", end - 7 * DAY, end), Window("loan", START, end - 7 * DAY)
    assert query_batching.shared_questions([(hourly, now), (daily, past)]) == []
    assert len(query_batching.shared_questions([(hourly, now), (daily, now)])) == 1


def test_a_question_that_fails_leaves_its_members_to_be_asked_alone(store, monkeypatch):
    whole = aggregates.aggregate_cells

    def broken(opened, aggregate, window, **options):
        if window.days > 28:
            failed.append(window)
            raise ValueError("too much at once")
        return whole(opened, aggregate, window, **options)

    options = {"model": "loan", "start": NOW[0], "end": NOW[1], "only": ("serving/drift",), "with_records": False}
    before, failed = check.check(store, **options).findings, []
    monkeypatch.setattr(aggregates, "aggregate_cells", broken)
    assert check.check(store, **options).findings == before and failed
    assert len(before) > 3


def test_records_of_several_spans_come_from_one_question_unless_it_was_cut_off():
    times = pd.to_datetime(["2026-03-01 05:00", "2026-03-03 00:00", "2026-03-04 12:00"]).astype("datetime64[us]")
    frame = pd.DataFrame({"at": times, "device": ["a", "b", "c"], "watts": [1.0, 2.0, 3.0]})
    wide, narrow = Records("resource", ("at", "device", "watts"), rows=10), Records("resource", ("device", "at"), rows=10)
    asked = [(wide, Window("loan", *ALL)), (narrow, Window("loan", *NOW))]
    found = query_batching.answer_batch(asked, lambda _question, _window: frame, None)
    assert found[asked[0]]["device"].tolist() == ["a", "b"] and found[asked[1]]["device"].tolist() == ["c"]
    assert list(found[asked[1]]) == ["device", "at"]
    assert query_batching.answer_batch(asked, lambda _question, _window: pd.concat([frame] * 4), None) == {}


def test_records_of_the_store_are_the_same_together_and_alone(store):
    question = Records("event", ("at", "what", "text"))
    asked = [(question, Window("loan", *span)) for span in (NOW, ALL)]
    found = query_batching.answer_batch(asked, lambda each, window: records.answer_records(store, each, window), None)
    for each, window in asked:
        pd.testing.assert_frame_equal(found[each, window], records.answer_records(store, each, window))
    assert [found[each]["what"].tolist() for each in asked] == [[], ["deploy"]]


SAMPLES = [
    (Sample("outcomes", ("id", "at", "feature.income", "label", "score"), 40), "2"),
    (Sample("predictions", ("id", "feature.city", "device", "arrived"), 40), "2"),
    (Sample("predictions", ("id", "feature.income"), 7), None),
    (Sample("predictions", ("feature.city", "id", "decision", "score_bin"), 1500), None),
]


@pytest.mark.parametrize("more", [{}, {"as_of": START + 50 * HOUR}, {"environment": "shadow"}], ids=["all", "as of", "shadow"])
def test_the_first_rows_of_a_larger_sample_are_the_smaller_one(store, more):
    put = []
    asked = [(question, Window("loan", *NOW, version=version, **more)) for question, version in SAMPLES]
    found = query_batching.answer_batch(
        asked, lambda question, window: put.append(question) or listing.answer_sample(store, question, window), None
    )
    assert len(put) == 1 and set(found) == set(asked)
    for question, window in asked:
        pd.testing.assert_frame_equal(found[question, window], listing.answer_sample(store, question, window))


def test_a_sample_with_too_few_rows_of_a_version_answers_only_the_question_about_all_versions(store):
    of_all, of_one = Window("loan", *NOW), Window("loan", *NOW, version="2")
    asked = [(Sample("predictions", ("id",), 30), of_all), (Sample("predictions", ("id", "score"), 29), of_one)]
    alone = {each: listing.answer_sample(store, *each) for each in asked}
    found = query_batching.answer_batch(asked, lambda question, window: listing.answer_sample(store, question, window), None)
    assert len(alone[asked[1]]) == 29 and list(found) == [asked[0]]
    pd.testing.assert_frame_equal(found[asked[0]], alone[asked[0]])


def test_samples_of_different_spans_are_asked_separately():
    question = Sample("predictions", ("id",), 30)
    assert query_batching.shared_questions([(question, Window("loan", *NOW)), (question, Window("loan", *ALL))]) == []
