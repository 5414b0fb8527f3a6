"""Weights that give another population: the wanted shares and means are met, and the stated divergence is that of the weights."""

import numpy as np
import pytest

from observability.stats.reweighting import balancing_weights, effective_rows, raised_share, raising_weights, weight_divergence


def test_divergence_and_effective_rows_are_those_counted_by_hand() -> None:
    """Two of four rows have three times the weight of the others, so the shares are 3/8 and 1/8."""
    weights = [1.5, 1.5, 0.5, 0.5]
    assert weight_divergence(weights) == pytest.approx(2 * 3 / 8 * np.log(1.5) + 2 / 8 * np.log(0.5))
    assert effective_rows(weights) == pytest.approx(16 / 5)
    assert weight_divergence([2, 0]) == pytest.approx(np.log(2)) and weight_divergence(np.ones(7)) == 0 and effective_rows([0.0, 0.0]) == 0


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.85])
def test_a_part_is_raised_until_the_rows_lie_the_divergence_away(share: float) -> None:
    part = np.arange(1000) < 1000 * share
    weights = raising_weights(part, 0.1)
    assert weights.mean() == pytest.approx(1) and weight_divergence(weights) == pytest.approx(0.1, abs=1e-9)
    assert weights[part].sum() / 1000 == pytest.approx(raised_share(share, 0.1)) and raised_share(share, 0.1) > share


def test_a_part_of_nearly_all_rows_is_raised_to_all() -> None:
    assert raised_share(0.95, 0.1) == 1 and raising_weights(np.arange(20) > 0, 0.1)[0] == 0


def test_balancing_meets_the_means_and_is_the_exponential_tilt() -> None:
    """If a normal sample is tilted to another mean, its distribution shifts by the difference. The divergence of N(0.5, 1) from N(0, 1) is
    1/8.
    """
    rng = np.random.default_rng(4)
    columns = rng.normal(size=(20_000, 2))
    weights = balancing_weights(columns, [0.5, 0.0])
    assert (weights[:, None] * columns).mean(axis=0) == pytest.approx([0.5, 0.0], abs=2e-3)
    assert weight_divergence(weights) == pytest.approx(1 / 8, abs=0.01)
    flag = (columns[:, :1] > 0).astype(float)
    assert balancing_weights(flag, [0.72]) == pytest.approx(
        np.where(flag[:, 0] > 0, 0.72, 0.28) / np.where(flag[:, 0] > 0, flag.mean(), 1 - flag.mean()), rel=0.02
    )


def test_a_mean_beyond_every_row_is_approached() -> None:
    weights = balancing_weights(np.array([[0.0], [1.0], [1.0]]), [3.0])
    assert np.isfinite(weights).all() and weights[0] < 0.01 and weights[1] == pytest.approx(1.5, abs=0.01)
