"""A value without any other limit is compared with the limit that its owner sets; without such a limit it is unknown."""

from datetime import UTC, datetime

import pytest

from observability.core.finding import Finding
from observability.core.owner_level import held_against_level

AT = datetime(2026, 3, 2, tzinfo=UTC)


def measured(metric: str, low: float, value: float, high: float) -> Finding:
    """An unjudged value with its interval."""
    because = "It is measured."
    return Finding("trust/audits", "loan", "1", "model", metric, value, 90, "unknown", because, AT, AT, "past", low=low, high=high)


@pytest.mark.parametrize(
    ("metric", "level", "severity"),
    [
        ("robust_accuracy", 0.65, "ok"),
        ("robust_accuracy", 0.75, "watch"),
        ("robust_accuracy", 0.85, "act"),
        ("membership_exposure", 0.75, "ok"),
        ("membership_exposure", 0.65, "watch"),
        ("membership_exposure", 0.55, "act"),
    ],
)
def test_a_value_is_judged_by_the_worse_side_of_its_level(metric: str, level: float, severity: str) -> None:
    found = held_against_level(measured(metric, 0.6, 0.7, 0.8), {f"trust/audits/{metric}": level})
    assert (found.severity, found.limit, found.against) == (severity, level, "level")
    assert found.because == f"It is measured; the owner's level is {100 * level:.0f} %."


def test_a_metric_without_a_better_direction_is_not_judged_even_with_a_level() -> None:
    found = held_against_level(measured("selection_rate", 0.6, 0.7, 0.8), {"trust/audits/selection_rate": 0.1})
    assert (found.severity, found.limit) == ("unknown", None) and found.because.endswith("so it is not judged.")


def test_without_a_level_the_limit_to_set_is_named() -> None:
    found = held_against_level(measured("robust_accuracy", 0.6, 0.7, 0.8), {"trust/audits/membership_exposure": 0.1})
    assert (found.severity, found.limit, found.value) == ("unknown", None, 0.7)
    assert found.because == "It is measured; no level set: set `trust/audits/robust_accuracy`."
