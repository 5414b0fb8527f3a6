"""The order of incidents, the rule for "worse", and incidents of several models that form one item."""

from datetime import UTC, datetime

import pytest

from observability.core.weeks import Week
from observability.incidents.action_counts import counted_incidents
from observability.review.action_items import is_settled_action
from observability.review.agenda import ranked_agenda
from observability.review.incident_items import FIRST_WEEK, WITHOUT_RECORDS, affected_share, of_incidents, shared_incidents
from observability.review.snapshot import incident_body
from observability.store.types import decision_items
from tests.support.fleet_incidents import drift_incident

JULY = "2013-07-01T00:00:00Z"


def incident(
    metric, subject="model", value=30.0, severity="act", analyzer="data/quality", stages=("input",), onset=JULY, source="input", rank=1.0
):
    return {
        "incident": f"{subject}-{metric}",
        "source": source,
        "severity": severity,
        "sentence": f"{subject} {metric}.",
        "onset": onset,
        "event": None,
        "lead": f"{subject}-{metric}",
        "value": value,
        "slice": None,
        "subject": subject,
        "metric": metric,
        "analyzer": analyzer,
        "rank": rank,
        "stages": list(stages),
        "findings": [f"{subject}-{metric}"],
    }


def error(value=30.5, severity="watch", metric="mae"):
    return incident(metric, value=value, severity=severity, analyzer="serving/performance", stages=("outcome",), onset=None, source="model")


def part(model, *incidents, measured=30.5, baseline=0.1):
    findings = [
        {
            "id": each["lead"],
            "subject": each["subject"],
            "metric": each["metric"],
            "value": each["value"],
            "evidence": {"baseline": baseline},
        }
        for each in incidents
    ]
    return {
        "model": model,
        "served": 1000,
        "incidents": list(incidents),
        "findings": findings,
        "strip": {"performance": {"value": measured, "severity": "ok"}},
    }


def week(*parts):
    return {"models": list(parts)}


def found(*parts, last=None):
    return ranked_agenda(item for each in parts for item in of_incidents(each, 1 / len(parts), last))


def joined(*real, held=frozenset()):
    """The agenda items of real incidents, joined as Home does for its counts."""
    parts = {}
    for each in real:
        own = parts.setdefault(each.model, part(each.model))
        own["incidents"].append(incident_body(each))
        own["findings"] += [finding.to_json() for finding in each.findings]
    items = [item for each in parts.values() for item in of_incidents(each, 1 / len(parts), None, held)]
    return shared_incidents(items, counted_incidents(real))


def test_an_incident_of_records_is_not_called_new_after_a_week_frozen_without_records():
    run = incident("straggler_score", analyzer="training/runs", subject="run:slow", stages=("run",), source="model")
    told = {name: found(part("m", run), last=week(part("m")) | {"format": name})[0].reasons[0] for name in (6, 7)}
    assert told == {6: WITHOUT_RECORDS, 7: "New this week."}
    again = found(part("m", run), last=week(part("m", run)) | {"format": 7})[0]
    assert again.change == "as before"
    late = incident("batch_stuck_share", analyzer="data/devices", subject="source:feed")
    (feed,) = found(part(None, late, measured=None) | {"served": 0})
    assert feed.model is None and feed.models == () and feed.reasons == (FIRST_WEEK,)


def test_a_standing_incident_is_not_new_in_the_first_week_or_if_another_column_leads_it():
    old, new = incident("psi", "age") | {"standing": True}, incident("null_rate", "zip", value=0.02, severity="watch")
    first, second = found(part("m", old, new))
    assert (first.about["subject"], first.change, second.change) == ("age", "as before", "new")
    assert first.reasons[0] == "Standing: not new to this model."
    again = found(part("m", old), last=week(part("m", incident("psi", "plan") | {"standing": True})))
    assert again[0].change == "as before"


def test_an_acknowledged_incident_stays_critical_and_is_only_to_be_watched():
    old, new = incident("psi", "age") | {"standing": True}, incident("null_rate", "zip", value=0.02, severity="watch")
    held = frozenset({("m", "data/quality|age|psi|")})
    first, second = ranked_agenda(of_incidents(part("m", old, new), 1.0, None, held))
    assert (first.about["subject"], second.about["subject"]) == ("zip", "age")
    assert (second.severity, second.state, second.acknowledged, second.reasons[0]) == ("watch", "critical", True, "Acknowledged.")
    assert not first.acknowledged


def test_a_shared_feed_stays_critical_until_every_model_has_acknowledged_it():
    both = [drift_incident(name) for name in ("a", "b")]

    def shared(*models):
        return joined(*both, held=frozenset((name, both[0].lead.claim) for name in models))

    (half,), (whole,) = shared("a"), shared("a", "b")
    assert (half.severity, half.acknowledged) == ("act", False)
    assert [[(own.severity, own.state) for own in half.of_model(name)] for name in "ab"] == [[("watch", "critical")], [("act", "critical")]]
    assert (whole.severity, whole.acknowledged, whole.state) == ("watch", True, "critical")


def test_the_error_of_a_model_comes_before_columns_that_moved_without_an_effect():
    columns = [incident("out_of_range_rate", name, 1.0) for name in ("dew", "heat")]
    names = [each.about["subject"] for each in found(part("delay", *columns, error(severity="act")))]
    assert names == ["model", "dew", "heat"]


def test_a_column_that_raised_the_error_comes_before_the_error_itself():
    broken = incident("null_rate", "dew", 0.9, stages=("input", "outcome"))
    assert [each.about["subject"] for each in found(part("m", error(), broken))] == ["dew", "model"]


def test_an_input_weighs_more_if_the_performance_cannot_be_measured():
    (blind,), (seen,) = (found(part("m", incident("null_rate", "dew", 0.9), measured=value)) for value in (None, 30.0))
    assert blind.score > seen.score
    assert "cannot be measured" in " ".join(blind.reasons)


def fallen(each, was=0.76):
    """A part of a frozen week in which the accuracy fell from `was` to 0.61, within an incident that the first column leads."""
    cell = {"metric": "accuracy", "value": 0.61, "because": "Accuracy 61 %.", "severity": "act", "differs": "yes", "before": {"value": was}}
    own = {"id": "fell", "metric": "accuracy", "subject": "model", "value": 0.61, "because": "Accuracy 61 %.", "evidence": {}}
    rest = [{"because": ""} | finding for finding in each["findings"]]
    return each | {"strip": {"performance": cell}, "findings": [own, *rest]}


def test_no_incident_of_a_model_whose_performance_fell_claims_that_there_was_no_loss():
    """Regression: the agenda claimed this about a model whose error had doubled."""
    (item,) = found(fallen(part("m", incident("psi", "dew"))))
    assert item.weight == 1.0
    assert "No measured performance loss" not in " ".join(item.reasons)


def test_a_fall_of_this_week_within_a_standing_incident_is_named_and_counts_as_new():
    """Regression: the accuracy fell by 15 points, but the agenda named only an ongoing drift of a column of another model."""
    stands = incident("psi", "dew", stages=("input", "outcome")) | {"standing": True}
    late = fallen(part("late", stands | {"findings": [*stands["findings"], "fell"]}))
    first, second = found(part("delay", stands), late)
    assert (first.model, first.change, first.title) == ("late", "new", "Accuracy 61 %.")
    assert first.reasons[-1].startswith("Its incident: dew psi")
    told = [finding | {"because": "`dew` moved."} if finding["id"] == stands["lead"] else finding for finding in late["findings"]]
    longer = late | {
        "findings": told,
        "incidents": [each | {"sentence": "`dew` moved; new in it: accuracy."} for each in late["incidents"]],
    }
    assert found(longer)[0].reasons[-1] == "Its incident: dew moved.", (
        "what is new in the incident is a separate reason, and no mark-up is shown"
    )
    assert (second.models, second.change) == (("delay",), "as before")
    better = fallen(part("late", stands | {"findings": [*stands["findings"], "fell"]}), was=0.5)
    assert [each.change for each in found(better)] == ["as before"]


def test_a_new_finding_in_an_ongoing_incident_is_named_and_makes_the_incident_worse():
    """Regression: a new warning within an old incident was listed as recurring."""
    old = incident("psi", "dew", stages=("input", "outcome")) | {"standing": True}
    late = part("m", old | {"findings": [*old["findings"], "fresh"], "new": ["fresh"]})
    late["findings"].append({"id": "fresh", "metric": "rmse", "subject": "model", "value": 59.0, "evidence": {}})
    (again,) = found(late, last=week(part("m", old)))
    assert (again.change, again.reasons[0]) == ("worse", "New in it: root mean squared error.")
    assert found(part("m", old), last=week(part("m", old)))[0].change == "as before"


def test_a_rate_that_rose_affects_only_the_rows_of_the_increase():
    one = incident("null_rate", "dew", 0.217)
    (item,) = found(part("m", one, baseline=0.103))
    assert item.exposure == pytest.approx(0.114)
    assert "11 % affected" in " ".join(item.reasons)
    assert affected_share(error(), {}) == 1.0


def test_among_equal_items_the_one_with_the_higher_ranked_lead_comes_first():
    items = found(part("m", incident("psi", "a", rank=0.3), incident("psi", "b", rank=2.0)))
    assert [each.about["subject"] for each in items] == ["b", "a"]


def test_one_feed_of_two_models_is_one_item_that_names_both():
    real = [drift_incident("delay", severity="watch"), drift_incident("late", 3.5)]
    (item,) = joined(*real)
    assert (item.models, item.severity) == (("delay", "late"), "act")
    assert "also in `late`" in item.title
    assert item.exposure == pytest.approx(1.0)
    assert [own.severity for name in item.models for own in item.of_model(name)] == ["watch", "act"]


def test_a_fault_of_three_models_is_one_agenda_item_as_on_the_home_page():
    """Regression: the agenda joined two models of one feed, but Home three models of one input, so their counts differed."""
    real = [drift_incident("a"), drift_incident("b"), drift_incident("c", metric="wasserstein", rank=9.0)]
    (item,) = joined(*real)
    assert item.title.startswith("The input `amount` changed in 3 models since ") and "The worst: " in item.title
    assert item.models == ("a", "b", "c")
    assert [len(joined(*real[:2])), len(counted_incidents(real[:2]))] == [1, 1]
    assert [len(joined(*real[1:])), len(counted_incidents(real[1:]))] == [2, 2], "two models with different claims are two items"


@pytest.mark.parametrize(
    ("before", "now", "metric", "expected"),
    [
        (10.0, 20.0, "mae", "worse"),
        (20.0, 10.0, "mae", "better"),
        (0.9, 0.6, "accuracy", "worse"),
        (0.6, 0.9, "accuracy", "better"),
        (20.0, 21.0, "mae", "as before"),
    ],
)
def test_the_change_of_a_fault_compares_its_size_with_last_week(before, now, metric, expected):
    last = week(part("m", error(before, metric=metric)))
    (item,) = found(part("m", error(now, metric=metric)), last=last)
    assert item.change == expected


def action(closed):
    first = decision_items.DecisionEntry(datetime(2013, 7, 8, 9, tzinfo=UTC), "ann", {"text": "Retrain", "review": "2013-W27"})
    return decision_items.DecisionItem("action", "a1", (first, decision_items.DecisionEntry(closed, "ann", {"state": "done"})))


def test_an_action_that_was_closed_is_seen_in_two_reviews_however_old_it_is():
    old = action(datetime(2013, 7, 31, tzinfo=UTC))  # in W31, four weeks after the action was promised
    assert [is_settled_action(old, Week(2013, number), []) for number in (30, 31, 32, 33)] == [False, False, False, True]


def test_past_weeks_reviewed_long_after_also_show_a_closed_action_twice():
    late = action(datetime(2026, 1, 1, tzinfo=UTC))
    shown = {"promises": [{"action": "a1", "state": "done"}]}
    still = {"promises": [{"action": "a1", "state": "open"}]}
    assert not is_settled_action(late, Week(2013, 30), [shown, still])
    assert is_settled_action(late, Week(2013, 31), [shown, shown, still])
    early = {"promises": [{"action": "a1", "state": "done", "moved": {"answer": "too early"}}]}
    assert not is_settled_action(late, Week(2013, 31), [shown, early, still]), (
        "the week in which the action was done cannot judge its effect"
    )
