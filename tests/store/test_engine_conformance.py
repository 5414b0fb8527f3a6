"""Tests that rollups, raw rows and the reference engine agree on every shape of question."""

import itertools
import random
from datetime import timedelta

import pytest

from observability.core.errors import NotFoundError, UsageError
from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import Window
from observability.store.query import aggregates
from observability.store.rollup.rollup import compact_rollups
from tests.support import reference_engine
from tests.support.engine_world import START, copied
from tests.support.length import LONG, some
from tests.support.question_shapes import AS_OF, CORRECTED, DAY, HOUR, SPANS, shapes, windows
from tests.support.store_comparison import assert_same


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with copied(tmp_path_factory.mktemp("world")) as opened:
        yield opened


def compared(store, model, seed):
    """Asks every engine every second shape of question over a window; the next seed asks the other shapes. Returns how many answers came
    from the rollups alone, and how many had rows.
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
    some([("loan", 1), ("eta", 3), ("kind", 5), ("stray", 7), ("loan", 2), ("eta", 4), ("kind", 6), ("stray", 8)], 2),
)
def test_every_question_has_the_same_answer_on_rollups_raw_rows_and_the_reference_engine(store, model, seed):
    by_rollup, filled = compared(store, model, seed)
    assert by_rollup >= 5 and filled >= 5, (by_rollup, filled)


@pytest.mark.parametrize(
    ("span", "as_of"),
    [pair for place, pair in enumerate(itertools.product(SPANS, AS_OF)) if LONG or (place + place // len(AS_OF)) % 4 == 0],
)
def test_the_figures_of_performance_and_drift_agree_on_every_engine_and_window(store, span, as_of):
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


def test_answers_about_partial_windows_add_up_to_the_whole(store):
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
