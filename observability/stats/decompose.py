"""Decomposition of the change of a mean loss into covariate shift and concept drift.

Rows before and now are compared where both sides have similar inputs: on the shared distribution, whose density is the product of both
densities divided by their sum. From either side to the shared distribution, only the inputs change. On the shared distribution, the sides
differ only in the relation between inputs and loss:

    now - before = (shared before - before) + (shared now - shared before) + (now - shared now)
                    inputs                     relation                       inputs

The share π(x) of rows now among rows with inputs x is fitted by logistic regression, the expected losses of both sides by ridge regression,
on the columns of stats/domain.py and cubes of ranks, cross-fitted. The means on the shared distribution are orthogonal to small errors of
all three: the mean over all rows of (a - π)² μ(x) + weight (loss - μ(x)) is divided by the mean of (a - π)², where a is 1 for rows now and
the weight is π for rows before, 1 - π for rows now. Intervals come from the influence of each row; rows of one day now are clustered.

Source: Cai, Namkoong and Yadlowsky 2023 (Diagnosing model performance under distribution shift); Chernozhukov et al. 2018
(cross-fitting).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, ndtri, stdtrit

from observability.stats.arrays import Array, Bools, Floats, Integers
from observability.stats.domain import ClassifierBasis, classifier_basis, classifier_design
from observability.stats.interval import Interval, ordered_interval

FOLDS, PRODUCTS, STEPS = 3, 40, 8
RIDGE, RIDGE_OF_LOSS = 0.0005, 0.03
"""Ridge penalties per row: for the fit of the share, and for the fits of the expected losses."""
LEARNED = 4
"""The fits have errors too, so the variance of both parts is multiplied by 1 + LEARNED × columns / rows. The value was measured
(tests/benchmarks/bench_decomposition.py).
"""
MIN_LABELLED_ROWS = 200
"""Minimum number of labelled rows on each side for a decomposition."""
ALONE = 0.95
"""A row has no counterpart on the other side if the share of its own side among similar rows is above this (with both sides weighted
equally).
"""


@dataclass(frozen=True)
class Decomposition:
    """The parts of a change, each with its interval. before, now: the means of the loss.

    alone_now, alone_before: shares of rows without a counterpart on the other side. overlap: 1 if both sides have the same inputs, 0 if
    they share none. unexpected: for each row now, its contribution to the relation, which is its loss minus the expected loss of rows
    before with such inputs; the contributions sum to about the relation.
    """

    before: Interval
    now: Interval
    inputs: Interval
    relation: Interval
    alone_now: float
    alone_before: float
    overlap: float
    unexpected: Floats = field(repr=False)

    @property
    def change(self) -> float:
        """Total change of the mean."""
        assert self.now.value is not None and self.before.value is not None
        return self.now.value - self.before.value


def decompose_loss_change(
    before: Mapping[str, Array], now: Mapping[str, Array], loss_before: Floats, loss_now: Floats, days: Floats | None = None
) -> Decomposition | None:
    """Parts of the change of a mean loss: covariate shift (inputs) and concept drift (relation).

    Parameters
    ----------
    before : Mapping[str, Array]
        Columns of labelled rows before, as stats/domain.py takes them, in an order without meaning.
    now : Mapping[str, Array]
        The same columns of labelled rows now.
    loss_before : Floats
        Loss of each row before, finite.
    loss_now : Floats
        Loss of each row now.
    days : Floats | None
        Day number of each row now; None for independent rows.

    Returns
    -------
    Decomposition | None
        None if a side has fewer than MIN_LABELLED_ROWS rows, or no column varies.

    References
    ----------
    * Cai, Namkoong and Yadlowsky (2023), Diagnosing model performance under distribution shift.
    * Chernozhukov et al. (2018), Double/debiased machine learning for treatment and structural parameters.
    """
    n, m = loss_before.size, loss_now.size
    if min(n, m) < MIN_LABELLED_ROWS:
        return None
    basis = classifier_basis({name: np.concatenate([before[name], now[name]]) for name in before})
    if basis.single.shape[1] == 0:
        return None
    columns = np.column_stack([np.ones(n + m), classifier_design(basis, PRODUCTS).columns, _rank_cubes(basis)])
    is_now = np.repeat([0.0, 1.0], (n, m))
    weight = np.repeat([0.5 / n, 0.5 / m], (n, m))
    loss = np.concatenate([loss_before, loss_now])
    fold = np.concatenate([np.arange(size) % FOLDS for size in (n, m)])
    share, expected = _cross_fitted_models(columns, is_now, weight, loss, fold)
    wider = 1 + LEARNED * columns.shape[1] / (min(n, m) * (FOLDS - 1) / FOLDS)
    return _decomposition(loss, is_now, weight, share, expected, days, wider)


def _rank_cubes(basis: ClassifierBasis) -> Floats:
    """Third Legendre polynomial of the rank of each number; without it a shift leaves the tails unexplained."""
    rank = basis.single[:, basis.ordered] / np.sqrt(3)
    return np.asarray(np.sqrt(7) * (5 * rank**3 - 3 * rank) / 2, float)


def _cross_fitted_models(
    columns: Floats, is_now: Floats, weight: Floats, loss: Floats, fold: Integers
) -> tuple[Floats, tuple[Floats, Floats]]:
    """For each row, (share of rows now among similar rows, (expected loss before, expected loss now)), fitted on the other folds."""
    share, of_before, of_now = np.empty(loss.size), np.empty(loss.size), np.empty(loss.size)
    beta = np.zeros(columns.shape[1])
    for k in range(FOLDS):
        here, there = fold == k, fold != k
        beta = logistic_weights(columns[there], is_now[there], weight[there], beta)
        share[here] = expit(columns[here] @ beta)
        for side, expected in ((0.0, of_before), (1.0, of_now)):
            mine = there & (is_now == side)
            expected[here] = columns[here] @ _ridge_weights(columns[mine], loss[mine])
    for expected, side in ((of_before, loss[is_now == 0]), (of_now, loss[is_now == 1])):
        np.clip(expected, side.min(), side.max(), out=expected)
    return share, (of_before, of_now)


def logistic_weights(columns: Floats, target: Floats, weight: Floats, start: Floats) -> Floats:
    """Weights of a ridge-penalised logistic regression by Newton's method; the first column, the constant, is not penalised.

    Parameters
    ----------
    columns : Floats
        Rows × columns.
    target : Floats
        0 or 1 for each row.
    weight : Floats
        Weight of each row.
    start : Floats
        First weights; they change the number of steps and not the result.

    Returns
    -------
    Floats
    """
    scaled = weight / weight.mean()
    hold = np.full(columns.shape[1], RIDGE * len(columns))
    hold[0] = 1e-9
    if columns.shape[1] > len(columns):
        return _logistic_weights_from_rows(columns, target, scaled, start, hold)
    beta = start
    for _ in range(STEPS):
        p = expit(columns @ beta)
        bent = columns * np.sqrt(scaled * np.maximum(p * (1 - p), 1e-6))[:, None]
        hessian = bent.T @ bent  # a matrix times its own transpose: only half of it is computed
        hessian[np.diag_indices_from(hessian)] += hold
        step = cho_solve(cho_factor(hessian, check_finite=False), columns.T @ (scaled * (target - p)) - hold * beta, check_finite=False)
        beta = beta + step
        if np.abs(step).max() < 1e-4:
            break
    return beta


def _ridge_weights(columns: Floats, target: Floats) -> Floats:
    """Weights of a ridge regression; the first column is not penalised."""
    hold = np.full(columns.shape[1], RIDGE_OF_LOSS * len(columns))
    hold[0] = 1e-9
    if columns.shape[1] > len(columns):
        return _weights_from_rows(columns, columns[:, 1:] @ columns[:, 1:].T, target, hold)
    gram = columns.T @ columns
    gram[np.diag_indices_from(gram)] += hold
    return np.asarray(cho_solve(cho_factor(gram, check_finite=False), columns.T @ target, check_finite=False), float)


def _logistic_weights_from_rows(columns: Floats, target: Floats, scaled: Floats, start: Floats, hold: Floats) -> Floats:
    """The same weights as from `logistic_weights`. Each step is a regression that is solved by rows, because there are fewer rows than
    columns.
    """
    alike, beta = columns[:, 1:] @ columns[:, 1:].T, start
    for _ in range(STEPS):
        output = columns @ beta
        p = expit(output)
        root = np.sqrt(scaled * np.maximum(p * (1 - p), 1e-6))
        side = scaled * (target - p) / root + root * output
        before, beta = beta, _weights_from_rows(columns * root[:, None], alike * np.outer(root, root), side, hold)
        if np.abs(beta - before).max() < 1e-4:
            break
    return beta


def _weights_from_rows(columns: Floats, alike: Floats, target: Floats, hold: Floats) -> Floats:
    """Weights of a ridge regression with fewer rows than columns.

    alike: products of each pair of rows, without the first column. hold: penalty of each column, equal for all columns but the first.
    """
    left, first = alike.copy(), columns[:, 0]
    left[np.diag_indices_from(left)] += hold[1]
    sides = np.column_stack([target, first])
    of_target, of_first = cho_solve(cho_factor(left, overwrite_a=True, check_finite=False), sides, check_finite=False).T
    constant = hold[1] * (first @ of_target) / (hold[0] + hold[1] * (first @ of_first))
    return np.concatenate([[constant], (of_target - constant * of_first) @ columns[:, 1:]])


def _decomposition(
    loss: Floats, is_now: Floats, weight: Floats, share: Floats, expected: tuple[Floats, Floats], days: Floats | None, wider: float
) -> Decomposition:
    """The parts and their intervals from the fitted models. wider: factor by which the error of the fits enlarges the variance of both
    parts.
    """
    now, before = is_now == 1, is_now == 0
    both = (is_now - share) ** 2
    total = float(weight @ both)
    values, influences = [], []
    for mine, odds, mu in ((before, share, expected[0]), (now, 1 - share, expected[1])):
        score = both * mu + mine * odds * (loss - mu)
        value = float(weight @ score / total)
        values.append(value)
        influences.append((score - both * value) * weight / total)
    means, direct = [], []
    for mine in (before, now):
        mean = float(loss[mine].mean())
        means.append(mean)
        direct.append(np.where(mine, (loss - mean) / mine.sum(), 0.0))
    day = np.full(loss.size, -1.0)
    day[now] = np.arange(int(now.sum())) if days is None else days

    def part(value: float, influence: Floats, times: float = 1.0) -> Interval:
        reach = np.sqrt(times) * _half_width(influence, now, None if days is None else day)
        return ordered_interval(value, value - reach, value + reach, float(min(now.sum(), before.sum())))

    (shared_before, shared_now), (mean_before, mean_now) = values, means
    inputs = (shared_before - mean_before) + (mean_now - shared_now)
    inputs_influence = influences[0] - direct[0] + direct[1] - influences[1]
    return Decomposition(
        before=part(mean_before, direct[0]),
        now=part(mean_now, direct[1]),
        inputs=part(inputs, inputs_influence, wider),
        relation=part(shared_now - shared_before, influences[1] - influences[0], wider),
        alone_now=float((share[now] > ALONE).mean()),
        alone_before=float((share[before] < 1 - ALONE).mean()),
        overlap=float(4 * (weight @ (share * (1 - share)))),
        unexpected=((1 - share) * (loss - expected[0]))[now] / float((1 - share)[now].sum()),
    )


def _half_width(influence: Floats, now: Bools, day: Floats | None) -> float:
    """Half the width of a 95 % interval. Rows before are independent; rows now are independent or clustered by day, whichever gives the
    wider interval.
    """
    before, rows = float((influence[~now] ** 2).sum()), float((influence[now] ** 2).sum())
    if day is None:
        return float(ndtri(0.975) * np.sqrt(before + rows))
    _, place = np.unique(day[now], return_inverse=True)
    sums = np.bincount(place, influence[now])
    if sums.size < 4:
        return float(ndtri(0.975) * np.sqrt(before + rows))
    by_day = float(((sums - sums.mean()) ** 2).sum() * sums.size / (sums.size - 1))
    if by_day <= rows:
        return float(ndtri(0.975) * np.sqrt(before + rows))
    freedom = (before + by_day) ** 2 / (by_day**2 / (sums.size - 1) + 1e-300)
    return float(stdtrit(freedom, 0.975) * np.sqrt(before + by_day))


def kitagawa_mix_effect(before: Integers, now: Integers, loss_before: Floats, loss_now: Floats) -> Interval:
    """Change of the mean loss that is explained by the mix of one code alone: by the changed shares of its levels, at the levels' mean
    losses.

    Codes below 0, and levels that one side lacks, are left out.

    Parameters
    ----------
    before : Integers
        Code of each row before.
    now : Integers
        Code of each row now.
    loss_before : Floats
        Loss of each row before.
    loss_now : Floats
        Loss of each row now.

    Returns
    -------
    Interval
        Unknown below two levels.

    References
    ----------
    * Kitagawa (1955), Components of a difference between two rates.
    """
    size = int(max(before.max(initial=-1), now.max(initial=-1))) + 1
    counts = [np.bincount(side[side >= 0], minlength=size).astype(float) for side in (before, now)]
    kept = (counts[0] > 0) & (counts[1] > 0)
    if kept.sum() < 2:
        return Interval(None, None, None, float(min(before.size, now.size)))
    totals = [np.bincount(side[side >= 0], loss[side >= 0], size) for side, loss in ((before, loss_before), (now, loss_now))]
    means = [total[kept] / count[kept] for total, count in zip(totals, counts)]
    shares = [count[kept] / count[kept].sum() for count in counts]
    middle = (means[0] + means[1]) / 2
    value = float((shares[1] - shares[0]) @ middle)
    variance = sum(float(share @ middle**2 - (share @ middle) ** 2) / count[kept].sum() for share, count in zip(shares, counts))
    for side, loss, count, mean in ((before, loss_before, counts[0], means[0]), (now, loss_now, counts[1], means[1])):
        squares = np.bincount(side[side >= 0], loss[side >= 0] ** 2, size)[kept] / count[kept] - mean**2
        variance += float(((shares[1] - shares[0]) ** 2 / 4) @ (np.maximum(squares, 0.0) / count[kept]))
    reach = float(ndtri(0.975)) * float(np.sqrt(variance))
    return ordered_interval(value, value - reach, value + reach, float(min(before.size, now.size)))
