"""One message a fault: what is said about incidents, and what people's words make of it."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from observability.alerts.config import Config, checked
from observability.alerts.decide import SETTLE, decide
from observability.alerts.state import precision, standing
from observability.errors import UsageError
from observability.finding import Finding
from observability.incidents import Incident

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONFIG = Config(
    channels={"team": "json://127.0.0.1:9", "all": "json://127.0.0.1:9"}, routes={"ann": ("team",)}, default=("all",), dashboard="https://x"
)


def incident(name="i1", severity="act", model="m"):
    finding = Finding(
        "data/quality", model, "1", "age", "null_rate", 0.4, 500, severity, "`age` is null in 40 %.", NOW, NOW, "reference", unit="share"
    )
    return Incident(name, model, "input", finding, (), severity, None, None, "`age` is null in 40 %.")


def decided(incidents, said=(), *, now=NOW, config=CONFIG, seen=None, judged=("m",)):
    alerts = standing(said, now)
    return decide(incidents, alerts, seen or {}, judged, {"m": "ann"}, config, now).records


def person(says, at, **more):
    return {"kind": "alert", "incident": "i1", "at": at, "author": "bob", "says": says} | more


def test_an_incident_is_told_once_to_its_owner():
    first = decided([incident()])
    assert [each["kind"] for each in first] == ["alert", "message"]
    assert first[1]["channel"] == "team"
    assert first[1]["text"] == "age is null in 40 %.\nSuspected source: input.\nhttps://x/alerts?incident=i1"
    assert decided([incident()], [first[0]], now=NOW + HOUR) == ()


def test_whoever_has_no_owner_gets_the_default_channel():
    found = decide([incident()], {}, {}, ["m"], {}, CONFIG, NOW).records
    assert [each["channel"] for each in found if each["kind"] == "message"] == ["all"]


@pytest.mark.parametrize(("severity", "least", "told"), [("act", "act", True), ("watch", "act", False), ("watch", "watch", True)])
def test_only_what_is_bad_enough_is_told(severity, least, told):
    config = Config(channels=CONFIG.channels, default=("all",), least=least)
    assert bool(decided([incident(severity=severity)], config=config)) is told


def test_what_gets_worse_is_told_again_whatever_was_said_before():
    config = Config(channels=CONFIG.channels, default=("all",), least="watch")
    (alert, message) = decided([incident(severity="watch")], config=config)
    for says in ("acknowledged", "snoozed"):
        said = [alert, person(says, NOW + HOUR, until=NOW + 100 * HOUR)]
        worse = decided([incident()], said, now=NOW + 2 * HOUR, config=config)
        assert [each.get("says") for each in worse] == ["worse", None]
        assert worse[1]["message"] != message["message"]
        assert standing([*said, worse[0]], NOW + 2 * HOUR)["i1"].state == "open"


def test_the_key_of_a_message_is_the_same_when_it_is_made_anew():
    assert decided([incident()])[1]["message"] == decided([incident()], now=NOW + HOUR)[1]["message"]


def test_what_is_gone_for_hours_is_resolved_and_told_again_when_it_comes_back():
    (alert, message) = decided([incident()])
    assert decided([], [alert], now=NOW + SETTLE - HOUR) == ()
    assert decided([], [alert], now=NOW + 2 * SETTLE, seen={"i1": NOW + 2 * SETTLE - HOUR}) == ()
    (resolved,) = decided([], [alert], now=NOW + SETTLE)
    assert resolved["says"] == "resolved"
    back = decided([incident()], [alert, resolved], now=NOW + SETTLE + HOUR)
    assert [each["kind"] for each in back] == ["alert", "message"]
    assert back[1]["message"] != message["message"]


def test_a_model_that_was_not_judged_is_not_resolved():
    (alert, _) = decided([incident()])
    assert decided([], [alert], now=NOW + 2 * SETTLE, judged=("another",)) == ()


def test_a_snooze_ends_by_itself():
    (alert, _) = decided([incident()])
    said = [alert, person("snoozed", NOW + HOUR, until=NOW + 5 * HOUR)]
    assert standing(said, NOW + 4 * HOUR)["i1"].state == "snoozed"
    assert standing(said, NOW + 5 * HOUR)["i1"].state == "open"


def test_useful_is_asked_once_and_adds_up():
    (alert, _) = decided([incident()])
    said = [alert, person("useful", NOW), person("not_useful", NOW + HOUR)]
    assert standing(said, NOW)["i1"].useful is False
    many = []
    for place in range(8):
        many += [{**alert, "incident": f"i{place}"}, {**person("useful" if place < 6 else "not_useful", NOW), "incident": f"i{place}"}]
    found = precision(standing(many, NOW).values())
    assert (found.useful, found.judged) == (6, 8)
    assert found.share.value == pytest.approx(0.75)
    assert precision(standing([alert], NOW).values()).share is None


@pytest.mark.parametrize(
    ("hour", "expected"), [(12, NOW), (23, datetime(2026, 3, 3, 6, tzinfo=UTC)), (3, datetime(2026, 3, 2, 6, tzinfo=UTC))]
)
def test_quiet_hours_hold_a_message_until_they_end(hour, expected):
    config = Config(quiet=(time(22), time(7)), zone=ZoneInfo("Europe/Paris"))
    assert config.send_at(NOW.replace(hour=hour)) == expected


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"chanels": {}}, "unknown table"), ({"alerts": {"default": ["nobody"]}}, "unknown channel"), ({"alerts": {"least": "fine"}}, "unknown severity"),
        ({"alerts": {"quiet": "late"}}, "quiet hours"), ({"alerts": {"timezone": "Mars"}}, "unknown time zone"), ({"alerts": {"loud": 1}}, "unknown setting"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_settings_is_said(body, part):
    with pytest.raises(UsageError, match=part):
        checked(body)
