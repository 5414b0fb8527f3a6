"""Check that one message is sent per fault, and that acknowledgement, snooze and ratings change the alert."""

import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from observability.alerts.alert_decisions import SETTLE, decide_alerts, person_records
from observability.alerts.alert_state import ENOUGH, HELD, alert_precision, alerts_from_records
from observability.alerts.config import AlertConfig, checked_config
from observability.core.catalog import Catalog
from observability.core.errors import UsageError
from observability.core.finding import Finding
from observability.incidents.grouping import Incident
from observability.monitoring import check

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONFIG = AlertConfig(
    channels={"team": "json://127.0.0.1:9", "all": "json://127.0.0.1:9"}, routes={"ann": ("team",)}, default=("all",), dashboard="https://x"
)


def finding(subject="age", analyzer="data/quality", metric="null_rate", severity="act", model="m", value=0.4):
    return Finding(
        analyzer, model, "1", subject, metric, value, 500, severity, f"`{subject}` is null in 40 %.", NOW, NOW, "reference", unit="share"
    )


def incident(name="i1", severity="act", model="m", lead=None, beside=()):
    first = lead or finding(severity=severity, model=model)
    return Incident(name, model, "input", first, tuple(beside), severity, None, None, first.because)


def decided(incidents, said=(), *, now=NOW, config=CONFIG, seen=None, judged=None):
    alerts = alerts_from_records(said, now)
    return decide_alerts(incidents, alerts, seen or {}, alerts if judged is None else judged, {"m": "ann"}, config, now).records


def person(says, at, **more):
    return {"kind": "alert", "incident": "i1", "at": at, "author": "bob", "says": says} | more


def test_an_incident_is_alerted_once_to_its_owner():
    first = decided([incident()])
    assert [each["kind"] for each in first] == ["alert", "message"]
    assert first[1]["channel"] == "team"
    assert first[1]["text"] == "age is null in 40 %.\nSuspected source: input.\nhttps://x/incident?id=i1"
    assert decided([incident()], [first[0]], now=NOW + HOUR) == ()


def test_an_incident_without_an_owner_goes_to_the_default_channel():
    found = decide_alerts([incident()], {}, {}, ["m"], {}, CONFIG, NOW).records
    assert [each["channel"] for each in found if each["kind"] == "message"] == ["all"]


@pytest.mark.parametrize(("severity", "least", "told"), [("act", "act", True), ("watch", "act", False), ("watch", "watch", True)])
def test_only_incidents_of_the_configured_severity_send_an_alert(severity, least, told):
    config = AlertConfig(channels=CONFIG.channels, default=("all",), least=least)
    assert bool(decided([incident(severity=severity)], config=config)) is told


def test_an_incident_that_gets_worse_is_alerted_again_despite_an_acknowledgement_or_snooze():
    config = AlertConfig(channels=CONFIG.channels, default=("all",), least="watch")
    (alert, message) = decided([incident(severity="watch")], config=config)
    for says in ("acknowledged", "snoozed"):
        said = [alert, person(says, NOW + HOUR, until=NOW + 100 * HOUR)]
        worse = decided([incident()], said, now=NOW + 2 * HOUR, config=config)
        assert [each.get("says") for each in worse] == ["worse", None]
        assert worse[1]["message"] != message["message"]
        assert alerts_from_records([*said, worse[0]], NOW + 2 * HOUR)["i1"].state == "open"


@pytest.mark.parametrize(
    ("metric", "value", "says"),
    [
        ("null_rate", 0.59, None),
        ("null_rate", 0.61, "worse"),
        ("null_rate", 0.1, None),
        ("accuracy", 0.2, None),
        ("accuracy", 0.0, "worse"),
        ("volume", 40.0, None),
    ],
)
@pytest.mark.parametrize("answer", [{"says": "acknowledged"}, {"says": "snoozed"}, {"says": "snoozed", "until": NOW + 100 * HOUR}])
def test_an_acknowledged_incident_is_alerted_again_when_its_value_is_half_again_as_bad(metric, value, says, answer):
    alert = decided([incident(lead=finding(metric=metric))])[0]
    assert alert["value"] == 0.4
    known = [alert, person(at=NOW + HOUR, **answer)]
    again = decided([incident(lead=finding(metric=metric, value=value))], known, now=NOW + 2 * HOUR)
    assert [each["says"] for each in again if each["kind"] == "alert"] == ([says] if says else [])
    if says:
        after = [*known, again[0], person(at=NOW + 3 * HOUR, **answer)]
        assert decided([incident(lead=finding(metric=metric, value=value))], after, now=NOW + 4 * HOUR) == (), (
            "the new value is now the baseline"
        )
    opened = [alert]
    assert decided([incident(lead=finding(metric=metric, value=value))], opened, now=NOW + 2 * HOUR) == (), (
        "an open alert that nobody has acknowledged is not sent again"
    )


def test_an_alert_sends_no_figure_of_a_small_group():
    few = replace(finding(subject="sex=quokka"), n=4, because="3 of 4 quokkas have no value.")
    alert, message = decided([incident(lead=few)])
    assert alert["value"] is None and alert["title"] == "Null rate of `sex=quokka`: fewer than 10 rows, so no figure is sent."
    assert "3 of 4" not in str(message)
    days = [["2026-03-01", 0.5, 4], ["2026-03-02", 0.2, 40], ["2026-03-03", 0.3, 50]]
    for n, drawn in ((4, []), (94, [[day, value, None, None] for day, value, _ in days[1:]])):
        _, message = decided([incident(lead=replace(few, n=n, evidence={"by_day": days}))])
        assert [line["points"] for line in json.loads(json.dumps(message["figures"]))] == [drawn][: len(drawn)], (
            "no point is drawn on a day with few rows"
        )


def test_a_snooze_without_an_end_date_lasts_until_the_incident_gets_worse_or_ends():
    (alert, _) = decided([incident()])
    said = [alert, person("snoozed", NOW + HOUR)]
    for later in (HOUR, 1000 * HOUR):
        assert alerts_from_records(said, NOW + HOUR + later)["i1"].state == "snoozed"
        assert decided([incident()], said, now=NOW + HOUR + later) == ()
    (gone,) = decided([], said, now=NOW + 1001 * HOUR, judged=["i1"])
    assert gone["says"] == "resolved"


def test_the_message_key_is_stable_when_the_alert_is_recomputed():
    assert decided([incident()])[1]["message"] == decided([incident()], now=NOW + HOUR)[1]["message"]


def test_an_incident_absent_for_hours_is_resolved_and_alerted_again_when_it_returns():
    (alert, message) = decided([incident()])
    assert decided([], [alert], now=NOW + SETTLE - HOUR) == ()
    assert decided([], [alert], now=NOW + 2 * SETTLE, seen={"i1": NOW + 2 * SETTLE - HOUR}) == ()
    (resolved,) = decided([], [alert], now=NOW + SETTLE)
    assert resolved["says"] == "resolved"
    back = decided([incident()], [alert, resolved], now=NOW + SETTLE + HOUR)
    assert [each["kind"] for each in back] == ["alert", "message"]
    assert back[1]["message"] != message["message"]


def told_over(looks, said=()):
    """The messages of checks that run one day apart, and the final alerts."""
    said, told = list(said), []
    for day, found in enumerate(looks):
        now = NOW + day * 24 * HOUR
        records = decided(found, said, now=now)
        said += [each for each in records if each["kind"] == "alert"]
        told += [each for each in records if each["kind"] == "message"]
    return told, alerts_from_records(said, now)


def test_a_fault_whose_onset_moves_keeps_its_first_alert_and_its_acknowledgement():
    told, alerts = told_over([[incident(f"dated {day}")] for day in range(6)])
    assert len(told) == 1
    assert list(alerts) == ["dated 0"]
    (alert, _) = decided([incident()])
    for says in ("acknowledged", "snoozed"):
        told, alerts = told_over([[incident("i7")], []], [alert, person(says, NOW, until=NOW + 100 * HOUR)])
        assert not told
        assert alerts["i1"].state == "resolved"


def test_incidents_whose_leading_column_alternates_count_as_one_fault():
    age, income, plan = (finding(name, "serving/drift", "psi") for name in ("age", "income", "plan"))
    told, _ = told_over(
        [
            [incident("i1", lead=age, beside=[income])],
            [incident("i2", lead=income, beside=[age])],
            [incident("i3", lead=plan, beside=[age])],
            [incident("i4", lead=income), incident("i5", lead=age)],
        ]
    )
    assert len(told) == 1


def test_a_new_fault_is_alerted_although_it_is_grouped_with_a_known_one():
    age, income = finding("age", "serving/drift", "psi"), finding("income")
    told, alerts = told_over([[incident("i1", lead=age)], [incident("i2", lead=income, beside=[age])]])
    assert len(told) == 2
    assert set(alerts) == {"i1", "i2"}
    assert len(told_over([[incident("i1")], [incident("i1"), incident("i2", model="n", lead=finding(model="n"))]])[0]) == 2


def test_a_fall_of_the_primary_metric_is_alerted_after_its_drift_was_alerted():
    drift = incident(lead=finding("age", "serving/drift", "psi"))
    fall = replace(finding("model", "serving/performance", "accuracy", value=0.7), evidence={"primary": True})
    detail = finding("model", "serving/performance", "log_loss", value=0.7)

    def told(*looks):
        return [each["title"] for each in told_over([[replace(drift, collateral=beside)] for beside in looks])[0]]

    assert told((), (detail,), (fall, detail), (fall,)) == ["Critical: m", "Critical, worse than before: m"], "once"
    assert told((), (replace(fall, severity="watch"),)) == ["Critical: m"]


def test_a_performance_fall_that_returns_after_a_recovery_is_alerted_again():
    drift = incident(lead=finding("age", "serving/drift", "psi"))
    fall = replace(finding("model", "serving/performance", "accuracy", value=0.7), evidence={"primary": True}, news="new")
    later = replace(fall, start=NOW + 5 * 24 * HOUR)

    def messages(*looks):
        return len(told_over([[replace(drift, collateral=beside)] for beside in looks])[0])

    week = [()] * 6
    assert messages((fall,), *week, (later,), (later,)) == 2, "it is reported again, and only once"
    assert messages((fall,), *week, (replace(later, news="ongoing"),)) == 1, "it never recovered"
    assert messages((), *week, (later,), (replace(later, news="worse"),)) == 2, "in the window of the last message"
    snoozed = [*decided([replace(drift, collateral=(fall,))])[:1], person("snoozed", NOW + HOUR, until=NOW + 500 * HOUR)]
    assert not told_over([[replace(drift, collateral=(later,))]], snoozed)[0]


def test_two_faults_grouped_as_one_incident_for_a_day_both_stay_open():
    age, income = finding("age"), finding("income")
    apart = [incident("i1", lead=age), incident("i2", lead=income)]
    told, alerts = told_over([apart, [incident("i3", lead=age, beside=[income])], apart])
    assert len(told) == 2
    assert {each.state for each in alerts.values()} == {"open"}


def test_two_incidents_of_one_fault_in_the_same_check_send_one_alert():
    age, income = (finding(name, "serving/drift", "psi") for name in ("age", "income"))
    assert len(told_over([[incident("i1", lead=age, beside=[income]), incident("i2", lead=income)]])[0]) == 1


def test_a_model_that_was_not_judged_is_not_resolved():
    (alert, _) = decided([incident()])
    assert decided([], [alert], now=NOW + 2 * SETTLE, judged=("i2",)) == ()


def test_a_snooze_ends_by_itself():
    (alert, _) = decided([incident()])
    said = [alert, person("snoozed", NOW + HOUR, until=NOW + 5 * HOUR)]
    assert alerts_from_records(said, NOW + 4 * HOUR)["i1"].state == "snoozed"
    assert alerts_from_records(said, NOW + 5 * HOUR)["i1"].state == "open"


def test_the_end_of_a_snooze_is_alerted_once_if_the_fault_persists():
    (alert, message) = decided([incident()])
    said = [alert, person("snoozed", NOW + HOUR, until=NOW + 5 * HOUR)]
    assert decided([incident()], said, now=NOW + 4 * HOUR) == ()
    assert decided([], said, now=NOW + 5 * HOUR) == ()
    (woken, again) = decided([incident("i9")], said, now=NOW + 5 * HOUR)
    assert (woken["says"], woken["incident"]) == ("woken", "i1")
    assert again["title"] == "Critical, still present after snooze: m"
    assert again["message"] != message["message"]
    assert decided([incident()], [*said, woken], now=NOW + 6 * HOUR) == ()
    second = [*said, woken, person("snoozed", NOW + 7 * HOUR, until=NOW + 9 * HOUR)]
    assert [each.get("says") for each in decided([incident()], second, now=NOW + 9 * HOUR)] == ["woken", None]


def test_the_latest_usefulness_answer_counts_once_per_alert():
    (alert, _) = decided([incident()])
    said = [alert, person("useful", NOW), person("not_useful", NOW + HOUR)]
    assert alerts_from_records(said, NOW)["i1"].useful is False
    many = []
    for place in range(12):
        many += [{**alert, "incident": f"i{place}"}, {**person("useful" if place < 9 else "not_useful", NOW), "incident": f"i{place}"}]
    found = alert_precision(alerts_from_records(many, NOW).values())
    assert (found.useful, found.judged) == (9, 12)
    assert found.share.value == pytest.approx(0.75)
    assert alert_precision(alerts_from_records([alert], NOW).values()).share is None


@pytest.mark.parametrize(
    ("hour", "expected"), [(12, NOW), (23, datetime(2026, 3, 3, 6, tzinfo=UTC)), (3, datetime(2026, 3, 2, 6, tzinfo=UTC))]
)
def test_quiet_hours_hold_a_message_until_they_end(hour, expected):
    config = AlertConfig(quiet=(time(22), time(7)), zone=ZoneInfo("Europe/Paris"))
    assert config.send_at(NOW.replace(hour=hour)) == expected


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"chanels": {}}, "unknown table"),
        ({"alerts": {"default": ["nobody"]}}, "unknown channel"),
        ({"alerts": {"least": "fine"}}, "unknown severity"),
        ({"alerts": {"quiet": "late"}}, "quiet hours"),
        ({"alerts": {"timezone": "Mars"}}, "unknown time zone"),
        ({"alerts": {"loud": 1}}, "unknown setting"),
    ],
)
def test_an_invalid_alert_setting_is_refused_with_the_reason(body, part):
    with pytest.raises(UsageError, match=part):
        checked_config(body)


def test_an_acknowledged_finding_keeps_the_critical_state_but_needs_no_action():
    critical = finding()
    claims = frozenset({("m", critical.claim)})
    marked, incidents = check.findings_with_incidents(Catalog(()), [critical, finding(subject="income", analyzer="serving/drift")], claims)
    assert {each.severity for each in marked} == {"watch"} and {each.state for each in marked} == {"critical"}
    assert [(each.severity, each.state) for each in incidents] == [("watch", "critical")]
    untouched = check.findings_with_incidents(Catalog(()), [critical], frozenset({("other", critical.claim)}))[0]
    assert untouched[0].severity == "act"


def test_an_incident_resolved_with_a_reason_is_not_alerted_again_while_it_lasts():
    (alert, _) = decided([incident()])
    said = [alert, person("resolved", NOW + HOUR, reason="expected_change")]
    there = {"i1": NOW + 20 * HOUR}
    assert decided([incident()], said, now=NOW + 21 * HOUR, seen=there) == (), (
        "the fault is still there, and a person resolved the alert with a reason"
    )
    worse = decided([incident(lead=finding(value=0.9))], said, now=NOW + 21 * HOUR, seen=there)
    assert worse[0]["says"] == "worse"
    assert decided([incident()], said, now=NOW + 21 * HOUR)[0]["says"] == "opened", "it was gone in between, so this is a new fault"
    late = NOW + HOUR + HELD
    assert decided([incident()], said, now=late, seen={"i1": late - HOUR})[0]["says"] == "opened", (
        "a week later the fault is reported again"
    )
    plain = [alert, person("resolved", NOW + HOUR)]
    assert decided([incident()], plain, now=NOW + 2 * HOUR, seen={"i1": NOW + 2 * HOUR})[0]["says"] == "opened"


def test_a_person_can_assign_or_resolve_an_incident_that_has_no_alert():
    records = person_records(incident(severity="watch"), None, "bob", "assigned", "ann", NOW, owner="eve")
    (alert,) = alerts_from_records(records, NOW).values()
    assert (alert.incident, alert.state, alert.owner, alert.assignee, alert.severity) == ("i1", "open", "ann", "eve", "watch")
    assert [each["says"] for each in person_records(incident("i2"), alert, "bob", "resolved", "ann", NOW)] == ["resolved"]
    assert person_records(incident("i2"), alert, "bob", "resolved", "ann", NOW)[0]["incident"] == "i1"


@pytest.mark.parametrize(
    ("reason", "useful"), [("real_fault", True), ("expected_change", False), ("false_alarm", False), ("duplicate", None)]
)
def test_the_resolution_reason_determines_whether_the_alarm_was_useful(reason, useful):
    (alert, _) = decided([incident()])
    (after,) = alerts_from_records([alert, person("resolved", NOW + HOUR, reason=reason)], NOW + 2 * HOUR).values()
    assert (after.state, after.reason, after.useful) == ("resolved", reason, useful)
    (again,) = alerts_from_records([alert, person("resolved", NOW, reason=reason), person("reopened", NOW + HOUR)], NOW + HOUR).values()
    assert again.reason is None


def test_alert_precision_is_not_shown_for_few_resolution_reasons():
    def said(reasons):
        (alert, _) = decided([incident()])
        records = [alert | {"incident": f"i{place}"} for place in range(len(reasons))]
        records += [person("resolved", NOW, reason=reason) | {"incident": f"i{place}"} for place, reason in enumerate(reasons)]
        return alert_precision(alerts_from_records(records, NOW).values())

    few = said(["real_fault"] * 3 + ["false_alarm", "duplicate"])
    assert (few.useful, few.judged, few.share) == (3, 4, None)
    assert f"precision is shown after {ENOUGH - 4} more" in few.sentence
    assert "precision 75 %" in said((["real_fault"] * 3 + ["false_alarm"]) * 3).sentence
