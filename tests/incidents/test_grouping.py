"""One fault is one incident, two faults are two, and the likely source leads."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from observability.core.finding import LEADS, Finding, acknowledged_finding
from observability.core.metric_definitions import METRICS
from observability.incidents.grouping import Incident, group_findings
from observability.incidents.grouping_rules import CAUSES, STAGES, pipeline_stage

START = datetime(2026, 7, 6, tzinfo=UTC)
DAY = timedelta(days=1)
IMPORTANCE = {"m": {"age": 0.5, "income": 0.3, "zip": 0.19, "tiny": 0.01}}


def finding(metric: str, subject: str = "model", *, day: float | None = 3, severity: str = "act", **changed: Any) -> Finding:
    """A finding of model m in the week from START, dated to a day of it."""
    analyzer = changed.pop("analyzer", None) or ANALYZER_OF_METRIC[metric]
    base = Finding(
        analyzer=analyzer,
        model="m",
        version="1",
        subject=subject,
        metric=metric,
        unit=METRICS[metric].unit,
        value=0.4,
        low=0.3,
        high=0.5,
        n=900,
        severity="act",
        because=f"{metric} of `{subject}` is off.",
        start=START,
        end=START + 7 * DAY,
        against="reference",
        onset=None if day is None else START + day * DAY,
        rank=5.0,
    )
    return replace(base, severity=severity, **changed)


METRICS_OF_ANALYZER = {
    "data/quality": "null_rate out_of_range_rate volume",
    "serving/drift": "psi level_trade",
    "serving/multivariate_drift": "domain_auc",
    "serving/performance": "mae rmse roc_auc",
    "serving/estimated_performance": "estimate_error",
    "serving/calibration": "ece",
    "trust/explanations": "attribution_distance",
    "operations/cost": "money_lost_per_thousand cost_per_thousand",
    "operations/energy": "energy_per_thousand",
    "serving/latency": "latency_p99 burn_rate",
    "data/labels": "label_maturity",
    "trust/fairness": "equal_opportunity_difference demographic_parity_ratio",
    "training/runs": "straggler_score",
    "serving/slices": "rank_shift",
    "trust/live_guard": "boundary_request_share far_request_share",
}
ANALYZER_OF_METRIC = {metric: analyzer for analyzer, metrics in METRICS_OF_ANALYZER.items() for metric in metrics.split()}


def score_moved(**changed: Any) -> Finding:
    return finding("psi", "score", evidence={"column": "score"}, **changed)


def incidents(*findings: Finding, importance: dict[str, dict[str, float]] | None = None) -> tuple[Incident, ...]:
    return group_findings(findings, IMPORTANCE if importance is None else importance)[1]


def unit_change() -> list[Finding]:
    """The findings of a unit change of one feature, in every part of the pipeline."""
    return [
        finding("mae", rank=15.0),
        finding("rmse", rank=12.0),
        finding("ece", day=None, severity="watch"),
        finding("psi", "income", evidence={"jensen_shannon_distance": 0.8}),
        finding("out_of_range_rate", "income", evidence={"baseline": 0.0}, value=0.97, high=0.98),
        score_moved(),
        finding("domain_auc", day=None, severity="watch"),
        finding("attribution_distance", day=None),
        finding("equal_opportunity_difference", day=4, severity="watch"),
        finding("money_lost_per_thousand", day=None, severity="watch"),
    ]


def test_what_a_subject_does_on_purpose_is_no_part_of_inputs_that_broke_in_the_same_week() -> None:
    vague = {"onset_known": "vague", "subjects": ["client-13"]}
    search = finding("boundary_request_share", "subject=client-13", day=0, evidence=vague, likely_source="system")
    broken = [finding("null_rate", name, day=5, likely_source="input") for name in ("age", "income")]
    far = finding("far_request_share", day=None, severity="watch")
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
    """The selection rate of one group fell by 20 points, that of the others by `others`."""
    evidence = {"baseline": 0.6, "others_moved": others}
    return finding(
        "selection_rate", "sex=F", analyzer="trust/fairness", severity="watch", value=0.4, evidence=evidence, day=3, low=0.38, high=0.42
    )


def test_an_isolated_group_leads_a_drop_of_the_whole() -> None:
    fall = [finding("mae", rank=15.0), score_moved()]
    (one,) = incidents(*fall, group_moved(-0.02))
    assert (one.lead.subject, one.severity, one.source) == ("sex=F", "act", "model")
    (all_moved,) = incidents(*fall, group_moved(-0.15))
    assert all_moved.lead.subject == "score"
    (broken,) = incidents(*unit_change(), group_moved(-0.02))
    assert broken.lead.subject == "income"


def test_a_concentrated_slice_leads_the_change_of_a_feature() -> None:
    whole = [finding("null_rate", "income"), finding("psi", "income", rank=15.0)]
    here = {"coverage": 0.97, "share": 0.4}
    (one,) = incidents(*whole, finding("null_rate", "income", analyzer="serving/slices", slice="sex=F", evidence=here))
    assert (one.lead.subject, one.lead.slice, one.source, len(one.collateral)) == ("income", "sex=F", "input", 2)
    for other in ({"coverage": 0.6, "share": 0.4}, {"coverage": 0.97, "share": 0.9}):
        (one,) = incidents(*whole, finding("null_rate", "income", analyzer="serving/slices", slice="sex=F", evidence=other))
        assert one.lead.slice is None
    two = [finding("null_rate", "income", analyzer="serving/slices", slice=each, evidence=here) for each in ("sex=F", "region=south")]
    (one,) = incidents(*whole, *two)
    assert one.lead.slice is None, "two places are no place"
    (one,) = incidents(*whole, finding("null_rate", "age", analyzer="serving/slices", slice="sex=F", evidence=here))
    assert one.lead.slice is None, "another feature's place says nothing about this one"


def test_swapped_levels_lead_findings_about_their_rows() -> None:
    names = finding("level_trade", "zip", value=0.02, low=0.01, high=0.03, evidence={"levels": ["a b", "c"]})
    inside = [
        finding("rank_shift", "age", analyzer="serving/slices", slice="zip=a%20b", rank=9.0, evidence={"coverage": 0.9, "share": 0.1}),
        finding("rank_shift", "income", analyzer="serving/slices", slice="sex=F&zip=c", rank=8.0),
    ]
    (one,) = incidents(names, finding("psi", "zip", rank=15.0), *inside)
    assert (one.lead.metric, one.source, len(one.collateral)) == ("level_trade", "input", 3)
    elsewhere = finding("rank_shift", "age", analyzer="serving/slices", slice="zip=d", rank=9.0, evidence={"coverage": 0.9, "share": 0.1})
    assert len(incidents(names, elsewhere)) == 2, "another level's rows are the same as before"


def test_slices_of_one_place_are_one_place() -> None:
    parts = [finding("mae", analyzer="serving/slices", slice=f"age={age}&zip=1", rank=rank) for age, rank in (("old", 9.0), ("young", 8.0))]
    (one,) = incidents(finding("mae", rank=15.0), *parts)
    assert one.lead.slice == "age=old&zip=1"
    (two,) = incidents(finding("mae", rank=15.0), parts[0], replace(parts[1], slice="sex=F"))
    assert two.lead.slice is None, "two places are no place"


def test_collateral_keeps_its_own_value_interval_and_sentence() -> None:
    before = {each.id: each for each in unit_change()}
    settled, _ = group_findings(unit_change(), IMPORTANCE)
    for each in settled:
        own = {name: value for name, value in each.evidence.items() if name != LEADS}
        assert replace(each, incident=None, likely_source=None, evidence=own) == replace(before[each.id], incident=None, likely_source=None)


def test_the_order_of_findings_does_not_matter() -> None:
    mixed = unit_change() + [finding("latency_p99", "replica=r3", day=1), finding("null_rate", "age", day=0.5), finding("label_maturity")]
    expected = group_findings(mixed, IMPORTANCE)
    for seed in range(20):
        random.Random(seed).shuffle(mixed)
        assert group_findings(mixed, IMPORTANCE) == expected


def test_a_feed_that_breaks_many_features_in_one_day_is_one_incident_and_names_the_heaviest() -> None:
    broken = [finding("null_rate", name, evidence={"baseline": 0.0}) for name in ("tiny", "zip", "age", "income")]
    moved = [finding("psi", name, day=None, evidence={"jensen_shannon_distance": 0.4}) for name in ("tiny", "zip", "age", "income")]
    (one,) = incidents(*broken, *moved)
    assert one.lead.subject == "age" and one.lead.metric == "null_rate" and len(one.collateral) == 7
    assert "also affected: `income`, `tiny` and `zip`" in one.sentence


def test_two_independent_faults_of_a_week_stay_two() -> None:
    slow = [finding("latency_p99", "replica=r3", day=1), finding("burn_rate", day=1, severity="watch")]
    null = [finding("null_rate", "age", day=3), finding("psi", "age", day=3)]
    found = incidents(*slow, *null)
    assert [(each.source, each.lead.subject) for each in sorted(found, key=lambda one: one.source)] == [
        ("input", "age"),
        ("system", "replica=r3"),
    ]


def test_at_the_same_hour_a_slow_replica_and_a_null_feature_are_still_two() -> None:
    assert len(incidents(finding("latency_p99", "replica=r3"), finding("null_rate", "age"))) == 2


def test_features_that_break_on_different_days_are_two_incidents() -> None:
    assert len(incidents(finding("null_rate", "age", day=1), finding("null_rate", "income", day=4))) == 2
    assert len(incidents(finding("null_rate", "age", day=3), finding("null_rate", "income", day=4))) == 2
    assert len(incidents(finding("null_rate", "age", day=3), finding("null_rate", "income", day=3))) == 1


def test_drift_before_the_analysed_days_is_another_fault() -> None:
    season = [finding("psi", name, day=0, evidence={"jensen_shannon_distance": 0.3}) for name in ("zip", "income")]
    found = incidents(*season, finding("null_rate", "age", day=2))
    assert sorted(len(each.findings) for each in found) == [1, 2]


def test_two_replicas_at_different_times_are_two_and_all_at_once_are_the_service() -> None:
    assert len(incidents(finding("latency_p99", "replica=r1", day=1), finding("latency_p99", "replica=r2", day=5))) == 2
    (one,) = incidents(*(finding("latency_p99", f"replica=r{k}") for k in (1, 2)), finding("latency_p99", rank=4.0))
    assert one.lead.subject == "model"


def test_one_slow_replica_leads_though_the_whole_service_got_slower() -> None:
    (one,) = incidents(finding("latency_p99", rank=9.0), finding("latency_p99", "replica=r3", rank=8.0), finding("cost_per_thousand"))
    assert one.lead.subject == "replica=r3" and one.source == "system" and len(one.collateral) == 2


def test_labels_that_stop_are_one_incident_of_their_own() -> None:
    (one,) = incidents(finding("label_maturity"))
    assert one.source == "label" and one.lead.subject == "model"


def test_a_drop_without_an_upstream_cause_suspects_the_model() -> None:
    (one,) = incidents(finding("mae"), finding("rmse"), finding("ece", day=4, severity="watch"))
    assert one.source == "model" and one.lead.analyzer == "serving/performance"


def test_an_unimportant_feature_does_not_explain_a_drop() -> None:
    moved = finding("psi", "tiny", day=2, evidence={"jensen_shannon_distance": 0.3})
    assert len(incidents(moved, finding("mae"))) == 2
    assert len(incidents(replace(moved, subject="age"), finding("mae"))) == 1
    assert len(incidents(moved, score_moved(day=2), finding("mae"))) == 1, "scores that moved carry it on"


def test_a_cause_precedes_its_effect() -> None:
    late = finding("psi", "age", day=6, evidence={"jensen_shannon_distance": 0.6})
    assert len(incidents(late, finding("mae", day=1))) == 2
    assert len(incidents(replace(late, onset=START), finding("mae", day=6))) == 2, "nor does it take six days"


def test_a_drop_that_estimates_do_not_show_is_consistent_with_concept_drift() -> None:
    moved = finding("psi", "age", day=0, evidence={"jensen_shannon_distance": 0.6})
    fall = finding("mae", day=0, value=30.0, low=29.0, high=31.0, evidence={"baseline": 20.0})

    def estimate(said: float) -> Finding:
        evidence = {"metric": "mae", "estimated": said, "measured": 30.0}
        return finding("estimate_error", severity="unknown", value=None, low=None, high=None, evidence=evidence)

    assert len(incidents(moved, fall, estimate(20.5))) == 2
    assert len(incidents(moved, fall, estimate(27.0))) == 1


def test_a_watch_does_not_explain_an_act_that_did_not_begin_with_it() -> None:
    moved = finding("psi", "age", day=1, severity="watch", evidence={"jensen_shannon_distance": 0.2})
    assert len(incidents(moved, finding("mae", day=4))) == 2
    assert len(incidents(moved, finding("mae", day=1))) == 1


def test_different_slices_are_different_places_unless_they_began_together() -> None:
    assert len(incidents(finding("mae", slice="origin=EWR", day=None), finding("mae", slice="origin=JFK", day=None))) == 2
    assert len(incidents(finding("mae", slice="origin=EWR", day=1), finding("mae", slice="origin=JFK", day=5))) == 2
    assert len(incidents(finding("mae", slice="origin=EWR"), finding("mae", slice="carrier=UA"))) == 1
    assert len(incidents(finding("mae", slice="origin=EWR", day=None), finding("mae", slice="carrier=UA&origin=EWR", day=None))) == 1
    (one,) = incidents(finding("mae", slice="origin=EWR", rank=5.0), finding("mae", rank=9.0))
    assert one.lead.slice == "origin=EWR"


def test_long_standing_findings_do_not_connect_two_dates() -> None:
    old = [finding("psi", name, severity="watch", day=None, evidence={"standing": True}) for name in ("age", "income")]
    found = incidents(*old, finding("null_rate", "age", day=1), finding("null_rate", "income", day=5))
    assert sorted((each.standing, len(each.findings)) for each in found) == [(False, 1), (False, 1), (True, 2)]
    assert len(incidents(*old, finding("null_rate", "zip", day=1))) == 2


def test_what_stands_is_one_incident_led_by_the_most_important_column_with_a_proposal() -> None:
    old = {"day": None, "evidence": {"standing": True, "jensen_shannon_distance": 0.4}}
    stands = [
        finding("psi", "zip", rank=30.0, **old),
        finding("psi", "age", **old),
        finding("rank_shift", "income", slice="zip=a", **old),
        score_moved(day=None, news="ongoing"),
        finding("domain_auc", day=None, news="ongoing"),
        finding("mae", day=None, evidence={"standing": True}),
        finding("equal_opportunity_difference", "sex=F", day=None, severity="watch", evidence={"standing": True}),
    ]
    (one,) = incidents(*stands)
    assert (one.standing, one.lead.subject, one.severity, len(one.findings)) == (True, "age", "act", 7)
    assert one.sentence.endswith("consider a newer or a rolling reference, or retraining.") and "also standing: " in one.sentence
    new = unit_change()
    both = incidents(*stands, *new)
    assert [(each.standing, len(each.findings)) for each in both] == [(False, len(new)), (True, 7)], "what is new comes first and apart"
    assert both[1].id == one.id == incidents(*stands[2:])[0].id, "its id lasts whichever column leads"
    dated = finding("null_rate", "age", day=-3, news="ongoing", evidence={"onset_known": "dated"})
    assert not incidents(dated)[0].standing, "a dated fault that goes on keeps its incident"


def test_what_goes_on_with_a_drift_that_stands_is_no_further_incident() -> None:
    stands = finding("psi", "age", day=None, news="worse", evidence={"standing": True})
    beyond = finding("out_of_range_rate", "age", day=2, value=0.3, news="new")
    going_on = [
        finding("domain_auc", day=1, news="new"),
        beyond,
        finding("psi", "zip", day=None, news="improving", evidence={"onset_known": "vague"}),
        finding("null_rate", "income", day=1, severity="watch"),
    ]
    found = incidents(stands, *going_on)
    assert [(each.standing, len(each.findings)) for each in found] == [(True, 4), (False, 1)], "the nulls of another column are a fault"
    assert len(incidents(stands, replace(beyond, value=0.97))) == 2, "nearly all of a column beyond its range is another unit"
    assert len(incidents(stands, replace(beyond, evidence={**beyond.evidence, "factor": 10.0}))) == 2, "and so is a factor"
    assert len(incidents(stands, replace(beyond, severity="watch", value=0.03))) == 2, "outliers are no drift"
    fault = finding("psi", "income", day=2, news="new", evidence={"jensen_shannon_distance": 0.8, "factor": 10.0})
    one, other = incidents(stands, fault, *going_on[:2])
    assert (one.lead.subject, len(one.findings)) == ("income", 2), "a column in another unit takes what may follow"
    assert other.standing and len(other.findings) == 2, "and not what is about the column that stands"


def test_a_move_of_a_column_while_a_drift_stands_is_no_further_incident() -> None:
    stands = finding("psi", "age", day=None, value=3.0, news="ongoing", evidence={"standing": True})
    moved = finding("psi", "zip", day=1, value=1.2, news="worse")
    (one,) = incidents(stands, moved)
    assert one.standing and len(one.findings) == 2
    assert len(incidents(stands, replace(moved, value=31.0))) == 2, "much farther from the reference than what stands"
    assert len(incidents(stands, replace(moved, evidence={**moved.evidence, "factor": 0.1}))) == 2, "another unit"
    (dear,) = incidents(stands, moved, finding("cost_per_thousand", day=1, severity="watch"))
    assert len(dear.findings) == 3 and dear.lead.subject == "age", "with what follows from it"
    left = finding("out_of_range_rate", "age", day=2, value=0.3, news="new", rank=50.0)
    (known,) = incidents(stands, left)
    assert known.lead.metric == "psi", "what is new is not called not new"
    assert "This is not new" in known.sentence
    (weak,) = incidents(replace(stands, severity="watch", value=0.2), finding("domain_auc", day=1, news="new"))
    assert weak.lead.metric == "domain_auc" and "It is ongoing" in weak.sentence
    assert len(incidents(stands, replace(moved, news="new"))) == 1, "one column after the other moves while inputs drift"
    fall = finding("mae", day=1, evidence={"primary": True})
    fallen = incidents(stands, moved, fall)
    assert [(each.standing, len(each.findings)) for each in fallen] == [(False, 2), (True, 1)], "answers became worse with it"
    (detail,) = incidents(stands, moved, finding("rmse", day=1))
    assert len(detail.findings) == 3, "the primary metric decides whether answers became worse"
    part = replace(fall, analyzer="serving/slices", slice="zip=a")
    assert len(incidents(stands, moved, part)) == 2, "those of a part did"
    assert len(incidents(stands, moved, replace(part, metric="bias"))) == 1, "a bias has no better side"
    beyond = finding("out_of_range_rate", "zip", day=2, value=0.1, news="new")
    near = replace(moved, severity="unknown")
    assert [len(each.findings) for each in incidents(stands, beyond, near)] == [2], "a column that drifts leaves its range"
    assert len(incidents(stands, replace(beyond, value=0.97), near)) == 2, "another unit"
    part = finding("rank_shift", "age", slice="zip=a", day=None, news="new")
    assert len(incidents(stands, part)) == 1 and len(incidents(stands, replace(part, onset=START + 2 * DAY))) == 2
    weak = finding("bias", analyzer="serving/slices", slice="age=20%20to%20below%2030", day=None, news="new")
    assert len(incidents(stands, weak)) == 1 and len(incidents(stands, replace(weak, onset=START + 2 * DAY))) == 2
    assert len(incidents(replace(stands, metric="ece", analyzer="serving/calibration"), weak)) == 2, "the inputs do not drift"


def test_a_drift_without_a_date_is_one_incident_from_its_first_week_to_the_weeks_in_which_it_stands() -> None:
    first = [
        finding("psi", "age", day=0, news="new", evidence={"standing": False, "onset_known": "open"}),
        finding("psi", "zip", day=0, news="new", evidence={"standing": False, "onset_known": "vague"}),
        finding("out_of_range_rate", "age", day=3, value=0.3, news="new"),
        finding("domain_auc", day=None),
    ]
    later = [finding("psi", "zip", day=None, news="ongoing", evidence={"standing": True}), finding("domain_auc", day=2, news="new")]
    receded = [finding("domain_auc", day=1, news="new")]
    weeks = [incidents(*found) for found in (first, later, receded)]
    assert [len(found) for found in weeks] == [1, 1, 1] and len({found[0].id for found in weeks}) == 1
    assert [found[0].standing for found in weeks] == [False, True, False]
    gap = finding("equal_opportunity_difference", "sex=F", day=None, evidence={"standing": True})
    assert len(incidents(*first, gap)) == 1, "it began before the analysed days, as the gap"
    vague = [finding("psi", "zip", day=None, news="new"), gap]
    found = incidents(*vague)
    assert len(found) == 2 and len({each.id for each in found}) == 2, "a column that moved on an unknown day is new"
    broken = incidents(*first, finding("null_rate", "income", day=2))
    assert len(broken) == 2 and weeks[0][0].id not in {each.id for each in broken}, "another input broke, and may explain it"


def test_requests_far_from_the_reference_belong_to_a_joint_drift_and_are_no_part_of_what_stands() -> None:
    """A live guard counts the rows of the drift once more. Both at once on a date are an event, whatever else stands."""
    stands = finding("ece", day=None, severity="watch", news="ongoing", evidence={"standing": True})
    joint, far = finding("domain_auc", day=3, value=0.9, news="new"), finding("far_request_share", day=None, value=0.6, news="new")
    for first, second in ((joint, far), (joint, replace(far, severity="watch")), (replace(joint, severity="watch"), far)):
        flood, old = incidents(stands, first, second)
        assert not flood.standing and flood.severity == "act" and len(flood.findings) == 2, "a sudden flood"
        assert old.standing and old.severity == "watch"
    (apart,) = incidents(joint, replace(far, severity="watch"))
    assert apart.id == incidents(joint)[0].id, "the drift without what stands has one id, too"
    for old in (stands, finding("domain_auc", day=None, news="ongoing", evidence={"standing": True})):
        alone = incidents(old, far)
        assert [each.standing for each in alone] == [False, True], "a few strange requests are no drift"
    ranked = replace(joint, rank=2 * 0.9 - 1)
    broken = incidents(stands, ranked, replace(far, severity="watch", rank=3.0), finding("null_rate", "income", day=1))
    assert next(each.lead.metric for each in broken if not each.standing) == "null_rate", "an input that broke comes first"


def test_a_joint_drift_on_a_date_is_told_where_no_inputs_drifted_before() -> None:
    """Its onset lies inside the window: a calibration that stands is no reason to call it standing."""
    joint = finding("domain_auc", day=3, value=0.9, news="new")
    watched = finding("ece", day=None, severity="watch", news="ongoing", evidence={"standing": True})
    event, old = incidents(watched, joint)
    assert (event.standing, event.lead.metric, event.onset) == (False, "domain_auc", START + 3 * DAY)
    assert old.standing and [each.metric for each in old.findings] == ["ece"]
    for since in ({"onset_known": "open"}, {"onset_known": "vague"}):
        assert len(incidents(watched, replace(joint, evidence=since))) == 1, "nothing says that it began in the window"
    drifts = finding("psi", "age", day=None, value=0.2, severity="watch", news="ongoing", evidence={"standing": True})
    assert len(incidents(watched, drifts, joint)) == 1, "inputs drifted before"


def test_a_column_that_leaves_its_range_at_once_is_told_unless_it_stands_itself() -> None:
    """No factor names its unit: the drift of all inputs together, or of another column, is no reason for it."""
    stands = finding("domain_auc", day=None, news="ongoing", evidence={"standing": True})
    beyond = finding("out_of_range_rate", "age", day=3, value=0.85, news="new", evidence={"past": 0.0})
    assert [each.standing for each in incidents(stands, beyond)] == [False, True]
    assert len(incidents(stands, replace(beyond, evidence={"past": 0.02}))) == 1, "it left slowly"
    for severity, value in (("watch", 0.21), ("act", 3.0)):
        column = finding("psi", "zip", day=None, value=value, severity=severity, news="ongoing", evidence={"standing": True})
        found = incidents(stands, column, beyond)
        assert [(each.standing, len(each.findings)) for each in found] == [(False, 1), (True, 2)], "another column drifts"
        assert len(incidents(stands, replace(column, subject="age"), beyond)) == 1, "the column itself drifts"


def test_a_column_that_moves_very_far_is_told_where_only_a_joint_drift_stands() -> None:
    stands = finding("domain_auc", day=None, news="ongoing", evidence={"standing": True})
    moved = finding("psi", "age", day=3, value=100.0, news="new")
    assert [each.standing for each in incidents(stands, moved)] == [False, True]
    assert len(incidents(stands, replace(moved, value=2.0))) == 1, "as columns move while inputs drift"


def test_what_a_model_has_had_since_its_first_day_is_one_incident() -> None:
    unknown_past = {"past": None, "onset_known": "vague"}
    seen = [
        finding("domain_auc", day=0, evidence={"standing": False, "onset_known": "open"}),
        finding("mae", day=0, news="new", evidence={**unknown_past, "primary": True}),
        finding("ece", day=None, news="ongoing", evidence={"standing": True}),
        finding("out_of_range_rate", "age", day=2, value=0.3, news="new", evidence={"past": None}),
        finding("out_of_range_rate", "zip", day=4, value=0.3, news="new", evidence={"past": None}),
        finding("psi", "income", day=1, news="new"),
    ]
    (whole,) = incidents(*seen)
    assert not whole.standing, "it is new to whoever sees it"
    standing = finding("psi", "age", day=None, news="ongoing", evidence={"standing": True})
    assert incidents(standing)[0].id == whole.id, "and the same in the weeks in which it stands"
    broken = finding("null_rate", "income", day=2, evidence={"past": None})
    assert len(incidents(*seen[:4], broken)) == 2, "values that broke on a date are another fault"
    parted = [finding("psi", "age", day=1, news="new", evidence={"past": None}), finding("psi", "zip", day=4, news="new")]
    assert len(incidents(*parted)) == 2, "two columns that moved on two dates, where nothing differed before"
    known = finding("rmse", severity="ok", day=None, evidence={"past": 3.0})
    assert len(incidents(*seen, known)) > 1, "a model with a past has weeks to compare these with"


def test_a_column_that_left_its_range_slowly_is_in_no_other_unit() -> None:
    stands = finding("psi", "age", day=None, value=3.0, news="worse", evidence={"standing": True})
    for metric in ("out_of_range_rate", "unseen_rate"):
        gone = finding(metric, "age", day=2, value=0.97, news="new", analyzer="data/quality", evidence={"past": 0.05})
        assert len(incidents(stands, gone)) == 1, "some of its values were there in the past weeks"
        assert len(incidents(stands, replace(gone, evidence={"past": 0.0}))) == 2, "another unit or coding comes at once"
        assert len(incidents(stands, replace(gone, evidence={"past": 0.05, "factor": 10.0}))) == 2


def test_what_is_critical_comes_before_warnings_and_what_is_new_before_what_stands() -> None:
    """A critical incident that stood and nobody had acknowledged was below a new warning."""
    stands = finding("psi", "age", day=None, news="ongoing", evidence={"standing": True})
    weak = finding("latency_p99", "replica=r1", severity="watch", news="new")
    goes_on = finding("null_rate", "income", day=1, rank=99.0, news="ongoing", evidence={"onset_known": "dated"})
    new = finding("label_maturity", day=4, news="new", rank=1.0)
    found, formed = group_findings([stands, weak, goes_on, new])
    assert [each.lead.metric for each in formed] == ["label_maturity", "null_rate", "psi", "latency_p99"]
    assert [each.metric for each in found] == ["label_maturity", "null_rate", "psi", "latency_p99"]
    _, formed = group_findings([acknowledged_finding(stands), weak])
    assert [each.lead.metric for each in formed] == ["latency_p99", "psi"], "acknowledged, it is below what is new"


def test_details_of_a_fall_that_stands_are_no_further_incident() -> None:
    stands = finding("mae", day=None, news="worse", evidence={"standing": True, "primary": True})
    details = [finding("rmse", day=3, news="worse"), finding("ece", day=None)]
    (one,) = incidents(stands, *details)
    assert one.standing and len(one.findings) == 3
    beside = finding("ece", day=None, severity="watch", evidence={"standing": True})
    undated = replace(stands, news="new", evidence={"primary": True})
    assert [each.standing for each in incidents(beside, undated)] == [False, True], "the primary metric is no detail"
    part = finding("mae", analyzer="serving/slices", slice="zip=a", day=3, news="new")
    assert len(incidents(stands, *details, part)) == 1, "the whole fell further with the slice"
    as_before = replace(stands, news="ongoing")
    assert [each.standing for each in incidents(as_before, part)] == [False, True], "a slice that changed on a date is a fault"
    (whole,) = incidents(as_before, replace(part, metric="bias"))
    assert whole.standing and len(whole.findings) == 2, "its bias says in which direction the answers are wrong that are known to be"
    old = finding("ece", day=None, evidence={"standing": True})
    assert len(incidents(old, replace(part, metric="bias"))) == 2, "the answers as a whole have not become worse"
    new = replace(stands, evidence={"primary": True}, onset=START + 3 * DAY)
    assert [each.standing for each in incidents(new, *details, replace(details[1], metric="ecce", evidence={"standing": True}))] == [
        False,
        True,
    ]


def test_a_slice_that_moves_with_its_column_is_a_detail_of_the_column() -> None:
    part = finding("rank_shift", "age", slice="zip=a", severity="watch", evidence={"whole_moved": True})
    old = finding("psi", "age", day=None, evidence={"standing": True})
    (one,) = incidents(old, part)
    assert one.standing and one.lead.metric == "psi"
    assert len(incidents(old, replace(part, evidence={}))) == 2, "the slice alone moved now: that is new"
    assert len(incidents(finding("psi", "age", day=1), replace(part, onset=START + 5 * DAY))) == 1


def test_a_fall_of_the_whole_and_of_slices_that_overlap_is_one_incident_whatever_their_onsets() -> None:
    one_fall = [
        finding("mae", day=4, rank=12.0),
        finding("mae", analyzer="serving/slices", slice="hhi=1&region=2", day=1),
        finding("mae", analyzer="serving/slices", slice="region=2&whrswk=below%2024", day=6),
    ]
    assert len(incidents(*one_fall)) == 1
    assert len(incidents(*one_fall[1:])) == 1, "without the whole as well"
    apart = replace(one_fall[2], slice="region=3&whrswk=below%2024")
    assert len(incidents(one_fall[1], apart)) == 2, "two regions are two places"
    levels = [finding("mae", analyzer="serving/slices", slice=f"hour={hour}", day=0) for hour in (9, 14, 19)]
    assert len(incidents(*levels)) == 1, "the levels of one column, without a date"
    assert len(incidents(*[replace(each, onset=START + 2 * n * DAY) for n, each in enumerate(levels)])) == 3, "dated apart"


def test_metrics_of_one_fall_are_one_incident_whatever_their_onsets() -> None:
    fall = [finding("mae", day=5, rank=12.0), finding("rmse", day=2), finding("ece", day=1, severity="watch")]
    unequal = finding("equal_opportunity_difference", day=2, severity="watch")
    (one,) = incidents(*fall, unequal, finding("money_lost_per_thousand", day=2))
    assert (one.lead.metric, one.source, len(one.findings)) == ("mae", "model", 5)
    earlier = finding("ece", day=1, severity="watch")
    found = incidents(finding("psi", "income", day=5, evidence={"jensen_shannon_distance": 0.8}), finding("mae", day=5), earlier)
    assert [(each.lead.metric, len(each.findings)) for each in found] == [("psi", 2), ("ece", 1)], (
        "what precedes the input is not its effect"
    )
    parts = [finding("mae", analyzer="serving/slices", slice=where, day=day) for where, day in (("zip=a", 1), ("zip=b", 4), ("sex=F", 7))]
    assert len(incidents(*parts)) == 3, "three places"


def test_the_values_of_a_slice_that_changed_lead_the_fall_that_follows() -> None:
    evidence = {"coverage": 0.9, "share": 0.25}
    moved = finding("rank_shift", "income", slice="zip=south", day=2, rank=8.0, evidence=evidence)
    fall = [finding("mae", day=2, rank=20.0), finding("bias", analyzer="serving/slices", slice="zip=south", day=2, rank=11.0)]
    (one,) = incidents(moved, *fall)
    assert (one.lead.metric, one.lead.slice, one.source) == ("rank_shift", "zip=south", "input")
    (whole,) = incidents(moved, *fall, finding("psi", "income", day=2, severity="watch", evidence={"jensen_shannon_distance": 0.3}))
    assert whole.lead.slice == "zip=south"


def test_findings_stand_with_their_incident_led_by_its_source() -> None:
    slices = [finding("mae", analyzer="serving/slices", slice=f"zip={name}", rank=20.0) for name in "abc"]
    other = finding("latency_p99", "replica=r3", day=1, rank=50.0)
    fine = [finding("psi", "zip", severity="ok", day=None), finding("null_rate", "zip", severity="unknown", day=None)]
    mixed = [*slices, *fine, other, *unit_change()]
    found, formed = group_findings(mixed, IMPORTANCE)
    assert [each.lead.subject for each in formed] == ["income", "replica=r3"], "what reaches more of the pipeline comes first"
    assert found[0] == formed[0].lead and found[0].metric == "out_of_range_rate"
    assert [each.incident for each in found] == [formed[0].id] * 13 + [formed[1].id, None, None]
    assert [each.severity for each in found[-2:]] == ["unknown", "ok"] and len(found) == len(mixed)


def test_a_finding_without_a_date_joins_a_dated_one() -> None:
    vague = finding("psi", "zip", day=0, evidence={"onset_known": "vague"})
    (one,) = incidents(vague, finding("null_rate", "age", day=5))
    assert one.onset == START + 5 * DAY


def test_training_runs_are_one_each_and_models_never_mix() -> None:
    runs = [finding("straggler_score", f"run:{name}/rank:{rank}", day=None) for name in ("a", "b") for rank in (1, 2)]
    assert sorted(len(each.findings) for each in incidents(*runs)) == [2, 2]
    assert len(incidents(finding("null_rate", "age"), replace(finding("null_rate", "age"), model="other"))) == 2


def test_findings_without_needed_action_are_in_no_incident() -> None:
    settled, found = group_findings([finding("mae", severity="ok"), finding("mae", severity="unknown", slice="a=b")])
    assert found == () and all(each.incident is None for each in settled)


def test_the_id_lasts_from_day_to_day_and_differs_between_incidents() -> None:
    days = [
        group_findings(
            [replace(each, start=each.start + k * DAY, end=each.end + k * DAY, value=each.value, rank=5.0 + k) for each in unit_change()]
        )[1][0].id
        for k in range(3)
    ]
    assert len(set(days)) == 1
    many = incidents(
        finding("mae"), finding("equal_opportunity_difference", day=None), finding("latency_p99"), finding("null_rate", "age", day=6)
    )
    assert len({each.id for each in many}) == len(many) > 2


def test_a_changed_labelling_guideline_before_a_drop_is_suspected() -> None:
    event = {"at": "2026-07-08T12:00:00Z", "what": "guideline", "text": "Late means 20 minutes"}
    (one,) = incidents(finding("mae", event=event))
    assert one.source == "label" and one.event == event


def test_worst_incidents_come_first() -> None:
    found = incidents(
        finding("latency_p99", "replica=r1", severity="watch", rank=99.0),
        finding("null_rate", "age", rank=1.0),
        finding("mae", day=0.5, rank=12.0),
    )
    assert [each.lead.metric for each in found] == ["mae", "null_rate", "latency_p99"]


def test_findings_of_two_versions_about_one_feature_are_one_fault() -> None:
    assert len(incidents(finding("null_rate", "age"), replace(finding("null_rate", "age"), version="2"))) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_has_a_stage_and_causes_precede_effects(metric: str) -> None:
    at = pipeline_stage(finding(metric, analyzer="serving/performance"))
    assert all(STAGES.index(cause) < STAGES.index(at) for cause in CAUSES[at])
