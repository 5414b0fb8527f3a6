import numpy as np
import pytest

from observability.stats.extreme_blocks import AROUND, BLOCK, outlying_blocks
from tests.support.length import repeats


def block_extremes(values: np.ndarray) -> np.ndarray:
    """The largest value of each block of a curve."""
    return np.array([values[begin : begin + BLOCK].max() for begin in range(0, len(values), BLOCK)])


def test_the_block_of_a_single_high_value_is_found_in_its_own_series_only() -> None:
    first, second = np.arange(100.0) % 7, np.arange(40.0) % 5
    second[17] = 200.0
    found = outlying_blocks(np.repeat([0, 1, 2], [100, 40, 2]), np.concatenate([first, second, [0.0, 9.0]]))
    assert found.tolist() == [117], "two blocks are too few to compare"


def test_of_many_high_blocks_the_farthest_five_are_returned_in_order() -> None:
    values = np.arange(160.0) % 7
    places = [5, 25, 45, 65, 85, 105, 125]
    values[places] = [100, 90, 300, 200, 80, 150, 120]
    assert outlying_blocks(np.zeros(160, int), values).tolist() == [5, 45, 65, 105, 125]


@pytest.mark.parametrize("decay", [50, 200, 500, 1000])
def test_a_plateau_at_the_beginning_and_its_decay_leave_place_for_a_later_spike(decay: int) -> None:
    """Regression: each block of one excursion used up a place, so a spike later in the series was not among the five."""
    steps = np.arange(100_001)
    curve = np.where(steps < 400, 10, 0.3 + 9.7 * np.exp(-(steps - 400) / decay))
    curve += 0.01 * np.random.default_rng(5).standard_normal(len(steps))
    curve[75_000] += 2
    extremes = block_extremes(curve)
    found = outlying_blocks(np.zeros(len(extremes), int), extremes).tolist()
    assert 75_000 // BLOCK in found and len(found) <= 2
    spikes = [20_000, 40_000, 60_000]
    curve[spikes] += 2
    extremes = block_extremes(curve)
    assert {place // BLOCK for place in [75_000, *spikes]} <= set(outlying_blocks(np.zeros(len(extremes), int), extremes).tolist())


def test_of_neighbouring_high_blocks_the_farthest_is_returned_and_series_stay_apart() -> None:
    values = np.arange(80.0) % 7
    values[[10, 11, 12, 39, 40, 60, 62]] = [100, 300, 200, 150, 250, 90, 95]
    assert outlying_blocks(np.repeat([0, 1], 40), values).tolist() == [11, 39, 40, 60, 62]


def test_a_constant_series_has_no_outlying_block_and_its_only_other_value_is_one() -> None:
    values = np.full(20, 3.0)
    assert not len(outlying_blocks(np.zeros(20, int), values)) and not len(outlying_blocks(np.zeros(0, int), np.zeros(0)))
    values[19] = 3.1
    assert outlying_blocks(np.zeros(20, int), values).tolist() == [19], "the last group is full"


@pytest.mark.parametrize("noise", ["standard_normal", "laplace"])
def test_noise_of_long_curves_stands_out_in_few_of_them(noise: str) -> None:
    rng = np.random.default_rng(7)
    runs = repeats(20, 200)
    alarms = 0
    for _ in range(runs):
        draw = rng.standard_normal(100_000) if noise == "standard_normal" else rng.laplace(size=100_000)
        extremes = block_extremes(2 * np.arange(1, 100_001) ** -0.3 + 0.05 * draw)
        found = outlying_blocks(np.zeros(len(extremes), int), extremes)
        alarms += bool((found >= AROUND).any())  # the loss falls fast only in the first group
    assert alarms <= (0.01 if noise == "standard_normal" else 0.1) * runs


def test_a_spike_of_ten_standard_deviations_stands_out() -> None:
    draw = np.random.default_rng(3).standard_normal(100_000)
    draw[77_777] = 10.0
    extremes = block_extremes(2 * np.arange(1, 100_001) ** -0.3 + 0.05 * draw)
    assert 77_777 // BLOCK in outlying_blocks(np.zeros(len(extremes), int), extremes)
