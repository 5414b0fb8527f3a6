"""Shapley values of any model by sampling permutations, with standard errors.

For a row x and a row b of the background, features are switched from b's to x's values one after the other, in a random order and in its
reverse (antithetic). The changes of the score are averaged. Every row of the background is used equally often, so that the values add up to
score(x) minus the mean score of the background, except for rounding. The permutations are the same for all rows, so a row's values do not
depend on the other rows. The standard error is that of a stratified mean, whose strata are the rows of the background. Sources: Štrumbelj
and Kononenko, Knowledge and Information Systems 41 (2014); Mitchell and others, Journal of Machine Learning Research 23 (2022).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from observability.stats.arrays import Bools, Floats, Integers
from observability.worker.job import Report
from observability.worker.model import Attribution

CHUNK = 50_000


def permutation_switches(features: int, pairs: int, rng: np.random.Generator) -> tuple[Bools, Integers]:
    """The features switched after each step (pairs, 2, features + 1, features), and the order of switching (pairs, 2, features)."""
    forward = np.array([rng.permutation(features) for _ in range(pairs)])
    orders = np.stack([forward, forward[:, ::-1]], axis=1)
    rank = np.argsort(orders, axis=-1)
    return np.arange(features + 1)[:, None] > rank[:, :, None, :], orders


def sample_attributions(
    score: Callable[[Any], Floats],
    encode: Callable[[pd.DataFrame], Any],
    rows: pd.DataFrame,
    background: pd.DataFrame,
    *,
    permutations: int,
    seed: int,
    report: Report,
) -> Attribution:
    """Attributions of `score(encode(rows))` against `background`, both with the model's columns.

    permutations: pairs per row of the background, at least 2. Returns values (n, features), or (n, classes, features) if `score` gives
    several outputs, with standard errors.
    """
    plan = permutation_plan(rows.shape[1], len(background), permutations, seed)
    # The first and the last step are the rows themselves, so that their scores are shared by all permutations.
    before, after = score(encode(background)), score(encode(rows))
    wide = before if before.ndim == 2 else before[:, None]
    values = np.zeros((len(rows), wide.shape[1], rows.shape[1]))
    errors = np.zeros_like(values)
    for place in range(len(rows)):
        pairs = row_contributions(score, encode, rows.iloc[[place]], background, plan, wide, np.atleast_1d(after[place]))
        values[place] = pairs.mean(axis=(0, 1)).T
        errors[place] = np.sqrt(pairs.var(axis=0, ddof=1).sum(axis=0) / permutations).T / len(background)
        report((place + 1) / len(rows), f"{place + 1} of {len(rows)} rows")
    if before.ndim == 1:
        return Attribution(values[:, 0], np.asarray(before.mean()), after, errors[:, 0])
    return Attribution(values, before.mean(axis=0), after, errors)


@dataclass(frozen=True)
class PermutationPlan:
    """The order of switching.

    orders: as in `permutation_switches`. inner: the switched features for each score to compute. against: the row of the background for
    each of these scores. permutations: pairs per row of the background. strata: number of rows of the background.
    """

    orders: Integers
    inner: Bools
    against: Integers
    permutations: int
    strata: int


def permutation_plan(features: int, strata: int, permutations: int, seed: int) -> PermutationPlan:
    """The permutations for a background of `strata` rows, each used equally often."""
    on, orders = permutation_switches(features, strata * permutations, np.random.default_rng(seed))
    inner = on[:, :, 1:-1, :].reshape(-1, features)
    return PermutationPlan(orders, inner, np.repeat(np.arange(strata * permutations) % strata, 2 * (features - 1)), permutations, strata)


def row_contributions(
    score: Callable[[Any], Floats],
    encode: Callable[[pd.DataFrame], Any],
    row: pd.DataFrame,
    background: pd.DataFrame,
    plan: PermutationPlan,
    before: Floats,
    after: Floats,
) -> Floats:
    """The change by each feature (permutations, background rows, features, outputs), averaged over each permutation and its reverse.

    before: scores of the background (rows, outputs); after: of the row (outputs,).
    """
    features, outputs, pairs = row.shape[1], before.shape[1], plan.strata * plan.permutations
    both = pd.concat([row, background], ignore_index=True)
    given = [
        np.asarray(score(encode(switched_rows(both, plan.inner[start : start + CHUNK], plan.against[start : start + CHUNK])))).reshape(
            -1, outputs
        )
        for start in range(0, len(plan.inner), CHUNK)
    ]
    path = np.empty((pairs, 2, features + 1, outputs))
    path[:, :, 1:-1] = np.concatenate(given).reshape(pairs, 2, features - 1, outputs) if given else 0
    path[:, :, 0] = before[np.arange(pairs) % plan.strata][:, None]
    path[:, :, -1] = after
    change = np.diff(path, axis=2)
    by_feature = np.empty_like(change)
    np.put_along_axis(by_feature, plan.orders[..., None], change, axis=2)
    return np.asarray(by_feature.mean(axis=1).reshape(plan.permutations, plan.strata, features, outputs))


def switched_rows(both: pd.DataFrame, on: Bools, against: Integers) -> pd.DataFrame:
    """Rows with the switched features of the first row of `both`, and the other features of their row of the background."""
    return pd.DataFrame(
        {name: both[name].array.take(np.where(on[:, place], 0, against + 1)) for place, name in enumerate(both.columns)}, copy=False
    )
