"""The start of a state is given only once, in the same words for findings and incidents."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from observability.cli import commands
from observability.core.finding import Finding
from observability.core.standing_since import StandingSince, standing_since
from observability.dashboard.overview import incidents
from observability.dashboard.review.incidents import frozen_since
from observability.dashboard.scope import Scope
from observability.dashboard.widgets import finding_news
from observability.incidents.grouping import group_findings
from observability.incidents.since_words import finding_since, incident_since
from observability.monitoring.finding_events import dated_finding
from observability.review.snapshot import incident_body

START = datetime(2026, 6, 29, tzinfo=UTC)
STANDING = Finding(
    "serving/drift", "loan", "1", "age", "psi", 0.4, 900, "act", "`age` differs from the reference.", START, START + timedelta(days=7),
    "reference", evidence={"standing": True},
)  # fmt: skip
SINCE, BEFORE = StandingSince(date(2026, 6, 24), earlier=False), StandingSince(date(2026, 6, 1), earlier=True)


def standing(since: StandingSince | None, **changes: Any) -> Finding:
    """An ongoing finding as a check returns it."""
    return dated_finding(replace(STANDING, **changes, evidence=STANDING.evidence | (since.evidence if since else {})))


@pytest.mark.parametrize(("since", "words"), [(SINCE, "since 24 Jun 2026"), (BEFORE, "since 1 Jun 2026 or earlier")])
def test_a_standing_critical_incident_shows_the_same_start_date_in_every_place(since: StandingSince, words: str) -> None:
    (finding,), (incident,) = group_findings([standing(since)])
    assert standing_since(finding) == since
    assert (finding_since(finding), incident_since(incident)) == (words, words)
    assert finding_news(finding) == [f"ongoing {words}"]
    assert incidents.incident_facts(incident).startswith(f"ongoing {words}")
    row = incidents.inbox_row(incident, ["loan"], Scope())["cells"]
    assert (row["since"]["t"], row["since"]["sub"]) == (words.removeprefix("since "), "ongoing")
    assert frozen_since(incident_body(incident)) == words.removeprefix("since ")
    assert f", ongoing {words}." in commands.incident_line(incident, ("loan",))


def test_a_standing_critical_incident_without_dates_is_ongoing_and_not_of_unknown_onset() -> None:
    _, (incident,) = group_findings([standing(None)])
    facts = incidents.incident_facts(incident)
    assert facts.startswith("ongoing since 29 Jun 2026 or earlier") and "onset unknown" not in facts


def test_an_acknowledged_critical_incident_is_marked_acknowledged_after_its_start_date() -> None:
    (finding,), _ = group_findings([standing(SINCE)])
    _, (incident,) = group_findings([replace(finding, severity="watch", acknowledged=True)])
    assert incidents.incident_facts(incident) == "ongoing since 24 Jun 2026 · acknowledged"


def test_an_incident_takes_the_start_date_of_its_lead_and_a_dated_onset_keeps_its_own_date() -> None:
    warning = standing(BEFORE, subject="income", severity="watch")
    _, (incident,) = group_findings([standing(SINCE), warning])
    assert incident_since(incident) == "since 24 Jun 2026"
    dated = replace(STANDING, onset=START + timedelta(days=2), evidence={"onset_known": "dated", **SINCE.evidence})
    assert finding_since(dated) == "since 1 Jul 2026"


def test_an_incident_takes_no_start_date_from_a_finding_that_is_not_its_lead() -> None:
    _, (incident,) = group_findings([standing(None), standing(SINCE, subject="income")])
    lead, other = standing(None), standing(SINCE, subject="income")
    incident = replace(incident, lead=lead, collateral=(other,))
    assert incident_since(incident) == "since 29 Jun 2026 or earlier"
    assert incident_since(replace(incident, lead=other, collateral=(lead,))) == "since 24 Jun 2026"


def test_an_incident_whose_lead_is_new_does_not_show_an_earlier_start_date() -> None:
    _, (incident,) = group_findings([standing(SINCE)])
    assert incident_since(incident) == "since 24 Jun 2026"
    assert incident_since(replace(incident, lead=replace(incident.lead, news="new"))) == "since 29 Jun 2026 or earlier"
