"""Simple conditions that a case meets, and the rows that meet them."""

from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Column, Model
from observability.core.numerals import format_figure
from observability.core.window import Slice
from observability.investigation.evidence_types import Condition
from observability.stats.arrays import Bools, Floats
from observability.store.types.search_terms import SEARCH_NAMES

if TYPE_CHECKING:
    from pandas import DataFrame

CUTS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""The quantiles of the labelled rows that are tried as cuts of a numeric column."""
FIELDS = ("replica", "device")
"""Fields of a prediction (not features or groups) that rules may use as conditions."""


def conditions_met(model: Model, frame: "DataFrame", given: dict[str, Any]) -> list[Condition]:
    """All conditions on columns of the frame that the case meets: its level of a category, its side of each cut of a number, or that its
    value is missing.

    given: the values of the case, by column reference or field name.
    """
    found: list[Condition] = []
    for column in (column for column in model.columns if column.reference in frame):
        value = given.get(column.reference)
        if value is None or (isinstance(value, float) and np.isnan(value)):
            found.append(Condition(column.reference, f"{column.name} is missing", null=True))
        elif column.kind == "number":
            found += of_number(column, frame[column.reference].to_numpy(np.float64), float(value))
        else:
            text = slice_level(value)
            found.append(Condition(column.reference, f"{column.name} is {text}", levels=(text,)))
    for name in FIELDS:
        if given.get(name) is not None:
            found.append(Condition(name, f"{name} is {given[name]}", levels=(str(given[name]),)))
    return found


def of_number(column: Column, values: Floats, value: float) -> list[Condition]:
    """The conditions on a numeric column that the case meets: which side of each cut its value is on."""
    known = values[np.isfinite(values)]
    if not known.size:
        return []
    name, cuts = column.name, np.unique(np.quantile(known, CUTS, method="nearest"))
    above = [
        Condition(column.reference, f"{name} is {format_figure(cut, 6)} or more", low=float(cut))
        for cut in cuts
        if value >= cut > known.min()
    ]
    return above + [Condition(column.reference, f"{name} is below {format_figure(cut, 6)}", high=float(cut)) for cut in cuts if value < cut]


def slice_level(value: Any) -> str:
    """A category level, written as in slices."""
    return ("true" if value else "false") if isinstance(value, bool | np.bool_) else str(value)


def condition_mask(condition: Condition, frame: "DataFrame") -> Bools:
    """Mask of the rows that meet a condition."""
    values = frame[condition.reference]
    if condition.null:
        return np.asarray(values.isna(), bool)
    if condition.levels:
        meets = {each: each is not None and slice_level(each) in condition.levels for each in values.unique()}
        return np.asarray(values.map(meets), bool)
    numbers = values.to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        above = numbers >= condition.low if condition.low is not None else ~np.isnan(numbers)
        return np.asarray(above & (numbers < condition.high) if condition.high is not None else above, bool)


def slice_of(conditions: tuple[Condition, ...]) -> str | None:
    """The conditions as a slice for a link: levels, missing values and number bands (catalog.band_limits). None if a slice cannot express
    them.
    """
    by_column: dict[str, list[Condition]] = {}
    for condition in conditions:
        by_column.setdefault(condition.reference.partition(".")[2] or condition.reference, []).append(condition)
    pairs = [(name, value) for name, held in by_column.items() if (value := slice_value(held)) is not None]
    return str(Slice(tuple(pairs))) if pairs and len(pairs) == len(by_column) else None


def slice_value(held: list[Condition]) -> str | None:
    """The value of one column in a slice: a level, `null`, or a band with one or two bounds."""
    if len(held) == 1 and held[0].null:
        return "null"
    if len(held) == 1 and len(held[0].levels) == 1:
        return held[0].levels[0]
    lows, highs = ([getattr(condition, side) for condition in held if getattr(condition, side) is not None] for side in ("low", "high"))
    if any(condition.null or condition.levels for condition in held) or not (lows or highs):
        return None
    if not lows:
        return f"below {min(highs)!r}"
    return f"{max(lows)!r} to below {min(highs)!r}" if highs else f"{max(lows)!r} and above"


def search_text(conditions: tuple[Condition, ...]) -> str | None:
    """The conditions as a query for the page Cases (store/query/search.py). None if a name or level cannot be written in it."""
    parts = []
    for condition in conditions:
        name = condition.reference.partition(".")[2] or condition.reference
        name = condition.reference if name in SEARCH_NAMES else name
        bounds = [(">=", condition.low), ("<", condition.high)]
        tests = (
            [("=", "null")]
            if condition.null
            else [("=", text) for text in condition.levels] or [(sign, repr(cut)) for sign, cut in bounds if cut is not None]
        )
        if len(condition.levels) > 1 or '"' in name + "".join(value for _, value in tests) or not name.strip():
            return None
        parts += [f'"{name}" {sign} "{value}"' for sign, value in tests]
    return " and ".join(parts) or None
