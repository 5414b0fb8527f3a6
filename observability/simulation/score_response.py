"""Estimate how a model's score responds to a changed input.

A planted fault in an input must change the score as well. The model itself is not run. Instead, an additive model of the score (on the
logit scale for a classifier) is fitted to the model's own log by backfitting, on about 20 bins of each number and on the levels of each
category. The simulated change has the right direction and about the right size.
"""

from dataclasses import dataclass

import numpy as np

from observability.simulation.clean_log import SimulationBase, inverse_link_score, link_score
from observability.simulation.log_rows import LogRows, blanked_values
from observability.stats.arrays import Array

BINS, ROUNDS, MAX_ROWS, MINIMUM_BIN_ROWS = 20, 5, 20_000, 5
"""Number of bins of a number, rounds of backfitting, maximum number of rows used, and minimum number of rows for a bin to have an effect of
its own.
"""


@dataclass(frozen=True)
class FeatureEffect:
    """The effect of one feature on the score. edges: bin edges of a number; levels: levels of a category. The last effect is that of null;
    an unseen level adds 0.
    """

    edges: Array
    levels: tuple[str, ...]
    effects: Array
    importance: float

    def codes(self, values: Array) -> Array:
        """The index of the effect of each value; for an unseen level, one past the last index."""
        if values.dtype.kind == "f":
            return np.where(np.isnan(values), self.effects.size - 1, np.searchsorted(self.edges, values, "right"))
        places = {level: place for place, level in enumerate(self.levels)} | {None: self.effects.size - 1}
        import pandas as pd

        codes, found = pd.factorize(values, use_na_sentinel=False)
        known = np.array([places.get(None if each is None or each != each else each, self.effects.size) for each in found], np.int64)
        return known[codes]

    def of(self, values: Array) -> Array:
        """The effect of each value."""
        return np.append(self.effects, 0.0)[self.codes(values)]


@dataclass(frozen=True)
class ScoreResponse:
    """The additive model: effects by column reference."""

    base: SimulationBase
    effects: dict[str, FeatureEffect]

    def rescored(self, before: LogRows, after: LogRows) -> LogRows:
        """The rows with scores that follow the changed inputs; multiclass scores stay as they are."""
        moved = np.zeros(len(after))
        for reference, effect in self.effects.items():
            old, new = before[reference], _model_inputs(after, reference)
            if new is not old:
                moved = moved + effect.of(new) - effect.of(old)
        if not np.any(moved):
            return after
        task = self.base.task
        score = after["score"]
        changed = moved != 0
        return after.changed("score", changed, inverse_link_score(task, link_score(task, score[changed]) + moved[changed]))


def _model_inputs(rows: LogRows, reference: str) -> Array:
    """The input as the model reads it. A feature that is absent or of the wrong type is null."""
    values, marks = rows[reference], rows.get(f"mark.{reference.partition('.')[2]}")
    if marks is None:
        return values
    return blanked_values(values, marks != 0)


def fitted_score_response(base: SimulationBase) -> ScoreResponse:
    """The additive model, fitted to the scores of a base."""
    if base.task == "multiclass":
        return ScoreResponse(base, {each.reference: _zero_effect(base.pool[each.reference]) for each in base.features})
    rows = base.pool.take(np.arange(len(base.pool))[:MAX_ROWS])
    rows = rows.take(np.isfinite(rows["score"]))
    target = link_score(base.task, rows["score"])
    rest = target - target.mean()
    blanks = {each.reference: _zero_effect(rows[each.reference]) for each in base.features}
    codes = {name: each.codes(rows[name]) for name, each in blanks.items()}
    effects = {name: np.zeros(each.effects.size + 1) for name, each in blanks.items()}
    for _ in range(ROUNDS):
        for name, code in codes.items():
            partial = rest + effects[name][code]
            size = effects[name].size
            n = np.bincount(code, minlength=size)
            new = np.where(n >= MINIMUM_BIN_ROWS, np.bincount(code, partial, size) / np.maximum(n, 1), 0.0)
            new = np.where(n >= MINIMUM_BIN_ROWS, new - partial.mean(), 0.0)
            rest, effects[name] = partial - new[code], new
    return ScoreResponse(
        base,
        {
            name: FeatureEffect(each.edges, each.levels, effects[name][:-1], float(np.std(effects[name][codes[name]])))
            for name, each in blanks.items()
        },
    )


def _zero_effect(values: Array) -> FeatureEffect:
    """The bins or levels of a feature, with all effects 0."""
    if values.dtype.kind == "f":
        known = values[np.isfinite(values)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if known.size else np.empty(0)
        return FeatureEffect(edges, (), np.zeros(edges.size + 2), 0.0)
    levels = tuple(sorted({each for each in values.tolist() if each is not None and each == each}))
    return FeatureEffect(np.empty(0), levels, np.zeros(len(levels) + 1), 0.0)
