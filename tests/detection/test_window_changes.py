"""The results of a finding in each of its windows."""

import pytest

from observability.detection.change import WindowChange, judge_change


@pytest.mark.parametrize(
    ("effect", "p_value", "whole", "severity"),
    [
        (0.05, 0.5, False, "ok"),
        (0.15, 0.5, False, "unknown"),
        (0.15, 0.5, True, "unknown"),
        (0.15, 1e-9, False, "watch"),
        (0.30, 1e-9, True, "act"),
    ],
)
def test_a_window_beyond_its_limit_is_never_ok(effect: float, p_value: float, whole: bool, severity: str) -> None:
    change = WindowChange(days=7 if whole else 1, whole=whole, effect=effect, p_value=p_value, limits=(0.1, 0.25))
    verdict = judge_change(change, p_value, 0.01)
    assert verdict.evidence_row(effect, None, None, 0.1)["severity"] == severity
    assert verdict.severity == ("ok" if (severity, whole) == ("unknown", False) else severity), "the last days alone decide nothing"
