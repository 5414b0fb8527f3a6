from datetime import UTC, datetime, timedelta

from observability.alerts import alert_log
from observability.core.weeks import Week
from observability.review.change_log import Entry
from observability.review.monitoring_quality import missed_incidents, week_monitoring

AT = datetime(2026, 3, 2, tzinfo=UTC)


def part(model, *severities):
    return {"model": model, "incidents": [{"severity": each} for each in severities]}


def test_an_incident_reported_by_people_without_a_critical_finding_was_missed():
    models = [part("seen", "watch", "act"), part("faint", "watch"), part("quiet")]
    happened = [
        Entry(AT, "incident", "Wrong prices", "faint"),
        Entry(AT, "incident", "Known", "seen"),
        Entry(AT, "complaint", "Refused twice", "quiet"),
        Entry(AT, "deploy", "Version 2", "quiet"),
        Entry(AT, "incident", "Of no model"),
    ]
    assert [(each["model"], each["title"]) for each in missed_incidents(models, happened)] == [
        ("faint", "Wrong prices"),
        ("quiet", "Refused twice"),
    ]


def test_an_alert_of_an_earlier_week_that_was_resolved_in_this_one_is_shown(monkeypatch):
    week = Week.parse("2026-W10")

    def word(incident, says, days):
        return {
            "incident": incident,
            "says": says,
            "at": week.start + timedelta(days=days),
            "author": "ann",
            "title": incident,
            "severity": "act",
        }

    said = [
        word("long over", "opened", -20),
        word("long over", "resolved", -10),
        word("just over", "opened", -5),
        word("stands", "opened", -5),
        word("just over", "resolved", 1),
    ]
    monkeypatch.setattr(alert_log, "alert_records", lambda store: said)
    shown = week_monitoring(None, week, [], [])["alerts"]
    assert [(each["incident"], each["state"]) for each in shown] == [("just over", "resolved"), ("stands", "open")]
