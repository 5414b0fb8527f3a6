"""What part of a score does each feature have, for any model? Shapley values by sampling permutations, with their standard error.

For a row x and a row b of the background, features are switched from b's to x's values one after the other, in a random order and in its
reverse (antithetic); the changes of the score are averaged. Every row of the background takes part equally often, so that the values add up to
score(x) less the mean score of the background, to rounding. The permutations are the same for every row asked about: a row's values do not
depend on the others. The standard error is that of a stratified mean, strata being the rows of the background. Sources: Štrumbelj and
Kononenko, Knowledge and Information Systems 41 (2014); Mitchell and others, Journal of Machine Learning Research 23 (2022).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from observability.worker.job import Report
from observability.worker.model import Attribution

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 50_000


def switches(features: int, pairs: int, rng: np.random.Generator) -> "tuple[NDArray[np.bool_], NDArray[np.int64]]":
    """(pairs, 2, features + 1, features) which features are switched after each step, and (pairs, 2, features) the order of switching."""
    forward = np.array([rng.permutation(features) for _ in range(pairs)])
    orders = np.stack([forward, forward[:, ::-1]], axis=1)
    rank = np.argsort(orders, axis=-1)
    return np.arange(features + 1)[:, None] > rank[:, :, None, :], orders


def explain_rows(
    score: "Callable[[Any], NDArray[np.float64]]",
    encode: Callable[[pd.DataFrame], Any],
    rows: pd.DataFrame,
    background: pd.DataFrame,
    *,
    permutations: int,
    seed: int,
    report: Report,
) -> Attribution:
    """Attributions of `score(encode(rows))` against `background`, both with the model's columns. permutations: pairs a row of background, ≥ 2.

    Gives values (n, features), or (n, classes, features) where `score` gives several, with the standard error of each.
    """
    plan = planned(rows.shape[1], len(background), permutations, seed)
    # The first and the last step are the rows themselves: one score each, shared by every permutation.
    before, after = score(encode(background)), score(encode(rows))
    wide = before if before.ndim == 2 else before[:, None]
    values = np.zeros((len(rows), wide.shape[1], rows.shape[1]))
    errors = np.zeros_like(values)
    for place in range(len(rows)):
        pairs = of_row(score, encode, rows.iloc[[place]], background, plan, wide, np.atleast_1d(after[place]))
        values[place] = pairs.mean(axis=(0, 1)).T
        errors[place] = np.sqrt(pairs.var(axis=0, ddof=1).sum(axis=0) / permutations).T / len(background)
        report((place + 1) / len(rows), f"{place + 1} of {len(rows)} rows")
    if before.ndim == 1:
        return Attribution(values[:, 0], np.asarray(before.mean()), after, errors[:, 0])
    return Attribution(values, before.mean(axis=0), after, errors)


@dataclass(frozen=True)
class Plan:
    """What is switched when. orders: as in `switches`; inner: what is switched for each score that is asked; against: which row of the background
    stands behind it; permutations: pairs a row of the background, of which there are `strata`.
    """

    orders: "NDArray[np.int64]"
    inner: "NDArray[np.bool_]"
    against: "NDArray[np.int64]"
    permutations: int
    strata: int


def planned(features: int, strata: int, permutations: int, seed: int) -> Plan:
    """The permutations for a background of `strata` rows, each of which takes part equally often."""
    on, orders = switches(features, strata * permutations, np.random.default_rng(seed))
    inner = on[:, :, 1:-1, :].reshape(-1, features)
    return Plan(orders, inner, np.repeat(np.arange(strata * permutations) % strata, 2 * (features - 1)), permutations, strata)


def of_row(
    score: "Callable[[Any], NDArray[np.float64]]",
    encode: Callable[[pd.DataFrame], Any],
    row: pd.DataFrame,
    background: pd.DataFrame,
    plan: Plan,
    before: "NDArray[np.float64]",
    after: "NDArray[np.float64]",
) -> "NDArray[np.float64]":
    """What switching each feature changed, (permutations, background rows, features, outputs), the mean of each permutation and its reverse.

    before: scores of the background (rows, outputs); after: of the row (outputs,).
    """
    features, outputs, pairs = row.shape[1], before.shape[1], plan.strata * plan.permutations
    both = pd.concat([row, background], ignore_index=True)
    given = [
        np.asarray(score(encode(mixed(both, plan.inner[start : start + CHUNK], plan.against[start : start + CHUNK])))).reshape(-1, outputs)
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


def mixed(both: pd.DataFrame, on: "NDArray[np.bool_]", against: "NDArray[np.int64]") -> pd.DataFrame:
    """Rows whose switched features are those of the first row of `both`, the others those of the row of the background behind it."""
    return pd.DataFrame(
        {name: both[name].array.take(np.where(on[:, place], 0, against + 1)) for place, name in enumerate(both.columns)}, copy=False
    )
