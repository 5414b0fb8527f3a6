"""The date on which a level reaches its limit: tests of the interval, of single events, and of levels that fall each week."""

import numpy as np
import pytest

from observability.stats.exhaustion import HORIZON, days_until_exhausted, long_run_variance, observed_passages, single_events
from tests.support.length import repeats


def test_the_interval_covers_the_day_in_most_walks() -> None:
    """At least nine of ten random walks with drift, with normal or skewed steps, reach the limit within the interval."""
    runs = repeats(150, 2000)
    for draw in (lambda rng, n: rng.normal(1.0, 0.6, n), lambda rng, n: rng.gamma(2.0, 0.5, n)):
        inside, wide = 0, 0
        for seed in range(runs):
            rng = np.random.default_rng([seed, 3])
            found = days_until_exhausted(draw(rng, 35), np.ones(35), 20.0)
            assert found is not None
            day = int(np.argmax(np.cumsum(draw(rng, 400)) >= 20.0)) + 1
            inside += found.days.low <= day <= np.ceil(found.days.high)
            wide += found.days.high > 60
        assert inside >= 0.9 * runs and wide < 0.05 * runs


def test_even_growth_gives_the_day_exactly() -> None:
    found = days_until_exhausted(np.full(20, 2.0), np.ones(20), 30.0)
    assert found is not None and found.days.triple == pytest.approx((15.0, 15.0, 15.0)) and found.single == 0
    gaps = days_until_exhausted(np.full(20, 6.0), np.full(20, 3.0), 30.0)
    assert gaps is not None and gaps.days.value == pytest.approx(15.0), "a step of three days counts as three days"


def test_a_level_that_does_not_grow_is_never_exhausted_and_a_full_one_is_exhausted_now() -> None:
    rng = np.random.default_rng(1)
    shrinking = days_until_exhausted(rng.normal(-1, 0.1, 30), np.ones(30), 10.0)
    assert shrinking is not None and shrinking.days.value == HORIZON
    full = days_until_exhausted(rng.normal(1, 0.1, 30), np.ones(30), 0.0)
    assert full is not None and full.days.triple == (0.0, 0.0, 0.0)
    assert days_until_exhausted([1.0] * 4, [1.0] * 4, 5.0) is None


def test_one_jump_is_a_single_event_and_many_are_not() -> None:
    steps = np.random.default_rng(2).normal(1, 0.1, 40)
    steps[7] = 30.0
    assert single_events(steps).sum() == 1 and single_events(steps)[7]
    steps[::5] = 30.0
    assert not single_events(steps).any()


def test_a_level_that_falls_each_week_is_full_before_it_falls() -> None:
    week = np.array([10.0] * 6 + [-55.0])
    steps = np.tile(week, 6)
    found = days_until_exhausted(steps, np.ones(42), 45.0)
    assert found is not None and found.observed and found.days.triple == (5, 5, 5), (
        "from its mean growth of 0.7 a day, 63 days would be estimated"
    )
    assert observed_passages(steps, np.ones(42), 45.0).tolist() == [5.0] * 5
    assert observed_passages(steps, np.ones(42), 75.0).tolist() == [HORIZON] * 2 + [27.0] * 3


def test_steps_that_make_up_for_each_other_vary_less_in_the_long_run() -> None:
    rng = np.random.default_rng(5)
    level = rng.normal(0, 1, 301)
    assert long_run_variance(np.diff(level)) < 0.3 * np.var(np.diff(level))
    assert long_run_variance(rng.normal(0, 1, 400)) == pytest.approx(1.0, rel=0.5)
