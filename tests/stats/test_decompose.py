"""The decomposition recovers planted shifts and drift, and its intervals contain the true values."""

import numpy as np
import pytest
from scipy.stats import norm

from observability.stats import decompose
from observability.stats.decompose import decompose_loss_change, kitagawa_mix_effect, logistic_weights


def sides(seed: int, shift: float, drift: float, n: int = 1500):
    """Two samples of four columns, the first of which is shifted. The loss is linear in the first column and its square; at equal inputs it
    is higher by `drift`.
    """
    rng, made = np.random.default_rng(seed), []
    for moved, more in ((0.0, 0.0), (shift, drift)):
        x = rng.normal(size=(n, 4))
        x[:, 0] += moved
        made.append((x, 5 + 2 * np.clip(x[:, 0], -2, 3) + x[:, 1] ** 2 + more + rng.exponential(3, n)))
    (before, loss_before), (now, loss_now) = made
    return {f"f{i}": before[:, i] for i in range(4)}, {f"f{i}": now[:, i] for i in range(4)}, loss_before, loss_now


@pytest.mark.parametrize(("shift", "drift"), [(0.0, 0.0), (0.8, 0.0), (0.0, 1.5), (0.8, 1.5)])
def test_the_decomposed_parts_equal_the_simulated_parts(shift: float, drift: float) -> None:
    x = np.random.default_rng(1).normal(size=400_000)
    inputs = 2 * (np.clip(x + shift, -2, 3).mean() - np.clip(x, -2, 3).mean())
    held, values = np.zeros(2), []
    for seed in range(20):
        found = decompose_loss_change(*sides(seed, shift, drift))
        held += [found.inputs.low <= inputs <= found.inputs.high, found.relation.low <= drift <= found.relation.high]
        values.append((found.inputs.value, found.relation.value))
        assert found.inputs.value + found.relation.value == pytest.approx(found.change)
        assert found.unexpected.sum() == pytest.approx(found.relation.value, abs=0.15)
    assert np.mean(values, axis=0) == pytest.approx([inputs, drift], abs=0.12)
    assert (held >= 16).all(), held


def test_rows_without_a_counterpart_are_counted() -> None:
    found = decompose_loss_change(*sides(3, 6.0, 0.0))
    apart = norm.sf(np.log(19) / 6 - 3)
    assert found.alone_now == pytest.approx(apart, abs=0.2) and found.overlap < 0.15
    near = decompose_loss_change(*sides(3, 0.2, 0.0))
    assert near.alone_now < 0.02 and near.overlap > 0.95


def test_too_few_rows_or_constant_columns_give_no_decomposition() -> None:
    assert decompose_loss_change(*sides(1, 0.0, 0.0, n=150)) is None
    still = {"x": np.ones(500)}
    assert decompose_loss_change(still, still, np.ones(500), np.ones(500)) is None


def test_days_that_go_together_widen_the_interval() -> None:
    before, now, loss_before, loss_now = sides(5, 0.0, 0.0)
    days = np.arange(1500) % 7
    shaken = loss_now + np.random.default_rng(2).normal(0, 2, 7)[days]
    alone = decompose_loss_change(before, now, loss_before, shaken)
    together = decompose_loss_change(before, now, loss_before, shaken, days.astype(float))
    assert together.relation.high - together.relation.low > 2 * (alone.relation.high - alone.relation.low)


def test_the_regression_is_that_of_statsmodels() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(4)
    columns = np.column_stack([np.ones(4000), rng.normal(size=(4000, 2))])
    target = (rng.random(4000) < 1 / (1 + np.exp(-columns @ [0.3, 1.0, -0.5]))).astype(float)
    wanted = sm.Logit(target, columns).fit(disp=0).params
    found = logistic_weights(columns, target, np.ones(4000), np.zeros(3))
    assert found == pytest.approx(wanted, abs=0.03)
    assert logistic_weights(columns, target, np.ones(4000), np.array([0.1, 0.8, -0.2])) == pytest.approx(found, abs=1e-5), (
        "the result does not depend on the start"
    )


def test_the_mix_of_a_code_is_counted_by_hand() -> None:
    before, now = np.repeat([0, 1], [80, 20]), np.repeat([0, 1], [50, 50])
    loss_before, loss_now = np.repeat([1.0, 3.0], [80, 20]), np.repeat([1.0, 5.0], [50, 50])
    found = kitagawa_mix_effect(before, now, loss_before, loss_now)
    assert found.value == pytest.approx((0.5 - 0.8) * 1 + (0.5 - 0.2) * 4) and found.low < found.value < found.high
    assert kitagawa_mix_effect(before * 0, now * 0, loss_before, loss_now).value is None
    values = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        codes = [rng.choice(2, 100, p=p) for p in ((0.8, 0.2), (0.5, 0.5))]
        values.append(kitagawa_mix_effect(*codes, *(1 + 3 * code + rng.normal(0, 1, 100) for code in codes)))
    assert np.mean([each.low <= 0.9 <= each.high for each in values]) >= 0.92


def test_more_columns_than_rows_give_the_weights_of_the_normal_equations() -> None:
    rng = np.random.default_rng(3)
    columns = np.column_stack([np.ones(60), rng.normal(size=(60, 150))])
    target, weight = (rng.random(60) < 0.4).astype(float), rng.random(60)
    hold = np.array([1e-9, *np.full(150, decompose.RIDGE * 60)])
    beta = np.zeros(151)
    for _ in range(decompose.STEPS):
        p = 1 / (1 + np.exp(-columns @ beta))
        scaled = weight / weight.mean()
        bent = columns * (scaled * p * (1 - p))[:, None]
        beta = beta + np.linalg.solve(bent.T @ columns + np.diag(hold), columns.T @ (scaled * (target - p)) - hold * beta)
    assert logistic_weights(columns, target, weight, np.zeros(151)) == pytest.approx(beta, abs=1e-4)
    loss = rng.normal(size=60)
    hold = np.array([1e-9, *np.full(150, decompose.RIDGE_OF_LOSS * 60)])
    assert decompose._ridge_weights(columns, loss) == pytest.approx(np.linalg.solve(columns.T @ columns + np.diag(hold), columns.T @ loss))
