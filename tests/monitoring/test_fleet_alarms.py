"""Checks which incidents of a fleet open an alert: states are unchanged, a shared fault opens one alert, and findings by chance
open none.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from observability.alerts.alert_decisions import alert_record, decide_alerts, shared_alerts
from observability.alerts.alert_state import alerts_from_records
from observability.alerts.config import AlertConfig
from observability.core.finding import Finding
from observability.incidents.grouping import Incident
from observability.monitoring.fleet_alarms import fleet_alarms
from tests.support.fleet_incidents import START, drift_incident

ANALYZERS = 20
NOW = START + timedelta(days=7)


def with_p(name: str, p: float, adjusted: float | None = None, day: float = 3.0) -> Incident:
    """A critical incident of a model, with this p-value."""
    return drift_incident(name, day, evidence={"p_value": p, "p_adjusted": p if adjusted is None else adjusted})


def quiet_fleet(models: int, alarming: list[Incident]) -> dict[str, list[Finding]]:
    """Findings of every model: the alarming ones, and for the other models evenly spread p-values."""
    fleet = {each.model or "": [each.lead] for each in alarming}
    base = alarming[0].lead
    for place in range(models - len(fleet)):
        p = (place + 0.5) / models
        fleet[f"quiet {place}"] = [replace(base, model=f"quiet {place}", severity="ok", evidence={"p_value": p})]
    return fleet


def test_an_alarm_in_a_small_fleet_needs_no_further_confirmation() -> None:
    found = [with_p("a", 1e-4)]
    assert fleet_alarms(found, quiet_fleet(10, found), ANALYZERS).unconfirmed == {}


def test_in_a_fleet_of_a_thousand_models_only_alarms_beyond_chance_are_confirmed() -> None:
    found = [with_p("chance", 1e-4, day=1.0), with_p("fault", 1e-9, day=5.0)]
    held = fleet_alarms(found, quiet_fleet(1000, found), ANALYZERS).unconfirmed
    assert list(held) == [found[0].id]
    assert "among 1,000 models" in held[found[0].id]
    assert found[0].lead.state == "critical" and found[0].severity == "act", "its state and severity do not change"


def test_a_change_that_moved_all_models_on_one_day_confirms_no_alarm_of_a_single_model() -> None:
    found = [with_p("a", 1e-7, day=2.0)]
    fleet = quiet_fleet(200, found)
    assert fleet_alarms(found, fleet, ANALYZERS).unconfirmed == {}
    moved = {
        name: [replace(own[0], evidence={"p_value": 1e-7 * 2 ** ((place % 40) - 20)})] for place, (name, own) in enumerate(fleet.items())
    }
    moved["a"] = [found[0].lead]
    assert list(fleet_alarms(found, moved, ANALYZERS).unconfirmed) == [found[0].id]


def test_an_alarm_that_is_no_statistical_test_is_confirmed_in_a_large_fleet() -> None:
    level = drift_incident(
        "level", subject="model", analyzer="serving/performance", metric="accuracy", against="level", evidence={"p_value": 0.9}
    )
    found = [drift_incident("silent", evidence={}), with_p("effect", 0.15), level]
    assert fleet_alarms(found, quiet_fleet(1000, found), ANALYZERS).unconfirmed == {}


def fallen(name: str, p: float, **evidence: Any) -> Incident:
    """A critical fall of the primary metric with this p-value."""
    told = {"primary": True, "p_value": p, "p_adjusted": p, **evidence}
    return drift_incident(name, subject="model", analyzer="serving/performance", metric="accuracy", evidence=told)


def test_a_more_certain_fall_is_never_held_back_if_a_less_certain_one_is_confirmed() -> None:
    falls = [fallen(f"m{p}", p) for p in (1e-9, 1e-6, 1e-4, 1e-3, 1e-2, 0.1, 0.2)]
    told = [not fleet_alarms([fall], quiet_fleet(1000, [fall]), ANALYZERS).unconfirmed for fall in falls]
    assert told == sorted(told, reverse=True) and told[0] and not told[-1]


def test_a_standing_fall_is_confirmed_in_a_large_fleet() -> None:
    for evidence in ({"standing": True}, {"creep": 0.03}):
        fall = fallen("old", 0.1, **evidence)
        assert fleet_alarms([fall], quiet_fleet(1000, [fall]), ANALYZERS).unconfirmed == {}


@pytest.mark.parametrize("rank", [1.0, 5.0, 50.0])
def test_a_confirmed_alarm_of_one_model_opens_an_alert_beside_weak_alarms_of_the_same_input(rank: float) -> None:
    sure = with_p("sure", 1.4e-6)
    weak = [drift_incident(name, rank=rank, evidence={"p_value": 1.4e-5, "p_adjusted": 1.4e-5}) for name in ("weak", "weaker")]
    assert opened_models([sure], 1000) == ["sure"]
    assert opened_models([*weak, sure], 1000) == ["sure"]


def test_an_open_alert_covers_its_shared_fault_even_if_the_fault_is_no_longer_confirmed() -> None:
    sure, weak = with_p("sure", 1.4e-6), [with_p(name, 1.4e-5) for name in ("weak", "weaker")]
    found = [*weak, sure]
    owners: dict[str | None, str | None] = dict.fromkeys(("sure", "weak", "weaker"), "one owner")
    open_alert = alert_record(weak[0], weak[0].id, "opened", "one owner", NOW)
    alerts = alerts_from_records([open_alert], NOW)
    told, quiet = shared_alerts(found, fleet_alarms(found, quiet_fleet(1000, found), ANALYZERS), alerts, owners)
    assert sure.id in quiet
    assert not [
        each for each in decide_alerts(told, alerts, {}, [], owners, AlertConfig(), NOW, quiet).records if each.get("says") == "opened"
    ]


def opened_models(found: list[Incident], models: int) -> list[str]:
    """The models for which alerts open; all have one owner."""
    names = [incident.model or "" for incident in found]
    owners: dict[str | None, str | None] = dict.fromkeys(names, "one owner")
    told, quiet = shared_alerts(found, fleet_alarms(found, quiet_fleet(models, found), ANALYZERS), {}, owners)
    decision = decide_alerts(told, {}, {}, names, owners, AlertConfig(), NOW, quiet)
    return [record["model"] for record in decision.records if record["kind"] == "alert"]


@pytest.mark.parametrize("models", [30, 1000])
def test_a_shared_fault_opens_one_alert_for_each_owner(models: int) -> None:
    names = [f"m{place}" for place in range(12)]
    found = [with_p(name, 1e-12) for name in names]
    owners: dict[str | None, str | None] = {name: f"owner {place % 2}" for place, name in enumerate(names)}
    fleet = fleet_alarms(found, quiet_fleet(models, found), ANALYZERS)
    told, quiet = shared_alerts(found, fleet, {}, owners)
    decision = decide_alerts(told, {}, {}, names, owners, AlertConfig(), NOW, quiet)
    opened = [record for record in decision.records if record["kind"] == "alert"]
    assert sorted(record["owner"] for record in opened) == ["owner 0", "owner 1"]
    assert all("changed in 12 models" in record["title"] for record in opened)
    assert decide_alerts(found, {}, {}, names, owners, AlertConfig(), NOW).records != decision.records
