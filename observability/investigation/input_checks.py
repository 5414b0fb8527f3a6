"""Could the inputs be wrong: where does each value stand in its reference, and is it unseen, missing, out of range or old?"""

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Column, Edges
from observability.core.numerals import figure
from observability.core.questions import ABSENT, NAN, NULL, UNSEEN, WRONG_TYPE, Aggregate
from observability.investigation import comparison_rows
from observability.investigation.case_parts import Look
from observability.investigation.evidence_types import Flag, Input
from observability.investigation.outcome_facts import instant, spoken
from observability.stats.edges import atom_bins
from observability.store.query import aggregates, feature_lags

if TYPE_CHECKING:
    from pandas import DataFrame

FENCE = 3.0
"""A number is out of range beyond the reference's extremes, or farther outside of what 99 % of it spans than this many times that span: one impossible
value in a reference does not make others possible.
"""
STALE_SHARE, STALE_TIMES, FEWEST_LAGS = 0.99, 2.0, 50
"""A value is stale where it is older than this share of earlier ones were, and more than so many times their median; from so many on."""


@dataclass(frozen=True)
class Place:
    """Where a number stands: percent of the reference's numbers below it (ties half), and whether that is exact or interpolated in a bin."""

    percentile: float | None
    exact: bool


def inputs(look: Look) -> tuple[Input, ...]:
    """Every feature of the case's version, in the model's order."""
    row = look.row
    wanted = set(row.version.features) or set(row.features)
    columns = [each for each in row.model.features() if each.name in wanted or row.features.get(each.name) is not None]
    held = histograms(look, columns)
    usual = usual_lags(look)
    return tuple(judged(look, each, held.get(each.reference, {}), usual.get(each.name)) for each in columns)


def histograms(look: Look, columns: list[Column]) -> dict[str, dict[int, int]]:
    """Counts of the reference by column and bin; nothing where the version has no reference."""
    known = tuple(each.reference for each in columns if each.reference in look.row.version.edges)
    if not known or not look.row.version.reference_rows:
        return {}
    frame = aggregates.ask(look.store, Aggregate("predictions", histogram=known), comparison_rows.around(look).reference())
    found: dict[str, dict[int, int]] = {}
    for name, place, n in zip(frame["column"], frame["bin"], frame["n"], strict=True):
        found.setdefault(str(name), {})[int(place)] = found.get(str(name), {}).get(int(place), 0) + int(n)
    return found


def judged(look: Look, column: Column, counts: dict[int, int], usual: "NDArray[np.float64] | None") -> Input:
    """One feature: its value against the reference, and its age against that of earlier values."""
    row = look.row
    value = row.features.get(column.name)
    edges = row.version.edges.get(column.reference, Edges())
    if value is None:
        found = missing(look, column, counts)
    elif column.kind == "number":
        found = number(column, float(value), edges, counts)
    else:
        found = level(column, value, edges, counts)
    read_at = instant((row.stored.get("feature_at") or {}).get(column.name, ""))
    if read_at is None:
        return found
    found = replace(found, read_at=read_at, age=(row.at - read_at).total_seconds())
    old = stale((row.at - read_at).total_seconds(), usual)
    return replace(found, flags=(*found.flags, "stale"), because=f"{found.because} {old}") if old else found


def missing(look: Look, column: Column, counts: dict[int, int]) -> Input:
    """A value that is null, was not sent, or is of another type."""
    row, total = look.row, sum(counts.values())
    flag: Flag = "null"
    place, text, value = NULL, "Null", None
    if column.reference in row.absent:
        flag, place, text = "absent", ABSENT, "It was not sent"
    elif column.reference in row.wrong_type:
        flag, place, text, value = "wrong_type", WRONG_TYPE, f"A {column.kind} is expected", wrong_value(row.stored, column.name)
    return Input(column.name, value, None, (flag,), of(counts, place, total), because=f"{text}; {said_of(counts, place, total)}.")


def number(column: Column, value: float, edges: Edges, counts: dict[int, int]) -> Input:
    """A number."""
    place = standing(value, edges, counts)
    outside = out_of_range(value, edges, counts)
    usual = "There is no reference."
    if place.percentile is not None:
        usual = f"{'' if place.exact else 'About '}{place.percentile:.3g} % of the reference lies below it."
    return Input(column.name, value, place.percentile, ("out_of_range",) if outside else (), exact=place.exact, because=outside or usual)


def level(column: Column, value: Any, edges: Edges, counts: dict[int, int]) -> Input:
    """A category or a boolean."""
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    share = of(counts, edges.levels.index(text) if text in edges.levels else UNSEEN, sum(counts.values()))
    if share is None:
        return Input(column.name, value, because="There is no reference.")
    if not share:
        return Input(column.name, value, None, ("unseen",), share, because="The reference never holds it.")
    return Input(column.name, value, None, (), share, because=f"{100 * share:.3g} % of the reference hold it.")


def wrong_value(stored: Any, name: str) -> Any:
    """The value of another type, as it came."""
    extra = stored.get("extra") or {}
    kept = extra.get("features")
    return kept.get(name) if isinstance(kept, dict) else None


def of(counts: dict[int, int], place: int, total: int) -> float | None:
    """A bin's share of the reference, None without one."""
    return counts.get(place, 0) / total if total else None


def said_of(counts: dict[int, int], place: int, total: int) -> str:
    """How common a kind of missing is in the reference, in words."""
    if not total:
        return "there is no reference to say how common that is"
    count = counts.get(place, 0)
    return (
        f"so are {100 * count / total:.3g} % of the reference ({count:,} of {total:,})"
        if count
        else f"never so in the reference ({total:,} rows)"
    )


def standing(value: float, edges: Edges, counts: dict[int, int]) -> Place:
    """Percent of the reference's numbers below a value: the middle of the ties where its bin holds one value only, else straight inside its bin."""
    limits = np.asarray(edges.edges, np.float64)
    if not limits.size or math.isnan(value):
        return Place(None, True)
    held = np.array([counts.get(place, 0) for place in range(limits.size + 1)], np.float64)
    if held.sum() <= 0:
        return Place(None, True)
    place = int(np.searchsorted(limits, value, side="right"))
    below = held[:place].sum()
    if held[place] == 0 or place in (0, limits.size):
        return Place(float(100 * below / held.sum()), True)
    if atom_bins(limits)[place]:
        return Place(float(100 * (below + held[place] / 2) / held.sum()), True)
    low, high = limits[place - 1], limits[place]
    return Place(float(100 * (below + held[place] * (value - low) / (high - low)) / held.sum()), bool(value == low))


def out_of_range(value: float, edges: Edges, counts: dict[int, int]) -> str:
    """Why a number is out of range, "" where it is not."""
    if math.isnan(value):
        return "" if counts.get(NAN) else "It is not a number (NaN), which no row of the reference is."
    if not edges.edges:
        return ""
    lowest, highest = edges.edges[0], float(np.nextafter(edges.edges[-1], -math.inf))
    if not lowest <= value <= highest:
        return f"Outside of the reference, which holds {figure(lowest, 6)} to {figure(highest, 6)}."
    if edges.low is None or edges.high is None or edges.low >= edges.high:
        return ""
    reach = FENCE * (edges.high - edges.low)
    if not edges.low - reach <= value <= edges.high + reach:
        return f"Far from nearly all of the reference: 99 % of it lies between {figure(edges.low, 6)} and {figure(edges.high, 6)}."
    return ""


def usual_lags(look: Look) -> dict[str, "NDArray[np.float64]"]:
    """Ages in seconds of earlier values by feature, where rows say when they were read; those of the case's features alone."""
    if not look.row.stored.get("feature_at"):
        return {}
    window = comparison_rows.around(look)
    frame: DataFrame = feature_lags.ages(look.store, window, before=look.row.at)
    return {str(name): part.to_numpy(np.float64) for name, part in frame.groupby("feature")["age"]}


def stale(age: float, usual: "NDArray[np.float64] | None") -> str:
    """Why a value is old, "" where it is not or nothing is known to hold it against."""
    if usual is None or usual.size < FEWEST_LAGS:
        return ""
    limit, middle = float(np.quantile(usual, STALE_SHARE)), float(np.median(usual))
    if age <= limit or age <= STALE_TIMES * max(middle, 0.0):
        return ""
    return f"Read {spoken(timedelta(seconds=age))} before, while {100 * STALE_SHARE:.0f} % of {usual.size:,} earlier ones were read within {spoken(timedelta(seconds=limit))}."
