"""A finding about gold accuracy or wrong suggestions is listed after its cause only if project and time agree. No finding is lost or
lowered.
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from observability.core.finding import Finding, worst_first
from observability.incidents.grouping import group_findings
from observability.incidents.labelling_causes import causes_first, suspected_cause

START = datetime(2026, 7, 6, tzinfo=UTC)
DAY = timedelta(days=1)


def said(metric: str, subject: str, severity: str = "act", rank: float = 2.0, **changed: Any) -> Finding:
    base = Finding(
        analyzer="data/labelling", model=None, version=None, subject=subject, metric=metric, unit="share", value=0.7, low=0.6, high=0.8, n=90,
        severity="act", because=f"{metric} is off.", start=START, end=START + 7 * DAY, against="past", rank=rank,
    )  # fmt: skip
    return replace(base, severity=severity, **changed)


def agreement(day: float | None, project: str = "moods") -> Finding:
    known = {"projects": [project], "onset_known": "vague" if day is None else "dated"}
    onset = START if day is None else START + day * DAY
    return said("label_agreement", "model", rank=1.5, model="m", analyzer="data/labels", evidence=known, onset=onset)


def gold(since: float | None, subject: str = "project:moods", **changed: Any) -> Finding:
    day = None if since is None else (START + since * DAY).isoformat()
    return said("gold_accuracy", subject, evidence={"follows": {"metric": "label_agreement", "project": "moods", "since": day}}, **changed)


@pytest.mark.parametrize(
    ("agrees", "since", "follows"), [(2, 2, True), (2, 1, True), (2, 6, True), (2, 7, False), (3, 1, False), (None, 2, False), (2, None, False)]
)  # fmt: skip
def test_a_new_labelling_rule_is_the_cause_only_if_it_began_no_later_than_the_effect(
    agrees: float | None, since: float | None, follows: bool
) -> None:
    cause, effect = agreement(agrees), gold(since)
    assert (suspected_cause(effect, [effect, cause]) is cause) == follows
    assert causes_first([effect, cause]) == ([cause, effect] if follows else [effect, cause])


def test_a_cause_of_another_project_or_without_needed_action_does_not_lead() -> None:
    effect = gold(2)
    other, calm = agreement(2, "others"), replace(agreement(2), severity="ok")
    assert causes_first([effect, other]) == [effect, other] and causes_first([effect, calm]) == [effect, calm]
    tired = said("fatigue_slope", "project:others", "watch", 3.0)
    follows = said("gold_accuracy", "project:moods", evidence={"follows": {"metric": "fatigue_slope", "subject": "project:moods"}})
    assert causes_first([follows, tired]) == [follows, tired]


def test_effects_are_listed_directly_after_their_cause_and_other_findings_keep_their_order() -> None:
    follows = {"follows": {"metric": "fatigue_slope", "subject": "project:moods"}}
    unrelated = said("gold_accuracy", "project:others", rank=2.9)
    first, last = (
        said("gold_accuracy", "project:moods", rank=2.5, evidence=follows),
        said("wrong_suggestions_taken", "project:moods", "watch", evidence=follows),
    )
    middle, tired = said("gold_accuracy", "project:thirds", rank=2.1), said("fatigue_slope", "project:moods", "watch", 3.0)
    before = worst_first([last, tired, middle, first, unrelated])
    assert before == [unrelated, first, middle, tired, last]
    assert causes_first(before) == [unrelated, tired, first, last, middle]


def test_a_warning_leads_the_incident_of_the_critical_findings_that_follow_it() -> None:
    follows = {"follows": {"metric": "fatigue_slope", "subject": "project:moods"}}
    found = [
        said("gold_accuracy", "project:moods", rank=2.5, evidence=follows),
        said("fatigue_slope", "project:moods", "watch", 3.0),
        said("wrong_suggestions_taken", "project:moods", rank=2.2, evidence=follows),
    ]
    marked, (incident,) = group_findings(found)
    assert (incident.lead.metric, incident.severity, incident.source) == ("fatigue_slope", "act", "label")
    assert [each.metric for each in marked] == ["fatigue_slope", "gold_accuracy", "wrong_suggestions_taken"]
    assert Counter((each.metric, each.severity) for each in marked) == Counter((each.metric, each.severity) for each in found)


def test_a_models_agreement_incident_is_listed_before_the_incident_of_its_labelling_project() -> None:
    effect, cause = gold(2, "project:moods/annotator:ann-1", rank=2.4), agreement(2)
    _, incidents = group_findings([effect, cause])
    assert [each.lead.metric for each in incidents] == ["label_agreement", "gold_accuracy"]
    _, incidents = group_findings([effect, agreement(5)])
    assert incidents[0].lead.metric == "gold_accuracy"
    _, incidents = group_findings([effect, replace(cause, severity="watch")])
    assert [each.severity for each in incidents] == ["act", "watch"], "a warning does not lead a critical incident"
