"""Calibrated models are rarely flagged, miscalibrated ones are, and every figure equals its definition on raw rows."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.linear_model import LinearRegression

from observability.stats.calibration import (
    BROWNIAN_95,
    brier_decomposition,
    brownian_range_p_value,
    calibration_change_p_value,
    calibration_line,
    cumulative_calibration_error,
    equal_mass_groups,
    expected_calibration_error,
    reliability_curve,
)
from observability.stats.scores import SCORE_EDGES, bin_middles

MIDDLES = bin_middles()


def world(n: int, seed: int, fault: float = 0.0):
    """For each row: the bin, the score in the middle of its bin, and a label with the probability score + fault."""
    rng = np.random.default_rng(seed)
    place = np.searchsorted(SCORE_EDGES, rng.beta(1.2, 2, n), side="right")
    label = rng.random(n) < np.clip(MIDDLES[place] + fault, 0, 1)
    return place, MIDDLES[place], label


def counted(place, label, weights=None):
    w = np.ones(len(place)) if weights is None else weights
    return np.bincount(place, w * label, MIDDLES.size), np.bincount(place, w, MIDDLES.size), np.bincount(place, w * w, MIDDLES.size)


def test_groups_are_those_of_scikit_learn_where_no_bin_is_cut() -> None:
    rng = np.random.default_rng(1)
    place = np.repeat(np.arange(20, 220, 20), 300)
    label = rng.random(place.size) < MIDDLES[place]
    found = reliability_curve(*counted(place, label)[:2])
    rate, score = calibration_curve(label, MIDDLES[place], n_bins=10, strategy="quantile")
    assert found.rate == pytest.approx(rate) and found.score == pytest.approx(score)
    assert found.n == pytest.approx(np.full(10, 300))


def test_a_bin_is_never_cut_and_groups_have_no_gaps() -> None:
    total = np.zeros(50)
    total[[3, 10, 11, 40]] = [10, 900, 5, 85]
    index = equal_mass_groups(total, 10)
    assert (np.diff(index) >= 0).all() and set(index) == set(range(index.max() + 1))
    found = reliability_curve(total / 2, total, scores=np.linspace(0, 1, 50))
    assert found.n.sum() == 1000 and (found.n > 0).all()


def test_the_ece_is_its_definition_and_its_null_that_of_drawn_labels() -> None:
    place, score, label = world(500, 2)
    positive, total, _ = counted(place, label)
    found = reliability_curve(positive, total)
    error = expected_calibration_error(found)
    group = found.index[place]
    by_hand = sum(abs(label[group == g].mean() - score[group == g].mean()) * (group == g).mean() for g in np.unique(group))
    assert error.value == pytest.approx(by_hand)
    rng = np.random.default_rng(3)
    drawn = []
    for _ in range(1500):
        again = np.bincount(place, rng.random(500) < score, MIDDLES.size)
        drawn.append(float(found.share @ np.abs(np.bincount(found.index, again - total * MIDDLES) / found.n)))
    assert error.null_mean == pytest.approx(np.mean(drawn), rel=0.04)
    assert error.null_95 == pytest.approx(np.quantile(drawn, 0.95), rel=0.05)


def test_a_model_without_fault_has_an_ece_near_a_tenth_at_a_hundred_rows() -> None:
    errors = []
    for seed in range(60):
        place, _, label = world(100, 100 + seed)
        errors.append(expected_calibration_error(reliability_curve(*counted(place, label)[:2], groups=10)).null_mean)
    assert 0.05 < np.mean(errors) < 0.12


@pytest.mark.parametrize("fault", [0.0, 0.08])
def test_the_interval_of_the_ece_holds_the_truth(fault: float) -> None:
    held = 0
    for seed in range(200):
        place, score, label = world(1000, 500 + seed, fault)
        error = expected_calibration_error(reliability_curve(*counted(place, label)[:2]))
        true = np.mean(np.clip(score + fault, 0, 1) - score)
        held += error.low <= true <= error.high
    assert held >= 183


def test_the_p_value_of_a_brownian_range_is_that_of_drawn_walks() -> None:
    rng = np.random.default_rng(4)
    walks = np.cumsum(rng.standard_normal((4000, 2000)) / np.sqrt(2000), axis=1)
    spans = np.maximum(walks.max(axis=1), 0) - np.minimum(walks.min(axis=1), 0)
    for x in (1.0, 1.5, 2.0, 2.5):
        assert brownian_range_p_value(x) == pytest.approx((spans > x).mean(), abs=0.03)
    assert brownian_range_p_value(BROWNIAN_95) == pytest.approx(0.05) and pytest.approx(2.498, abs=1e-3) == BROWNIAN_95
    assert brownian_range_p_value(0.1) == 1.0 and brownian_range_p_value(40.0) == 0.0


def test_the_ecce_is_its_definition_and_its_p_value_is_uniform_without_fault() -> None:
    place, score, label = world(800, 5)
    found = cumulative_calibration_error(*counted(place, label)[:2])
    order = np.argsort(place, kind="stable")
    steps = (label - score)[order]
    ends = np.flatnonzero(np.diff(place[order], append=10_000))
    path = np.concatenate([[0], np.cumsum(steps)[ends]]) / 800
    assert found.value == pytest.approx(path.max() - path.min())
    inside = (place >= found.start) & (place <= found.end)
    assert found.gap == pytest.approx((label - score)[inside].mean()) and found.held == pytest.approx(inside.mean())
    p_values = [cumulative_calibration_error(*counted(*world(800, 900 + seed)[::2])[:2]).p_value for seed in range(300)]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.08 and 0.4 < np.median(p_values) < 0.65


def test_a_fault_of_five_points_is_found_and_placed() -> None:
    place, _, label = world(4000, 6, fault=0.05)
    positive, total, _ = counted(place, label)
    found, error = cumulative_calibration_error(positive, total), expected_calibration_error(reliability_curve(positive, total))
    assert found.p_value < 1e-4 and found.gap == pytest.approx(0.05, abs=0.02) and found.held > 0.9
    assert error.value > error.null_95 and error.excess > 0.02 and error.low > 0


def test_unequal_weights_raise_the_ece_expected_by_chance() -> None:
    place, _, label = world(2000, 7)
    w = np.where(np.arange(2000) % 2, 9.0, 1.0)
    plain, heavy = (counted(place, label, weights) for weights in (None, w))
    a, b = expected_calibration_error(reliability_curve(*plain)), expected_calibration_error(reliability_curve(*heavy))
    assert b.null_mean == pytest.approx(a.null_mean * np.sqrt(2000 * (w**2).sum()) / w.sum(), rel=0.1)
    assert b.n == pytest.approx(sum(reliability_curve(*heavy).effective)) and b.n < a.n
    rejected = [cumulative_calibration_error(*counted(*world(2000, 2000 + seed)[::2], w)).p_value < 0.05 for seed in range(200)]
    assert np.mean(rejected) < 0.09


def test_a_calibration_change_is_detected_and_no_change_hardly_ever_alarms() -> None:
    p_values = []
    for seed in range(200):
        now = reliability_curve(*counted(*world(1000, 3000 + seed, 0.03)[::2])[:2])
        before = reliability_curve(*counted(*world(5000, 4000 + seed, 0.03)[::2])[:2], index=now.index)
        p_values.append(calibration_change_p_value(now, before))
    assert np.mean(np.array(p_values) < 0.05) < 0.09
    now = reliability_curve(*counted(*world(1000, 8, 0.1)[::2])[:2])
    assert calibration_change_p_value(now, reliability_curve(*counted(*world(5000, 9)[::2])[:2], index=now.index)) < 1e-3


def test_the_calibration_of_rare_events_raises_few_false_alarms() -> None:
    p_values = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        sides = []
        for n in (3000, 20_000):
            place = np.searchsorted(SCORE_EDGES, rng.beta(1, 400, n), side="right")
            sides.append((place, rng.random(n) < MIDDLES[place]))
        now = reliability_curve(*counted(*sides[0])[:2])
        p_values.append(calibration_change_p_value(now, reliability_curve(*counted(*sides[1])[:2], index=now.index)))
    assert np.mean(np.array(p_values) < 0.01) <= 0.04


def test_brier_parts_add_up() -> None:
    place, _, label = world(3000, 10, 0.05)
    found = reliability_curve(*counted(place, label)[:2])
    group = found.index[place]
    mean_score = np.array([found.score[g] for g in group])
    cost, gain, base = brier_decomposition(found)
    assert cost - gain + base == pytest.approx(np.mean((mean_score - label) ** 2))
    assert base == pytest.approx(label.mean() * (1 - label.mean()))


def test_without_rows_there_is_no_calibration_curve_or_error() -> None:
    nothing = np.zeros(MIDDLES.size)
    assert reliability_curve(nothing, nothing) is None and cumulative_calibration_error(nothing, nothing) is None


def test_the_slope_is_least_squares_and_its_interval_holds_the_truth() -> None:
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        x = rng.normal(50, 10, 400)
        day = rng.integers(0, 20, 400)
        y = 3 + 0.8 * x + rng.normal(0, 1 + x / 20) + (rng.normal(0, 1, 20)[day] * (x - 50) * 0.3)
        found = calibration_line(x, y, day)
        held += found.low <= 0.8 <= found.high
    fitted = LinearRegression().fit(x[:, None], y)
    assert (found.slope, found.intercept) == pytest.approx((fitted.coef_[0], fitted.intercept_))
    assert held >= 180
    assert calibration_line(x, y).low > found.low
    assert calibration_line(np.ones(100), np.arange(100.0)) is None and calibration_line(x[:5], y[:5]) is None
