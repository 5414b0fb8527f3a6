"""How do the rows of one day share their luck?

A rainy day has more rows of rain, not rain that was never there. So a day with luck draws other rows of the log, those more often that are high in what the day
is high in (exponential tilting of normal scores): relations between columns, ranges, nulls, scores and labels are those of the log, and of a column
that is nearly always zero the share of zeros moves. Over many days each row comes as often as any other.
"""

from dataclasses import dataclass

import numpy as np

from observability.simulation.log_rows import Array, Rows

RIDGE = 0.1
"""Columns that nearly say the same (rain of an hour, of three) have one luck: directions with less than about this variance get hardly any."""
DAYS, ROUNDS = 300, 4
"""Days over which rows come equally often, and rounds until they do."""


@dataclass(frozen=True)
class Luck:
    """What the days of a log can be high or low in. scores: rows × numbers, of mean 0 and variance 1. directions: by which independent luck is mixed.
    even: by row, what makes all come equally often in the long run (a logarithm).
    """

    scores: Array
    directions: Array
    even: Array

    @classmethod
    def of(cls, log: Rows, share: float) -> "Luck":
        """The luck of a log's numbers. share: standard deviation of what a day has in common, in those of each number's score."""
        numbers = [values for name, values in log.columns.items() if name.startswith("feature.") and values.dtype.kind == "f"]
        scores = np.column_stack([scored(values) for values in numbers]) if numbers else np.zeros((len(log), 0))
        sizes, axes = np.linalg.eigh(scores.T @ scores / max(len(log), 1))
        directions = share * axes / np.sqrt(np.maximum(sizes, 0.0) + RIDGE)
        pulls = scores @ directions @ np.random.default_rng(8).normal(size=(directions.shape[1], DAYS))
        even = np.zeros(len(log))
        for _ in range(ROUNDS):
            even = even - np.log(likely(pulls + even[:, None]).mean(axis=1) * len(log))
        return cls(scores, directions, even)

    def weights(self, rng: np.random.Generator) -> Array:
        """How likely each row of the log is on a day."""
        return likely(self.scores @ (self.directions @ rng.normal(size=self.directions.shape[1])) + self.even)


def likely(pull: Array) -> Array:
    """Probabilities from their logarithms, of each column."""
    found = np.exp(pull - pull.max(axis=0))
    return np.asarray(found / found.sum(axis=0))


def scored(values: Array) -> Array:
    """The normal score of each value's place among all (the middle of equal ones), of mean 0 and variance 1; 0 of nulls and of what never varies."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    found, known = np.zeros(values.size), np.isfinite(values)
    if known.sum() < 2:
        return found
    scores = ndtri((rankdata(values[known]) - 0.5) / known.sum())
    found[known] = (scores - scores.mean()) / max(float(scores.std()), 1e-9)
    return found
