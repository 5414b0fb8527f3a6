"""Gaps between groups if the population shifted, computed from the rates of decisions on reweighted rows.

The family of shifts is fixed. In each shift, a part of the rows (a group, a class, a level or a half of a column) gets a larger share, or
the inputs get the distribution of the served inputs. The worst shift is chosen on one half of the rows and measured on the other half, so
that it is not just the largest of many chance results.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from observability.stats.arrays import Array, Bools, Floats
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.domain import classifier_basis
from observability.stats.group import rate_spread
from observability.stats.interval import Interval
from observability.stats.reweighting import balancing_weights, effective_rows, raising_weights, weight_divergence

DIVERGENCE = 0.1
"""Size of a shift in nats: a part that has half of the rows grows to 72 %, a part that has a tenth to 29 %."""
MIN_EFFECTIVE_ROWS = 30.0
"""A group is compared only if its rate has at least this many effective rows (positives, negatives or decisions)."""
LEVELS, RARE = 6, 0.02
"""Number of levels of a column, most frequent first, that are parts; smallest share that a part may have."""
COLUMNS = 6
"""Number of columns whose parts are in the family; the columns that drifted most are used."""
RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision")


@dataclass(frozen=True)
class Shift:
    """The same rows, weighted to represent another population. kind: group, class, column or served. part: the level, class or half whose
    share is larger; "" for served inputs. weights: weight of each row, mean 1. before, after: the share of the part; None for served
    inputs.
    """

    kind: str
    column: str
    part: str
    weights: Floats
    before: float | None = None
    after: float | None = None

    @property
    def divergence(self) -> float:
        """Divergence of the weighted rows from the unweighted rows, in nats."""
        return weight_divergence(self.weights)


@dataclass(frozen=True)
class DecidedRows:
    """Rows with a decision and a label, each positive or not, and the level of each sensitive attribute (None if missing)."""

    decision: Bools
    label: Bools
    groups: Mapping[str, Array]

    def some(self, mask: Bools) -> "DecidedRows":
        """The rows of a mask."""
        return DecidedRows(self.decision[mask], self.label[mask], {name: values[mask] for name, values in self.groups.items()})

    def rate_rows(self, rate: str) -> tuple[Bools, Bools]:
        """Two masks: the rows that count as a success of a rate, and the rows that the rate is computed over."""
        among = {"selection_rate": np.ones_like(self.label), "true_positive_rate": self.label, "false_positive_rate": ~self.label}
        return (self.label, self.decision) if rate == "precision" else (self.decision, among[rate])


@dataclass(frozen=True)
class GroupGap:
    """The largest difference in a rate between groups of an attribute, with an interval that allows for the choice among all pairs, and the
    two groups.
    """

    attribute: str
    rate: str
    difference: Interval
    lowest: str
    highest: str


def part_shifts(name: str, kind: str, values: Array, divergence: float = DIVERGENCE) -> list[Shift]:
    """Shifts that increase the share of each level, or of each half of a number.

    Parameters
    ----------
    name : str
        The column.
    kind : str
        group, class or column.
    values : Array
        Floats (NaN: missing), or objects (None: missing).
    divergence : float
        Kullback-Leibler divergence of each shift, in nats.

    Returns
    -------
    list[Shift]
        The most frequent levels first; none for a part of less than 2 % or more than 98 % of the rows.
    """
    parts: list[tuple[str, Bools]] = []
    if values.dtype != object:
        known = values[np.isfinite(values)]
        if known.size:
            middle = float(np.median(known))
            parts = [(f"up to {middle:.4g}", values <= middle), (f"above {middle:.4g}", values > middle)]
            parts.append(("missing", ~np.isfinite(values)))
    else:
        texts = np.array(["missing" if each is None else str(each) for each in values])
        levels, counts = np.unique(texts, return_counts=True)
        parts = [(str(levels[place]), texts == levels[place]) for place in np.argsort(-counts, kind="stable")[:LEVELS]]
    found = []
    for words, part in parts:
        share = float(part.mean())
        if RARE <= share <= 1 - RARE:
            weights = raising_weights(part, divergence)
            found.append(Shift(kind, name, words, weights, share, float((weights * part).mean())))
    return found


def served_shift(columns: Mapping[str, Array], served: Mapping[str, Array], name: str = "") -> Shift | None:
    """The shift that gives the rows the distribution of the served inputs: weighted means of ranks and weighted shares of levels then equal
    those of the served rows.

    Parameters
    ----------
    columns : Mapping[str, Array]
        Columns of the rows: floats (NaN: missing), or objects (None: missing).
    served : Mapping[str, Array]
        The same columns of served rows.
    name : str
        The column, where there is one.

    Returns
    -------
    Shift | None
        None if nothing varies.
    """
    joined = {column: np.concatenate([values, served[column]]) for column, values in columns.items()}
    basis, rows = classifier_basis(joined).single, len(next(iter(columns.values())))
    if not basis.shape[1]:
        return None
    return Shift("served", name, "", balancing_weights(basis[:rows], basis[rows:].mean(axis=0)))


def most_drifted(columns: Mapping[str, Array], served: Mapping[str, Array], number: int = COLUMNS) -> list[tuple[str, Shift]]:
    """The columns whose served values differ most from the values of the rows, largest difference first. Each comes with the shift to its
    served values.

    Parameters
    ----------
    columns : Mapping[str, Array]
        As of `served_shift`.
    served : Mapping[str, Array]
        As of `served_shift`.
    number : int
        Number of columns.

    Returns
    -------
    list[tuple[str, Shift]]
        Ordered by divergence.
    """
    found = [(name, served_shift({name: columns[name]}, {name: served[name]}, name)) for name in columns]
    known = [(name, shift) for name, shift in found if shift is not None]
    return sorted(known, key=lambda each: -each[1].divergence)[:number]


def group_gaps(rows: DecidedRows, weights: Floats, rates: Sequence[str]) -> list[GroupGap]:
    """For each attribute and each rate, the largest gap between groups, on weighted rows.

    Parameters
    ----------
    rows : DecidedRows
        Decisions, labels and groups.
    weights : Floats
        Weight of each row.
    rates : Sequence[str]
        Some of RATES.

    Returns
    -------
    list[GroupGap]
        No gap for an attribute with fewer than two groups of MIN_EFFECTIVE_ROWS effective rows.
    """
    found = []
    for attribute, levels, counts in _group_counts(rows, weights, rates):
        for rate, (hits, total, squares) in counts.items():
            enough = _enough(total, squares)
            if enough.sum() < 2:
                continue
            spread, names = rate_spread(hits[enough], total[enough], squares[enough], draws=2), levels[enough]
            if spread.difference is None or spread.lowest is None or spread.highest is None:
                continue
            gap = Interval(spread.difference, spread.low, spread.high, effective_rows(weights))
            found.append(GroupGap(attribute, rate, gap, str(names[spread.lowest]), str(names[spread.highest])))
    return found


def group_rate(rows: DecidedRows, weights: Floats, attribute: str, level: str, rate: str) -> tuple[float, float, float]:
    """For a rate in one group: Σw of the successes, Σw and Σw² of the rows.

    Parameters
    ----------
    rows : DecidedRows
        Decisions, labels and groups.
    weights : Floats
        Weight of each row.
    attribute : str
        The sensitive attribute.
    level : str
        Its level.
    rate : str
        One of RATES.

    Returns
    -------
    tuple[float, float, float]
    """
    hit, among = rows.rate_rows(rate)
    own = among & (rows.groups[attribute].astype(str) == level)
    return float(weights[own & hit].sum()), float(weights[own].sum()), float((weights[own] ** 2).sum())


def worst_shift(rows: DecidedRows, shifts: Sequence[Shift], rates: Sequence[str], seed: int = 0) -> tuple[Shift, GroupGap] | None:
    """The shift, attribute, rate and pair of groups with the largest gap, chosen on one half of the rows and measured on the other.

    Parameters
    ----------
    rows : DecidedRows
        Decisions, labels and groups.
    shifts : Sequence[Shift]
        The family; it includes the unchanged rows.
    rates : Sequence[str]
        Some of RATES.
    seed : int
        Seed of the division into halves.

    Returns
    -------
    tuple[Shift, GroupGap] | None
        The gap has the sign of the half that chose it, so that it may be negative; None if no two groups can be compared.
    """
    chosen = np.random.default_rng(seed).permutation(len(rows.label)) < len(rows.label) // 2
    half, other = rows.some(chosen), rows.some(~chosen)
    found = [(shift, gap) for shift in shifts for gap in group_gaps(half, shift.weights[chosen], rates)]
    if not found:
        return None
    shift, gap = max(found, key=lambda pair: (pair[1].difference.low or 0.0, pair[1].difference.value or 0.0))
    above, below = (group_rate(other, shift.weights[~chosen], gap.attribute, level, gap.rate) for level in (gap.highest, gap.lowest))
    if min(above[1], below[1]) <= 0:
        return None
    measured = rate_difference_interval(above[0], above[1], below[0], below[1], above[2], below[2])
    return shift, GroupGap(gap.attribute, gap.rate, measured, gap.lowest, gap.highest)


def _group_counts(rows: DecidedRows, weights: Floats, rates: Sequence[str]) -> Iterator[tuple[str, Array, dict[str, Any]]]:
    """For each attribute: its levels; and by rate, for each level, Σw of the successes, and Σw and Σw² of the rows."""
    for attribute, values in rows.groups.items():
        known = np.array([value is not None for value in values], np.bool_)
        levels, place = np.unique(values[known].astype(str), return_inverse=True)
        own, counts = weights[known], {}
        for rate in rates:
            hit, among = (flags[known] for flags in rows.rate_rows(rate))
            counts[rate] = tuple(np.bincount(place, values, len(levels)) for values in (own * (hit & among), own * among, own**2 * among))
        yield attribute, levels, counts


def _enough(total: Floats, squares: Floats) -> Bools:
    """The groups with at least MIN_EFFECTIVE_ROWS effective rows."""
    return np.asarray(total**2 >= MIN_EFFECTIVE_ROWS * np.where(squares > 0, squares, np.inf), np.bool_)
