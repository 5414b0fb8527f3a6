"""Devices that serve a model are compared with their own past, by class, firmware, version and ring."""

from datetime import timedelta

import numpy as np
import pytest

from observability.metrics.edge_fleet import arrival_by_age, device_spans
from observability.simulation.edge_replay import replay_edge_fault
from observability.simulation.faults_edge import FAULTS
from tests.support.edge_reports import START, device_reports, edge_findings, report_frame
from tests.support.length import repeats

RNG = np.random.default_rng


@pytest.fixture(scope="module")
def clean() -> list[dict]:
    return device_reports(RNG(3), fleet=90, before=14)


def test_clean_devices_are_ok_and_no_report_gives_no_finding(clean) -> None:
    assert edge_findings([]) == []
    found = edge_findings(clean)
    assert {each.severity for each in found} == {"ok"} and len(found) == 5
    assert {each.model for each in found} == {"cough"}


def test_a_firmware_that_crashes_is_named(clean) -> None:
    rows = [
        each | ({"crashes": 1} if each["firmware"] == "5.2" and each["at"] >= START and each["device"] < "d060" else {}) for each in clean
    ]
    (found,) = [each for each in edge_findings(rows) if each.needs_action]
    assert (found.metric, found.subject, found.severity) == ("device_crash_share", "firmware=5.2", "act")
    assert "devices of firmware `5.2` crashed" in found.because and found.evidence["group"] == "firmware"


def test_a_share_beyond_its_limit_that_chance_may_explain_is_not_ok(clean) -> None:
    crashed = {"d000", "d019", "d038", "d057"}
    rows = [each | {"crashes": int(each["device"] in crashed if each["at"] >= START else each["device"] == "d003")} for each in clean]
    (found,) = [each for each in edge_findings(rows) if each.metric == "device_crash_share"]
    assert found.value is not None and isinstance(found.limit, float) and found.value > found.limit
    assert found.severity == "unknown" and "not significant (p 0." in found.because
    assert all(each.value < each.limit for each in edge_findings(clean) if each.severity == "ok" and each.metric != "device_stale_share")


def test_few_devices_cannot_be_compared_and_the_finding_says_what_is_needed() -> None:
    found = edge_findings(device_reports(RNG(1), fleet=8, before=7))
    assert {each.severity for each in found} == {"unknown"}
    assert all("about 12 more devices" in each.because for each in found)
    short = {each.metric: each for each in edge_findings(device_reports(RNG(1), fleet=30, before=3))}["device_stale_share"]
    assert short.severity == "unknown" and short.because.endswith("it needs about 5 more days of reports."), (
        "14 days less 9 days and 4 hours"
    )


def test_a_version_is_stale_two_weeks_after_another_was_reported_and_not_before() -> None:
    rows = device_reports(RNG(2), fleet=40, before=20)
    for days, severity in ((18, "act"), (3, "ok")):
        upgraded = [
            each | ({"version": "3"} if each["device"] < "d020" and each["at"] >= START + timedelta(days=7 - days) else {}) for each in rows
        ]
        found = {each.metric: each for each in edge_findings(upgraded)}["device_stale_share"]
        assert found.severity == severity, found.because
    assert found.value == 0 and "older than `2`" in found.because


def test_a_device_counts_once_and_what_is_unknown_is_no_zero() -> None:
    rows = device_reports(RNG(4), fleet=1, before=0)
    for each in rows:
        each |= {"crashes": 1, "out_of_memory": None, "compared": 2, "agreed": 0}
    (span,) = device_spans(report_frame(rows)).to_dict("records")
    assert span["crashed"] == 1 and np.isnan(span["starved"]) and np.isnan(span["differs"])


def test_late_answers_are_weighed_by_their_number() -> None:
    rows = device_reports(RNG(5), fleet=1, before=0)[:2]
    for each, answers, hours in zip(rows, (90, 10), (0.5, 50), strict=True):
        each |= {"answers": answers, "oldest_at": each["at"], "synced_at": each["at"] + timedelta(hours=hours)}
    assert arrival_by_age(report_frame(rows)) == {1: 0.9, 6: 0.9, 24: 0.9, 72: 1.0, 168: 1.0}


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_middle_fault_is_named(name: str, clean) -> None:
    frame = report_frame(clean)
    named, runs = 0, repeats(2, 20)
    for seed in range(runs):
        found = replay_edge_fault(frame, FAULTS[name], "middle", seed)
        named += any(each.subject == found.target and each.metric == FAULTS[name].metric for look in found.looks for each in look.alarms)
    assert named >= 0.9 * runs


def test_clean_weeks_ask_for_nothing_critical() -> None:
    """Thirty weeks at a time are made of the same devices in another order of days, so that many weeks cost little."""
    raised = []
    for seed in range(repeats(6, 300)):
        if seed % 30 == 0:
            frame = report_frame(device_reports(RNG(8 + seed), fleet=60, before=14))
        order = RNG(seed).permutation(21)
        days = (frame["at"] - frame["at"].min()).dt.days.to_numpy()
        shift = np.array(order)[np.clip(days, 0, 20)] - days
        rows = frame.assign(**{name: frame[name] + np.array(shift, "timedelta64[D]") for name in ("at", "synced_at", "oldest_at")})
        raised += [each for each in edge_findings(rows.to_dict("records")) if each.severity == "act"]
    assert raised == []
