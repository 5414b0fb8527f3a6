"""Tests that rollups, raw rows and the reference engine agree on every shape of question."""

import itertools
import random
from datetime import timedelta

import pytest

from observability.core.errors import NotFoundError, UsageError
from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import Slice, Window
from observability.store.query import aggregates
from observability.store.rollup.rollup import compact_rollups
from tests.support import reference_engine
from tests.support.engine_world import HOSTILE, START, copied
from tests.support.length import LONG
from tests.support.store_comparison import assert_same

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SPANS = {
    "whole days": (START, START + 5 * DAY),
    "two days": (START + DAY, START + 3 * DAY),
    "whole hours": (START + 7 * HOUR, START + 2 * DAY + 5 * HOUR),
    "ragged": (START + 9 * HOUR + timedelta(minutes=1), START + 4 * DAY + timedelta(microseconds=1)),
    "one hour": (START + 25 * HOUR, START + 26 * HOUR),
    "inside an hour": (START + timedelta(minutes=5), START + timedelta(minutes=40)),
    "no time": (START + 2 * DAY, START + 2 * DAY),
    "before all": (START - 9 * DAY, START - 8 * DAY),
}
AS_OF = (None, START + 2 * DAY, START + 50 * HOUR, START + 2 * DAY + timedelta(minutes=13), START + 90 * DAY)
KEYS = {
    "loan": [
        (),
        (Bucket("day"),),
        (Bucket("hour"),),
        (By("version"),),
        (By("decision"), By("label")),
        (Bucket("day"), By("label"), By("score_bin")),
        (By("status"),),
        (By("feature.sex"),),
        (By("group.race"), By("label")),
        (By("replica"),),
        (By("device"), Bucket("day")),
        (By("batch"),),
        (By("feature.income"),),
        (By("feature.vip"), By("version")),
        (By("score_bin"), By("feature.sex")),
        (By("replica"), By("status"), Bucket("day")),
        (By("device"), By("version")),
        (By("band.income"), By("decision"), By("label")),
        (Bucket("day"), By("band.income"), By("feature.sex"), By("group.race")),
    ],
    "eta": [(), (Bucket("day"),), (By("label"),), (By("version"), Bucket("hour")), (By("status"),), (By("device"),)],
    "kind": [(), (Bucket("day"), By("label")), (By("decision"), By("label")), (By("replica"),), (By("score_bin"),)],
    "stray": [(), (By("label"),), (Bucket("hour"),), (By("score_bin"),)],
}
HISTOGRAMS = {
    "loan": [
        ("feature.income", "feature.city", "feature.vip", f"feature.{HOSTILE}"),
        ("score",),
        ("latency_ms",),
        ("group.race", "feature.sex", "feature.score", "score"),
    ],
    "eta": [("feature.miles", "feature.carrier", "score"), ("error",), ("error", "feature.wind", "latency_ms")],
    "kind": [("score", "score.0", "score.2"), ("feature.x", "score.1")],
    "stray": [("feature.x", "feature.colour"), ("score",)],
}
SUMS = {
    "loan": [("log_loss", "brier", "correct"), ("feature.income", "score", "latency_ms", "energy_j", "cost"), ("label_value",)],
    "eta": [("error", "absolute_error", "squared_error", "label_value"), ("feature.miles", "feature.wind", "score")],
    "kind": [("log_loss", "brier", "correct", "score"), ("feature.x", "score.1")],
    "stray": [("feature.x", "score")],
}
SLICES = {
    "loan": [
        "sex=F",
        "sex=null",
        "vip=true",
        "race=B",
        "race=null",
        "device=d1",
        "replica=null",
        "status=ok",
        "version=1",
        "income=0",
        "income=NaN",
        "sex=F&device=d2",
        "city=a%26b%3Dc",
        "sex=M&version=2",
        "sex=nobody",
    ],
    "eta": ["device=d2", "carrier=UA", "miles=null"],
    "kind": ["replica=r1", "x=nope"],
    "stray": ["colour=red"],
}
VERSIONS = {"loan": (None, "1", "2", "3"), "eta": (None, "1"), "kind": (None, "1"), "stray": (None, "9")}
ENVIRONMENTS = ("production", "production", "production", "reference", "shadow", "validation")
CORRECTED = ("error", "absolute_error", "squared_error", "label_value", "log_loss", "brier", "correct")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with copied(tmp_path_factory.mktemp("world")) as opened:
        yield opened


def shapes(model):
    """Every table × keys × (nothing, histogram, sums) of a model."""
    items = [{}] + [{"histogram": each} for each in HISTOGRAMS[model]] + [{"sums": each} for each in SUMS[model]]
    yield from (Aggregate(table, keys=keys, **each) for table in ("predictions", "outcomes") for keys in KEYS[model] for each in items)


def windows(model, random_):
    """Windows without end: every span, in turn, with the other choices by chance."""
    for start, end in itertools.cycle(SPANS.values()):
        text = random_.choice([None, None, *SLICES[model]])
        yield Window(
            model, start, end, random_.choice(VERSIONS[model]), Slice.parse(text), random_.choice(AS_OF), random_.choice(ENVIRONMENTS)
        )


def compared(store, model, seed):
    """Asks every second shape (the next seed the others) over a window on every engine; return how often the rollups alone answered, and
    how often the answer held rows.
    """
    by_rollup = filled = 0
    chosen = windows(model, random.Random(seed))
    for aggregate, window in zip(itertools.islice(shapes(model), seed % 2, None, 2), chosen):
        try:
            wanted = reference_engine.ask(store, aggregate, window)
        except NotFoundError:
            wanted = None
        for source in ("auto", "raw", "rollup"):
            try:
                got = aggregates.answer_aggregate(store, aggregate, window, source=source)
            except NotFoundError:
                assert wanted is None, (aggregate, window)
                break
            except UsageError:
                assert source == "rollup", (aggregate, window)
                break
            by_rollup += source == "rollup"
            filled += len(got) > 0
            assert_same(
                got, wanted, extremes=source == "raw" or not set(aggregate.sums) & set(CORRECTED), about=(source, aggregate, window)
            )
    return by_rollup, filled


@pytest.mark.parametrize(
    ("model", "seed"),
    [("loan", 1), ("eta", 3), ("kind", 5), ("stray", 7), *([("loan", 2), ("eta", 4), ("kind", 6), ("stray", 8)] if LONG else [])],
)
def test_every_shape_is_the_same_on_rollups_raw_rows_and_the_reference_engine(store, model, seed):
    by_rollup, filled = compared(store, model, seed)
    assert by_rollup >= 5 and filled >= 5, (by_rollup, filled)


@pytest.mark.parametrize("span", SPANS)
@pytest.mark.parametrize("as_of", AS_OF)
def test_the_figures_of_performance_and_drift_over_every_window(store, span, as_of):
    for aggregate in (
        Aggregate("outcomes", keys=(Bucket("day"), By("decision"), By("label"), By("score_bin"))),
        Aggregate("outcomes", keys=(Bucket("hour"),), sums=("log_loss", "brier")),
        Aggregate("predictions", keys=(Bucket("day"),), histogram=("feature.income", "feature.city", "feature.sex", "score")),
    ):
        window = Window("loan", *SPANS[span], as_of=as_of)
        wanted = reference_engine.ask(store, aggregate, window)
        for source in ("auto", "raw"):
            assert_same(
                aggregates.answer_aggregate(store, aggregate, window, source=source), wanted, extremes=False, about=(source, aggregate)
            )


def test_parts_add_up_to_the_whole(store):
    aggregate = Aggregate("outcomes", keys=(By("label"),))
    whole = aggregates.answer_aggregate(store, aggregate, Window("loan", START, START + 5 * DAY))
    cuts = [START + timedelta(minutes=minutes) for minutes in (0, 7, 60, 61, 1440, 3333, 7200)]
    parts = [aggregates.answer_aggregate(store, aggregate, Window("loan", a, b)) for a, b in itertools.pairwise(cuts)]
    added = {label: sum(int(part.loc[part["label"] == label, "n"].sum()) for part in parts) for label in whole["label"]}
    assert added == dict(zip(whole["label"], whole["n"]))


def test_after_compaction_midnights_come_from_the_rollups_and_other_hours_from_raw_rows(tmp_path):
    with copied(tmp_path) as store:
        aggregate = Aggregate("outcomes", keys=(By("label"),))
        midnight, hour = (Window("loan", START, START + 5 * DAY, as_of=START + hours * HOUR) for hours in (72, 75))
        assert_same(aggregates.answer_aggregate(store, aggregate, hour, source="rollup"), reference_engine.ask(store, aggregate, hour))
        with store.write() as writer:
            compact_rollups(writer, store.catalog().model("loan"), now=START + 90 * DAY)
        with pytest.raises(UsageError):
            aggregates.answer_aggregate(store, aggregate, hour, source="rollup")
        for window, source in ((midnight, "rollup"), (midnight, "raw"), (hour, "auto")):
            assert_same(
                aggregates.answer_aggregate(store, aggregate, window, source=source),
                reference_engine.ask(store, aggregate, window),
                about=source,
            )
