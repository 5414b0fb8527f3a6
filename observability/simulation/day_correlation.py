"""Make days whose rows are correlated.

A correlated day resamples the rows of the log. If the day is high in certain columns, rows that are high in these columns get higher
weights (exponential tilting of normal scores). Relations between columns, ranges, nulls, scores and labels stay as in the log. In a column
that is nearly always zero, the share of zeros varies. Over many days, each row is drawn equally often.
"""

from dataclasses import dataclass

import numpy as np

from observability.simulation.log_rows import LogRows
from observability.stats.arrays import Array

RIDGE = 0.1
"""Nearly collinear columns (such as the rain of one hour and of three hours) share one effect. Directions whose variance is below about
this value get almost no effect.
"""
DAYS, ROUNDS = 300, 4
"""Number of days over which rows should be drawn equally often, and number of rounds of balancing."""


@dataclass(frozen=True)
class DayCorrelation:
    """The directions in which the days of a log vary. scores: rows × numbers, with mean 0 and variance 1. directions: matrix that mixes
    independent effects. even: for each row, the log weight that makes all rows equally frequent in the long run.
    """

    scores: Array
    directions: Array
    even: Array

    @classmethod
    def of(cls, log: LogRows, share: float) -> "DayCorrelation":
        """The day correlation for the numbers of a log. share: standard deviation of the day effect, in standard deviations of each
        number's normal score.
        """
        numbers = [values for name, values in log.columns.items() if name.startswith("feature.") and values.dtype.kind == "f"]
        scores = np.column_stack([normal_scores(values) for values in numbers]) if numbers else np.zeros((len(log), 0))
        sizes, axes = np.linalg.eigh(scores.T @ scores / max(len(log), 1))
        directions = share * axes / np.sqrt(np.maximum(sizes, 0.0) + RIDGE)
        pulls = scores @ directions @ np.random.default_rng(8).normal(size=(directions.shape[1], DAYS))
        even = np.zeros(len(log))
        for _ in range(ROUNDS):
            even = even - np.log(_softmax_columns(pulls + even[:, None]).mean(axis=1) * len(log))
        return cls(scores, directions, even)

    def weights(self, rng: np.random.Generator) -> Array:
        """The probability with which each row of the log is drawn on a random day."""
        return _softmax_columns(self.scores @ (self.directions @ rng.normal(size=self.directions.shape[1])) + self.even)


def _softmax_columns(pull: Array) -> Array:
    """Probabilities from their unnormalised logarithms, column by column."""
    found = np.exp(pull - pull.max(axis=0))
    return np.asarray(found / found.sum(axis=0))


def normal_scores(values: Array) -> Array:
    """The normal score of each value's rank (ties get their middle rank), with mean 0 and variance 1; 0 for nulls and for constant
    columns.
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    found, known = np.zeros(values.size), np.isfinite(values)
    if known.sum() < 2:
        return found
    scores = ndtri((rankdata(values[known]) - 0.5) / known.sum())
    found[known] = (scores - scores.mean()) / max(float(scores.std()), 1e-9)
    return found
