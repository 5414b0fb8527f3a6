"""How does a score move when an input is changed?

A model that is fed another input gives another score, and a planted fault has to look like that. The model itself is not run: an additive model of
the score (on the logit scale of a classifier) is fitted to the model's own log, by backfitting on about 20 bins a number and the levels of a
category. What it gives is simulated, and good enough to move scores the right way by about the right amount.
"""

from dataclasses import dataclass

import numpy as np

from observability.simulation.clean_log import Base, link, unlink
from observability.simulation.log_rows import Array, Rows, blanked

BINS, ROUNDS, MOST_ROWS, LEAST = 20, 5, 20_000, 5
"""Bins of a number, rounds of backfitting, rows that are used, and rows a bin needs to have an effect of its own."""


@dataclass(frozen=True)
class Effect:
    """What one feature adds to the score. edges of numbers; levels of categories; the last effect is that of null; an unseen level adds 0."""

    edges: Array
    levels: tuple[str, ...]
    effects: Array
    importance: float

    def codes(self, values: Array) -> Array:
        """The place of each value's effect; one beyond the last for an unseen level."""
        if values.dtype.kind == "f":
            return np.where(np.isnan(values), self.effects.size - 1, np.searchsorted(self.edges, values, "right"))
        places = {level: place for place, level in enumerate(self.levels)} | {None: self.effects.size - 1}
        import pandas as pd

        codes, found = pd.factorize(values, use_na_sentinel=False)
        known = np.array([places.get(None if each is None or each != each else each, self.effects.size) for each in found], np.int64)
        return known[codes]

    def of(self, values: Array) -> Array:
        """What each value adds."""
        return np.append(self.effects, 0.0)[self.codes(values)]


@dataclass(frozen=True)
class Response:
    """The additive model: effects by column reference."""

    base: Base
    effects: dict[str, Effect]

    def rescored(self, before: Rows, after: Rows) -> Rows:
        """The rows with the scores that changed inputs would have given; multiclass scores stay as they are."""
        moved = np.zeros(len(after))
        for reference, effect in self.effects.items():
            old, new = before[reference], inputs(after, reference)
            if new is not old:
                moved = moved + effect.of(new) - effect.of(old)
        if not np.any(moved):
            return after
        task = self.base.task
        score = after["score"]
        changed = moved != 0
        return after.changed("score", changed, unlink(task, link(task, score[changed]) + moved[changed]))


def inputs(rows: Rows, reference: str) -> Array:
    """What the model gets: a feature that did not come, or came as text, is null to it."""
    values, marks = rows[reference], rows.get(f"mark.{reference.partition('.')[2]}")
    if marks is None:
        return values
    return blanked(values, marks != 0)


def fitted(base: Base) -> Response:
    """The additive model of a base's scores."""
    if base.task == "multiclass":
        return Response(base, {each.reference: blank(base.pool[each.reference]) for each in base.features})
    rows = base.pool.take(np.arange(len(base.pool))[:MOST_ROWS])
    rows = rows.take(np.isfinite(rows["score"]))
    target = link(base.task, rows["score"])
    rest = target - target.mean()
    blanks = {each.reference: blank(rows[each.reference]) for each in base.features}
    codes = {name: each.codes(rows[name]) for name, each in blanks.items()}
    effects = {name: np.zeros(each.effects.size + 1) for name, each in blanks.items()}
    for _ in range(ROUNDS):
        for name, code in codes.items():
            partial = rest + effects[name][code]
            size = effects[name].size
            n = np.bincount(code, minlength=size)
            new = np.where(n >= LEAST, np.bincount(code, partial, size) / np.maximum(n, 1), 0.0)
            new = np.where(n >= LEAST, new - partial.mean(), 0.0)
            rest, effects[name] = partial - new[code], new
    return Response(
        base,
        {
            name: Effect(each.edges, each.levels, effects[name][:-1], float(np.std(effects[name][codes[name]])))
            for name, each in blanks.items()
        },
    )


def blank(values: Array) -> Effect:
    """A feature's bins without effects."""
    if values.dtype.kind == "f":
        known = values[np.isfinite(values)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if known.size else np.empty(0)
        return Effect(edges, (), np.zeros(edges.size + 2), 0.0)
    levels = tuple(sorted({each for each in values.tolist() if each is not None and each == each}))
    return Effect(np.empty(0), levels, np.zeros(len(levels) + 1), 0.0)
