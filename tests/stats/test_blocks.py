"""Intervals for rows that are correlated within blocks agree with statsmodels, scipy and simulation."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from observability.stats.blocks import (
    MIN_BLOCKS,
    binomial_quantile,
    block_ratio,
    design_effect,
    estimate_difference,
    estimate_quotient,
    rank_separation,
    rows_for_quantile,
    tail_quantile,
)


def correlated(rng: np.random.Generator, blocks: int = 30, rows: int = 20, between: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Values that share a part within each block, and the block of each value."""
    code = np.repeat(np.arange(blocks), rows)
    return rng.normal(0, between, blocks)[code] + rng.normal(5, 1, code.size), code


def test_the_mean_of_blocks_has_the_error_of_a_regression_with_clusters() -> None:
    sm = pytest.importorskip("statsmodels.api")
    values, code = correlated(np.random.default_rng(1))
    found = block_ratio(values, np.ones(values.size), code)
    assert found is not None
    fit = sm.OLS(values, np.ones((values.size, 1))).fit(cov_type="cluster", cov_kwds={"groups": code, "use_correction": False})
    assert found.value == pytest.approx(fit.params[0])
    assert found.error == pytest.approx(fit.bse[0] * np.sqrt(30 / 29))
    assert found.error > 2.5 * values.std() / np.sqrt(values.size), "the blocks are the units, not the rows"


def test_the_binomial_quantile_equals_that_of_scipy() -> None:
    for n in (1, 2, 7, 100, 12_345):
        for share in (0.01, 0.3, 0.5, 0.9, 0.999):
            for p in (0.0005, 0.025, 0.4, 0.975, 0.9995):
                assert binomial_quantile(p, n, share) == max(scipy_stats.binom.ppf(p, n, share), 0), (p, n, share)


def test_a_ratio_agrees_with_a_bootstrap_of_blocks() -> None:
    rng = np.random.default_rng(2)
    base, code = correlated(rng, blocks=80, between=0.5)
    base = np.exp(base / 5)
    own = 0.8 * base * rng.lognormal(0, 0.3, base.size)
    found = block_ratio(own, base, code)
    assert found is not None
    totals, sizes = np.bincount(code, own), np.bincount(code, base)
    drawn = rng.integers(0, 80, (4000, 80))
    ratios = totals[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    assert found.error == pytest.approx(ratios.std(), rel=0.06)
    assert found.interval().low == pytest.approx(np.quantile(ratios, 0.025), rel=0.01)


def test_differences_and_quotients_are_those_of_welch() -> None:
    rng = np.random.default_rng(3)
    one, two = rng.normal(10, 1, 40), rng.normal(9, 3, 25)
    parts = [block_ratio(each, np.ones(each.size), np.arange(each.size)) for each in (one, two)]
    assert parts[0] is not None and parts[1] is not None
    gap, test = estimate_difference(parts[0], parts[1]), scipy_stats.ttest_ind(one, two, equal_var=False)
    assert gap.freedom == pytest.approx(test.df) and 2 * gap.p_above(0.0) == pytest.approx(test.pvalue, rel=1e-6)
    assert gap.interval().triple[1:] == pytest.approx(tuple(test.confidence_interval()))
    ratio = estimate_quotient(parts[0], parts[1])
    assert ratio is not None and ratio.value == pytest.approx(one.mean() / two.mean())
    drawn = rng.normal(one.mean(), parts[0].error, 200_000) / rng.normal(two.mean(), parts[1].error, 200_000)
    assert ratio.error == pytest.approx(drawn.std(), rel=0.03)
    assert estimate_quotient(parts[0], block_ratio(-two, np.ones(25), np.arange(25))) is None  # type: ignore[arg-type]


def test_too_few_blocks_give_nothing() -> None:
    code = np.arange(MIN_BLOCKS - 1)
    assert block_ratio(np.ones(code.size), np.ones(code.size), code) is None
    assert block_ratio(np.ones(9), np.zeros(9), np.arange(9)) is None


def test_the_interval_of_a_quantile_covers_it_and_is_wider_in_blocks() -> None:
    rng, hits, runs = np.random.default_rng(4), 0, 300
    truth = scipy_stats.lognorm(s=1).ppf(0.99)
    for _ in range(runs):
        ends = tail_quantile(rng.lognormal(0, 1, 1500), 0.99, np.arange(1500) // 30)
        assert ends.low is not None and ends.high is not None
        hits += ends.low <= truth <= ends.high
    assert hits / runs >= 0.93
    values, code = correlated(rng, blocks=100, rows=40, between=2.0)
    assert design_effect(values > np.quantile(values, 0.9), code) > 5
    wide, narrow = tail_quantile(values, 0.9, code), tail_quantile(values, 0.9, np.arange(values.size))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)  # type: ignore[operator]
    assert wide.value == np.sort(values)[int(np.ceil(0.9 * values.size)) - 1]


def test_a_quantile_has_no_bound_before_it_has_the_rows() -> None:
    least = rows_for_quantile(0.99)
    assert 1 - 0.99**least >= 0.975 > 1 - 0.99 ** (least - 1)
    assert tail_quantile(np.arange(least // 2), 0.99, np.arange(least // 2)).high is None
    assert tail_quantile(np.arange(2 * least), 0.99, np.arange(2 * least)).high is not None


def test_ranks_of_independent_rows_are_those_of_brunner_and_munzel() -> None:
    rng = np.random.default_rng(5)
    values, first = np.round(rng.normal(0, 1, 90), 1), np.arange(90) < 40
    values[first] += 0.6
    found = rank_separation(values, first, np.arange(90))
    assert found is not None
    test = scipy_stats.brunnermunzel(values[~first], values[first])
    pairs = values[first][:, None] - values[~first][None, :]
    assert found.value == pytest.approx((pairs > 0).mean() + 0.5 * (pairs == 0).mean() - 0.5)
    assert found.value / found.error == pytest.approx(test.statistic, rel=1e-6)
    assert rank_separation(values, np.ones(90, bool), np.arange(90)) is None
