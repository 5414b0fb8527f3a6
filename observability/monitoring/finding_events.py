"""Find the event that preceded a finding, and the time since when the finding holds."""

from datetime import timedelta
from typing import TYPE_CHECKING

from observability.core.finding import NEWS_UNKNOWN, Finding, iso, needs_action, news_of
from observability.core.time import aware_utc, naive_utc
from observability.monitoring.short_claims import with_short_claim

if TYPE_CHECKING:
    from pandas import DataFrame


EVENT_DAYS, NOTE_DAYS = 14, 1
"""Largest number of days between an event and the finding to which it is attached: 14 for a change, 1 for a note."""
NOT_KNOWN = "It is not known whether this is new."
CHANGE_EVENTS = ("deploy", "data", "threshold", "guideline", "incident")
"""Events that change what a model reads or does."""


def dated_finding(finding: Finding) -> Finding:
    """The finding with a short claim, and with a statement of what is new about it, or a sentence that this is unknown. A finding with
    severity `act` also gets an onset.

    If no onset is known, the start of the window is used and marked as vague.
    """
    news = news_of(finding)
    finding = with_short_claim(finding if news == finding.news else finding.revised(news=news))
    if news is None and needs_action(finding.severity) and NEWS_UNKNOWN not in finding.evidence:
        finding = finding.revised(evidence=finding.evidence | {NEWS_UNKNOWN: NOT_KNOWN})
    if finding.severity != "act" or finding.onset is not None:
        return finding
    return finding.revised(onset=finding.start, evidence=finding.evidence | {"onset_known": "vague"})


def with_nearest_event(finding: Finding, marks: "DataFrame") -> Finding:
    """The finding with the nearest event before its onset, or before the window's end if the onset is unknown. Events that name its model
    and events without a model count.

    A change counts for two weeks. A note, such as a public holiday, a complaint or an export, counts for one day, and only if there was no
    change.
    """
    if not needs_action(finding.severity) or marks.empty:
        return finding
    marks = marks[marks["model"].isna() | (marks["model"] == finding.model)]
    known = finding.onset if finding.evidence.get("onset_known") != "vague" else None
    when = naive_utc(known or finding.end)
    before = marks[(marks["at"] <= when) & (marks["at"] > when - timedelta(days=EVENT_DAYS))].sort_values("at")
    changes = before[before["what"].isin(CHANGE_EVENTS)]
    near = before[before["at"] > when - timedelta(days=NOTE_DAYS)] if changes.empty else changes
    if near.empty:
        return finding
    row = near.iloc[-1].to_dict()
    return finding.revised(event={"at": iso(aware_utc(row["at"].to_pydatetime())), "what": row["what"], "text": row["text"]})
