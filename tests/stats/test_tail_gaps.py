"""A value far beyond the tail of the others is distinguished from the largest value of a long tail."""

import numpy as np
import pytest

from observability.stats.tail_gaps import PRIOR_INDEX, PRIOR_VALUES, TAIL_VALUES, chosen_gap_level, tail_gap_level


@pytest.mark.parametrize("index", [3.0, 5.0, 8.0])
def test_a_power_law_has_no_gap_at_the_stated_chance(index: float) -> None:
    """The r-th largest value is tested at 5 % / r². The prior moves the estimated index towards its own index, so each probability is
    raised to the power of the true index over the estimated one. The probabilities add up to the bound.
    """
    rng = np.random.default_rng(int(10 * index))
    reported = [np.isfinite(tail_gap_level(rng.pareto(index, 400) + 1, 1.0, 2.0, 0.05)) for _ in range(2000)]
    estimated = (TAIL_VALUES + PRIOR_VALUES) / (TAIL_VALUES / index + PRIOR_VALUES / PRIOR_INDEX)
    bound = float(np.sum((0.05 / np.arange(1, TAIL_VALUES + 1) ** 2) ** (index / estimated)))
    assert 0.02 <= np.mean(reported) <= bound + 3 * np.sqrt(bound / 2000)


def test_values_beyond_the_tail_are_found_together_and_none_of_those_within() -> None:
    tail = 3 * (1 - (np.arange(200) + 0.5) / 200) ** (-1 / 4)  # quantiles of a power law with index 4, at most 13.4
    assert tail_gap_level(tail, 3.0, 6.0, 0.015) == np.inf
    assert tail_gap_level(np.append(tail, [90.0, 95.0, 100.0]), 3.0, 6.0, 0.015) == 90.0
    assert tail_gap_level(np.append(tail, 20.0), 3.0, 6.0, 0.015) == np.inf


@pytest.mark.parametrize("outlying", [TAIL_VALUES, TAIL_VALUES + 1, 2 * TAIL_VALUES, 10 * TAIL_VALUES])
def test_outlying_values_are_found_however_many_they_are(outlying: int) -> None:
    """Regression: the tail was estimated from the 50 largest values, so more than 50 outlying ones set its base and hid each other.

    At most the largest value of the tail itself (13.4, the next one is 10.2) counts as outlying with them.
    """
    tail = 3 * (1 - (np.arange(200) + 0.5) / 200) ** (-1 / 4)
    assert 10.2 < tail_gap_level(np.append(tail, np.linspace(90, 100, outlying)), 3.0, 6.0, 0.015) <= 90.0
    assert tail_gap_level(np.append([3.2, 4.0], np.linspace(40, 44, outlying)), 3.0, 6.0, 0.015) == 40.0


def test_outlying_values_of_very_different_sizes_do_not_hide_each_other() -> None:
    assert 6.0 < tail_gap_level(np.append([3.5, 4.5, 6.1, 8.7], np.geomspace(13, 90, 20)), 3.0, 6.0, 0.015) <= 13.0


def test_one_value_far_from_few_others_is_found_and_small_ones_are_not_tested() -> None:
    assert tail_gap_level(np.array([0.5, 1.0, 2.0, 12.0]), 3.0, 6.0, 0.015) == 12.0
    assert tail_gap_level(np.array([0.5, 1.0, 2.0, 5.9]), 3.0, 6.0, 0.015) == np.inf
    assert tail_gap_level(np.empty(0), 3.0, 6.0, 0.015) == np.inf


def test_the_largest_of_all_values_is_judged_by_how_many_were_not_seen() -> None:
    """Of a power law with index 3, one value in 20 is the sample. Without a tail of the others, a value beyond both tails is reported."""
    rng, reported, unaware = np.random.default_rng(7), 0, 0
    for _ in range(400):
        values = rng.pareto(3.0, 20_000) + 1
        sample = np.arange(len(values)) % 20 == 0
        largest = np.flatnonzero(values >= np.sort(values)[-5])
        read = np.union1d(np.flatnonzero(sample), largest)
        reported += bool(np.isfinite(chosen_gap_level(values[read], ~sample[read], 20, 1.0, 2.0, 0.01)))
        unaware += bool(np.isfinite(tail_gap_level(values[read], 1.0, 2.0, 0.01)))
    assert reported <= 0.04 * 400 and unaware > 0.1 * 400
    tail = 3 * (1 - (np.arange(200) + 0.5) / 200) ** (-1 / 4)
    chosen = np.arange(201) == 200
    assert chosen_gap_level(np.append(tail, 300.0), chosen, 20, 3.0, 6.0, 0.01) == 300.0
    assert chosen_gap_level(np.append(tail, 30.0), chosen, 20, 3.0, 6.0, 0.01) == np.inf
