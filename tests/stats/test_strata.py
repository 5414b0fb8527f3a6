"""Intervals for clustered rows contain the true share; differences within groups equal those of statsmodels and of counts by hand."""

import numpy as np
import pytest
from statsmodels.genmod.cov_struct import Independence
from statsmodels.genmod.generalized_estimating_equations import GEE
from statsmodels.stats.contingency_tables import StratifiedTable

from observability.stats.interval import rate_interval
from observability.stats.strata import (
    cluster_row_squares,
    cluster_row_squares_of_sums,
    clustered_rate_interval,
    gini,
    stratified_difference,
)


def counts(seed: int, groups: int = 40) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    hard, n, m = np.where(rng.random(groups) < 0.4, 0.7, 0.05), rng.integers(1, 4, groups), rng.integers(1, 4, groups)
    return rng.binomial(n, np.minimum(hard + 0.2, 1)), n, rng.binomial(m, hard), m


def test_the_effective_rows_are_those_of_an_estimating_equation() -> None:
    hits, rows, _, _ = counts(3)
    y = np.concatenate([np.repeat([1.0, 0.0], [a, n - a]) for a, n in zip(hits, rows, strict=True)])
    group = np.repeat(np.arange(len(rows)), rows)
    fitted = GEE(y, np.ones((len(y), 1)), groups=group, cov_struct=Independence()).fit()
    share, groups = y.mean(), len(rows)
    variance = float(fitted.cov_params()[0, 0]) * groups / (groups - 1)
    assert len(y) ** 2 / cluster_row_squares(hits, rows) == pytest.approx(share * (1 - share) / variance)
    found = clustered_rate_interval(hits, rows)
    alone = rate_interval(float(hits.sum()), float(rows.sum()))
    assert found.value == alone.value and found.low < alone.low and found.high > alone.high


def test_groups_of_one_row_count_as_rows_and_a_uniform_group_counts_as_one_row() -> None:
    ones = np.ones(50)
    assert clustered_rate_interval(np.arange(50) < 20, ones).n == pytest.approx(50, rel=0.03)
    assert clustered_rate_interval(ones * 3, ones * 3).n == 50
    assert clustered_rate_interval([], []).value is None


def test_the_interval_of_grouped_rows_covers_the_truth_as_often_as_stated() -> None:
    rng, held, plain = np.random.default_rng(5), 0, 0
    for _ in range(1500):
        hard = np.where(rng.random(60) < 0.2, 0.1, 0.95)
        hits = rng.binomial(3, hard)
        truth = 0.2 * 0.1 + 0.8 * 0.95
        for kind, found in (("grouped", clustered_rate_interval(hits, np.full(60, 3))), ("plain", rate_interval(float(hits.sum()), 180.0))):
            inside = found.low <= truth <= found.high
            held, plain = held + (inside and kind == "grouped"), plain + (inside and kind == "plain")
    assert 0.93 <= held / 1500 <= 0.985 and plain / 1500 < 0.85


def test_the_test_within_groups_equals_mantel_haenszel() -> None:
    a, n, c, m = counts(7)
    found = stratified_difference(a, n, c, m)
    both = [np.array([[a[i], n[i] - a[i]], [c[i], m[i] - c[i]]]) for i in range(len(n))]
    two_sided = StratifiedTable(both).test_null_odds(correction=True).pvalue
    assert found.p_value == pytest.approx(two_sided / 2 if found.difference.value > 0 else 1 - two_sided / 2)
    weight = n * m / (n + m)
    assert found.difference.value == pytest.approx(float((weight * (a / n - c / m)).sum() / weight.sum())) and found.difference.n == len(n)


def test_the_difference_with_few_rows_per_group_covers_the_truth_as_often_as_stated() -> None:
    rng, held, wrongly = np.random.default_rng(11), 0, 0
    for _ in range(1500):
        hard = rng.beta(1, 3, 60) * 0.6
        n, m = rng.integers(1, 4, 60), rng.integers(1, 4, 60)
        found = stratified_difference(rng.binomial(n, hard + 0.3), n, rng.binomial(m, hard), m).difference
        held += found.low <= 0.3 <= found.high
        wrongly += stratified_difference(rng.binomial(n, hard), n, rng.binomial(m, hard), m).p_value <= 0.05
    assert 0.93 <= held / 1500 <= 0.975 and wrongly / 1500 <= 0.055


def test_groups_seen_on_one_side_only_give_no_difference_and_all_against_none_is_uncertain() -> None:
    nothing = stratified_difference([1, 2], [3, 3], [0, 0], [0, 0])
    assert nothing.difference.value is None and np.isnan(nothing.p_value)
    sure = stratified_difference(np.ones(30), np.ones(30), np.zeros(30), np.ones(30))
    assert sure.difference.value == 1 and sure.difference.low == pytest.approx(0.9) and sure.p_value < 1e-6
    assert stratified_difference([1, 1], [1, 1], [1, 1], [1, 1]).p_value == 1


def test_the_gini_coefficient_is_half_the_mean_difference_over_the_mean() -> None:
    held = np.array([3.0, 1.0, 7.0, 9.0, 2.0])
    assert gini(held) == pytest.approx(np.abs(held[:, None] - held).mean() / (2 * held.mean()))
    assert gini([4, 4, 4]) == 0 and np.isnan(gini([])) and gini([0, 0, 0, 8]) == pytest.approx(0.75)


def test_the_squares_of_sums_are_those_of_the_groups() -> None:
    rng = np.random.default_rng(8)
    sets = [
        (rng.binomial(rows, share), rows)
        for share in (0.0, 0.03, 0.5, 1.0)
        for groups in (0, 1, 2, 40)
        for rows in [rng.integers(1, 5, groups)]
    ]
    sums = [
        np.array([function(hits.astype(float), rows.astype(float)) for hits, rows in sets])
        for function in (
            lambda hits, _: hits.sum(), lambda _, rows: rows.sum(), lambda _, rows: len(rows),
            lambda hits, _: hits @ hits, lambda hits, rows: hits @ rows, lambda _, rows: rows @ rows,
        )
    ]  # fmt: skip
    found = cluster_row_squares_of_sums(*sums[:3], tuple(sums[3:]))
    assert found == pytest.approx([cluster_row_squares(*each) for each in sets], rel=1e-9)
