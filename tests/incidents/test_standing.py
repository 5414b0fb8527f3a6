"""A drift that lasts for weeks is one incident; a new fault during it is a separate incident."""

from dataclasses import replace

from observability.core.finding import acknowledged_finding
from observability.incidents.grouping import group_findings
from observability.server.assistant import incident_list
from tests.support.week_findings import DAY, START, score_moved, unit_change, week_finding, week_incidents


def test_standing_findings_are_one_incident_led_by_the_most_important_column_with_a_proposal() -> None:
    old = {"day": None, "evidence": {"standing": True, "jensen_shannon_distance": 0.4}}
    stands = [
        week_finding("psi", "zip", rank=30.0, **old),
        week_finding("psi", "age", **old),
        week_finding("rank_shift", "income", slice="zip=a", **old),
        score_moved(day=None, news="ongoing"),
        week_finding("domain_auc", day=None, news="ongoing"),
        week_finding("mae", day=None, evidence={"standing": True}),
        week_finding("equal_opportunity_difference", "sex=F", day=None, severity="watch", evidence={"standing": True}),
    ]
    (one,) = week_incidents(*stands)
    assert (one.standing, one.lead.subject, one.severity, len(one.findings)) == (True, "age", "act", 7)
    assert one.sentence.endswith("consider a newer or a rolling reference, or retraining.") and "also standing: " in one.sentence
    new = unit_change()
    both = week_incidents(*stands, *new)
    assert [(each.standing, len(each.findings)) for each in both] == [(False, len(new)), (True, 7)], (
        "the new incident comes first and is separate"
    )
    assert both[1].id == one.id == week_incidents(*stands[2:])[0].id, "the id stays the same, whichever column leads"
    dated = week_finding("null_rate", "age", day=-3, news="ongoing", evidence={"onset_known": "dated"})
    assert not week_incidents(dated)[0].standing, "a dated fault that goes on keeps its own incident"


def test_changes_that_continue_a_standing_drift_are_no_separate_incident() -> None:
    stands = week_finding("psi", "age", day=None, news="worse", evidence={"standing": True})
    beyond = week_finding("out_of_range_rate", "age", day=2, value=0.3, news="new")
    going_on = [
        week_finding("domain_auc", day=1, news="new"),
        beyond,
        week_finding("psi", "zip", day=None, news="improving", evidence={"onset_known": "vague"}),
        week_finding("null_rate", "income", day=1, severity="watch"),
    ]
    found = week_incidents(stands, *going_on)
    assert [(each.standing, len(each.findings)) for each in found] == [(True, 4), (False, 1)], (
        "nulls in another column are a separate fault"
    )
    assert len(week_incidents(stands, replace(beyond, value=0.97))) == 2, "if nearly a whole column is out of range, its unit changed"
    assert len(week_incidents(stands, replace(beyond, evidence={**beyond.evidence, "factor": 10.0}))) == 2, (
        "a factor also shows that the unit changed"
    )
    assert len(week_incidents(stands, replace(beyond, severity="watch", value=0.03))) == 2, "single outliers are no drift"
    fault = week_finding("psi", "income", day=2, news="new", evidence={"jensen_shannon_distance": 0.8, "factor": 10.0})
    one, other = week_incidents(stands, fault, *going_on[:2])
    assert (one.lead.subject, len(one.findings)) == ("income", 2), "findings that may follow from the changed unit join its incident"
    assert other.standing and len(other.findings) == 2, "but findings about the ongoing column stay with it"


def test_a_column_that_moves_during_a_standing_drift_is_no_separate_incident() -> None:
    stands = week_finding("psi", "age", day=None, value=3.0, news="ongoing", evidence={"standing": True})
    moved = week_finding("psi", "zip", day=1, value=1.2, news="worse")
    (one,) = week_incidents(stands, moved)
    assert one.standing and len(one.findings) == 2
    assert len(week_incidents(stands, replace(moved, value=31.0))) == 2, (
        "the column is much farther from the reference than the ongoing drift"
    )
    assert len(week_incidents(stands, replace(moved, evidence={**moved.evidence, "factor": 0.1}))) == 2, "another unit"
    (dear,) = week_incidents(stands, moved, week_finding("cost_per_thousand", day=1, severity="watch"))
    assert len(dear.findings) == 3 and dear.lead.subject == "age", "the cost that follows from the drift joins it"
    left = week_finding("out_of_range_rate", "age", day=2, value=0.3, news="new", rank=50.0)
    (known,) = week_incidents(stands, left)
    assert known.lead.metric == "psi", "a new finding does not lead, because the sentence says that the incident is not new"
    assert "This is not new" in known.sentence
    (weak,) = week_incidents(replace(stands, severity="watch", value=0.2), week_finding("domain_auc", day=1, news="new"))
    assert weak.lead.metric == "domain_auc" and "It is ongoing" in weak.sentence
    assert len(week_incidents(stands, replace(moved, news="new"))) == 1, "one more column may drift while inputs are already drifting"
    fall = week_finding("mae", day=1, evidence={"primary": True})
    fallen = week_incidents(stands, moved, fall)
    assert [(each.standing, len(each.findings)) for each in fallen] == [(False, 2), (True, 1)], (
        "at the same time answers became worse, which is a separate incident"
    )
    (detail,) = week_incidents(stands, moved, week_finding("rmse", day=1))
    assert len(detail.findings) == 3, "the primary metric decides whether answers became worse"
    part = replace(fall, analyzer="serving/slices", slice="zip=a")
    assert len(week_incidents(stands, moved, part)) == 2, "the answers in a slice became worse"
    assert len(week_incidents(stands, moved, replace(part, metric="bias"))) == 1, "a bias has no better direction"
    beyond = week_finding("out_of_range_rate", "zip", day=2, value=0.1, news="new")
    near = replace(moved, severity="unknown")
    assert [len(each.findings) for each in week_incidents(stands, beyond, near)] == [2], "a column that drifts also leaves its range"
    assert len(week_incidents(stands, replace(beyond, value=0.97), near)) == 2, "another unit"
    part = week_finding("rank_shift", "age", slice="zip=a", day=None, news="new")
    assert len(week_incidents(stands, part)) == 1 and len(week_incidents(stands, replace(part, onset=START + 2 * DAY))) == 2
    weak = week_finding("bias", analyzer="serving/slices", slice="age=20%20to%20below%2030", day=None, news="new")
    assert len(week_incidents(stands, weak)) == 1 and len(week_incidents(stands, replace(weak, onset=START + 2 * DAY))) == 2
    assert len(week_incidents(replace(stands, metric="ece", analyzer="serving/calibration"), weak)) == 2, "the inputs do not drift"


def test_an_undated_drift_stays_the_same_incident_from_its_first_week_on() -> None:
    first = [
        week_finding("psi", "age", day=0, news="new", evidence={"standing": False, "onset_known": "open"}),
        week_finding("psi", "zip", day=0, news="new", evidence={"standing": False, "onset_known": "vague"}),
        week_finding("out_of_range_rate", "age", day=3, value=0.3, news="new"),
        week_finding("domain_auc", day=None),
    ]
    later = [
        week_finding("psi", "zip", day=None, news="ongoing", evidence={"standing": True}),
        week_finding("domain_auc", day=2, news="new"),
    ]
    receded = [week_finding("domain_auc", day=1, news="new")]
    weeks = [week_incidents(*found) for found in (first, later, receded)]
    assert [len(found) for found in weeks] == [1, 1, 1] and len({found[0].id for found in weeks}) == 1
    assert [found[0].standing for found in weeks] == [False, True, False]
    gap = week_finding("equal_opportunity_difference", "sex=F", day=None, evidence={"standing": True})
    assert len(week_incidents(*first, gap)) == 1, "the gap and the drift both began before the analysed days"
    vague = [week_finding("psi", "zip", day=None, news="new"), gap]
    found = week_incidents(*vague)
    assert len(found) == 2 and len({each.id for each in found}) == 2, "a column that moved on an unknown day is a new incident"
    broken = week_incidents(*first, week_finding("null_rate", "income", day=2))
    assert len(broken) == 2 and weeks[0][0].id not in {each.id for each in broken}, "another input broke, which may explain the drift"


def test_far_requests_belong_to_a_joint_drift_and_not_to_a_standing_incident() -> None:
    """The live guard counts the rows of the drift again. If both appear on one date, they are an event of their own, whatever else is
    ongoing.
    """
    stands = week_finding("ece", day=None, severity="watch", news="ongoing", evidence={"standing": True})
    joint, far = (
        week_finding("domain_auc", day=3, value=0.9, news="new"),
        week_finding("far_request_share", day=None, value=0.6, news="new"),
    )
    for first, second in ((joint, far), (joint, replace(far, severity="watch")), (replace(joint, severity="watch"), far)):
        flood, old = week_incidents(stands, first, second)
        assert not flood.standing and flood.severity == "act" and len(flood.findings) == 2, (
            "joint drift and far requests together are a new flood"
        )
        assert old.standing and old.severity == "watch"
    (apart,) = week_incidents(joint, replace(far, severity="watch"))
    assert apart.id == week_incidents(joint)[0].id, "without an ongoing incident the drift has the same id"
    for old in (stands, week_finding("domain_auc", day=None, news="ongoing", evidence={"standing": True})):
        alone = week_incidents(old, far)
        assert [each.standing for each in alone] == [False, True], "a few strange requests alone are no drift"
    ranked = replace(joint, rank=2 * 0.9 - 1)
    broken = week_incidents(stands, ranked, replace(far, severity="watch", rank=3.0), week_finding("null_rate", "income", day=1))
    assert next(each.lead.metric for each in broken if not each.standing) == "null_rate", "the incident of the broken input comes first"


def test_a_dated_joint_drift_is_an_incident_of_its_own_if_no_inputs_drifted_before() -> None:
    """The onset of the drift is inside the window. An ongoing miscalibration is no reason to call the drift ongoing as well."""
    joint = week_finding("domain_auc", day=3, value=0.9, news="new")
    watched = week_finding("ece", day=None, severity="watch", news="ongoing", evidence={"standing": True})
    event, old = week_incidents(watched, joint)
    assert (event.standing, event.lead.metric, event.onset) == (False, "domain_auc", START + 3 * DAY)
    assert old.standing and [each.metric for each in old.findings] == ["ece"]
    for since in ({"onset_known": "open"}, {"onset_known": "vague"}):
        assert len(week_incidents(watched, replace(joint, evidence=since))) == 1, "nothing shows that the drift began in the window"
    drifts = week_finding("psi", "age", day=None, value=0.2, severity="watch", news="ongoing", evidence={"standing": True})
    assert len(week_incidents(watched, drifts, joint)) == 1, "inputs had drifted before"


def test_a_column_that_suddenly_leaves_its_range_is_a_new_incident_unless_it_already_stands() -> None:
    """No factor indicates a change of unit. Neither an ongoing joint drift nor the drift of another column explains that this column leaves
    its range.
    """
    stands = week_finding("domain_auc", day=None, news="ongoing", evidence={"standing": True})
    beyond = week_finding("out_of_range_rate", "age", day=3, value=0.85, news="new", evidence={"past": 0.0})
    assert [each.standing for each in week_incidents(stands, beyond)] == [False, True]
    assert len(week_incidents(stands, replace(beyond, evidence={"past": 0.02}))) == 1, "the column left its range slowly"
    for severity, value in (("watch", 0.21), ("act", 3.0)):
        column = week_finding("psi", "zip", day=None, value=value, severity=severity, news="ongoing", evidence={"standing": True})
        found = week_incidents(stands, column, beyond)
        assert [(each.standing, len(each.findings)) for each in found] == [(False, 1), (True, 2)], (
            "the ongoing drift is about another column"
        )
        assert len(week_incidents(stands, replace(column, subject="age"), beyond)) == 1, "the ongoing drift is about the column itself"


def test_a_column_that_moves_very_far_is_a_new_incident_if_only_a_joint_drift_stands() -> None:
    stands = week_finding("domain_auc", day=None, news="ongoing", evidence={"standing": True})
    moved = week_finding("psi", "age", day=3, value=100.0, news="new")
    assert [each.standing for each in week_incidents(stands, moved)] == [False, True]
    assert len(week_incidents(stands, replace(moved, value=2.0))) == 1, "columns move this far while inputs drift"


def test_findings_since_the_first_day_of_a_model_are_one_incident() -> None:
    unknown_past = {"past": None, "onset_known": "vague"}
    seen = [
        week_finding("domain_auc", day=0, evidence={"standing": False, "onset_known": "open"}),
        week_finding("mae", day=0, news="new", evidence={**unknown_past, "primary": True}),
        week_finding("ece", day=None, news="ongoing", evidence={"standing": True}),
        week_finding("out_of_range_rate", "age", day=2, value=0.3, news="new", evidence={"past": None}),
        week_finding("out_of_range_rate", "zip", day=4, value=0.3, news="new", evidence={"past": None}),
        week_finding("psi", "income", day=1, news="new"),
    ]
    (whole,) = week_incidents(*seen)
    assert not whole.standing, "the model is new, so nothing in its incident is ongoing"
    standing = week_finding("psi", "age", day=None, news="ongoing", evidence={"standing": True})
    assert week_incidents(standing)[0].id == whole.id, "the id is the same in later weeks, when the drift is ongoing"
    broken = week_finding("null_rate", "income", day=2, evidence={"past": None})
    assert len(week_incidents(*seen[:4], broken)) == 2, "values that broke on a date are a separate fault"
    parted = [week_finding("psi", "age", day=1, news="new", evidence={"past": None}), week_finding("psi", "zip", day=4, news="new")]
    assert len(week_incidents(*parted)) == 2, "two columns moved on two dates, and nothing differed before"
    known = week_finding("rmse", severity="ok", day=None, evidence={"past": 3.0})
    assert len(week_incidents(*seen, known)) > 1, "a model with a past has earlier weeks to compare with"


def test_a_column_that_left_its_range_slowly_is_not_taken_for_a_change_of_unit() -> None:
    stands = week_finding("psi", "age", day=None, value=3.0, news="worse", evidence={"standing": True})
    for metric in ("out_of_range_rate", "unseen_rate"):
        gone = week_finding(metric, "age", day=2, value=0.97, news="new", analyzer="data/quality", evidence={"past": 0.05})
        assert len(week_incidents(stands, gone)) == 1, "some of the values already occurred in past weeks"
        assert len(week_incidents(stands, replace(gone, evidence={"past": 0.0}))) == 2, "another unit or coding appears all at once"
        assert len(week_incidents(stands, replace(gone, evidence={"past": 0.05, "factor": 10.0}))) == 2


def test_critical_incidents_come_before_warnings_and_new_ones_before_standing_ones() -> None:
    """Regression: a critical incident that was ongoing and acknowledged by nobody was listed below a new warning."""
    stands = week_finding("psi", "age", day=None, news="ongoing", evidence={"standing": True})
    weak = week_finding("latency_p99", "replica=r1", severity="watch", news="new")
    goes_on = week_finding("null_rate", "income", day=1, rank=99.0, news="ongoing", evidence={"onset_known": "dated"})
    new = week_finding("label_maturity", day=4, news="new", rank=1.0)
    found, formed = group_findings([stands, weak, goes_on, new])
    assert [each.lead.metric for each in formed] == ["label_maturity", "null_rate", "psi", "latency_p99"]
    assert [each.metric for each in found] == ["label_maturity", "null_rate", "psi", "latency_p99"]
    _, formed = group_findings([acknowledged_finding(stands), weak])
    assert [each.lead.metric for each in formed] == ["latency_p99", "psi"], "an acknowledged incident comes after a new one"


def test_details_of_a_standing_fall_are_no_separate_incident() -> None:
    stands = week_finding("mae", day=None, news="worse", evidence={"standing": True, "primary": True})
    details = [week_finding("rmse", day=3, news="worse"), week_finding("ece", day=None)]
    (one,) = week_incidents(stands, *details)
    assert one.standing and len(one.findings) == 3
    beside = week_finding("ece", day=None, severity="watch", evidence={"standing": True})
    undated = replace(stands, news="new", evidence={"primary": True})
    assert [each.standing for each in week_incidents(beside, undated)] == [False, True], (
        "the primary metric is not a detail of another finding"
    )
    part = week_finding("mae", analyzer="serving/slices", slice="zip=a", day=3, news="new")
    assert len(week_incidents(stands, *details, part)) == 1, "the whole metric fell further together with the slice"
    as_before = replace(stands, news="ongoing")
    assert [each.standing for each in week_incidents(as_before, part)] == [False, True], (
        "a slice that changed on a date is a separate fault"
    )
    (whole,) = week_incidents(as_before, replace(part, metric="bias"))
    assert whole.standing and len(whole.findings) == 2, "the bias only states the direction of an error that is already known"
    old = week_finding("ece", day=None, evidence={"standing": True})
    assert len(week_incidents(old, replace(part, metric="bias"))) == 2, "the answers as a whole have not become worse"
    new = replace(stands, evidence={"primary": True}, onset=START + 3 * DAY)
    assert [each.standing for each in week_incidents(new, *details, replace(details[1], metric="ecce", evidence={"standing": True}))] == [
        False,
        True,
    ]


def test_a_slice_that_moves_with_its_column_is_a_detail_of_the_column() -> None:
    part = week_finding("rank_shift", "age", slice="zip=a", severity="watch", evidence={"whole_moved": True})
    old = week_finding("psi", "age", day=None, evidence={"standing": True})
    (one,) = week_incidents(old, part)
    assert one.standing and one.lead.metric == "psi"
    assert len(week_incidents(old, replace(part, evidence={}))) == 2, "only the slice moved now, so it is new"
    assert len(week_incidents(week_finding("psi", "age", day=1), replace(part, onset=START + 5 * DAY))) == 1


def test_a_fall_of_the_whole_and_of_slices_that_overlap_is_one_incident_whatever_their_onsets() -> None:
    one_fall = [
        week_finding("mae", day=4, rank=12.0),
        week_finding("mae", analyzer="serving/slices", slice="hhi=1&region=2", day=1),
        week_finding("mae", analyzer="serving/slices", slice="region=2&whrswk=below%2024", day=6),
    ]
    assert len(week_incidents(*one_fall)) == 1
    assert len(week_incidents(*one_fall[1:])) == 1, "the slices are one incident even without the whole metric"
    apart = replace(one_fall[2], slice="region=3&whrswk=below%2024")
    assert len(week_incidents(one_fall[1], apart)) == 2, "two regions are two places"
    levels = [week_finding("mae", analyzer="serving/slices", slice=f"hour={hour}", day=0) for hour in (9, 14, 19)]
    assert len(week_incidents(*levels)) == 1, "undated levels of one column are one incident"
    assert len(week_incidents(*[replace(each, onset=START + 2 * n * DAY) for n, each in enumerate(levels)])) == 3, "dated apart"


def test_metrics_of_one_fall_are_one_incident_whatever_their_onsets() -> None:
    fall = [week_finding("mae", day=5, rank=12.0), week_finding("rmse", day=2), week_finding("ece", day=1, severity="watch")]
    unequal = week_finding("equal_opportunity_difference", day=2, severity="watch")
    (one,) = week_incidents(*fall, unequal, week_finding("money_lost_per_thousand", day=2))
    assert (one.lead.metric, one.source, len(one.findings)) == ("mae", "model", 5)
    earlier = week_finding("ece", day=1, severity="watch")
    found = week_incidents(
        week_finding("psi", "income", day=5, evidence={"jensen_shannon_distance": 0.8}), week_finding("mae", day=5), earlier
    )
    assert [(each.lead.metric, len(each.findings)) for each in found] == [("psi", 2), ("ece", 1)], (
        "what precedes the change of the input is not its effect"
    )
    parts = [
        week_finding("mae", analyzer="serving/slices", slice=where, day=day) for where, day in (("zip=a", 1), ("zip=b", 4), ("sex=F", 7))
    ]
    assert len(week_incidents(*parts)) == 3, "three places"


def test_the_values_of_a_slice_that_changed_lead_the_fall_that_follows() -> None:
    evidence = {"coverage": 0.9, "share": 0.25}
    moved = week_finding("rank_shift", "income", slice="zip=south", day=2, rank=8.0, evidence=evidence)
    fall = [week_finding("mae", day=2, rank=20.0), week_finding("bias", analyzer="serving/slices", slice="zip=south", day=2, rank=11.0)]
    (one,) = week_incidents(moved, *fall)
    assert (one.lead.metric, one.lead.slice, one.source) == ("rank_shift", "zip=south", "input")
    (whole,) = week_incidents(
        moved, *fall, week_finding("psi", "income", day=2, severity="watch", evidence={"jensen_shannon_distance": 0.3})
    )
    assert whole.lead.slice == "zip=south"


def test_a_new_finding_in_a_standing_incident_is_named_and_makes_the_incident_worse() -> None:
    """Regression: the incident was listed as ongoing and did not mention its new finding."""
    stands = week_finding("mae", day=None, news="ongoing", evidence={"standing": True, "primary": True})
    (before,) = week_incidents(stands)
    assert before.news == "ongoing" and "new in it" not in before.sentence
    fresh = week_finding("rmse", day=2, severity="watch", news="new", evidence={"onset_known": "dated"})
    (one,) = week_incidents(stands, fresh)
    assert (one.id, one.news, one.new_details) == (before.id, "worse", one.collateral)
    assert "new in it: root mean squared error. The rest is not new:" in one.sentence
    (listed,) = incident_list([each.to_json() for each in one.findings])
    assert listed["news"] == "worse", "the list of incidents says so too"
    drift = week_finding("psi", "age", day=None, value=3.0, news="ongoing", evidence={"standing": True})
    (moved,) = week_incidents(drift, week_finding("psi", "zip", day=1, value=1.2, news="worse"))
    assert moved.news == "ongoing" and "moved later: `zip`" in moved.sentence, (
        "a column that moves during an ongoing drift is named in its sentence"
    )
    (again,) = week_incidents(stands, replace(fresh, news="ongoing", evidence={"standing": True}))
    assert again.news == "ongoing" and not again.new_details


def test_an_audit_finding_about_a_dataset_is_not_grouped_with_findings_about_served_rows() -> None:
    """Regression: a new calibration warning was merged into an audit of labels from two months before, and looked like an old problem."""
    dated = {"onset_known": "dated", "standing": False}
    audit = week_finding(
        "audited_suspects", "dataset:loan 1 reference", day=-60, severity="watch", news="ongoing", evidence=dated, analyzer="data/cleaning"
    )
    twin = replace(audit, metric="audited_conflicts")
    other = replace(audit, subject="dataset:loan 2 reference")
    warning = week_finding("ece", day=None, severity="watch", analyzer="serving/calibration")
    found = week_incidents(audit, warning, twin, other)
    assert [sorted(each.metric for each in one.findings) for one in found if warning.metric == one.lead.metric] == [["ece"]]
    assert sorted(len(one.findings) for one in found) == [1, 1, 2], "each dataset has one incident"
    late = replace(audit, onset=None, evidence=dated | {"standing": True}, severity="act")
    drift = week_finding("psi", "age", day=None, evidence={"standing": True})
    assert [len(one.findings) for one in week_incidents(late, drift)] == [1, 1], "an audit is not merged with an ongoing drift either"
