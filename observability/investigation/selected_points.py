"""Describe the predictions that a person selected on a map: their errors compared with those of the other points, and a rule that describes
the selection.

The rule has one to three conditions on columns that a slice can hold. A beam search finds the rule with the largest F1 for the selection.
The rule describes the selected points; it does not say why they lie together.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.catalog import Model
from observability.core.numerals import format_figure
from observability.investigation.conditions import FIELDS, condition_mask, search_text, slice_level, slice_of
from observability.investigation.evidence_types import Condition
from observability.stats.arrays import Bools, Floats
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import Interval, Moments, mean_interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

LOWS, HIGHS = (0.0, 0.05, 0.1, 0.25), (0.75, 0.9, 0.95, 1.0)
"""A condition on a number may begin and end at these quantiles of the selected values."""
MAX_CONDITIONS, BEAM, MAX_CANDIDATES, MAX_LEVELS = 3, 8, 300, 12
EARNED = 0.02
"""An additional condition must increase F1 by at least this much."""
CLEAR = 0.7
"""Minimum F1 from which a rule counts as a description of the selection."""


@dataclass(frozen=True)
class SelectionErrors:
    """Errors of the selected points, errors of the other points, and the difference; for a regression, mean absolute errors. n, of_others:
    number of labelled rows among the selected and among the other points.
    """

    selected: Interval
    others: Interval
    difference: Interval
    n: int
    of_others: int


@dataclass(frozen=True)
class SelectionRule:
    """The rule that describes a selection best. n: number of points that meet the rule. both: number of those points that are selected.
    chosen: number of selected points. slice, search: the rule as a slice for a link and as a query for the page Cases; None if it cannot be
    written so.
    """

    conditions: tuple[Condition, ...]
    n: int
    both: int
    chosen: int

    @property
    def text(self) -> str:
        """The conditions joined by `and`."""
        return " and ".join(each.text for each in self.conditions)

    @property
    def precision(self) -> float:
        """Of the points that meet the rule, the share that is selected."""
        return self.both / self.n

    @property
    def recall(self) -> float:
        """Of the selected points, the share that meets the rule."""
        return self.both / self.chosen

    @property
    def clear(self) -> bool:
        """Whether the rule describes the selection: its F1, 2 · both / (n + chosen), is at least CLEAR."""
        return 2 * self.both / (self.n + self.chosen) >= CLEAR

    @property
    def slice(self) -> str | None:
        """The rule as a slice; None if it cannot be written as one."""
        return slice_of(self.conditions)

    @property
    def search(self) -> str | None:
        """The rule as a query; None if it cannot be written as one."""
        return search_text(self.conditions)


def error_sizes(model: Model, frame: "DataFrame") -> Floats:
    """For each row, 1 if the decision is wrong and 0 if it is right; for a regression, the absolute error. NaN without a label or a
    decision.
    """
    if model.task == "regression":
        return np.abs(frame["score"].to_numpy(np.float64) - frame["label_value"].to_numpy(np.float64))
    decision, label = frame["decision"].to_numpy(np.int64), frame["label"].to_numpy(np.int64)
    return np.where((decision >= 0) & (label >= 0), (decision != label).astype(np.float64), np.nan)


def selection_errors(model: Model, frame: "DataFrame", chosen: Bools) -> SelectionErrors:
    """The errors of chosen rows, compared with the errors of the other rows, with 95 % intervals (rates: Wilson's; means: Student's;
    difference: MOVER).
    """
    sizes = error_sizes(model, frame)
    sides = [sizes[part & np.isfinite(sizes)] for part in (chosen, ~chosen)]
    selected, others = (mean_size(model, side) for side in sides)
    return SelectionErrors(selected, others, difference_interval(selected, others), sides[0].size, sides[1].size)


def mean_size(model: Model, sizes: Floats) -> Interval:
    """The error rate of labelled rows; for regression, their mean absolute error."""
    if model.task != "regression":
        return rate_interval(float(sizes.sum()), sizes.size)
    return mean_interval(Moments(sizes.size, float(sizes.sum()), float(np.square(sizes).sum()))) if sizes.size else rate_interval(0, 0)


def selection_rule(model: Model, frame: "DataFrame", chosen: Bools) -> SelectionRule | None:
    """The rule with the largest F1 on these rows; None if all or none are chosen, or no condition can be made."""
    if chosen.all() or not chosen.any():
        return None
    options = candidate_conditions(model, frame, chosen)
    if not options:
        return None
    masks = np.stack([condition_mask(each, frame) for each in options])
    best = np.argsort(-f1_scores(masks, chosen), kind="stable")[:MAX_CANDIDATES]
    options, masks = [options[place] for place in best], masks[best]
    winner: tuple[float, tuple[int, ...]] = (-1.0, ())
    beam: list[tuple[int, ...]] = [()]
    for _ in range(MAX_CONDITIONS):
        grown: dict[tuple[int, ...], float] = {}
        for held in beam:
            columns = {options[place].reference for place in held}
            worth = f1_scores(masks & np.logical_and.reduce([masks[place] for place in held] or [np.ones_like(chosen)]), chosen)
            for place in np.argsort(-worth, kind="stable"):
                if options[place].reference not in columns:
                    grown[tuple(sorted((*held, int(place))))] = float(worth[place])
        beam = sorted(grown, key=lambda key: (-grown[key], key))[:BEAM]
        if not beam or grown[beam[0]] < winner[0] + (EARNED if winner[1] else 0.0):
            break
        winner = grown[beam[0]], beam[0]
    conditions = tuple(options[place] for place in winner[1])
    mask = np.logical_and.reduce([masks[place] for place in winner[1]])
    return SelectionRule(conditions, int(mask.sum()), int((mask & chosen).sum()), int(chosen.sum()))


def f1_scores(masks: Bools, chosen: Bools) -> Floats:
    """The F1 of each of m masks as a prediction of the chosen rows; shape (m,)."""
    return np.asarray(2 * (masks & chosen).sum(axis=1) / (masks.sum(axis=1) + chosen.sum()), np.float64)


def candidate_conditions(model: Model, frame: "DataFrame", chosen: Bools) -> list[Condition]:
    """Conditions that many chosen rows meet: a level, a range of a number, or a missing value."""
    found: list[Condition] = []
    for reference, name, is_number in [
        *((column.reference, column.name, column.kind == "number") for column in model.columns),
        *((field, field, False) for field in FIELDS),
    ]:
        values = frame[reference]
        if values[chosen].isna().any():
            found.append(Condition(reference, f"{name} is missing", null=True))
        if is_number:
            found += number_ranges(reference, name, values.to_numpy(np.float64), chosen)
            continue
        common = values[chosen].dropna().map(slice_level).value_counts()
        ordered = sorted(common.items(), key=lambda each: (-each[1], each[0]))[:MAX_LEVELS]
        found += [Condition(reference, f"{name} is {level}", levels=(str(level),)) for level, _ in ordered]
    return found


def number_ranges(reference: str, name: str, values: Floats, chosen: Bools) -> list[Condition]:
    """Ranges of a number between quantiles of the chosen values. A range has no bound on a side where no value lies beyond the quantile."""
    known = np.unique(values[np.isfinite(values)])
    own = values[chosen & np.isfinite(values)]
    if not own.size or known.size < 2:
        return []
    lows = {float(low) if low > known[0] else None for low in np.quantile(own, LOWS, method="inverted_cdf")}
    after = np.searchsorted(known, np.quantile(own, HIGHS, method="inverted_cdf"), "right")
    highs = {float(known[place]) if place < known.size else None for place in after}
    found = []
    for low in sorted(lows, key=lambda end: -np.inf if end is None else end):
        for high in sorted(highs, key=lambda end: np.inf if end is None else end):
            if (low is None and high is None) or (low is not None and high is not None and low >= high):
                continue
            below = f"below {format_figure(high, 6)}" if high is not None else "or more"
            words = below if low is None else f"{format_figure(low, 6)} {'to ' if high is not None else ''}{below}"
            found.append(Condition(reference, f"{name} is {words}", low=low, high=high))
    return found
