from datetime import UTC, datetime

from observability.review.ledger import Entry
from observability.review.monitoring import missed

AT = datetime(2026, 3, 2, tzinfo=UTC)


def part(model, *severities):
    return {"model": model, "incidents": [{"severity": each} for each in severities]}


def test_what_people_reported_and_no_finding_said_was_missed():
    models = [part("seen", "watch", "act"), part("faint", "watch"), part("quiet")]
    happened = [
        Entry(AT, "incident", "Wrong prices", "faint"), Entry(AT, "incident", "Known", "seen"), Entry(AT, "complaint", "Refused twice", "quiet"),
        Entry(AT, "deploy", "Version 2", "quiet"), Entry(AT, "incident", "Of no model"),
    ]  # fmt: skip
    assert [(each["model"], each["title"]) for each in missed(models, happened)] == [("faint", "Wrong prices"), ("quiet", "Refused twice")]
