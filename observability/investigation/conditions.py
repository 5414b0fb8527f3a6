"""Which simple conditions hold of this case, and of which rows do they hold?"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Column, Model
from observability.core.numerals import figure
from observability.core.window import Slice
from observability.investigation.evidence_types import Condition
from observability.store.query.search import OWN

if TYPE_CHECKING:
    from pandas import DataFrame

CUTS = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Numbers are cut at these shares of the labelled rows."""
FIELDS = ("replica", "device")
"""Fields of a prediction that rules may speak of beside features and groups."""


def candidates(model: Model, frame: "DataFrame", given: dict[str, Any]) -> list[Condition]:
    """Every condition that the case meets: its level, its side of each cut, a value that is missing.

    given: the case's own values by column reference (and field).
    """
    found: list[Condition] = []
    for column in model.columns:
        value = given.get(column.reference)
        if value is None or (isinstance(value, float) and np.isnan(value)):
            found.append(Condition(column.reference, f"{column.name} is missing", null=True))
        elif column.kind == "number":
            found += of_number(column, frame[column.reference].to_numpy(np.float64), float(value))
        else:
            text = level(value)
            found.append(Condition(column.reference, f"{column.name} is {text}", levels=(text,)))
    for name in FIELDS:
        if given.get(name) is not None:
            found.append(Condition(name, f"{name} is {given[name]}", levels=(str(given[name]),)))
    return found


def of_number(column: Column, values: NDArray[np.float64], value: float) -> list[Condition]:
    """The sides of the cuts that a number is on."""
    known = values[np.isfinite(values)]
    if not known.size:
        return []
    cuts = np.unique(np.quantile(known, CUTS, method="nearest"))
    found = [
        Condition(column.reference, f"{column.name} is {figure(cut, 6)} or more", low=float(cut))
        for cut in cuts
        if value >= cut > known.min()
    ]
    found += [Condition(column.reference, f"{column.name} is below {figure(cut, 6)}", high=float(cut)) for cut in cuts if value < cut]
    return found


def level(value: Any) -> str:
    """A level as slices spell it."""
    return ("true" if value else "false") if isinstance(value, bool | np.bool_) else str(value)


def holds(condition: Condition, frame: "DataFrame") -> NDArray[np.bool_]:
    """Of which rows a condition holds."""
    values = frame[condition.reference]
    if condition.null:
        return np.asarray(values.isna(), bool)
    if condition.levels:
        meets = {each: each is not None and level(each) in condition.levels for each in values.unique()}
        return np.asarray(values.map(meets), bool)
    numbers = values.to_numpy(np.float64)
    with np.errstate(invalid="ignore"):
        above = numbers >= condition.low if condition.low is not None else ~np.isnan(numbers)
        return np.asarray(above & (numbers < condition.high) if condition.high is not None else above, bool)


def slice_of(conditions: tuple[Condition, ...]) -> str | None:
    """The conditions as a slice of an address: levels, missing values, and numbers as bands (catalog.band_limits). None where one cannot be said so."""
    by_column: dict[str, list[Condition]] = {}
    for each in conditions:
        by_column.setdefault(each.reference.partition(".")[2] or each.reference, []).append(each)
    pairs = [(name, value_of(held)) for name, held in by_column.items()]
    return (
        str(Slice(tuple((name, value) for name, value in pairs if value is not None)))
        if pairs and all(value is not None for _, value in pairs)
        else None
    )


def value_of(held: list[Condition]) -> str | None:
    """What a slice says of one column: a level, `null`, or the band that one or two bounds make."""
    if len(held) == 1 and held[0].null:
        return "null"
    if len(held) == 1 and len(held[0].levels) == 1:
        return held[0].levels[0]
    lows, highs = ([getattr(each, side) for each in held if getattr(each, side) is not None] for side in ("low", "high"))
    if any(each.null or each.levels for each in held) or not (lows or highs):
        return None
    if not lows:
        return f"below {min(highs)!r}"
    return f"{max(lows)!r} to below {min(highs)!r}" if highs else f"{max(lows)!r} and above"


def search_text(conditions: tuple[Condition, ...]) -> str | None:
    """The conditions as the page Cases takes them (store/query/search.py): "find all like this". None where a name or level cannot be written there."""
    parts = []
    for each in conditions:
        name = each.reference.partition(".")[2] or each.reference
        name = each.reference if name in OWN else name
        bounds = [(">=", each.low), ("<", each.high)]
        tests = (
            [("=", "null")]
            if each.null
            else [("=", text) for text in each.levels] or [(sign, repr(cut)) for sign, cut in bounds if cut is not None]
        )
        if len(each.levels) > 1 or '"' in name + "".join(value for _, value in tests) or not name.strip():
            return None
        parts += [f'"{name}" {sign} "{value}"' for sign, value in tests]
    return " and ".join(parts) or None
