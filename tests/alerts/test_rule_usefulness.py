"""Rules are ordered by the ratings and number of their alerts."""

from datetime import UTC, datetime, timedelta

from observability.alerts.alert_state import Alert
from observability.alerts.rule_usefulness import declared_rules, rule_uses

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def alert(rule, useful=None, day=0):
    at = NOW + timedelta(days=day)
    return Alert(f"i{day}{rule}", "m", "t", "input", "act", "open", at, at, useful=useful, rule=rule)


def test_rule_usefulness_is_computed_from_the_answers_to_its_alarms():
    known = declared_rules()
    assert "serving/drift/psi" in known
    alerts = [
        *(alert("serving/drift/psi", False, day) for day in range(2)),
        alert("serving/drift/psi", None, 5),
        alert("serving/drift/psi", True, 3),
        alert("data/quality/null_rate", True),
        alert("data/quality/null_rate", None, 1),
    ]
    found = rule_uses(alerts)
    first, second = found[:2]
    assert (first.rule, first.fired, first.answers.useful, first.answers.judged, first.useless) == ("serving/drift/psi", 4, 1, 3, True)
    assert first.last == NOW + timedelta(days=5)
    assert (second.rule, second.fired, second.useless) == ("data/quality/null_rate", 2, False)
    silent = [each.rule for each in found if not each.fired]
    assert set(silent) == set(known) - {"serving/drift/psi", "data/quality/null_rate"}
    assert all(each.last is None for each in found if not each.fired)


def test_a_rule_that_is_no_longer_declared_still_lists_its_alarms():
    assert rule_uses([alert("old/rule/x")])[0].rule == "old/rule/x"
