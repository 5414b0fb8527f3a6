"""Incidents of several models that have something in common are one fault. Two incidents that coincide by chance are not."""

from dataclasses import replace

import pytest

from observability.incidents.action_counts import counted_incidents, incident_action_counts
from observability.incidents.grouping import Incident
from observability.incidents.shared_faults import shared_faults
from tests.support.fleet_incidents import DAY, START, drift_incident


def test_an_input_that_changed_in_three_models_is_one_fault_with_the_models_under_it() -> None:
    found = [drift_incident("c", 3.0), drift_incident("a", 3.5), drift_incident("b", 2.5), drift_incident("other", 3.0, subject="age")]
    (fault,) = shared_faults(found)
    assert (fault.kind, fault.name, fault.models) == ("input", "amount", ("a", "b", "c"))
    assert fault.sentence == "The input `amount` changed in 3 models since 8 Jul 2026."
    assert fault.severity == "act" and fault.onset == START + 2.5 * DAY
    assert incident_action_counts(found).critical == 2
    assert shared_faults(list(reversed(found))) == [fault], "the order does not matter"
    assert shared_faults([*found, drift_incident("d", 3.2)])[0].id == fault.id, "one more model does not change the id"


def test_fewer_than_three_models_different_days_or_unknown_days_make_no_shared_fault() -> None:
    assert shared_faults([drift_incident("a"), drift_incident("b")]) == []
    assert shared_faults([drift_incident("a", 1.0), drift_incident("b", 3.5), drift_incident("c", 6.0)]) == []
    assert shared_faults([drift_incident("a", None), drift_incident("b", None), drift_incident("c", None)]) == []
    assert shared_faults([drift_incident("a"), drift_incident("a", subject="age"), drift_incident("a", subject="zip")]) == []


def test_incidents_after_one_deploy_are_one_fault_but_incidents_after_a_holiday_are_not() -> None:
    event = {"at": "2026-07-08T09:00:00Z", "what": "deploy", "text": "feature service 7"}
    found = [drift_incident(name, subject=name, event=event) for name in ("a", "b", "c")]
    (fault,) = shared_faults(found)
    assert (fault.kind, fault.name) == ("event", "deploy: feature service 7")
    holiday = [drift_incident(name, subject=name, event={**event, "what": "note"}) for name in ("a", "b", "c")]
    assert shared_faults(holiday) == []


def test_an_incident_joins_the_largest_shared_fault_that_it_fits() -> None:
    event = {"at": "2026-07-08T09:00:00Z", "what": "data", "text": "new feed"}
    found = [drift_incident(name, event=event) for name in ("a", "b", "c", "d")] + [drift_incident("e")]
    (fault,) = shared_faults(found)
    assert fault.kind == "input" and len(fault.models) == 5


DAYS_LATER = drift_incident("b", 6.0)


@pytest.mark.parametrize(
    "other",
    [
        DAYS_LATER,
        drift_incident("b", None),
        drift_incident("b", subject="age"),
        drift_incident("b", metric="wasserstein"),
        drift_incident("b", subject="model", metric="domain_auc", analyzer="serving/multivariate_drift"),
        drift_incident("b", analyzer="serving/slices", metric="rank_shift", slice="sex=F"),
        replace(drift_incident("b"), source="system"),
        replace(drift_incident("b"), collateral=(replace(DAYS_LATER.lead, metric="mae", news="worse", evidence={"primary": True}),)),
        drift_incident("a"),
    ],
)
def test_incidents_of_two_models_are_one_problem_only_if_claim_onset_and_effect_match(other: Incident) -> None:
    alike = drift_incident("b", 3.9)
    assert [set(each.models) for each in counted_incidents([drift_incident("a"), alike])] == [{"a", "b"}]
    assert len(counted_incidents([drift_incident("a"), other])) == 2


@pytest.mark.parametrize("day", [None, -3.0, 0.0])
def test_an_input_that_changed_on_unknown_days_is_a_separate_problem_of_each_model(day: float | None) -> None:
    """Regression: two models with a column `amount` counted as one feed, even if the onset was unknown or before the analyzed days."""
    undated = [drift_incident(name, day) for name in ("a", "b")]
    assert [each.models for each in counted_incidents(undated)] == [("a",), ("b",)]
    assert incident_action_counts(undated).critical == 2


def test_two_incidents_of_one_model_with_equal_sentences_are_counted_separately() -> None:
    same = replace(drift_incident("a", subject="age"), sentence=drift_incident("a").sentence)
    assert len(counted_incidents([drift_incident("a"), same])) == 2
    assert len(counted_incidents([drift_incident("a"), replace(same, model="b")])) == 1


def test_a_shared_fault_comes_before_single_faults_of_the_same_severity() -> None:
    """Regression: shared warnings were listed above a critical incident of one model."""
    shared = [drift_incident(name, severity="watch") for name in ("a", "b", "c")]
    alone, mild = drift_incident("a", subject="age"), drift_incident("b", subject="zip", severity="watch")
    found = counted_incidents([mild, *shared, alone])
    assert [(each.lead.severity, len(each.models)) for each in found] == [("act", 1), ("watch", 3), ("watch", 1)]
