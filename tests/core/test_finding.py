"""The state of a finding follows from its value, its news from the change, and an acknowledged critical finding stays critical."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from observability.core.finding import Finding, acknowledged_finding, news_of
from observability.incidents.action_counts import action_counts

START = datetime(2026, 3, 2, tzinfo=UTC)
BAD = Finding("serving/drift", "loan", "1", "age", "psi", 1.9, 900, "act", "It drifted.", START, START + timedelta(days=7), "reference")


@pytest.mark.parametrize(("severity", "state"), [("act", "critical"), ("watch", "warning"), ("ok", "ok"), ("unknown", "unknown")])
def test_the_state_follows_the_severity(severity, state):
    body = replace(BAD, severity=severity).to_json()
    assert (body["severity"], body["state"], body["news"]) == (severity, state, None)


def test_an_acknowledged_finding_keeps_its_critical_state_with_severity_watch():
    known = acknowledged_finding(BAD)
    assert (known.severity, known.state, known.shown_severity) == ("watch", "critical", "act")
    assert acknowledged_finding(replace(BAD, severity="watch")).state == "warning"
    assert "acknowledged" not in known.to_json()


@pytest.mark.parametrize(
    ("changes", "news"),
    [
        ({}, None),
        ({"against": "past"}, "new"),
        ({"evidence": {"standing": True}}, "ongoing"),
        ({"onset": START + timedelta(days=2)}, "new"),
        ({"onset": START - timedelta(days=9)}, "ongoing"),
        ({"onset": START - timedelta(days=9), "news": "new"}, "ongoing"),
        ({"onset": START - timedelta(days=2), "evidence": {"measured": ["2026-02-27", "2026-03-05"]}}, "new"),
        ({"onset": START, "evidence": {"onset_known": "vague"}, "news": "new"}, "new"),
        ({"onset": START, "evidence": {"onset_known": "open"}}, "ongoing"),
        ({"news": "worse"}, "worse"),
        ({"severity": "ok", "news": "recovered"}, "recovered"),
        ({"severity": "ok", "onset": START}, None),
    ],
)
def test_news_is_set_by_the_analyzer_or_else_by_the_onset(changes, news):
    assert news_of(replace(BAD, **changes)) == news


def test_action_counts_separate_critical_acknowledged_and_warning():
    found = [BAD, acknowledged_finding(BAD), replace(BAD, severity="watch"), replace(BAD, severity="watch"), replace(BAD, severity="ok")]
    counts = action_counts(found)
    assert (counts.critical, counts.acknowledged, counts.warnings) == (1, 1, 2)
    assert counts.words == "1 critical, 1 acknowledged, 2 warnings"
    assert action_counts([]).words == "nothing needs action"
