"""Compare the calibration error of a classifier between two sides, each on its own labelled rows."""

from dataclasses import replace

from observability.compare.difference import NO_INTERVAL, AskEngine, Difference
from observability.compare.outcomes import interval_difference
from observability.core.catalog import Model
from observability.core.metric_definitions import METRICS
from observability.core.window import Window
from observability.metrics.reliability import MINIMUM_LABELS, CalibrationErrors, calibration_errors, score_question, scored_rows
from observability.stats.calibration import calibration_change_p_value, calibration_error_change_p_value
from observability.stats.interval import Interval

LEAST = 0.02
"""The smallest change of the ECE that matters; equal to the `watch` limit of the calibration analyzer."""


def calibration_differences(ask: AskEngine, model: Model, a: Window, b: Window, young: str | None) -> list[Difference]:
    """The expected calibration error of both sides, each over all its labelled rows; none for a regression.

    young: the reason why there is no verdict, or None. The p-value is the larger one of two tests: that the errors are equal, and that the
    deviations of shares from scores are equal in every group. The second test is needed because deviations of opposite signs can give the
    same error.
    """
    if model.task not in ("binary", "multiclass"):
        return []
    rows = [scored_rows(model, ask(score_question(model), window)) for window in (a, b)]
    one, other = calibration_errors(rows[0]), calibration_errors(rows[1])
    intervals = _ece_interval(one), _ece_interval(other)
    found = interval_difference("performance", "model", "ece", METRICS["ece"].unit, *intervals, LEAST, MINIMUM_LABELS)
    if one is None or other is None or found.why or young:
        return [found if found.why else replace(found, why=young)]
    on_same_groups = calibration_errors(rows[1], one.groups.index)
    assert on_same_groups is not None
    of_groups = calibration_change_p_value(one.groups, on_same_groups.groups)
    return [replace(found, p_value=max(of_groups, calibration_error_change_p_value(one.groups, other.groups)))]


def _ece_interval(found: CalibrationErrors | None) -> Interval:
    """The expected calibration error with its interval."""
    return NO_INTERVAL if found is None else Interval(found.ece.value, found.ece.low, found.ece.high, found.ece.n)
