"""Late, missing, short and spoilt batches are found by comparison with earlier batches of the same source; ordinary variation is not
reported.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from observability.analyzers.data import batches
from observability.core.finding import Finding
from observability.detection.own_history import usual_values
from tests.support.deliveries import END, START, delivered, delivery_frames
from tests.support.length import allowed, repeats
from tests.support.levels import beyond_limit


def judged(rows: list[dict], *, now: datetime = END, budget: float = 0.0143) -> dict[str, Finding]:
    """The findings about one source, by metric."""
    found = batches.analyze(*delivery_frames(rows, now, budget))
    assert len({each.metric for each in found}) == len(found)
    return {each.metric: each for each in found}


@pytest.fixture
def rows() -> list[dict]:
    """Twelve weeks without faults, and one week to judge."""
    return delivered(np.random.default_rng(5), range(-84, 7))


def severities(found: dict[str, Finding]) -> dict[str, str]:
    """The severity of each check."""
    return {metric: each.severity for metric, each in found.items()}


def test_a_source_that_delivers_as_usual_is_ok(rows: list[dict]) -> None:
    found = judged(rows)
    assert set(severities(found).values()) == {"ok"} and len(found) == 4
    assert found["batch_rows"].subject == "source:clinic" and found["batch_rows"].model is None


def test_a_missing_batch_is_reported_while_it_is_overdue_with_its_due_time(rows: list[dict]) -> None:
    found = judged(rows[:-3])["batch_gap_hours"]
    last = rows[-4]["at"]
    assert found.severity == "act" and found.value == pytest.approx((END - last).total_seconds() / 3600)
    assert "has delivered nothing for 3.7 days; usually 24 hours pass" in found.because
    assert abs(found.onset - (last + timedelta(hours=24)).replace(tzinfo=UTC)) < timedelta(hours=1)


def test_a_batch_that_came_late_is_named(rows: list[dict]) -> None:
    rows[-3]["at"] += timedelta(hours=40)
    del rows[-2]
    found = judged(rows)["batch_gap_hours"]
    assert found.severity == "act" and found.evidence["batch"] == "clinic 4" and "`clinic 4`" in found.because


@pytest.mark.parametrize(
    ("times", "severity", "word"), [(0.3, "act", "fewer"), (0.6, "watch", "fewer"), (2.0, "watch", "more"), (0.9, "ok", "")]
)
def test_short_and_long_batches(rows: list[dict], times: float, severity: str, word: str) -> None:
    rows[-2]["rows"] = int(1000 * times)
    rows[-2]["rejected_rows"] = int(10 * times)
    found = judged(rows)
    assert found["batch_rows"].severity == severity and word in found["batch_rows"].because
    assert found["batch_rejected_rate"].severity == "ok"
    if severity != "ok":
        assert found["batch_rows"].evidence["batch"] == "clinic 5" and found["batch_rows"].onset == rows[-2]["at"].replace(tzinfo=UTC)
        assert found["batch_rows"].evidence["baseline"] == pytest.approx(1000, rel=0.05)


def test_rejected_rows_and_slow_capture(rows: list[dict]) -> None:
    rows[-1]["rejected_rows"] = 120
    rows[-2]["captured_to"] -= timedelta(hours=9)
    found = judged(rows)
    assert severities(found) == {"batch_gap_hours": "ok", "batch_rows": "ok", "batch_rejected_rate": "act", "batch_delay_hours": "act"}
    assert found["batch_rejected_rate"].value == pytest.approx(120 / rows[-1]["rows"])
    assert found["batch_rejected_rate"].because.endswith("were rejected; usually 0.924 % are.")
    alike = [each for each in rows[:-7] if each["at"].weekday() == rows[-1]["at"].weekday()]
    usual = np.median([each["rejected_rows"] / each["rows"] for each in alike])
    assert found["batch_rejected_rate"].evidence["baseline"] == pytest.approx(usual, abs=3e-4)
    assert found["batch_delay_hours"].value == pytest.approx((rows[-2]["at"] - rows[-2]["captured_to"]).total_seconds() / 3600)


def test_the_usual_rejected_share_is_zero_if_no_row_was_ever_rejected(rows: list[dict]) -> None:
    """Regression: the share of 0 of 96 rows was transformed back to 5.8e-19."""
    for each in rows:
        each["rows"], each["rejected_rows"] = 96, 0
    rows[-1]["rejected_rows"] = 24
    found = judged(rows)["batch_rejected_rate"]
    assert found.severity == "act" and found.because.endswith("were rejected; usually 0 % are.")


def test_a_weekend_without_deliveries_is_no_gap() -> None:
    rows = delivered(np.random.default_rng(6), range(-84, 7), skip=(5, 6))
    assert judged(rows)["batch_gap_hours"].severity == "ok"
    monday = [each for each in rows if each["at"] < START or each["at"].weekday() != 2]
    assert judged(monday)["batch_gap_hours"].severity == "act", "the batch of Wednesday is missing"


def test_a_bad_week_of_the_past_does_not_hide_the_next_one(rows: list[dict]) -> None:
    for each in rows[-21:-14]:
        each["rows"] = 300
    rows[-2]["rows"] = 300
    assert judged(rows)["batch_rows"].severity == "act"


def test_a_new_source_is_unknown_and_states_how_many_more_batches_it_needs() -> None:
    found = judged(delivered(np.random.default_rng(7), range(-4, 7)))
    assert severities(found) == {"batch_rows": "unknown"} and found["batch_rows"].value is None
    assert "4 batches came before this window; about 3 more needed" in found["batch_rows"].because


def test_batch_fields_that_are_not_logged_are_not_judged(rows: list[dict]) -> None:
    for each in rows:
        each["rejected_rows"] = each["captured_to"] = None
    assert set(judged(rows)) == {"batch_gap_hours", "batch_rows"}
    assert judged([]) == {}


def test_a_batch_sent_again_counts_once(rows: list[dict]) -> None:
    again = rows[-2] | {"at": rows[-2]["at"] + timedelta(minutes=5)}
    found = judged([*rows, again])
    assert found["batch_rows"].n == 7 and found["batch_gap_hours"].severity == "ok"


def varied(seed: int) -> list[dict]:
    """Thirteen weeks without faults, with log-normal numbers of rows that vary by half, and varying rejection rates."""
    rng = np.random.default_rng(seed)
    rows = delivered(rng, range(-84, 7))
    for each in rows:
        each["rows"] = int(1000 * np.exp(rng.normal(0, 0.5)))
        each["rejected_rows"] = int(rng.binomial(each["rows"], rng.beta(2, 50)))
    return rows


def test_clean_weeks_rarely_raise_a_warning_and_never_a_critical_finding() -> None:
    """In weeks without faults of a source, at most 2 in a hundred raise a `watch`, and none raises an `act`."""
    weeks = repeats(10, 300)
    raised = [each.severity for seed in range(weeks) for each in judged(varied(seed)).values() if each.needs_action]
    assert raised.count("act") == 0 and len(raised) <= allowed(0.02, weeks)


def test_nothing_is_ok_beyond_its_limit_where_batches_differ() -> None:
    """The natural range keeps most findings of clean weeks OK; a value beyond the limit that is not significant is unknown, never OK."""
    found = [each for seed in range(50) for each in judged(varied(seed)).values()]
    assert [each.because for each in found if each.severity == "ok" and beyond_limit(each)] == []
    unsure = [each for each in found if each.severity == "unknown"]
    assert 0 < len(unsure) <= 0.05 * len(found) and all(beyond_limit(each) for each in unsure)
    assert all("That is beyond the limit of" in each.because and "may be chance" in each.because for each in unsure)
    wide = [each for each in found if each.severity == "ok" and "Such batches vary" in each.because]
    assert {each.metric for each in wide} == {"batch_rows", "batch_rejected_rate"} and len(wide) > 50


def test_a_gap_as_long_as_an_eighth_of_past_gaps_is_ok() -> None:
    rows = delivered(np.random.default_rng(1), range(-12, 7), skip=(5, 6))
    for each in rows:
        each["at"] = each["at"].replace(minute=0, second=0, microsecond=0)
    gap = judged([each for each in rows if each["at"] <= START + timedelta(days=1)], now=START + timedelta(hours=8))["batch_gap_hours"]
    assert gap.value == 72 and gap.severity == "ok" and not beyond_limit(gap) and "vary up to 3 days" in gap.because


def test_the_p_value_bounds_the_false_alarm_rate() -> None:
    rng, days = np.random.default_rng(8), np.arange(20_000, 20_060)
    found = [usual_values(rng.normal(0, 1, 1), days[-1:] + 1, rng.normal(0, 1, 60), days) for _ in range(4000)]
    for share in (0.001, 0.01, 0.05):
        assert np.mean([each.high[0] <= share for each in found]) <= share
    assert np.mean([each.high[0] <= 0.05 for each in found]) >= 0.02


def test_a_window_that_contains_all_batches_suggests_a_shorter_window(rows: list[dict]) -> None:
    week = rows[-7:]
    evenings = [{**each, "batch": f"{each['batch']}, evening", "at": each["at"] + timedelta(hours=9)} for each in week]
    (few,), (many,) = (list(judged(each).values()) for each in (week, [*week, *evenings]))
    assert few.severity == many.severity == "unknown" and "shorter" not in few.because
    assert many.because.endswith("Choose a shorter window to judge the later ones of its 14 batches.")


def from_devices(rng: np.random.Generator, days: range, *, devices: int = 6, named: bool = True) -> list[dict]:
    """One batch per device and morning, all within a few minutes; each device has its own size and delay."""
    found = []
    for day in days:
        for place in range(devices):
            at = START + timedelta(days=day, hours=6, minutes=float(rng.uniform(0, 6)))
            rows = int(200 * (1 + place) * np.exp(rng.normal(0, 0.05)))
            body = {"batch": f"{place}-{day}", "at": at, "source": "edge", "rows": rows, "device": f"d{place}" if named else None}
            late = at - timedelta(hours=1 + 4 * place, minutes=float(rng.uniform(0, 20)))
            found.append(body | {"rejected_rows": int(rng.binomial(rows, 0.01)), "captured_to": late})
    return found


@pytest.mark.parametrize("named", [True, False], ids=["devices named", "devices not named"])
def test_devices_that_deliver_together_raise_no_finding_in_clean_weeks(named: bool) -> None:
    for seed in range(repeats(8, 300)):
        found = judged(from_devices(np.random.default_rng(seed), range(-84, 7), named=named))
        assert not [each.because for each in found.values() if each.needs_action]


def test_a_device_that_stops_is_named_though_its_source_still_delivers() -> None:
    rows = from_devices(np.random.default_rng(3), range(-84, 7))
    gone = [each for each in rows if each["device"] != "d4" or each["at"] < START + timedelta(days=3)]
    found = judged(gone)["batch_gap_hours"]
    assert found.severity == "act" and found.evidence["device"] == "d4" and found.subject == "source:edge"
    assert found.because.startswith("Device `d4` of source `edge` has delivered nothing for 4.7 days; usually 24 hours pass.")
    whole = judged([each for each in rows if each["at"] < START + timedelta(days=3)])["batch_gap_hours"]
    assert whole.severity == "act" and whole.because == "Source `edge` has delivered nothing for 4.7 days; usually 23.9 hours pass."


def test_delay_and_rows_of_a_device_are_compared_with_its_own_past() -> None:
    rows = from_devices(np.random.default_rng(4), range(-84, 7))
    last = next(each for each in reversed(rows) if each["device"] == "d0")
    last["captured_to"] -= timedelta(hours=9)
    last["rows"], last["rejected_rows"] = 60, 0
    found = judged(rows)
    assert found["batch_delay_hours"].severity == "act" and "of device `d0` of source `edge`" in found["batch_delay_hours"].because
    assert found["batch_rows"].severity == "act" and found["batch_rows"].evidence["batch"] == last["batch"]


def test_devices_with_a_short_past_are_compared_as_one_source() -> None:
    rows = from_devices(np.random.default_rng(5), range(-4, 7), devices=12)
    found = judged(rows)
    assert "batch_rows" in found and not [each for each in found.values() if each.needs_action]
