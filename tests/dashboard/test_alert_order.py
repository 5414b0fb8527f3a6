"""The order of the alerts on their page."""

from datetime import UTC, datetime, timedelta

from observability.alerts.alert_state import Alert, State
from observability.dashboard.operations.alerts import open_alerts_first

AT = datetime(2026, 3, 2, tzinfo=UTC)


def test_alerts_of_a_state_are_sorted_by_the_time_at_which_they_were_opened() -> None:
    """Regression: they were sorted by their last change, which the page does not show, so that the column Opened was in no order."""
    days: dict[str, tuple[State, int, int]] = {
        "old": ("open", 1, 9),
        "new": ("open", 3, 4),
        "done": ("resolved", 8, 9),
        "late": ("resolved", 6, 10),
    }
    alerts = [
        Alert(name, "m", "Title", "input", "act", state, AT + timedelta(days=opened), AT + timedelta(days=changed))
        for name, (state, opened, changed) in days.items()
    ]
    assert [alert.incident for alert in open_alerts_first(alerts)] == ["new", "old", "done", "late"]
