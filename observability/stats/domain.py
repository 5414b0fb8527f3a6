"""Domain classifier (classifier two-sample test): AUC of current against reference rows, its null, and the features behind it.

A classifier learns to separate current from reference rows and is evaluated on held-out rows; an AUC of 0.5 means no difference. It
detects changes that no single feature shows, such as a correlation that broke while every distribution stayed the same.

The classifier is linear in a basis that is computed over both samples without their labels: rank and squared rank of a number; levels of a
category; missing as a level; and products of two features, for the pairs with the strongest pooled correlation. Ridge regression has a
closed form, so it is refitted on hundreds of permuted samples in one solve, and the null distribution includes the noise of refitting.

Source: Lopez-Paz and Oquab 2017 (classifier two-sample tests); Friedman 2003 (two-sample testing by a classifier); DeLong et al. 1988
(interval).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ndtr, ndtri

from observability.stats.arrays import Array, Bools, Floats, Integers

FOLDS, PERMUTATIONS, SHUFFLES, SEED = 5, 99, 2, 20
DAY_DRAWS = 60
"""Number of random draws in which past days replace the days of the window."""
MIN_ROWS = 20 * FOLDS
"""Minimum number of rows of the smaller sample for a fit."""
RIDGE, PAIR_SCALE = 0.05, 0.3
"""Ridge penalty per row, and the scale of a product relative to a single column: a smaller scale means a stronger penalty."""
MAX_PAIRS, MAX_LEVELS, PAIRED_LEVELS = 300, 12, 2
RARE = 0.01
"""A level, or missing values, with a smaller share of both samples gets no column of its own."""


@dataclass(frozen=True)
class Separation:
    """Separation of two samples.

    auc: mean AUC of held-out rows over the folds; low, high: its 95 % interval. null_mean, null_sd: mean and standard deviation of the AUC
    when labels are permuted and the classifier is refitted. p_value: one-sided, from the normal distribution with this mean and sd.
    additive_auc: AUC without products, one feature at a time. importance: (feature, loss of AUC when its held-out values are shuffled),
    largest first. pair: the two numeric features whose rank correlation contributes most, with their correlation in both samples; None if
    no pair contributes. scores, reference_scores: scores of held-out rows, in their order; higher means more like current.
    """

    auc: float
    low: float
    high: float
    null_mean: float
    null_sd: float
    p_value: float
    additive_auc: float
    importance: tuple[tuple[str, float], ...]
    pair: tuple[str, str, float, float] | None
    rows: tuple[int, int]
    scores: Floats = field(repr=False, compare=False)
    reference_scores: Floats = field(repr=False, compare=False)

    @property
    def null_95(self) -> float:
        """95 % quantile of the null."""
        return self.null_mean + float(ndtri(0.95)) * self.null_sd


@dataclass(frozen=True)
class WindowSeparation:
    """Separation of a window from the days before it.

    null_mean, null_sd: mean and standard deviation of the AUC when other days of the same weekdays take the window's place. p_value:
    one-sided, from the normal distribution with this mean and sd.
    """

    auc: float
    null_mean: float
    null_sd: float
    p_value: float


@dataclass(frozen=True)
class ClassifierBasis:
    """Columns over the rows of both samples.

    single: standardised columns of one feature each; owner: index of the feature of each column. paired: indices of the single columns that
    may be part of a product. ordered: whether a column is the rank of a number.
    """

    names: tuple[str, ...]
    single: Floats
    owner: Integers
    paired: Integers
    ordered: Bools


@dataclass(frozen=True)
class ClassifierDesign:
    """The classifier's columns: the single columns, then the products of the single columns `left` and `right`, standardised by `scale`."""

    basis: ClassifierBasis
    left: Integers
    right: Integers
    scale: Floats
    columns: Floats = field(repr=False)


def rows_for_auc_gap(other: int, gap: float) -> float:
    """Number of rows of a sample from which the AUC by chance is at most `gap` above 0.5 in 95 % of the cases.

    This uses the normal approximation of the Mann-Whitney statistic, made a fifth wider for refitting.

    Parameters
    ----------
    other : int
        Rows of the other sample.
    gap : float
        Distance from 0.5.

    Returns
    -------
    float
        Infinity where the other sample is too small.
    """
    room = 12 * (gap / (1.2 * float(ndtri(0.95)))) ** 2 - 1 / max(other, 1)
    return float("inf") if room <= 0 else max(1 / room, float(MIN_ROWS))


def separate_samples(
    reference: Mapping[str, Array], current: Mapping[str, Array], *, permutations: int = PERMUTATIONS
) -> Separation | None:
    """Separation of `current` from `reference` by a cross-fitted classifier.

    Rows are assigned to folds by their order, so the order should carry no information.

    Parameters
    ----------
    reference : Mapping[str, Array]
        Columns: float arrays (NaN: missing), or object arrays of texts (None: missing).
    current : Mapping[str, Array]
        The same columns.
    permutations : int
        Permutations of the null.

    Returns
    -------
    Separation | None
        None if a side has fewer than MIN_ROWS rows, or no column varies.

    References
    ----------
    * Lopez-Paz and Oquab (2017), Revisiting classifier two-sample tests.
    * DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two or more correlated ROC curves.
    """
    sizes = tuple(len(next(iter(side.values()), ())) for side in (reference, current))
    if min(sizes) < MIN_ROWS:
        return None
    basis = classifier_basis({name: np.concatenate([reference[name], current[name]]) for name in reference})
    if basis.single.shape[1] == 0:
        return None
    design = classifier_design(basis)
    is_current = np.repeat([False, True], sizes)
    fold = np.concatenate([np.arange(size) % FOLDS for size in sizes])
    rng = np.random.default_rng(SEED)
    labels = _permuted_labels(is_current, fold, permutations, rng)
    weights, scores = cross_fitted_scores(design.columns, labels, fold)
    aucs = np.mean([fold_auc(scores[fold == k], labels[fold == k]) for k in range(FOLDS)], axis=0)
    auc, null = float(aucs[0]), aucs[1:]
    null_mean, null_sd = float(null.mean()), float(null.std(ddof=1))
    reach = float(ndtri(0.975)) * _auc_standard_error(scores[:, 0], is_current, fold, null_sd)
    _, additive = cross_fitted_scores(basis.single, labels[:, :1], fold)
    return Separation(
        auc=auc,
        low=max(auc - reach, 0.0),
        high=min(auc + reach, 1.0),
        null_mean=null_mean,
        null_sd=null_sd,
        p_value=float(ndtr((null_mean - auc) / null_sd)) if null_sd > 0 else 1.0,
        additive_auc=float(np.mean([fold_auc(additive[fold == k], labels[fold == k][:, :1])[0] for k in range(FOLDS)])),
        importance=permutation_importance(design, weights, scores[:, 0], is_current, fold, rng),
        pair=_strongest_pair(design, weights, is_current),
        rows=(sizes[0], sizes[1]),
        scores=scores[is_current, 0],
        reference_scores=scores[~is_current, 0],
    )


def sample_auc(reference: Mapping[str, Array], current: Mapping[str, Array]) -> float | None:
    """AUC of `separate_samples`, without its null distribution.

    Parameters
    ----------
    reference : Mapping[str, Array]
        Columns, as in `separate_samples`.
    current : Mapping[str, Array]
        The same columns.

    Returns
    -------
    float | None
        None if a side has fewer than MIN_ROWS rows, or no column varies.
    """
    sizes = tuple(len(next(iter(side.values()), ())) for side in (reference, current))
    if min(sizes) < MIN_ROWS:
        return None
    basis = classifier_basis({name: np.concatenate([reference[name], current[name]]) for name in reference})
    if basis.single.shape[1] == 0:
        return None
    fold = np.concatenate([np.arange(size) % FOLDS for size in sizes])
    labels = np.repeat([False, True], sizes)[:, None]
    _, scores = cross_fitted_scores(classifier_design(basis).columns, labels, fold)
    return float(np.mean([fold_auc(scores[fold == k], labels[fold == k])[0] for k in range(FOLDS)]))


def separate_from_other_days(
    past: Mapping[str, Array], current: Mapping[str, Array], past_days: Integers, current_days: Integers
) -> WindowSeparation | None:
    """Separation of `current` from `past`, compared with how well the same number of other days is separated.

    Rows within a day are correlated, so whole days are exchanged, each with a day of the same weekday. A day of the window counts with the
    same number of rows as a day of the past.

    Parameters
    ----------
    past : Mapping[str, Array]
        Columns of the past, as in `separate_samples`.
    current : Mapping[str, Array]
        Columns of the window.
    past_days : Integers
        Day of each past row since 1970.
    current_days : Integers
        Day of each row of the window.

    Returns
    -------
    WindowSeparation | None
        None if a side has too few rows, or no column varies.
    """
    kept = _evenly_thinned(len(current_days), len(past_days) / len(np.unique(past_days)) * len(np.unique(current_days)))
    current, current_days = {name: values[kept] for name, values in current.items()}, current_days[kept]
    if min(len(past_days), len(current_days)) < MIN_ROWS:
        return None
    basis = classifier_basis({name: np.concatenate([past[name], current[name]]) for name in past})
    if basis.single.shape[1] == 0:
        return None
    is_current = np.repeat([False, True], (len(past_days), len(current_days)))
    fold = np.concatenate([np.arange(len(past_days)) % FOLDS, np.arange(len(current_days)) % FOLDS])
    labels = _other_day_labels(is_current, np.concatenate([past_days, current_days]), DAY_DRAWS, np.random.default_rng(SEED))
    _, scores = cross_fitted_scores(classifier_design(basis).columns, labels, fold)
    aucs = np.mean([fold_auc(scores[fold == k], labels[fold == k]) for k in range(FOLDS)], axis=0)
    mean, sd = float(aucs[1:].mean()), float(aucs[1:].std(ddof=1))
    return WindowSeparation(float(aucs[0]), mean, sd, float(ndtr((mean - aucs[0]) / sd)) if sd > 0 else 1.0)


def _evenly_thinned(rows: int, wanted: float) -> Bools:
    """Mask of the wanted number of evenly spaced rows; of all rows if there are no more than that."""
    share, places = min(wanted / max(rows, 1), 1.0), np.arange(rows)
    return np.floor((places + 1) * share + 1e-9) > np.floor(places * share + 1e-9)


def _other_day_labels(is_current: Bools, days: Integers, draws: int, rng: np.random.Generator) -> Bools:
    """The true labels in the first column; in each further column, the labels after shuffling days within each weekday."""
    names, place = np.unique(2 * days + is_current, return_inverse=True)
    held, weekday = names % 2 == 1, (names // 2) % 7
    found = np.empty((len(days), draws + 1), bool)
    found[:, 0] = is_current
    for draw in range(1, draws + 1):
        shuffled = held.copy()
        for each in np.unique(weekday):
            shuffled[weekday == each] = rng.permutation(held[weekday == each])
        found[:, draw] = shuffled[place]
    return found


def classifier_basis(columns: Mapping[str, Array]) -> ClassifierBasis:
    """Single columns of each feature, computed without the sample labels.

    Parameters
    ----------
    columns : Mapping[str, Array]
        Values of both samples by feature.

    Returns
    -------
    ClassifierBasis
    """
    made: list[Floats] = []
    owner, paired, ordered = [], [], []
    for place, values in enumerate(columns.values()):
        ranked = _legendre_ranks(values.astype(float)) if values.dtype != object else []
        for number, column in enumerate([*ranked, *_level_columns(values)]):
            if (deviation := column.std()) < 1e-9:
                continue
            if number == 0 or number >= len(ranked):
                nth = number - len(ranked)
                if number < len(ranked) or nth < PAIRED_LEVELS:
                    paired.append(len(made))
            made.append((column - column.mean()) / deviation)
            owner.append(place)
            ordered.append(bool(ranked) and number == 0)
    rows = len(next(iter(columns.values()), ()))
    single = np.column_stack(made) if made else np.empty((rows, 0))
    return ClassifierBasis(tuple(columns), single, np.array(owner, np.int64), np.array(paired, np.int64), np.array(ordered, np.bool_))


def _legendre_ranks(values: Floats) -> list[Floats]:
    """Rank and squared rank of a number, as Legendre polynomials on -1 to 1; 0 where the number is missing."""
    from scipy.stats import rankdata

    there = np.isfinite(values)
    place = np.zeros(values.size)
    place[there] = 2 * (rankdata(values[there]) - 0.5) / max(int(there.sum()), 1) - 1
    return [place, np.where(there, (3 * place**2 - 1) / 2, 0.0)]


def _level_columns(values: Array) -> list[Floats]:
    """A column for missing values; for a category, also one for each frequent level except the most frequent one."""
    if values.dtype != object:
        missing = ~np.isfinite(values.astype(float))
        return [missing.astype(float)] if missing.mean() >= RARE else []
    texts = np.array(["\0" if each is None else f"={each}" for each in values])
    found, codes = np.unique(texts, return_inverse=True)
    counts = np.bincount(codes, minlength=found.size)
    frequent = [place for place in np.lexsort((found, -counts)) if counts[place] >= RARE * values.size][: MAX_LEVELS + 1]
    return [(codes == place).astype(float) for place in (frequent[1:] if len(frequent) > 1 else frequent)]


def classifier_design(basis: ClassifierBasis, most: int = MAX_PAIRS) -> ClassifierDesign:
    """Single columns, and products of two features for the pairs with the strongest pooled correlation.

    A correlation that exists in only one of the samples still shows in both samples together.

    Parameters
    ----------
    basis : ClassifierBasis
        Single columns.
    most : int
        Largest number of products.

    Returns
    -------
    ClassifierDesign
    """
    places, rows = basis.paired, basis.single.shape[0]
    of_pairs = basis.single[:, places]
    strength = np.abs(of_pairs.T @ of_pairs / rows)
    left, right = np.triu_indices(places.size, 1)
    apart = basis.owner[places[left]] != basis.owner[places[right]]
    left, right = left[apart], right[apart]
    strongest = np.argsort(-np.round(strength[left, right], 9), kind="stable")[:most]
    left, right = places[left[strongest]], places[right[strongest]]
    products = basis.single[:, left] * basis.single[:, right]
    scale = products.std(axis=0)
    kept = scale > 1e-9
    scale = scale[kept] / PAIR_SCALE
    products = (products[:, kept] - products[:, kept].mean(axis=0)) / scale
    return ClassifierDesign(basis, left[kept], right[kept], scale, np.hstack([basis.single, products]))


def _permuted_labels(is_current: Bools, fold: Integers, permutations: int, rng: np.random.Generator) -> Bools:
    """The true labels in the first column, then labels shuffled within each fold."""
    found = np.repeat(is_current[:, None], permutations + 1, axis=1)
    for k in range(FOLDS):
        here = np.flatnonzero(fold == k)
        found[here, 1:] = rng.permuted(found[here, 1:], axis=0)
    return found


def cross_fitted_scores(columns: Floats, labels: Bools, fold: Integers) -> tuple[Floats, Floats]:
    """Weights and held-out scores of a ridge regression.

    Parameters
    ----------
    columns : Floats
        Rows × columns.
    labels : Bools
        Rows × sets of labels.
    fold : Integers
        Fold of each row.

    Returns
    -------
    tuple[Floats, Floats]
        Weights (folds × columns, of the first set of labels) and held-out scores (rows × sets of labels).
    """
    target = labels - labels.mean(axis=0)
    if columns.shape[1] > columns.shape[0]:
        return _scores_from_rows(columns, target, fold)
    parts = [(columns[fold == k], target[fold == k]) for k in range(FOLDS)]
    grams, sides = [x.T @ x for x, _ in parts], [x.T @ y for x, y in parts]
    gram, side = sum(grams), sum(sides)
    weights, scores = np.empty((FOLDS, columns.shape[1])), np.empty(labels.shape)
    for k, (x, _) in enumerate(parts):
        left = gram - grams[k]
        left[np.diag_indices_from(left)] += RIDGE * (columns.shape[0] - x.shape[0])
        solved = cho_solve(cho_factor(left, overwrite_a=True, check_finite=False), side - sides[k], check_finite=False)
        weights[k], scores[fold == k] = solved[:, 0], x @ solved
    return weights, scores


def _scores_from_rows(columns: Floats, target: Floats, fold: Integers) -> tuple[Floats, Floats]:
    """The same weights and held-out scores as from `cross_fitted_scores`, solved by rows, because there are fewer rows than columns."""
    alike = columns @ columns.T
    weights, scores = np.empty((FOLDS, columns.shape[1])), np.empty(target.shape)
    for k in range(FOLDS):
        held, rest = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        left = alike[np.ix_(rest, rest)]
        left[np.diag_indices_from(left)] += RIDGE * rest.size
        solved = cho_solve(cho_factor(left, overwrite_a=True, check_finite=False), target[rest], check_finite=False)
        weights[k], scores[held] = solved[:, 0] @ columns[rest], alike[np.ix_(held, rest)] @ solved
    return weights, scores


def fold_auc(scores: Floats, labels: Bools) -> Floats:
    """AUC of each column of scores of one fold (Mann-Whitney, ties count half).

    Parameters
    ----------
    scores : Floats
        Rows × sets of labels.
    labels : Bools
        Rows × sets of labels.

    Returns
    -------
    Floats
    """
    from scipy.stats import rankdata

    n = labels.sum(axis=0)
    m = labels.shape[0] - n
    rounded = np.round(scores.T, 12)
    order = np.argsort(rounded, axis=1)
    rising = np.take_along_axis(rounded, order, axis=1)
    if (rising[:, 1:] > rising[:, :-1]).all():
        placed = np.take_along_axis(labels.T, order, axis=1) @ np.arange(1.0, len(labels) + 1)
    else:
        placed = (rankdata(rounded, axis=1) * labels.T).sum(axis=1)
    return np.asarray((placed - n * (n + 1) / 2) / np.maximum(n * m, 1), float)


def _auc_standard_error(scores: Floats, is_current: Bools, fold: Integers, null_sd: float) -> float:
    """Standard error of the mean AUC by DeLong's placements, widened by the noise that refitting adds to the null distribution."""
    from scipy.stats import rankdata

    variance = chance = 0.0
    for k in range(FOLDS):
        own, mine = scores[fold == k], is_current[fold == k]
        n, m = int(mine.sum()), int((~mine).sum())
        placed = rankdata(np.round(own, 12))
        of_current = (placed[mine] - rankdata(np.round(own[mine], 12))) / m
        of_reference = 1 - (placed[~mine] - rankdata(np.round(own[~mine], 12))) / n
        variance += float(of_current.var(ddof=1) / n + of_reference.var(ddof=1) / m)
        chance += (n + m + 1) / (12 * n * m)
    wider = max(null_sd / (np.sqrt(chance) / FOLDS), 1.0)
    return float(np.sqrt(variance) / FOLDS * wider)


def permutation_importance(
    design: ClassifierDesign, weights: Floats, scores: Floats, is_current: Bools, fold: Integers, rng: np.random.Generator
) -> tuple[tuple[str, float], ...]:
    """Loss of AUC for each feature when its held-out values are shuffled within their fold (mean over SHUFFLES shuffles); largest first.

    Parameters
    ----------
    design : ClassifierDesign
        Columns of the classifier.
    weights : Floats
        Folds × columns.
    scores : Floats
        Held-out score of each row.
    is_current : Bools
        Label of each row.
    fold : Integers
        Fold of each row.
    rng : np.random.Generator
        Random numbers.

    Returns
    -------
    tuple[tuple[str, float], ...]
        (feature, loss of AUC).
    """
    basis, first = design.basis, design.basis.single.shape[1]
    labels = is_current[:, None]
    whole = np.array([fold_auc(scores[fold == k][:, None], labels[fold == k])[0] for k in range(FOLDS)])
    found = []
    for place, name in enumerate(basis.names):
        own = np.flatnonzero(basis.owner == place)
        pairs = np.flatnonzero((basis.owner[design.left] == place) | (basis.owner[design.right] == place))
        mine = np.where(basis.owner[design.left[pairs]] == place, design.left[pairs], design.right[pairs])
        others = design.left[pairs] + design.right[pairs] - mine
        lost = []
        for k in range(FOLDS):
            here = np.flatnonzero(fold == k)
            rows, left, right = (basis.single[np.ix_(here, some)] for some in (own, mine, others))
            for _ in range(SHUFFLES):
                places = rng.permutation(here)
                gap = (basis.single[np.ix_(places, own)] - rows) @ weights[k, own]
                gap += ((basis.single[np.ix_(places, mine)] - left) * right) @ (weights[k, first + pairs] / design.scale[pairs])
                lost.append(whole[k] - fold_auc((scores[here] + gap)[:, None], labels[here])[0])
        found.append((name, float(np.mean(lost))))
    return tuple(sorted(found, key=lambda each: (-each[1], each[0])))


def _strongest_pair(design: ClassifierDesign, weights: Floats, is_current: Bools) -> tuple[str, str, float, float] | None:
    """The two numeric features whose product adds most to the gap between the samples, and their rank correlations (reference, current)."""
    basis, first = design.basis, design.basis.single.shape[1]
    both = np.flatnonzero(basis.ordered[design.left] & basis.ordered[design.right])
    if both.size == 0:
        return None
    products = design.columns[:, first + both]
    gap = weights.mean(axis=0)[first + both] * (products[is_current].mean(axis=0) - products[~is_current].mean(axis=0))
    most = both[int(np.argmax(np.round(gap, 12)))]
    one, other = (basis.single[:, each[most]] for each in (design.left, design.right))
    with np.errstate(invalid="ignore", divide="ignore"):  # a number that is constant on one side has no correlation there
        before, after = (float(np.corrcoef(one[side], other[side])[0, 1]) for side in (~is_current, is_current))
    names = [basis.names[basis.owner[each[most]]] for each in (design.left, design.right)]
    return (names[0], names[1], before, after) if np.isfinite([before, after]).all() else None
