"""Find out whether a slice existed before its errors, or whether its rows were gathered there by something else, such as a changed input.

A weak slice is a part of the population on which the model errs more. A fault of an input can also gather rows in a slice: changed inputs
change decisions, and the slice of the changed decisions then has more errors. Rows of that slice are more frequent among the answers than
they were in the reference. If instead the concept changed in a slice, its errors become more frequent, but its rows do not.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.numerals import percent
from observability.investigation import comparison_rows
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.conditions import FIELDS, condition_mask, slice_level
from observability.investigation.evidence_types import Input
from observability.investigation.excess_errors import MIN_ROWS_OF_SIDE, excess_errors
from observability.investigation.input_faults import odd_inputs
from observability.stats.arrays import Bools
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.investigation.evidence_types import Condition


@dataclass(frozen=True)
class SliceHistory:
    """How frequent a slice already was in the reference. part: the factor for the weight of the slice, from 0 to 1. sentence: the reason
    for the factor; empty if the slice is unchanged.
    """

    part: float = 1.0
    sentence: str = ""


def slice_history(case: CaseInProgress, conditions: "tuple[Condition, ...]", frame: "DataFrame", inside: Bools) -> SliceHistory:
    """Compare how frequent a slice is among rows with the same decision as the case with how frequent it is among reference rows with that
    decision.

    Parameters
    ----------
    case : CaseInProgress
        The case.
    conditions : tuple[Condition, ...]
        Conditions of the slice.
    frame : DataFrame
        Current rows with the decision of the case (for regression all).
    inside : Bools
        Which of them are in the slice.

    Returns
    -------
    SliceHistory
        part is 1 if the slice is no more frequent than in the reference, if the reference's own rows have a significant excess of errors,
        or if the reference has too few rows. Else it is the upper end of the slice's share in the reference divided by its present share,
        which is the part of its rows that can have been there before.
    """
    if any(each.reference in FIELDS for each in conditions) or not len(frame):
        return SliceHistory()
    past = comparison_rows.rows_of_reference(case)
    if case.row.decision >= 0:
        past = past[past["decision"] == case.row.decision]
    past = past.reset_index(drop=True)
    if len(past) < MIN_ROWS_OF_SIDE:
        return SliceHistory()
    before = np.logical_and.reduce([condition_mask(each, past) for each in conditions])
    share, usual = float(inside.mean()), rate_interval(int(before.sum()), len(past))
    if usual.high is None or usual.high >= share:
        return SliceHistory()
    excess = excess_errors(past, before, comparison_rows.similar_error(case).of(past))
    if excess is not None and excess.low > 0:
        return SliceHistory(sentence="Such reference rows have more errors than others of the same scores as well.")
    decided, every = comparison_rows.decided_words(case), comparison_rows.rows_of_reference(case)
    were, are = percent(float(before.mean()), 2), percent(share, 2)
    rows = comparison_rows.reference_sample(case.row, len(every))
    among = f"the {len(past):,} {decided}rows among {rows}" if decided else rows
    return SliceHistory(
        usual.high / share,
        f"Such rows are {are} of the {len(frame):,} compared {decided}rows, and {were} of {among}: something else, such as a changed "
        "input, may have made them more frequent, so the slice counts less.",
    )


def share_odd_input(case: CaseInProgress, frame: "DataFrame") -> Bools:
    """Mask of the rows that share an odd input with the case: the value is missing in both, or outside the range on the same side, or the
    same level.
    """
    found = np.zeros(len(frame), bool)
    for _, given in odd_inputs(case):
        name = f"feature.{given.feature}"
        if name in frame:
            found |= _odd_as(case, given, frame, name)
    return found


def _odd_as(case: CaseInProgress, given: Input, frame: "DataFrame", name: str) -> Bools:
    values, flags = frame[name], set(given.flags)
    if flags & {"null", "absent", "wrong_type"}:
        return np.asarray(values.isna(), bool)
    if "unseen" in flags:
        return np.asarray([level is not None and slice_level(level) == slice_level(given.value) for level in values], bool)
    edges = case.row.version.edges.get(name)
    if "out_of_range" not in flags or edges is None or edges.limits is None or not isinstance(given.value, int | float):
        return np.zeros(len(frame), bool)
    lowest, highest = edges.limits
    if given.value > highest:
        return np.asarray(values > highest, bool)
    return np.asarray(values < lowest, bool) if given.value < lowest else np.zeros(len(frame), bool)
