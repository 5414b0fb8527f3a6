"""Column statistics and clocks of devices are judged against their own past and against the devices of their kind."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from scipy import stats

from observability.core.finding import Finding, news_of
from tests.support.device_fleet import START, device_batches, device_findings, of_device
from tests.support.length import allowed, repeats, some
from tests.support.levels import beyond_limit

RNG = np.random.default_rng


def needing_action(found: list[Finding]) -> dict[tuple[str, str], Finding]:
    """Findings that need action, by subject and metric."""
    return {(each.subject, each.metric): each for each in found if each.needs_action}


def planted(changes: dict[str, Any], *, column: str = "temperature", fleet: int = 6, before: int = 60, since: int = 0) -> list[Finding]:
    """Findings after the statistics of a column of device d2 changed."""
    batches = device_batches(RNG(3), fleet=fleet, before=before)
    for each in of_device(batches, "d2", since):
        each["stats"][column] |= changes
    return device_findings(batches)


FAULTS = [
    ({"std": 0.0}, "batch_std", "quarantine"),
    ({"mean": 61.0}, "batch_mean", "recalibrate"),
    ({"null_share": 0.6}, "batch_null_share", "quarantine"),
    ({"stuck_share": 0.4}, "batch_stuck_share", "quarantine"),
    ({"saturated_share": 0.2}, "batch_saturated_share", "recalibrate"),
    ({"out_of_range_share": 0.15}, "batch_out_of_range_share", "quarantine"),
]


@pytest.mark.parametrize(("changes", "metric", "proposal"), some(FAULTS, 5), ids=[metric for _, metric, _ in some(FAULTS, 5)])
@pytest.mark.parametrize(
    ("since", "fleet"), some([(0, 6), (0, 1), (6, 6), (6, 1)], 2)
)  # from the start of the window or in its last batch, in a fleet or alone
def test_a_fault_of_one_device_is_named(changes: dict[str, float], metric: str, proposal: str, since: int, fleet: int) -> None:
    batches = device_batches(RNG(3), fleet=fleet)
    device = "d2" if fleet > 2 else "d0"
    for each in of_device(batches, device, since):
        each["stats"]["temperature"] |= changes
    found = needing_action(device_findings(batches))
    assert list(found) == [(f"source:greenhouse/device:{device}", metric)]
    (finding,) = found.values()
    assert finding.severity == "act" and finding.value == next(iter(changes.values()))
    assert finding.evidence["column"] == "temperature" and finding.evidence["proposal"] == proposal
    assert finding.onset is not None and finding.onset.date() == (START + timedelta(days=since)).date()
    assert f"of device `{device}`" in finding.because


def test_a_capture_time_after_the_arrival_time_means_the_clock_is_ahead() -> None:
    batches = device_batches(RNG(4))
    (last,) = of_device(batches, "d1", 6)
    last["captured_to"] = last["at"] + timedelta(hours=26)
    found = needing_action(device_findings(batches))
    assert [(name, each.severity) for name, each in found.items()] == [(("source:greenhouse/device:d1", "batch_clock_skew"), "watch")]
    for each in of_device(batches, "d1", 4):
        each["captured_to"] = each["at"] + timedelta(hours=26)
    (finding,) = needing_action(device_findings(batches)).values()
    assert finding.severity == "act" and finding.value == 26 * 3600 and "captured until 26 hours after it arrived" in finding.because


def test_weather_that_changes_at_every_device_is_no_fault() -> None:
    batches = device_batches(RNG(5), weather=0.5)
    for each in batches:
        if each["at"] >= START:
            each["stats"]["temperature"]["mean"] += 25
    assert needing_action(device_findings(batches)) == {}
    one = [each for each in batches if each["device"] == "d0"]
    assert [name[1] for name in needing_action(device_findings(one))] == ["batch_mean"], (
        "without a fleet, a season cannot be told from a fault"
    )


@pytest.mark.parametrize("level", [1.0, 15.0], ids=["alike", "each at its own level"])
def test_a_faulty_device_is_found_despite_seasonal_change_among_four_devices(level: float) -> None:
    """An error of twelve degrees (three standard deviations of a batch) is smaller than the seasonal move of all devices in two months."""
    for seed in range(repeats(3, 40)):
        batches = device_batches(RNG(seed), fleet=4, level=level)
        for each in of_device(batches, "d1"):
            each["stats"]["temperature"]["mean"] += 12
        found = needing_action(device_findings(batches))
        assert list(found) == [("source:greenhouse/device:d1", "batch_mean")], seed
        (finding,) = found.values()
        assert finding.evidence["proposal"] == "recalibrate" and finding.evidence["column"] == "temperature"


def test_among_three_devices_no_healthy_device_is_blamed() -> None:
    """With only two other devices, a faulty one moves their median by half of its error, so the difference from the median alone would
    blame the healthy third device.
    """
    for seed in range(5):
        batches = device_batches(RNG(seed), fleet=3)
        for each in of_device(batches, "d1"):
            each["stats"]["temperature"]["mean"] += 12
        assert needing_action(device_findings(batches)).keys() <= {("source:greenhouse/device:d1", "batch_mean")}


def test_a_new_device_is_compared_with_the_others_of_its_kind() -> None:
    batches = device_batches(RNG(6), fleet=9)
    young = [each for each in batches if each["device"] != "d8" or each["at"] >= START]
    assert needing_action(device_findings(young)) == {}
    for each in of_device(young, "d8"):
        each["stats"]["temperature"]["mean"] += 40
    ((subject, metric), finding) = next(iter(needing_action(device_findings(young)).items()))
    assert (subject, metric, finding.against, finding.severity) == ("source:greenhouse/device:d8", "batch_mean", "peers", "act")
    always = device_batches(RNG(6), fleet=9)
    for each in always:
        each["stats"]["temperature"]["mean"] += 40 * (each["device"] == "d8")
    (finding,) = needing_action(device_findings(always)).values()
    assert finding.severity == "act" and news_of(finding) == "ongoing" and "Already so before this window." in finding.because


def test_few_rows_and_few_batches_are_no_alarm() -> None:
    batches = device_batches(RNG(7), fleet=3)
    for each in of_device(batches, "d0", 6):
        each["rows"] = 8
        each["stats"]["temperature"] |= {"std": 0.0, "mean": 61.0, "null_share": 0.75}
    assert needing_action(device_findings(batches)) == {}
    few = device_batches(RNG(7), fleet=3, before=4)
    for each in of_device(few, "d0", 6):
        each["stats"]["temperature"] |= {"std": 0.0, "mean": 61.0}
    (undecided,) = [each for each in device_findings(few) if each.severity != "ok"]
    assert undecided.severity == "unknown"
    assert (
        "3 devices of source `greenhouse` cannot be judged yet: at most 4 batches of a device came before this window; about 3 more needed"
        in (undecided.because)
    )


def test_a_rarely_constant_column_is_no_stuck_sensor() -> None:
    """Rain is zero on most days: a day with zero spread is usual, also for a device with a large spread on wet days."""
    rng, batches = RNG(8), device_batches(RNG(8))
    for each in batches:
        wet = rng.random() < 0.4
        each["stats"]["rain"] = {"mean": rng.gamma(1) if wet else 0.0, "std": rng.gamma(2) if wet else 0.0, "null_share": 0.0}
    assert needing_action(device_findings(batches)) == {}


def test_a_clean_week_of_a_fleet_is_silent() -> None:
    raised = [each.severity for seed in range(repeats(4, 300)) for each in device_findings(device_batches(RNG(seed))) if each.needs_action]
    assert raised == []


@pytest.mark.parametrize(("rows", "fleet"), [(500, 6), (60, 6), (60, 1)])
def test_ok_findings_of_clean_weeks_are_within_their_stated_limit(rows: int, fleet: int) -> None:
    weeks = repeats(6, 100)
    found = [each for seed in range(weeks) for each in device_findings(device_batches(RNG(seed), fleet=fleet, rows=rows))]
    assert all(each.limit is not None for each in found) and not any(each.severity == "ok" and beyond_limit(each) for each in found)
    unsure = [each for each in found if each.severity == "unknown"]
    assert len(unsure) <= allowed(0.02, len(found)) and len(found) == 7 * weeks
    assert all(beyond_limit(each) and "That is beyond the limit of" in each.because for each in unsure)


def missing_values(share: float) -> Finding:
    """The finding about missing values of the only device, after a share of the last batch's temperatures was removed."""
    batches = device_batches(RNG(21), fleet=1, rows=60)
    (last,) = of_device(batches, "d0", 6)
    last["stats"]["temperature"]["null_share"], last["rows"] = share, 60
    (found,) = [each for each in device_findings(batches) if each.metric == "batch_null_share"]
    return found


def test_the_limit_is_the_natural_batch_variation_if_it_exceeds_the_stated_limit() -> None:
    """By hand: the two-sided limit of Student's t around the past median on the arcsine scale, for the most unusual of seven batches."""
    past = [each for each in device_batches(RNG(21), fleet=1, rows=60) if each["at"] < START]
    n = np.array([each["rows"] for each in past], float)
    values = np.array([each["stats"]["temperature"]["null_share"] for each in past])
    scaled = np.arcsin(np.sqrt((values * n + 3 / 8) / (n + 3 / 4)))
    scaled, n = (each[values < max(2 * np.median(values), np.median(values) + 0.05)] for each in (scaled, n))  # without faults
    low, high = np.quantile(scaled, [1 / 16, 15 / 16])
    spread = max(1.4826 * np.median(np.abs(scaled - np.median(scaled))), (high - low) / (2 * stats.norm.ppf(15 / 16)), 0.02)
    error = np.sqrt(spread**2 * (1 + np.pi / 2 / len(n)) + 1 / (4 * 60))
    end = np.median(scaled) + stats.t.ppf(1 - 0.01 / 14, 12) * error
    natural = (np.sin(end) ** 2 * 60.75 - 3 / 8) / 60
    stated = max(1.5 * np.median(values), np.median(values) + 0.02)
    found = missing_values(0.12)
    assert found.limit == pytest.approx(natural, rel=0.01) and natural > 2 * stated and (found.severity, found.value) == ("ok", 0.12)
    assert "is within its usual range" in found.because
    beyond = missing_values(natural + 0.01)
    assert beyond.severity == "unknown" and beyond_limit(beyond) and beyond.limit == found.limit and "may be chance" in beyond.because
    sure = missing_values(2 * natural)
    critical = max(2 * np.median(values), np.median(values) + 0.05)
    assert sure.severity == "act" and sure.limit == pytest.approx(critical), "a significant value is compared with the stated limit"
    warned = next(each for step in range(20) if (each := missing_values(natural + 0.02 + 0.01 * step)).severity != "unknown")
    assert (warned.severity, warned.limit) == ("watch", pytest.approx(stated)) and beyond_limit(warned)


def test_a_relevant_effect_is_unknown_although_a_negligible_one_is_more_unusual() -> None:
    """A more unusual value with a negligible effect does not hide a value with a relevant effect."""
    batches = device_batches(RNG(21), fleet=1, rows=5000)
    for place, each in enumerate(batches):
        each["stats"]["tiny"] = {"mean": 10.0 + 0.001 * (place % 5), "std": 1.0, "null_share": 0.0}
    (last,) = of_device(batches, "d0", 6)
    last["stats"]["tiny"]["mean"] = 10.3
    last["stats"]["humidity"]["mean"] = 69.0
    (found,) = [each for each in device_findings(batches) if each.metric == "batch_mean"]
    assert (found.severity, found.evidence["column"], found.value) == ("unknown", "humidity", 69.0) and beyond_limit(found)


def test_a_spread_with_a_zero_baseline_is_compared_with_its_stated_limit() -> None:
    batches = device_batches(RNG(8), fleet=1)
    for place, each in enumerate(batches):
        each["stats"] = {"rain": {"mean": 0.0, "std": 2.0 if place % 5 == 0 else 0.0, "null_share": 0.0}}
    (found,) = [each for each in device_findings(batches) if each.metric == "batch_std"]
    assert found.evidence["baseline"] == 0 and found.limit > 0 and not (found.severity == "ok" and beyond_limit(found))


def test_batches_without_statistics_have_no_finding_about_them() -> None:
    batches = [each | {"stats": None, "captured_to": None} for each in device_batches(RNG(9), fleet=2)]
    assert device_findings(batches) == []


@pytest.mark.parametrize(("more", "least"), [(9.0, 2), (14.0, 7)])
def test_a_shift_shared_by_every_batch_of_the_week_is_never_ok(more: float, least: int) -> None:
    """Shifts of three and of nearly five times the variation of single batches: all batches of the week together are more unusual than any
    single one.
    """
    warned = 0
    for seed in range(8):
        batches = device_batches(RNG(seed))
        for each in of_device(batches, "d1"):
            each["stats"]["humidity"]["mean"] += more
        found = {each.subject: each for each in device_findings(batches) if each.metric == "batch_mean"}
        device = found.get("source:greenhouse/device:d1", found.get("source:greenhouse"))
        assert device is not None and device.severity != "ok" and beyond_limit(device), seed
        warned += device.needs_action
        if device.needs_action and device.evidence["batch"] is None:
            assert device.severity == "watch" and "of the window, the median of the mean" in device.because
    assert warned >= least


def test_seasons_of_a_single_device_are_no_fault() -> None:
    """A week of a two-month random walk has correlated days, so it is not the evidence of seven independent days."""
    weeks = repeats(12, 200)
    found = [each for seed in range(weeks) for each in device_findings(device_batches(RNG(300 + seed), fleet=1, weather=6.0))]
    assert sum(each.needs_action for each in found) <= allowed(0.01, weeks)
    assert sum(each.severity == "unknown" for each in found if each.metric == "batch_mean") <= allowed(0.1, weeks)


def null_shares(now: list[float], past: list[float], *, fleet: int = 1, every: int = 1) -> list[Finding]:
    """Findings about missing values. now, past: shares of missing values in a device's last batches, in the window and before it. every:
    days between batches.
    """
    batches = device_batches(RNG(31), fleet=fleet, before=84 if every == 1 else 7 * every)
    batches = [each for each in batches if (each["at"] - START).days % every == 0]
    mine = [each for each in batches if each["device"] == "d0"]
    split = [each for each in mine if each["at"] < START], [each for each in mine if each["at"] >= START]
    for those, shares in zip(split, (past, now), strict=True):
        for each, share in zip(those[len(those) - len(shares) :], shares, strict=True):
            each["stats"]["temperature"]["null_share"] = share
    return [each for each in device_findings(batches) if each.metric == "batch_null_share"]


def test_a_fault_is_dated_and_counted_by_its_single_unusual_batches() -> None:
    (found, *_) = null_shares([0.03, 0.035, 0.04, 0.4, 0.4, 0.4, 0.4], [])
    assert (found.severity, found.evidence["onset_known"]) == ("act", "dated")
    assert found.onset is not None and found.onset.date() == (START + timedelta(days=3)).date()
    assert found.evidence["unusual"] == ["d0 3", "d0 4", "d0 5", "d0 6"] and "4 of its 7 batches" in found.because


@pytest.mark.parametrize("fleet", [1, 2])
@pytest.mark.parametrize(
    ("past", "now", "every"), [([0.6] * 11, [0.6] * 7, 1), ([1.0, 0.03, 0.03, 0.03], [1.0], 7)], ids=["11 days of 84", "one week of 7"]
)
def test_a_bad_day_is_not_ok_because_of_bad_days_in_the_past(past: list[float], now: list[float], every: int, fleet: int) -> None:
    (found, *_) = null_shares(now, past, every=every, fleet=fleet)
    assert found.severity == "unknown" and found.value == now[0] and beyond_limit(found) and "is not yet known" in found.because
