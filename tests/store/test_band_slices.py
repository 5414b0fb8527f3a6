"""Slices by a range of a number, tested on every engine."""

import itertools
import math

import pytest

from observability.core.catalog import band_limits, band_names
from observability.core.questions import Aggregate
from observability.core.window import Slice, Window
from observability.store.query import aggregates
from tests.support import engine_world, reference_engine


def test_every_band_that_is_named_is_read_back() -> None:
    limits = [-1.5, 0, 2e-7, 1e6]
    ends = [-math.inf, *limits, math.inf]
    assert [band_limits(each) for each in band_names(limits)] == list(itertools.pairwise(ends))
    assert [band_limits(each) for each in ("12", "below", "a to below b", "below x", "null")] == [None] * 5


@pytest.mark.parametrize("band", ["below 0", "-0.5 to below 1", "1 and above"])
def test_both_ways_of_counting_the_rows_of_a_band_agree(band: str, tmp_path) -> None:
    store = engine_world.copied(tmp_path / "home")
    end = engine_world.START.replace(day=1 + engine_world.DAYS)
    window = Window("loan", engine_world.START, end, slice=Slice((("income", band),)))
    question = Aggregate("predictions")
    answers = (aggregates.answer_aggregate(store, question, window), reference_engine.ask(store, question, window))
    counts = [int(answer["n"].sum()) for answer in answers]
    assert counts[0] == counts[1] > 0
    store.close()
