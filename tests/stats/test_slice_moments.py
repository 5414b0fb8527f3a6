"""Sums by slice equal plain counts: for all rows, by day, and for some rows."""

import numpy as np
import pytest

from observability.stats.slice_days import _squared_jumps
from observability.stats.slice_moments import Cut, SliceGrid, SliceMoments, SliceTarget

RNG = np.random.default_rng(8)
ROWS = 600
CODES = {"carrier": RNG.integers(-1, 3, ROWS).astype(np.int16), "sex": RNG.integers(0, 2, ROWS).astype(np.int16)}
GRID = SliceGrid([Cut("carrier", ("A", "B", "C"), CODES["carrier"], CODES["carrier"]), Cut("sex", ("F", "M"), CODES["sex"], CODES["sex"])])
VALUES = np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.normal(5, 2, ROWS))
OTHER = RNG.random(ROWS)
DAYS = RNG.integers(10, 14, ROWS).astype(float)


def assert_counted(moments: SliceMoments, values: np.ndarray, rows: np.ndarray) -> None:
    """Fail if the moments differ from those of the given rows, computed slice by slice."""
    masks = [CODES[cut.name] == level for cut in GRID.cuts for level in range(len(cut.levels))] + [np.ones(ROWS, bool)]
    for place, mask in enumerate(masks):
        served = values[mask & rows]
        known = served[np.isfinite(served)]
        counted = [known.size, known.sum(), (known**2).sum(), served.size]
        assert [float(each[place]) for each in (moments.n, moments.total, moments.squares, moments.served)] == pytest.approx(counted)


def test_moments_of_all_rows_equal_plain_sums() -> None:
    for moments, values in zip(GRID.many("now", [VALUES, OTHER]), (VALUES, OTHER), strict=True):
        assert_counted(moments, values, np.ones(ROWS, bool))


def test_sums_by_day_are_those_of_each_day_alone() -> None:
    for moments, values in zip(GRID.by_day([VALUES, OTHER], DAYS), (VALUES, OTHER), strict=True):
        assert moments.n.shape == (len(GRID.of) + 1, 4)
        for place, day in enumerate(np.unique(DAYS)):
            alone = SliceMoments(*(each[:, place] for each in (moments.n, moments.total, moments.squares, moments.served)))
            assert_counted(alone, values, DAYS == day)


def test_moments_of_selected_rows_equal_plain_sums() -> None:
    kept = RNG.random(ROWS) < 0.4
    now, before = GRID.singles(SliceTarget("error", VALUES, OTHER), (kept, ~kept))
    assert before is not None
    assert_counted(now, VALUES, kept)
    assert_counted(before, OTHER, ~kept)


def test_a_jump_is_from_the_last_known_day() -> None:
    excess, spread = RNG.normal(size=(5, 9)), RNG.random((5, 9)) * (RNG.random((5, 9)) < 0.9)
    known = RNG.random((5, 9)) < 0.6
    expected = np.full((5, 9), np.nan)
    for row in range(5):
        last = None
        for day in np.flatnonzero(known[row]):
            scale = 0.0 if last is None else spread[row, day] + spread[row, last]
            if last is not None and scale > 0:
                expected[row, day] = (excess[row, day] - excess[row, last]) ** 2 / scale
            last = day
    assert np.isfinite(expected).any()
    assert _squared_jumps(excess, spread, known) == pytest.approx(expected, nan_ok=True)
