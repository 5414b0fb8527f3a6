"""A finding names the nearest earlier event of its own model or of no model, never an event of another model."""

from datetime import timedelta

import pandas as pd

from observability.core.finding import NEWS_UNKNOWN
from observability.core.time import naive_utc
from observability.monitoring.finding_events import dated_finding, with_nearest_event
from tests.support.fleet_incidents import DAY, START, drift_incident


def event_text(model: str, *rows: tuple[str | None, int, str]) -> str | None:
    """The text of the event that a finding names. events: (model, hours before the onset, text)."""
    finding = drift_incident(model, day=2).lead
    at = [naive_utc(START + 2 * DAY) - timedelta(hours=hours) for _, hours, _ in rows]
    marks = pd.DataFrame({"at": at, "model": [row[0] for row in rows], "what": "deploy", "text": [row[2] for row in rows]})
    return (with_nearest_event(finding, marks).event or {}).get("text")


def test_an_event_of_another_model_is_not_the_event_of_a_finding() -> None:
    other, own, none = ("b", 1, "b 2 deployed"), ("a", 5, "a 2 deployed"), (None, 3, "gateway deployed")
    assert event_text("a", other) is None
    assert event_text("a", own, other) == "a 2 deployed"
    assert event_text("a", own, none, other) == "gateway deployed"


def test_a_finding_with_unknown_news_states_what_was_read_only_if_its_analyzer_does() -> None:
    """Regression: every such finding said that it is unknown whether it is new because the past was not read, even if its analyzer had read
    it.
    """
    blank = drift_incident("a", day=2).lead.revised(news=None, onset=None, against="reference", evidence={})
    assert dated_finding(blank).evidence[NEWS_UNKNOWN] == "It is not known whether this is new."
    own = "It is not known whether this is new: nothing arrived in the week before."
    assert dated_finding(blank.revised(evidence={NEWS_UNKNOWN: own})).evidence[NEWS_UNKNOWN] == own
