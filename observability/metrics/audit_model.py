"""A model fitted to the audited data. It reveals suspect labels, features that give the label away, and the effect of a cleaning rule on
the model's metric.

It is gradient boosting on at most MAX_ROWS rows. Rows with equal features are always in the same fold, so duplicates are never split
between training and held-out rows. With and without a rule, the model is fitted with the same seeds and judged on the same held-out rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtrit

from observability.metrics.data_audit import row_keys
from observability.stats.confident_learning import suspect_labels
from observability.stats.interval import Interval, Moments, mean_interval, ordered_interval, rate_interval
from observability.stats.score_intervals import auc_interval

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MAX_ROWS = 20_000
FOLDS, REPEATS = 5, 2
TREES = 60
FEW_TREES = 15
"""Number of trees in a model that has only one column."""
MIN_ROWS = 200
"""Minimum number of rows for a model."""
MAX_CLASSES = 50
MAX_LEVELS = 200
"""Maximum number of levels of a category that the model keeps separate; rarer levels count as one level."""
KNOWS = 0.98
"""Label predictability from which a single feature counts as revealing the label: 0 is chance, 1 is perfect."""
MAX_ALONE = 40
"""Maximum number of columns whose label predictability a record keeps."""
Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class RuleEffect:
    """The metric of a model fitted with all rows, and of one fitted without the rows that a rule drops, on the same held-out rows.

    low, high: 95 % interval of the difference, by the corrected resampled t test (Nadeau and Bengio 2003). None if a rule drops nothing, or
    leaves nothing to fit on (`after` is then NaN).
    """

    metric: str
    before: float
    after: float
    low: float | None
    high: float | None

    @property
    def difference(self) -> float:
        """The metric without the dropped rows (`after`) minus the metric with all rows (`before`)."""
        return self.after - self.before


class AuditModel:
    """A model that predicts a label from features. task: "binary", "multiclass" or "regression", as the label requires."""

    def __init__(self, features: "DataFrame", label: "Series[Any]", seed: int = 0) -> None:
        import pandas as pd

        known = np.flatnonzero(label.notna().to_numpy())
        rng = np.random.default_rng(seed)
        self.places = np.sort(rng.choice(known, MAX_ROWS, replace=False)) if known.size > MAX_ROWS else known
        part, values = features.iloc[self.places], label.iloc[self.places]
        numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        self.classes = sorted(values.astype(str).unique())
        self.task = "regression" if numeric and len(self.classes) > 20 else "binary" if len(self.classes) == 2 else "multiclass"
        self.seed, self.groups = seed, row_keys(part)
        self.y = values.to_numpy(float) if self.task == "regression" else pd.Categorical(values.astype(str), self.classes).codes.astype(int)
        self.x, self.categories = _encoded(part)
        self.columns = list(map(str, part.columns))

    @property
    def metric(self) -> str:
        """The metric that is compared before and after a rule."""
        return {"binary": "roc_auc", "multiclass": "accuracy", "regression": "mae"}[self.task]

    @property
    def obstacle(self) -> str | None:
        """The reason why no model can be fitted; None if one can."""
        if len(self.y) < MIN_ROWS:
            return f"{len(self.y):,} labelled rows are too few for a model; it needs about {MIN_ROWS - len(self.y):,} more"
        if self.task != "regression" and not 2 <= len(self.classes) <= MAX_CLASSES:
            return f"the label has {len(self.classes):,} classes; a model needs 2 to {MAX_CLASSES}"
        if self.task != "regression" and np.bincount(self.y).min() < FOLDS:
            return f"a class has fewer than {FOLDS} rows"
        return None

    def folds(self, seed: int) -> Iterator[tuple[Array, Array]]:
        """Yield rows to fit on and rows to hold out. Rows with equal features are always in the same fold."""
        keys, fold_of = np.unique(self.groups, return_inverse=True)
        fold = np.random.default_rng([self.seed, seed]).integers(0, FOLDS, keys.size)[fold_of]
        for place in range(FOLDS):
            yield np.flatnonzero(fold != place), np.flatnonzero(fold == place)

    def fitted_answers(self, fit: Array, held: Array, columns: Array | None = None, seed: int = 0, trees: int = TREES) -> Array:
        """Fit a model on some rows and return its answers for held-out rows: probabilities of classes, or values."""
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        use = np.arange(self.x.shape[1]) if columns is None else columns
        kind = HistGradientBoostingRegressor if self.task == "regression" else HistGradientBoostingClassifier
        model = kind(max_iter=trees, early_stopping=False, random_state=seed, categorical_features=self.categories[use])
        model.fit(self.x[np.ix_(fit, use)], self.y[fit])
        if self.task == "regression":
            return np.asarray(model.predict(self.x[np.ix_(held, use)]), float)
        found = np.zeros((held.size, len(self.classes)))
        found[:, model.classes_] = model.predict_proba(self.x[np.ix_(held, use)])
        return found

    def out_of_fold(self, columns: Array | None = None) -> Array:
        """Return an answer for every row, each from a model that was not fitted on that row."""
        shape = (len(self.y),) if self.task == "regression" else (len(self.y), len(self.classes))
        found = np.zeros(shape)
        for fit, held in self.folds(0):
            found[held] = self.fitted_answers(fit, held, columns, trees=TREES if columns is None else FEW_TREES)
        return found

    def score(self, held: Array, answers: Array) -> float:
        """Return the metric of answers to some rows; NaN if the rows have only one class."""
        from sklearn import metrics

        y = self.y[held]
        if self.task == "regression":
            return float(np.abs(answers - y).mean())
        if self.task == "multiclass":
            return float((answers.argmax(1) == y).mean())
        return float(metrics.roc_auc_score(y, answers[:, 1])) if 0 < y.mean() < 1 else float("nan")

    def suspects(self, answers: Array) -> Array:
        """Return a mask of the model's rows whose label is suspect according to out-of-fold answers; all False for a regression."""
        return np.zeros(len(self.y), bool) if self.task == "regression" else suspect_labels(self.y, answers)

    def known_share(self, answers: Array) -> Interval:
        """Return how well answers for all rows predict the label, from 0 (chance) to 1 (perfect), with a 95 % interval.

        The measure is the AUC for two classes, the accuracy for more classes, and the mean absolute error for a regression. Chance is an
        AUC of 0.5, the most frequent class, or the median of the labels. The sampling error of chance itself is neglected.
        """
        n, chance = len(self.y), self._chance()
        if self.task == "regression":
            errors = np.abs(answers - self.y)
            found, perfect = mean_interval(Moments(float(n), float(errors.sum()), float((errors**2).sum()))), 0.0
        elif self.task == "multiclass":
            found, perfect = rate_interval(float((answers.argmax(1) == self.y).sum()), float(n)), 1.0
        else:
            scores, places = np.unique(answers[:, 1], return_inverse=True)
            positive, negative = (np.bincount(places[self.y == label], minlength=scores.size) for label in (1, 0))
            found, perfect = auc_interval(positive, negative), 1.0
        ends = [float("nan") if end is None else (end - chance) / (perfect - chance) for end in (found.value, found.low, found.high)]
        return ordered_interval(ends[0], min(ends[1:]), max(ends[1:]), n)

    def known_alone(self, columns: Sequence[str] | None = None) -> dict[str, Interval]:
        """Return how well each of some columns alone (None: all columns) predicts the label (`known_share`), out of fold,
        the best first.
        """
        places = [self.columns.index(name) for name in (self.columns if columns is None else columns)]
        found = {self.columns[place]: self.known_share(self.out_of_fold(np.array([place]))) for place in places}
        return dict(sorted(found.items(), key=lambda item: -(item[1].value or 0.0)))

    def _chance(self) -> float:
        if self.task == "binary":
            return 0.5
        if self.task == "multiclass":
            return float(np.bincount(self.y).max() / len(self.y))
        return float(np.abs(self.y - np.median(self.y)).mean()) or 1.0

    @cached_property
    def _scores_with_all_rows(self) -> list[float]:
        """The metric for each fold of each repeat, with all rows in the training part."""
        pairs = ((repeat, fit, held) for repeat in range(REPEATS) for fit, held in self.folds(repeat))
        return [self.score(held, self.fitted_answers(fit, held, seed=repeat)) for repeat, fit, held in pairs]

    def rule_effect(self, dropped: Array) -> RuleEffect:
        """Return the effect on the metric of dropping rows (a mask of the model's rows) from the training part of each fold."""
        befores, afters, sizes = self._scores_with_all_rows, [], []
        if not dropped.any():
            before = float(np.nanmean(befores))
            return RuleEffect(self.metric, before, before, None, None)
        for repeat in range(REPEATS):
            for fit, held in self.folds(repeat):
                kept = fit[~dropped[fit]]
                alone = np.unique(self.y[kept]).size < (1 if self.task == "regression" else 2)
                afters.append(float("nan") if alone else self.score(held, self.fitted_answers(kept, held, seed=repeat)))
                sizes.append(held.size / fit.size)
        scores = np.array([pair for pair in zip(befores, afters, strict=True) if np.isfinite(pair).all()])
        if len(scores) < 2:
            return RuleEffect(self.metric, float(np.nanmean(befores)), float("nan"), None, None)
        before, after = (float(value) for value in scores.mean(0))
        gaps = scores[:, 1] - scores[:, 0]
        error = float(np.sqrt(gaps.var(ddof=1) * (1 / gaps.size + np.mean(sizes))))
        reach = float(stdtrit(gaps.size - 1, 0.975)) * error
        return RuleEffect(self.metric, before, after, after - before - reach, after - before + reach)


def _encoded(features: "DataFrame") -> tuple[Array, Array]:
    """Features as numbers, and which of the columns are categories."""
    import pandas as pd

    columns, categories = [], []
    for name in features:
        values = features[name]
        is_number = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
        if is_number:
            columns.append(values.to_numpy(float))
        else:
            text = values.astype(object).where(values.notna(), None)
            often = text.value_counts().index[:MAX_LEVELS]
            codes = pd.Categorical(text, often).codes.astype(float)
            columns.append(np.where(codes < 0, np.nan, codes))
        categories.append(not is_number)
    return np.column_stack(columns) if columns else np.zeros((len(features), 0)), np.array(categories, bool)
