"""Checks of a case's inputs: the percentile in the reference, and whether a value is unseen, missing, out of range or stale."""

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Column, Edges
from observability.core.numerals import format_figure, percent
from observability.core.questions import ABSENT, NAN, NULL, UNSEEN, WRONG_TYPE, Aggregate
from observability.investigation import comparison_rows
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.conditions import slice_level
from observability.investigation.evidence_types import Flag, Input
from observability.investigation.outcome_facts import duration_text, reading_instant
from observability.metrics.histograms import histogram_rows_by_column
from observability.stats.edges import next_float

if TYPE_CHECKING:
    from pandas import DataFrame

FENCE = 3.0
"""A number is out of range in two cases: it is outside the reference's range (without isolated outliers), or more than this many interval
widths outside the central 99 % interval. An impossible value in the reference therefore does not widen the range.
"""
STALE_SHARE, STALE_TIMES, MIN_LAGS = 0.99, 2.0, 50
"""A value is stale if it is older than the share STALE_SHARE of earlier values, and older than STALE_TIMES their median age. The check
needs at least MIN_LAGS earlier values.
"""


@dataclass(frozen=True)
class ReferencePosition:
    """Position of a number among the reference's numbers, in percent. percentile: percent of smaller numbers plus half of the equal ones.
    exact: whether it was counted, not interpolated within a bin. below, equal: percent of smaller numbers, and of equal ones if known.
    """

    percentile: float | None
    exact: bool
    below: float | None = None
    equal: float | None = None


def checked_inputs(case: CaseInProgress) -> tuple[Input, ...]:
    """The checked values of all features of the case's version, in the model's order."""
    row = case.row
    wanted = set(row.version.features) or set(row.features)
    columns = [column for column in row.model.features() if column.name in wanted or row.features.get(column.name) is not None]
    held = reference_histograms(case, columns)
    usual = usual_lags(case)
    return tuple(checked_input(case, column, held.get(column.reference, {}), usual.get(column.name)) for column in columns)


def reference_histograms(case: CaseInProgress, columns: list[Column]) -> dict[str, dict[int, int]]:
    """Number of reference rows by column and bin; empty without a reference."""
    known = tuple(each.reference for each in columns if each.reference in case.row.version.edges)
    if not known or not case.row.version.reference_rows:
        return {}
    frame = case.store.ask(Aggregate("predictions", histogram=known), comparison_rows.window_around(case).reference())
    _, rows = histogram_rows_by_column(frame)
    return {name: dict(zip(part["bin"].tolist(), part["n"].tolist(), strict=True)) for name, part in rows.items()}


def checked_input(case: CaseInProgress, column: Column, counts: dict[int, int], usual: "NDArray[np.float64] | None") -> Input:
    """The checked value of one feature: its value is compared with the reference, and its age with earlier ages."""
    row = case.row
    value = row.features.get(column.name)
    edges = row.version.edges.get(column.reference, Edges())
    if value is None:
        found = missing_input(case, column, counts)
    elif column.kind == "number":
        found = number_input(column, float(value), edges, counts)
    else:
        found = category_input(column, value, edges, counts)
    read_at = reading_instant((row.stored.get("feature_at") or {}).get(column.name, ""))
    if read_at is None:
        return found
    found = replace(found, read_at=read_at, age=(row.at - read_at).total_seconds())
    old = staleness_reason((row.at - read_at).total_seconds(), usual)
    return replace(found, flags=(*found.flags, "stale"), because=f"{found.because} {old}") if old else found


def missing_input(case: CaseInProgress, column: Column, counts: dict[int, int]) -> Input:
    """The check of a value that is null, absent or of another type."""
    row, total = case.row, sum(counts.values())
    flag: Flag = "null"
    place, text, value = NULL, "The value is null", None
    if column.reference in row.absent:
        flag, place, text = "absent", ABSENT, "The value was not sent"
    elif column.reference in row.wrong_type:
        flag, place, text, value = "wrong_type", WRONG_TYPE, f"Wrong type, expected {column.kind}", wrong_value(row.stored, column.name)
    return Input(
        column.name,
        value,
        None,
        (flag,),
        bin_share(counts, place, total),
        because=f"{text}; {reference_frequency_text(counts, place, total)}.",
    )


def number_input(column: Column, value: float, edges: Edges, counts: dict[int, int]) -> Input:
    """The checked value of a number: its percentile in the reference, and whether it is out of range."""
    place = reference_percentile(value, edges, counts)
    outside = out_of_range(value, edges, counts)
    flags: tuple[Flag, ...] = ("out_of_range",) if outside else ()
    because = outside or place_text(place)
    return Input(column.name, value, place.percentile, flags, exact=place.exact, because=because, below=place.below, equal=place.equal)


def place_text(place: ReferencePosition) -> str:
    """A sentence that states the position of a number in the reference."""
    if place.below is None:
        return "There is no reference."
    equal = f", {percent(place.equal / 100)} equal to it" if place.equal else ""
    return f"{'' if place.exact else 'About '}{percent(place.below / 100)} of the reference's values are below it{equal}."


def category_input(column: Column, value: Any, edges: Edges, counts: dict[int, int]) -> Input:
    """The checked value of a category or boolean."""
    text = slice_level(value)
    share = bin_share(counts, edges.levels.index(text) if text in edges.levels else UNSEEN, sum(counts.values()))
    if share is None:
        return Input(column.name, value, because="There is no reference.")
    if not share:
        return Input(column.name, value, None, ("unseen",), share, because="This level is not in the reference.")
    return Input(column.name, value, None, (), share, because=f"{percent(share)} of the reference have this level.")


def wrong_value(stored: Any, name: str) -> Any:
    """The original value, if it arrived with another type than the feature has."""
    extra = stored.get("extra") or {}
    kept = extra.get("features")
    return kept.get(name) if isinstance(kept, dict) else None


def bin_share(counts: dict[int, int], place: int, total: int) -> float | None:
    """The share of the reference that is in a bin; None without a reference."""
    return counts.get(place, 0) / total if total else None


def reference_frequency_text(counts: dict[int, int], place: int, total: int) -> str:
    """How often the reference has this kind of missing value, in words."""
    if not total:
        return "there is no reference for comparison"
    return f"reference: {percent(counts.get(place, 0) / total)} ({counts.get(place, 0):,} of {total:,})"


def reference_percentile(value: float, edges: Edges, counts: dict[int, int]) -> ReferencePosition:
    """The position of a number in the reference. It is counted if the number's bin holds at most one distinct value, else interpolated
    within the bin.
    """
    limits = edges.edges
    if not limits or math.isnan(value):
        return ReferencePosition(None, True)
    total = sum(n for held, n in counts.items() if 0 <= held <= len(limits))
    if total <= 0:
        return ReferencePosition(None, True)
    place = bisect_right(limits, value)
    here = counts.get(place, 0)
    below, inside = 100 * sum(n for held, n in counts.items() if 0 <= held < place) / total, 100 * here / total
    if here == 0 or place in (0, len(limits)):
        return ReferencePosition(below, here == 0, below, 0.0 if here == 0 else None)
    low, high = limits[place - 1], limits[place]
    if next_float(low) >= high:
        return ReferencePosition(below + inside / 2, True, below, inside)
    part = below + inside * (value - low) / (high - low)
    return ReferencePosition(part, value == low, part)


def out_of_range(value: float, edges: Edges, counts: dict[int, int]) -> str:
    """The reason why a number is out of range; empty if it is not."""
    if math.isnan(value):
        return "" if counts.get(NAN) else "Not a number (NaN); the reference has no NaN."
    if edges.limits is None:
        return ""
    lowest, highest = edges.limits
    if not lowest <= value <= highest:
        span = edges.span_with_outliers
        aside = f" without isolated outliers (with them {format_figure(span[0], 6)} to {format_figure(span[1], 6)})" if span else ""
        return f"Outside the reference's range {format_figure(lowest, 6)} to {format_figure(highest, 6)}{aside}."
    if edges.low is None or edges.high is None or edges.low >= edges.high:
        return ""
    reach = FENCE * (edges.high - edges.low)
    if not edges.low - reach <= value <= edges.high + reach:
        return f"Far outside the reference's central 99 %: {format_figure(edges.low, 6)} to {format_figure(edges.high, 6)}."
    return ""


def usual_lags(case: CaseInProgress) -> dict[str, "NDArray[np.float64]"]:
    """By feature, the ages in seconds of earlier values; empty if the times when they were read are not logged."""
    if not case.row.stored.get("feature_at"):
        return {}
    window = comparison_rows.window_around(case)
    frame: DataFrame = case.store.feature_ages(window, before=case.row.at)
    return {str(name): part.to_numpy(np.float64) for name, part in frame.groupby("feature")["age"]}


def staleness_reason(age: float, usual: "NDArray[np.float64] | None") -> str:
    """The reason why a value is stale; empty if it is not, or if too few earlier ages are known."""
    if usual is None or usual.size < MIN_LAGS:
        return ""
    limit, middle = float(np.quantile(usual, STALE_SHARE)), float(np.median(usual))
    if age <= limit or age <= STALE_TIMES * max(middle, 0.0):
        return ""
    read, usually = (duration_text(timedelta(seconds=seconds)) for seconds in (age, limit))
    earlier = f"{100 * STALE_SHARE:.0f} % of {usual.size:,} earlier values were read within {usually} of theirs"
    return f"Read {read} before the prediction; {earlier}."
