"""The onset of planted steps, pulses and ramps is found, outliers do not disturb it, and on noise it is vague."""

import itertools

import numpy as np
import pytest

from observability.stats.onset import Onset, change_onset, change_onsets

RUNS = 200


def planted(
    size: int, at: int, effect: float, *, shape: str = "step", wild: bool = False, seed: int = 0, known: bool = True, **more: object
) -> list[Onset]:
    """Onsets in RUNS series of unit noise with an effect (in standard deviations) planted at a point."""
    random, places, found = np.random.default_rng(seed), np.arange(size), []
    patterns = {"step": places >= at, "pulse": (places >= at) & (places < at + 2), "ramp": np.clip((places - at + 1) / 7, 0, 1)}
    for _ in range(RUNS):
        series = random.normal(0, 1, size) + effect * patterns[shape]
        if wild:
            series[random.integers(2, size - 1)] += random.choice([-1, 1]) * 8
        said = change_onset(series, np.ones(size) if known else None, **more)
        assert said is not None
        found.append(said)
    return found


def within(found: list[Onset], at: int, days: int = 1) -> float:
    """The share of series whose dated onset is within some days of the true day."""
    return float(np.mean([each.known != "vague" and abs(each.at - at) <= days for each in found]))


@pytest.mark.parametrize("wild", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_a_step_of_four_sd_is_dated_within_a_day(wild: bool, known: bool) -> None:
    assert within(planted(35, 31, 4, wild=wild, known=known, worse=1), 31) >= 0.88
    assert within(planted(35, 31, -6, wild=wild, known=known, worse=-1), 31) >= 0.95


def test_a_step_of_three_sd_is_mostly_dated_within_a_day() -> None:
    assert within(planted(35, 31, 3, worse=1), 31) >= 0.75


def test_without_a_past_the_level_of_the_reference_is_used_instead() -> None:
    assert within(planted(7, 3, 4, before=(0.0, 0.2), worse=1), 3) >= 0.75
    began = planted(7, 0, 6, before=(0.0, 0.2), worse=1)
    assert np.mean([each.known == "open" and each.at == 0 for each in began]) >= 0.85


def test_the_last_day_alone_is_enough_where_it_is_clear() -> None:
    assert within(planted(35, 34, 6, worse=1), 34, 0) >= 0.9


def test_a_fault_that_ended_is_dated_to_its_begin() -> None:
    assert within(planted(35, 20, 5, shape="pulse", worse=1), 20) >= 0.9


def test_a_ramp_is_dated_before_it_is_half_way() -> None:
    found = planted(35, 24, 6, shape="ramp", worse=1)
    late = [each.at - 24 for each in found if each.known == "dated"]
    assert len(late) >= 0.98 * RUNS
    assert -1 <= np.median(late) <= 2 and np.quantile(late, 0.95) <= 4


def test_noise_is_not_dated() -> None:
    for size, seed in ((7, 1), (14, 2), (35, 3)):
        assert np.mean([each.known != "vague" for each in planted(size, 0, 0, seed=seed)]) <= 0.1
        assert np.mean([each.known != "vague" for each in planted(size, 0, 0, seed=seed, known=False)]) <= 0.22


def test_one_day_that_breaks_the_run_does_not_move_the_onset() -> None:
    """Rows have nulls from the fourth day on, but on one of the last days only a few have. A search backwards from the end would stop
    there.
    """
    rates = np.array([0.00, 0.01, 0.00, 0.30, 0.32, 0.29, 0.02])
    for broken in (5, 6):
        series = rates.copy()
        series[3:] = 0.3
        series[broken] = 0.02
        errors = np.where(np.arange(7) == broken, 0.1, 0.01)
        found = change_onset(series, errors, before=(0.0, 0.001), worse=1)
        assert found is not None and (found.at, found.known) == (3, "dated")


def test_the_split_is_the_one_that_least_squares_finds_by_trying_all() -> None:
    random = np.random.default_rng(5)
    for _ in range(30):
        at, size = int(random.integers(3, 12)), 14
        series = random.normal(0, 1, size) + 9 * (np.arange(size) >= at)
        by_hand = min(range(1, size), key=lambda k: float(np.var(series[:k]) * k + np.var(series[k:]) * (size - k)))
        found = change_onset(series, np.ones(size), worse=1)
        assert found is not None and (found.shape, found.at) == ("step", by_hand)


def test_gaps_are_passed_over_and_positions_stay_those_of_the_series() -> None:
    series = np.array([0, 0.1, np.nan, 0, 0.1, np.nan, 5, 5.1, 5])
    found = change_onset(series, worse=1)
    assert found is not None and (found.at, found.known) == (6, "dated")


@pytest.mark.parametrize("series", [[], [1.0], [np.nan, np.nan, 3.0]])
def test_fewer_than_two_points_tell_nothing(series: list[float]) -> None:
    assert change_onset(series) is None


def test_a_constant_series_has_a_vague_onset_and_raises_no_error() -> None:
    for value, worse in itertools.product((0.0, 1.0, 1e9), (-1, 0, 1)):
        found = change_onset([value] * 9, worse=worse)
        assert found is not None and found.known == "vague" and found.at == 0


def test_only_the_direction_that_matters_is_looked_at() -> None:
    series = [0.0, 0.1, 0.0, 0.1, -5.0, -5.1, -5.0]
    up, down = change_onset(series, worse=1), change_onset(series, worse=-1)
    assert down is not None and down.at == 4 and down.known == "dated"
    assert up is not None and up.at != 4


def test_onsets_of_many_series_are_those_of_each() -> None:
    rng = np.random.default_rng(5)
    sizes = [0, 1, 2, 9, 30, 30, 30, 12] * 9
    series = [rng.normal(size=size) + 5 * (np.arange(size) >= size // 3 * (place % 3)) for place, size in enumerate(sizes)]
    series[4][[2, 7]], series[5][11] = np.nan, 90.0
    errors = [rng.random(each.size) for each in series]
    before = [None if place % 2 else (0.1, 0.2) for place in range(len(series))]
    for worse in (-1, 0, 1):
        found = change_onsets(series, errors, before=before, worse=worse)
        each = [change_onset(*own, before=level, worse=worse) for *own, level in zip(series, errors, before, strict=True)]
        assert found == each
    assert {one.known for one in found if one} == {"dated", "open", "vague"}
