"""One fault is one incident, two faults are two, and the finding about the likely source leads."""

import random
from dataclasses import replace

import pytest

from observability.core.finding import INCIDENT_NEWS, LEADS, Finding
from observability.core.metric_definitions import METRICS
from observability.incidents.grouping import group_findings
from observability.incidents.grouping_rules import CAUSES, STAGES, pipeline_stage
from observability.incidents.next_steps import is_about_predictions
from tests.support.week_findings import DAY, IMPORTANCE, START, score_moved, unit_change, week_finding, week_incidents


def test_a_deliberate_search_by_a_client_is_not_grouped_with_inputs_that_broke_in_the_same_week() -> None:
    vague = {"onset_known": "vague", "subjects": ["client-13"]}
    search = week_finding("boundary_request_share", "subject=client-13", day=0, evidence=vague, likely_source="system")
    broken = [week_finding("null_rate", name, day=5, likely_source="input") for name in ("age", "income")]
    far = week_finding("far_request_share", day=None, severity="watch")
    _, incidents = group_findings([search, *broken, far], IMPORTANCE)
    assert [incident.source for incident in incidents if search.id in {each.id for each in incident.findings}] == ["system"]
    assert len(incidents) >= 2 and any({each.metric for each in incident.findings} == {"boundary_request_share"} for incident in incidents)


def test_a_unit_change_is_one_incident_not_ten() -> None:
    settled, found = group_findings(unit_change(), IMPORTANCE)
    assert len(found) == 1
    one = found[0]
    assert (one.severity, one.source, one.onset) == ("act", "input", START + 3 * DAY)
    assert (one.lead.analyzer, one.lead.subject) == ("data/quality", "income")
    assert len(one.collateral) == len(unit_change()) - 1
    assert {each.incident for each in settled} == {one.id} and {each.likely_source for each in settled} == {"input"}
    assert "consistent with it: mean absolute error, root mean squared error and expected" in one.sentence and "cause" not in one.sentence


def group_moved(others: float) -> Finding:
    """A finding in which the selection rate of one group fell by 20 points, and that of the other groups changed by `others`."""
    evidence = {"baseline": 0.6, "others_moved": others}
    return week_finding(
        "selection_rate", "sex=F", analyzer="trust/fairness", severity="watch", value=0.4, evidence=evidence, day=3, low=0.38, high=0.42
    )


def test_a_group_that_changed_alone_leads_the_incident_of_an_overall_drop() -> None:
    fall = [week_finding("mae", rank=15.0), score_moved()]
    (one,) = week_incidents(*fall, group_moved(-0.02))
    assert (one.lead.subject, one.severity, one.source) == ("sex=F", "act", "model")
    (all_moved,) = week_incidents(*fall, group_moved(-0.15))
    assert all_moved.lead.subject == "score"
    (broken,) = week_incidents(*unit_change(), group_moved(-0.02))
    assert broken.lead.subject == "income"


def test_a_concentrated_slice_leads_the_change_of_a_feature() -> None:
    whole = [week_finding("null_rate", "income"), week_finding("psi", "income", rank=15.0)]
    here = {"coverage": 0.97, "share": 0.4}
    (one,) = week_incidents(*whole, week_finding("null_rate", "income", analyzer="serving/slices", slice="sex=F", evidence=here))
    assert (one.lead.subject, one.lead.slice, one.source, len(one.collateral)) == ("income", "sex=F", "input", 2)
    for other in ({"coverage": 0.6, "share": 0.4}, {"coverage": 0.97, "share": 0.9}):
        (one,) = week_incidents(*whole, week_finding("null_rate", "income", analyzer="serving/slices", slice="sex=F", evidence=other))
        assert one.lead.slice is None
    two = [week_finding("null_rate", "income", analyzer="serving/slices", slice=each, evidence=here) for each in ("sex=F", "region=south")]
    (one,) = week_incidents(*whole, *two)
    assert one.lead.slice is None, "two different slices are no single place"
    (one,) = week_incidents(*whole, week_finding("null_rate", "age", analyzer="serving/slices", slice="sex=F", evidence=here))
    assert one.lead.slice is None, "a slice of another feature says nothing about this one"


def test_swapped_levels_lead_findings_about_their_rows() -> None:
    names = week_finding("level_trade", "zip", value=0.02, low=0.01, high=0.03, evidence={"levels": ["a b", "c"]})
    inside = [
        week_finding("rank_shift", "age", analyzer="serving/slices", slice="zip=a%20b", rank=9.0, evidence={"coverage": 0.9, "share": 0.1}),
        week_finding("rank_shift", "income", analyzer="serving/slices", slice="sex=F&zip=c", rank=8.0),
    ]
    (one,) = week_incidents(names, week_finding("psi", "zip", rank=15.0), *inside)
    assert (one.lead.metric, one.source, len(one.collateral)) == ("level_trade", "input", 3)
    elsewhere = week_finding(
        "rank_shift", "age", analyzer="serving/slices", slice="zip=d", rank=9.0, evidence={"coverage": 0.9, "share": 0.1}
    )
    assert len(week_incidents(names, elsewhere)) == 2, "the rows of another level have not changed"


def test_slices_that_share_a_condition_count_as_one_place() -> None:
    parts = [
        week_finding("mae", analyzer="serving/slices", slice=f"age={age}&zip=1", rank=rank) for age, rank in (("old", 9.0), ("young", 8.0))
    ]
    (one,) = week_incidents(week_finding("mae", rank=15.0), *parts)
    assert one.lead.slice == "age=old&zip=1"
    (two,) = week_incidents(week_finding("mae", rank=15.0), parts[0], replace(parts[1], slice="sex=F"))
    assert two.lead.slice is None, "two different slices are no single place"


def test_collateral_keeps_its_own_value_interval_and_sentence() -> None:
    before = {each.id: each for each in unit_change()}
    settled, _ = group_findings(unit_change(), IMPORTANCE)
    for each in settled:
        own = {name: value for name, value in each.evidence.items() if name not in (LEADS, INCIDENT_NEWS)}
        assert replace(each, incident=None, likely_source=None, evidence=own) == replace(before[each.id], incident=None, likely_source=None)


def test_the_order_of_findings_does_not_matter() -> None:
    mixed = unit_change() + [
        week_finding("latency_p99", "replica=r3", day=1),
        week_finding("null_rate", "age", day=0.5),
        week_finding("label_maturity"),
    ]
    expected = group_findings(mixed, IMPORTANCE)
    for seed in range(20):
        random.Random(seed).shuffle(mixed)
        assert group_findings(mixed, IMPORTANCE) == expected


def test_a_feed_that_breaks_many_features_in_one_day_is_one_incident_and_names_the_heaviest() -> None:
    broken = [week_finding("null_rate", name, evidence={"baseline": 0.0}) for name in ("tiny", "zip", "age", "income")]
    moved = [week_finding("psi", name, day=None, evidence={"jensen_shannon_distance": 0.4}) for name in ("tiny", "zip", "age", "income")]
    (one,) = week_incidents(*broken, *moved)
    assert one.lead.subject == "age" and one.lead.metric == "null_rate" and len(one.collateral) == 7
    assert "also affected: `income`, `tiny` and `zip`" in one.sentence


def test_two_independent_faults_in_one_week_stay_two_incidents() -> None:
    slow = [week_finding("latency_p99", "replica=r3", day=1), week_finding("burn_rate", day=1, severity="watch")]
    null = [week_finding("null_rate", "age", day=3), week_finding("psi", "age", day=3)]
    found = week_incidents(*slow, *null)
    assert [(each.source, each.lead.subject) for each in sorted(found, key=lambda one: one.source)] == [
        ("input", "age"),
        ("system", "replica=r3"),
    ]


def test_a_slow_replica_and_a_null_feature_in_the_same_hour_are_two_incidents() -> None:
    assert len(week_incidents(week_finding("latency_p99", "replica=r3"), week_finding("null_rate", "age"))) == 2


def test_features_that_break_on_different_days_are_two_incidents() -> None:
    assert len(week_incidents(week_finding("null_rate", "age", day=1), week_finding("null_rate", "income", day=4))) == 2
    assert len(week_incidents(week_finding("null_rate", "age", day=3), week_finding("null_rate", "income", day=4))) == 2
    assert len(week_incidents(week_finding("null_rate", "age", day=3), week_finding("null_rate", "income", day=3))) == 1


def test_drift_before_the_analysed_days_is_a_separate_incident() -> None:
    season = [week_finding("psi", name, day=0, evidence={"jensen_shannon_distance": 0.3}) for name in ("zip", "income")]
    found = week_incidents(*season, week_finding("null_rate", "age", day=2))
    assert sorted(len(each.findings) for each in found) == [1, 2]


def test_replicas_that_slow_down_on_different_days_are_two_incidents_and_together_are_one() -> None:
    assert len(week_incidents(week_finding("latency_p99", "replica=r1", day=1), week_finding("latency_p99", "replica=r2", day=5))) == 2
    (one,) = week_incidents(*(week_finding("latency_p99", f"replica=r{k}") for k in (1, 2)), week_finding("latency_p99", rank=4.0))
    assert one.lead.subject == "model"


def test_one_slow_replica_leads_though_the_whole_service_got_slower() -> None:
    (one,) = week_incidents(
        week_finding("latency_p99", rank=9.0), week_finding("latency_p99", "replica=r3", rank=8.0), week_finding("cost_per_thousand")
    )
    assert one.lead.subject == "replica=r3" and one.source == "system" and len(one.collateral) == 2


def test_labels_that_stop_are_one_incident_of_their_own() -> None:
    (one,) = week_incidents(week_finding("label_maturity"))
    assert one.source == "label" and one.lead.subject == "model"


def test_a_drop_without_an_upstream_cause_suspects_the_model() -> None:
    (one,) = week_incidents(week_finding("mae"), week_finding("rmse"), week_finding("ece", day=4, severity="watch"))
    assert one.source == "model" and one.lead.analyzer == "serving/performance"


def test_an_unimportant_feature_does_not_explain_a_drop() -> None:
    moved = week_finding("psi", "tiny", day=2, evidence={"jensen_shannon_distance": 0.3})
    assert len(week_incidents(moved, week_finding("mae"))) == 2
    assert len(week_incidents(replace(moved, subject="age"), week_finding("mae"))) == 1
    assert len(week_incidents(moved, score_moved(day=2), week_finding("mae"))) == 1, "the scores that moved link the feature to the drop"


def test_a_cause_precedes_its_effect() -> None:
    late = week_finding("psi", "age", day=6, evidence={"jensen_shannon_distance": 0.6})
    assert len(week_incidents(late, week_finding("mae", day=1))) == 2
    assert len(week_incidents(replace(late, onset=START), week_finding("mae", day=6))) == 2, (
        "an effect that comes six days later is not attributed either"
    )


def test_a_drop_that_estimates_do_not_show_is_consistent_with_concept_drift() -> None:
    moved = week_finding("psi", "age", day=0, evidence={"jensen_shannon_distance": 0.6})
    fall = week_finding("mae", day=0, value=30.0, low=29.0, high=31.0, evidence={"baseline": 20.0})

    def estimate(said: float) -> Finding:
        evidence = {"metric": "mae", "estimated": said, "measured": 30.0}
        return week_finding("estimate_error", severity="unknown", value=None, low=None, high=None, evidence=evidence)

    assert len(week_incidents(moved, fall, estimate(20.5))) == 2
    assert len(week_incidents(moved, fall, estimate(27.0))) == 1


def test_a_warning_explains_a_critical_finding_only_if_both_began_on_the_same_day() -> None:
    moved = week_finding("psi", "age", day=1, severity="watch", evidence={"jensen_shannon_distance": 0.2})
    assert len(week_incidents(moved, week_finding("mae", day=4))) == 2
    assert len(week_incidents(moved, week_finding("mae", day=1))) == 1


def test_different_slices_are_different_places_unless_they_began_together() -> None:
    assert len(week_incidents(week_finding("mae", slice="origin=EWR", day=None), week_finding("mae", slice="origin=JFK", day=None))) == 2
    assert len(week_incidents(week_finding("mae", slice="origin=EWR", day=1), week_finding("mae", slice="origin=JFK", day=5))) == 2
    assert len(week_incidents(week_finding("mae", slice="origin=EWR"), week_finding("mae", slice="carrier=UA"))) == 1
    assert (
        len(week_incidents(week_finding("mae", slice="origin=EWR", day=None), week_finding("mae", slice="carrier=UA&origin=EWR", day=None)))
        == 1
    )
    (one,) = week_incidents(week_finding("mae", slice="origin=EWR", rank=5.0), week_finding("mae", rank=9.0))
    assert one.lead.slice == "origin=EWR"


def test_long_standing_findings_do_not_connect_two_dates() -> None:
    old = [week_finding("psi", name, severity="watch", day=None, evidence={"standing": True}) for name in ("age", "income")]
    found = week_incidents(*old, week_finding("null_rate", "age", day=1), week_finding("null_rate", "income", day=5))
    assert sorted((each.standing, len(each.findings)) for each in found) == [(False, 1), (False, 1), (True, 2)]
    assert len(week_incidents(*old, week_finding("null_rate", "zip", day=1))) == 2


def test_findings_are_listed_by_incident_with_the_lead_finding_first() -> None:
    slices = [week_finding("mae", analyzer="serving/slices", slice=f"zip={name}", rank=20.0) for name in "abc"]
    other = week_finding("latency_p99", "replica=r3", day=1, rank=50.0)
    fine = [week_finding("psi", "zip", severity="ok", day=None), week_finding("null_rate", "zip", severity="unknown", day=None)]
    mixed = [*slices, *fine, other, *unit_change()]
    found, formed = group_findings(mixed, IMPORTANCE)
    assert [each.lead.subject for each in formed] == ["income", "replica=r3"], "the incident that reaches more of the pipeline comes first"
    assert found[0] == formed[0].lead and found[0].metric == "out_of_range_rate"
    assert [each.incident for each in found] == [formed[0].id] * 13 + [formed[1].id, None, None]
    assert [each.severity for each in found[-2:]] == ["unknown", "ok"] and len(found) == len(mixed)


def test_a_finding_without_a_date_joins_a_dated_one() -> None:
    vague = week_finding("psi", "zip", day=0, evidence={"onset_known": "vague"})
    (one,) = week_incidents(vague, week_finding("null_rate", "age", day=5))
    assert one.onset == START + 5 * DAY


def test_findings_of_one_training_run_are_one_incident_and_models_are_never_mixed() -> None:
    runs = [week_finding("straggler_score", f"run:{name}/rank:{rank}", day=None) for name in ("a", "b") for rank in (1, 2)]
    assert sorted(len(each.findings) for each in week_incidents(*runs)) == [2, 2]
    assert len(week_incidents(week_finding("null_rate", "age"), replace(week_finding("null_rate", "age"), model="other"))) == 2


def test_findings_without_needed_action_are_in_no_incident() -> None:
    settled, found = group_findings([week_finding("mae", severity="ok"), week_finding("mae", severity="unknown", slice="a=b")])
    assert found == () and all(each.incident is None for each in settled)


def test_the_id_lasts_from_day_to_day_and_differs_between_incidents() -> None:
    days = [
        group_findings(
            [replace(each, start=each.start + k * DAY, end=each.end + k * DAY, value=each.value, rank=5.0 + k) for each in unit_change()]
        )[1][0].id
        for k in range(3)
    ]
    assert len(set(days)) == 1
    many = week_incidents(
        week_finding("mae"),
        week_finding("equal_opportunity_difference", day=None),
        week_finding("latency_p99"),
        week_finding("null_rate", "age", day=6),
    )
    assert len({each.id for each in many}) == len(many) > 2


def test_a_changed_labelling_guideline_before_a_drop_is_suspected() -> None:
    event = {"at": "2026-07-08T12:00:00Z", "what": "guideline", "text": "Late means 20 minutes"}
    (one,) = week_incidents(week_finding("mae", event=event))
    assert one.source == "label" and one.event == event


def test_worst_incidents_come_first() -> None:
    found = week_incidents(
        week_finding("latency_p99", "replica=r1", severity="watch", rank=99.0),
        week_finding("null_rate", "age", rank=1.0),
        week_finding("mae", day=0.5, rank=12.0),
    )
    assert [each.lead.metric for each in found] == ["mae", "null_rate", "latency_p99"]


def test_findings_of_two_versions_about_one_feature_are_one_fault() -> None:
    assert len(week_incidents(week_finding("null_rate", "age"), replace(week_finding("null_rate", "age"), version="2"))) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_a_stage_and_causes_precede_effects(metric: str) -> None:
    at = pipeline_stage(week_finding(metric, analyzer="serving/performance"))
    assert all(STAGES.index(cause) < STAGES.index(at) for cause in CAUSES[at])


def test_what_devices_report_is_no_evidence_of_broken_inputs() -> None:
    """Regression: devices were of the stage of outcomes, so the incident of a null rate held a roll-out as consistent with it."""
    broken = [week_finding("null_rate", "age", day=2, likely_source="input"), week_finding("mae", day=2)]
    rings = [
        week_finding("ring_crash_gap", "version=2/ring=ring 2", day=2, evidence={"onset_known": "dated"}, likely_source="model"),
        week_finding("device_crash_share", "firmware=5.3", day=None, likely_source="system"),
        week_finding("device_late_share", "class=tablet", day=None, likely_source="system"),
    ]
    found = {incident.lead.metric: [each.metric for each in incident.collateral] for incident in week_incidents(*broken, *rings)}
    assert found == {"null_rate": ["mae"], "ring_crash_gap": [], "device_crash_share": [], "device_late_share": []}, (
        "each group of devices is a fault of its own"
    )
    (devices,) = week_incidents(rings[1])
    assert not is_about_predictions(devices) and is_about_predictions(week_incidents(*broken)[0])
