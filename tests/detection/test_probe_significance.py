"""Checks which p-value makes each figure about fixed questions a warning, and which makes it critical, as documented in
docs/third-party-models.md.
"""

from dataclasses import replace

import numpy as np
import pytest

from observability.core.finding import Severity
from observability.detection.answer_changes import answer_changes
from observability.detection.number_errors import error_finding, number_error
from observability.detection.number_shifts import number_shift, shift_finding
from observability.detection.probe_claims import RIGHT, SURER, JudgedSet, right_finding, severity_of_rate
from observability.detection.probe_levels import FACTORS, STEPS, LevelHistory, level_finding
from observability.detection.probe_rounds import probe_rounds
from tests.support.vendor_nights import VendorNights, morning

BUDGET = 0.01
AT_BUDGET, SURE, CHANCE = 0.9 * BUDGET, 0.9 * BUDGET / SURER, 1.1 * BUDGET


def judged_set(nights: VendorNights, last: int) -> JudgedSet:
    """The comparison of a round with earlier rounds, at a budget of 1 %."""
    (rounds,) = probe_rounds(nights.rows())
    changes = answer_changes(rounds, last)
    assert changes is not None
    return JudgedSet(rounds, changes, last, replace(morning(last), budget=BUDGET), 1)


def severity_of(figure: str, p: float) -> Severity:
    """The severity of a figure that is far beyond its critical limit, for the given p-value."""
    if figure == "share":
        return severity_of_rate(20, 60, 0.0, p, BUDGET)
    if figure == RIGHT:
        before = np.ones(60)
        return right_finding(judged_set(VendorNights(8, items=12), 7), (np.r_[np.zeros(12), before[12:]], before), p).severity
    if figure in (*FACTORS, *STEPS):
        history = LevelHistory(400.0 if figure in FACTORS else 0.4, 100.0 if figure in FACTORS else 1.0, p, 12, 60, np.ones(8))
        return level_finding(judged_set(VendorNights(8, items=12), 7), figure, history, p).severity
    judged = judged_set(VendorNights(14, numbers=0.01, from_night=13, times=1.03, right=True), 13)
    if figure == "shift":
        shift = number_shift(judged)
        assert shift is not None
        return shift_finding(judged, shift, p).severity
    error = number_error(judged)
    assert error is not None
    return error_finding(judged, error, p).severity


@pytest.mark.parametrize("figure", ["share", "shift", "error"])
def test_a_probe_change_is_critical_at_a_fifth_of_the_budget_and_a_warning_at_the_budget(figure: str) -> None:
    """Regression: a shift beyond its limit was called OK if it was not significant."""
    assert [severity_of(figure, p) for p in (SURE, AT_BUDGET, CHANCE)] == ["act", "watch", "unknown"]


def test_a_fall_of_right_answers_is_critical_at_the_budget() -> None:
    assert [severity_of(RIGHT, p) for p in (SURE, AT_BUDGET, CHANCE)] == ["act", "act", "unknown"]


@pytest.mark.parametrize("figure", [*FACTORS, *STEPS])
def test_a_level_finding_needs_a_fifth_of_the_budget_even_for_a_warning(figure: str) -> None:
    assert [severity_of(figure, p) for p in (SURE, AT_BUDGET, CHANCE)] == ["act", "unknown", "unknown"]
