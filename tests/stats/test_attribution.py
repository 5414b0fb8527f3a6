"""Importance and its change agree with scikit-learn, numpy and a bootstrap, keep the stated false-alarm rate, and detect a swap of the top
two features.
"""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import ndcg_score

from observability.stats.attribution import (
    MOST_EXPLAINED,
    additive_rows,
    apply_inverse_link,
    apply_link,
    attribution_change,
    attribution_rows_needed,
    attributions_in_order,
    feature_importance,
    is_other_inputs,
    kept_attributions,
    ndcg,
    total_variation,
)

SIZES = np.array([3.0, 2.0, 1.0, 0.5, 0.2])


def rows(rng: np.random.Generator, n: int, sizes: np.ndarray = SIZES) -> np.ndarray:
    return rng.normal(0, sizes, (n, sizes.size))


def test_importance_is_the_weighted_mean_of_absolute_values_and_shares_add_up() -> None:
    rng = np.random.default_rng(1)
    values, weights = rows(rng, 400), rng.uniform(0.5, 3, 400)
    found = feature_importance(values, weights)
    mean = np.average(np.abs(values), axis=0, weights=weights)
    assert found.mean == pytest.approx(mean) and found.share == pytest.approx(mean / mean.sum()) and found.n == 400
    assert ((found.low < found.mean) & (found.mean < found.high) & (found.share_low < found.share) & (found.share < found.share_high)).all()


def test_intervals_are_as_wide_as_a_bootstrap_says() -> None:
    rng = np.random.default_rng(2)
    values, weights = rows(rng, 300), rng.choice([1.0, 4.0], 300)
    found = feature_importance(values, weights)
    drawn = []
    for _ in range(800):
        chosen = rng.integers(0, 300, 300)
        mean = np.average(np.abs(values[chosen]), axis=0, weights=weights[chosen])
        drawn.append(np.concatenate([mean, mean / mean.sum()]))
    spread = 2 * 1.96 * np.std(drawn, axis=0)
    assert np.concatenate([found.high - found.low, found.share_high - found.share_low]) == pytest.approx(spread, rel=0.15)


def test_ndcg_equals_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        before, now = rng.random(8), rng.random(8)
        assert ndcg(before, now) == pytest.approx(ndcg_score([before], [now]))
    assert ndcg(SIZES, 2 * SIZES) == 1.0
    assert np.isnan(ndcg([0.0, 0.0], [1.0, 2.0]))


def test_a_swap_of_the_top_two_barely_lowers_ndcg_and_is_seen_in_the_distance() -> None:
    before, now = np.array([0.6, 0.25, 0.1, 0.05]), np.array([0.25, 0.6, 0.1, 0.05])
    doubled = np.array([0.75, 0.15625, 0.0625, 0.03125])
    assert 0.8 < ndcg(before, now) < 1 and total_variation(before, now) == pytest.approx(0.35)
    assert ndcg(before, doubled) == 1.0 and total_variation(before, doubled) == pytest.approx(0.15)


def test_without_a_change_small_p_values_are_as_rare_as_stated() -> None:
    rng = np.random.default_rng(4)
    p_values = []
    for _ in range(200):
        found = attribution_change(rows(rng, 200), rows(rng, 120), resamples=499)
        p_values.append((found.distance.p_value, found.ndcg.p_value, found.p_values.min()))
        assert found.distance.low <= found.distance.value <= found.distance.high
        assert found.ndcg.low <= found.ndcg.value <= found.ndcg.high <= 1
    p = np.array(p_values)
    assert (p[:, :2] < 0.05).mean(axis=0).max() <= 0.1 and 0.4 < p[:, 0].mean() < 0.6


def test_a_change_is_found_with_an_interval_that_holds_the_truth() -> None:
    rng = np.random.default_rng(5)
    moved = SIZES * np.array([0.5, 2.0, 1, 1, 1])
    truth = total_variation(SIZES / SIZES.sum(), moved / moved.sum())
    held = 0
    for _ in range(60):
        found = attribution_change(rows(rng, 600), rows(rng, 400, moved), resamples=499)
        assert found.distance.p_value <= 0.01 and found.ndcg.p_value <= 0.01 and found.distance.null < truth
        held += found.distance.low <= truth <= found.distance.high
    assert held >= 54
    assert found.shares[0] < 0 < found.shares[1] and found.low[1] > 0 and found.p_values[:2].max() < 1e-6


def test_the_order_of_rows_does_not_matter_and_weights_count_as_repeated_rows() -> None:
    rng = np.random.default_rng(6)
    before, now, weights = rows(rng, 150), rows(rng, 100), rng.choice([1.0, 2.0], 100)
    found = attribution_change(before, now, None, weights, resamples=499)
    turn = rng.permutation(100)
    again = attribution_change(before[::-1], now[turn], None, weights[turn], resamples=499)
    assert again.distance.value == pytest.approx(found.distance.value) and again.distance.p_value == found.distance.p_value
    doubled = feature_importance(np.repeat(now, weights.astype(int), axis=0))
    assert feature_importance(now, weights).share == pytest.approx(doubled.share)


def test_a_sample_too_small_for_the_limit_is_told_how_many_more_it_needs() -> None:
    assert attribution_rows_needed(0.05, 0.1, 100, 1000) == 0
    more = attribution_rows_needed(0.2, 0.1, 100, 1000)
    assert more is not None and np.sqrt((1 / (100 + more) + 1 / 1000) / (1 / 100 + 1 / 1000)) == pytest.approx(0.5, rel=0.01)
    assert attribution_rows_needed(0.2, 0.1, 100, 30) is None


def test_additivity_is_checked_by_row_and_scores_are_transformed_by_their_link() -> None:
    assert additive_rows([[1.0, -2.0], [1.0, -2.0], [0, 0]], [1, 1, 0], [0.039, 0.041, np.nan]).tolist() == [True, False, False]
    scores = np.array([0.01, 0.5, 0.9])
    assert apply_link(scores, "logit") == pytest.approx(logit(scores)) and apply_inverse_link(logit(scores), "logit") == pytest.approx(
        scores
    )
    assert apply_inverse_link([0.3], "logit") == pytest.approx(expit(0.3)) and apply_inverse_link(np.log([7.0]), "log") == pytest.approx(
        7.0
    )
    assert apply_link([7.0], "log") == pytest.approx(np.log(7)) and apply_inverse_link([3.0], "identity").tolist() == [3.0]
    assert not np.isfinite(apply_link([0.0, 1.0], "logit")).any()


def test_no_rows_give_no_shares_and_zero_attributions_give_zero_shares() -> None:
    found = feature_importance(np.empty((0, 3)))
    assert found.n == 0 and np.isnan(found.share).all()
    assert feature_importance(np.zeros((5, 2))).share.tolist() == [0, 0]


def test_only_the_largest_of_many_attributions_are_kept_and_the_others_are_summed() -> None:
    rng = np.random.default_rng(2)
    names = [f"f{place}" for place in range(250)]
    values = rng.normal(size=(40, 250)) * rng.uniform(0, 3, 250)
    order = kept_attributions(names, names, values)
    assert len(order) == MOST_EXPLAINED + 1 and order[-1] == "150 other inputs"
    size = np.abs(values).mean(axis=0)
    smallest = min(size[names.index(name)] for name in order[:-1])
    assert smallest >= max(size[place] for place, name in enumerate(names) if name not in order)
    folded = attributions_in_order(values, names, order)
    assert folded.sum(axis=1) == pytest.approx(values.sum(axis=1))
    assert folded[:, 0] == pytest.approx(values[:, names.index(order[0])])


def test_few_names_are_all_kept_and_stored_names_keep_their_places() -> None:
    assert kept_attributions(("a", "b"), ("b", "c"), [[1.0, 2.0]]) == ("a", "b", "c")
    stored = tuple(f"s{place}" for place in range(99))
    new = [f"n{place}" for place in range(5)]
    order = kept_attributions(stored, new, [[0.0, 5.0, 1.0, 2.0, 3.0]], started=True)
    assert order == (*stored, "n1", "4 other inputs")
    assert kept_attributions(order, ["another"], [[9.0]], started=True) == order
    assert attributions_in_order([[0.5, 2.0]], ["n1", "another"], order)[0, -2:].tolist() == [0.5, 2.0]
    whole = tuple(f"f{place}" for place in range(300))
    assert kept_attributions(whole, whole[:5], [[1.0] * 5], started=True) == whole


def test_a_feature_named_like_the_sum_is_not_taken_for_the_sum() -> None:
    assert is_other_inputs("1,200 other inputs", ["a"]) and not is_other_inputs("number of other inputs", [])
    assert not is_other_inputs("3 other inputs", ["3 other inputs"])
    for last in ("number of other inputs", "3 other inputs"):
        assert kept_attributions(("a", last), ["a", "b"], [[1.0, 2.0]], started=True, features=("a", last)) == ("a", last, "b")


def test_a_single_remaining_input_is_kept_and_not_summed() -> None:
    names = [f"f{place}" for place in range(MOST_EXPLAINED + 2)]
    assert kept_attributions((), names[:-1], np.ones((1, len(names) - 1))) == tuple(names[:-1])
    assert kept_attributions((), names, np.ones((1, len(names))))[-1] == "2 other inputs"
    stored = [f"s{place}" for place in range(MOST_EXPLAINED)]
    assert kept_attributions(stored, ["a"], [[1.0]], started=True) == (*stored, "a")
    assert kept_attributions(stored, ["a", "b"], [[1.0, 2.0]], started=True) == (*stored, "2 other inputs")
