"""Suspected inputs of a case: missing, mistyped, stale, unseen or out-of-range values, each with a weight."""

from typing import TYPE_CHECKING

from observability.core.numerals import percent
from observability.investigation import comparison_rows
from observability.investigation.case_parts import CaseInProgress, computed_once
from observability.investigation.evidence_types import Input

if TYPE_CHECKING:
    from pandas import DataFrame

FLAG_WEIGHT = {"absent": 0.8, "wrong_type": 0.9, "stale": 0.75, "unseen": 0.55, "out_of_range": 0.7}
TOGETHER = 0.85
"""Weight of the fault that more values are missing at once than in nearly all reference rows, as when a feed fails."""
RARE, UNCOMMON = 0.01, 0.05
"""A missing value is rare, or uncommon, if it is missing in less than this share of the reference."""
COMMON_NOW = 0.02
"""Share of current rows from which out-of-range values count as a general shift, not as a fault of one input."""


@computed_once
def odd_inputs(case: CaseInProgress) -> tuple[tuple[float, Input], ...]:
    """The inputs whose weight as a fault is above 0, largest weight first."""
    given: tuple[Input, ...] = case.part("inputs") or ()
    return tuple(sorted(((weight, each) for each in given if (weight := fault_weight(case, each)) > 0), key=lambda part: -part[0]))


def suspected_features(case: CaseInProgress) -> tuple[str, ...]:
    """The names of the suspected features: the odd inputs, and also all missing ones if more are missing at once than usual."""
    odd = [each.feature for _, each in odd_inputs(case)]
    missing = [each.feature for each in case.part("inputs") or () if {"null", "absent"} & set(each.flags)]
    return tuple(dict.fromkeys([*odd, *(missing if missing_together(case) else ())]))


def fault_weight(case: CaseInProgress, given: Input) -> float:
    """Weight of one input as a fault, 0 to 1."""
    weights = [FLAG_WEIGHT[flag] for flag in given.flags if flag in FLAG_WEIGHT and not moved_with_others(case, given, flag)]
    if "null" in given.flags and given.share is not None:
        weights.append(0.7 if given.share < RARE else 0.3 if given.share < UNCOMMON else 0.0)
    return max(weights, default=0.0) * importance_weight(case, given.feature)


def moved_with_others(case: CaseInProgress, given: Input, flag: str) -> bool:
    """Whether a number is outside the reference while many other current rows are outside on the same side. Two kinds of value count as odd
    even if they are frequent. One is a number whose distance from the reference exceeds the reference's range, because a shift would also
    produce the values between. The other is an unseen level, because the model cannot know it.
    """
    edges = case.row.version.edges.get(f"feature.{given.feature}")
    if flag != "out_of_range" or edges is None or edges.limits is None or not isinstance(given.value, int | float):
        return False
    values = comparison_rows.labelled_rows_of(case).get(f"feature.{given.feature}")
    if values is None or values.empty:
        return False
    lowest, highest = edges.limits
    if max(given.value - highest, lowest - given.value) > highest - lowest:
        return False
    outside = values > highest if given.value > highest else values < lowest
    return float(outside.mean()) > COMMON_NOW


def importance_weight(case: CaseInProgress, feature: str) -> float:
    """Weight of a feature by its importance in the settings, from 0.6 to 1; 0.9 if the settings have no importances."""
    importance = case.row.model.settings.importance
    if not importance:
        return 0.9
    return float(min(1.0, 0.6 + 0.4 * importance.get(feature, 0.0) * len(importance)))


@computed_once
def missing_together(case: CaseInProgress) -> str | None:
    """A sentence if more values are missing at once than in nearly all reference rows; else None."""
    columns = case.row.compared_features
    mine = sum(case.row.features.get(each.name) is None for each in columns)
    frame: DataFrame = comparison_rows.rows_of_reference(case)
    if mine < 2 or frame.empty:
        return None
    theirs = frame[[each.reference for each in columns]].isna().sum(axis=1)
    share = float((theirs >= mine).mean())
    if share >= RARE:
        return None
    rows = comparison_rows.reference_sample(case.row, len(frame))
    which = "inputs" if len(columns) == len(case.row.own_features) else "compared inputs"
    return f"{mine} of {len(columns)} {which} are missing at once, as in {percent(share, 2)} of {rows}."
