"""Places (folders or buckets that store data): free space and the dates until it is full, retention, waste, failures, checksums, backups
and silence; with few reports the figures are unknown.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from observability.core.finding import Finding, news_of
from tests.support.length import repeats
from tests.support.storage_reports import END, GB, PLACES, START, place_reports, storage_findings

RNG = np.random.default_rng


def week(**fields: Any) -> dict[str, Finding]:
    """The findings, by metric, about a place whose reports of the last week have the given figures changed."""
    return {each.metric: each for each in storage_findings(place_reports(RNG(3), **fields))}


def test_a_clean_storage_place_is_ok_in_every_metric_and_no_report_gives_no_finding() -> None:
    assert storage_findings([]) == []
    found = week()
    assert {each.severity for each in found.values()} == {"ok"} and len(found) == 15
    assert {each.subject for each in found.values()} == {"place:lake"} and all(each.model is None for each in found.values())
    assert all(each.evidence["next"].endswith(".") and each.low <= each.value <= each.high for each in found.values())


def test_the_date_a_storage_place_fills_up_has_an_interval() -> None:
    rows = place_reports(RNG(3))
    steps = np.diff([each["used_bytes"] for each in rows])
    capacity = int(rows[-1]["used_bytes"] + 10 * steps.mean())
    found = {each.metric: each for each in storage_findings([each | {"capacity_bytes": capacity} for each in rows])}["storage_days_left"]
    assert found.value == pytest.approx(10, rel=0.02) and found.low < 9.5 < 10.5 < found.high < 14
    assert found.severity == "act" and found.basis == "estimated" and "on 19 Mar 2026 (" in found.because


def test_a_place_cleaned_weekly_is_reported_if_it_fills_up_before_the_next_cleaning() -> None:
    rows = place_reports(RNG(5), "features")
    used = np.array([each["used_bytes"] for each in rows], float)
    capacity = int(used[-1] + 4 * np.median(np.diff(used)))
    found = {each.metric: each for each in storage_findings([each | {"capacity_bytes": capacity} for each in rows])}["storage_days_left"]
    assert found.severity in ("watch", "act") and found.value is not None and found.value < 10


def test_a_single_import_or_removal_is_not_growth() -> None:
    for sign in (1, -1):
        rows = place_reports(RNG(4))
        used = [each["used_bytes"] + sign * 1500 * GB * (place > 30) for place, each in enumerate(rows)]
        changed = [each | {"used_bytes": size, "capacity_bytes": 20_000 * GB} for each, size in zip(rows, used, strict=True)]
        found = {each.metric: each for each in storage_findings(changed)}["storage_days_left"]
        clean = {each.metric: each for each in storage_findings([each | {"capacity_bytes": 20_000 * GB} for each in rows])}
        assert found.evidence["single"] == 1 and found.severity == "ok"
        assert found.evidence["growth"][0] == pytest.approx(clean["storage_days_left"].evidence["growth"][0], rel=0.05)


@pytest.mark.parametrize(
    ("fields", "metric", "severity", "words"),
    [
        ({"used_bytes": 9_800 * GB}, "storage_used_share", "act", "`lake` is 98 % full; the limit is 97 %."),
        (
            {"oldest_at": datetime(2025, 1, 1)},
            "storage_retention_overdue_days",
            "act",
            "days longer than the stated 400; 7 days are allowed.",
        ),
        ({"duplicate_bytes": 3_000 * GB}, "storage_duplicate_share", "watch", "are stored twice"),
        ({"cold_bytes": 5_000 * GB}, "storage_cold_share", "watch", "were not read for 90 days"),
        ({"small_files": 900_000, "files": 10**6}, "storage_small_file_share", "watch", "90 % of the files in `lake` are below 1 MB"),
        ({"corrupt": 2}, "storage_corrupt_rate", "act", "14 of 14,000 checked blocks of `lake` fail their checksum, in 7 reports"),
        ({"backup_at": START - timedelta(days=1)}, "storage_backup_age_hours", "act", "the stated limit is 36 hours."),
        ({"restored_at": START - timedelta(days=30)}, "storage_restore_age_days", "ok", "last restored"),
    ],
)
def test_each_level_is_stated_and_judged(fields: dict[str, Any], metric: str, severity: str, words: str) -> None:
    rows = place_reports(RNG(3))
    if metric == "storage_restore_age_days":
        rows = [each | fields for each in rows]
        assert {each.metric: each for each in storage_findings(rows)}[metric].severity == "watch", (
            "restored 36 days ago, but 30 days are the limit"
        )
        return
    if metric == "storage_backup_age_hours":
        rows = [each | {"backup_at": min(each["backup_at"], fields["backup_at"])} for each in rows]
    else:
        rows = [each | (fields if each["at"] >= START else {}) for each in rows]
    found = {each.metric: each for each in storage_findings(rows)}[metric]
    assert (found.severity, found.state) == (severity, {"act": "critical", "watch": "warning"}[severity]) and words in found.because
    assert found.likely_source == "system" and found.limit is not None and found.value is not None and found.value > found.limit


def test_one_bad_block_is_a_warning_and_not_critical() -> None:
    rows = place_reports(RNG(3))
    rows[-2] |= {"corrupt": 1}
    found = {each.metric: each for each in storage_findings(rows)}["storage_corrupt_rate"]
    assert (found.severity, found.n, found.value) == ("watch", 14_000, pytest.approx(1 / 14_000))


def test_failures_and_slow_reads_are_compared_with_the_past() -> None:
    rows = place_reports(RNG(6))
    worse = [each | ({"write_errors": 600, "read_p99_ms": 5 * each["read_p99_ms"]} if each["at"] >= START else {}) for each in rows]
    found = {each.metric: each for each in storage_findings(worse)}
    assert found["storage_error_rate"].severity == "watch" and found["storage_read_p99_ms"].severity in ("watch", "act")
    assert found["storage_write_p99_ms"].severity == "ok" and found["storage_read_p99_ms"].against == "past"
    hits = sum(each["read_errors"] + each["write_errors"] for each in worse if each["at"] >= START)
    assert found["storage_error_rate"].value == pytest.approx(
        hits / sum(each["reads"] + each["writes"] for each in worse if each["at"] >= START)
    )


def test_growth_is_detected_in_a_place_cleaned_in_the_same_week() -> None:
    rows = place_reports(RNG([10, 19]), "features")
    more = [
        each | {"used_bytes": each["used_bytes"] + 40 * GB * max((each["at"] - START).days + 1, 0), "capacity_bytes": 20_000 * GB}
        for each in rows
    ]
    found = {each.metric: each for each in storage_findings(more)}["storage_growth"]
    assert found.severity == "watch" and found.likely_source == "system"


def test_few_storage_reports_raise_no_alarm_and_state_how_many_more_are_needed() -> None:
    bad = {"used_bytes": 9_990 * GB, "duplicate_bytes": 9_000 * GB, "checked": 20}
    rows = [each | bad for each in place_reports(RNG(2), before=0)[:2]]
    found = {each.metric: each for each in storage_findings(rows)}
    assert not [each.because for each in found.values() if each.needs_action]
    assert found["storage_used_share"].because.endswith("is not yet known: 2 reports, needs about 1 more report.")
    assert found["storage_days_left"].because.endswith("1 day of growth, needs about 9 more days.")
    assert "it needs about 14 more days" in found["storage_read_p99_ms"].because
    assert found["storage_corrupt_rate"].because == ("No checksum of 40 in `lake` failed; to exclude 1 % it needs about 260 more blocks.")


def test_cold_data_in_an_archive_is_not_waste_and_waste_is_priced() -> None:
    assert "storage_cold_share" not in week(cold_bytes=5_000 * GB, tier="archive")
    rows = [each | {"used_bytes": 5_000 * GB, "cold_bytes": 4_000 * GB} for each in place_reports(RNG(3))]
    price = {"from": datetime(2026, 1, 1), "resource": "gb_month", "amount": 0.02, "currency": "EUR"}
    found = {each.metric: each for each in storage_findings(rows, [price])}["storage_cold_share"]
    assert "(4000.0 GB, 80.00 EUR a month)" in found.because


def test_missing_backups_or_restore_tests_are_judged_by_the_promised_interval() -> None:
    rows = [each | {"backup_at": None, "restored_at": None} for each in place_reports(RNG(3))]
    found = {each.metric: each for each in storage_findings(rows)}
    assert found["storage_backup_age_hours"].severity == "act" and found["storage_backup_age_hours"].because.startswith(
        "No backup is reported"
    )
    assert found["storage_restore_age_days"].severity == "watch"
    silent = [each | {"backup_hours": None, "restore_days": None} for each in rows]
    assert not {"storage_backup_age_hours", "storage_restore_age_days"} & {each.metric for each in storage_findings(silent)}


def test_a_copy_behind_its_source_is_reported_and_failed_copies_do_not_count() -> None:
    rows = place_reports(RNG(3))
    told = {each.metric: each for each in storage_findings(rows)}["storage_behind_hours"]
    assert (told.severity, told.value, told.limit) == ("ok", pytest.approx(1 / 12), 36.0)
    for nights, severity in ((1, "ok"), (2, "watch"), (4, "watch"), (5, "act")):
        failed = [each | ({"complete_to": None} if place >= len(rows) - nights else {}) for place, each in enumerate(rows)]
        found = {each.metric: each for each in storage_findings(failed)}["storage_behind_hours"]
        assert found.severity == severity and found.value == pytest.approx(24 * nights, abs=0.6)
        assert "behind its source at its newest report; the limit is 36 hours." in found.because
    original = [each | {"complete_to": None} for each in rows]
    assert "storage_behind_hours" not in {each.metric for each in storage_findings(original)}


def test_a_place_that_stops_reporting_is_reported_even_without_reports_in_the_window() -> None:
    rows = [each for each in place_reports(RNG(3)) if each["at"] < START] + place_reports(RNG(4), "features")
    found = {(each.subject, each.metric): each for each in storage_findings(rows)}
    silent = [each for each in found.values() if each.subject == "place:lake"]
    assert [each.metric for each in silent] == ["storage_silence_hours"] and silent[0].severity == "watch"
    assert found["place:features", "storage_silence_hours"].severity == "ok"


def test_clean_weeks_raise_no_critical_finding_and_few_warnings() -> None:
    weeks = repeats(8, 300)
    raised = [
        each for seed in range(weeks) for each in storage_findings(place_reports(RNG([seed, 7]), PLACES[seed % 3])) if each.needs_action
    ]
    assert not [each.because for each in raised if each.severity == "act"]
    assert len(raised) <= max(0.03 * weeks, 1), [each.because for each in raised]


def test_the_end_of_a_storage_finding_is_in_utc() -> None:
    (found, *_) = storage_findings(place_reports(RNG(3)))
    assert found.end == END.replace(tzinfo=UTC)


def test_a_figure_that_was_beyond_its_limit_before_the_week_is_ongoing() -> None:
    for metric, changed in (
        ("storage_used_share", lambda each: {"capacity_bytes": int(each["used_bytes"] / 0.93)}),
        ("storage_duplicate_share", lambda each: {"duplicate_bytes": int(each["used_bytes"] * 0.3)}),
        ("storage_corrupt_rate", lambda each: {"corrupt": 1}),
    ):
        rows = place_reports(RNG(3))
        news = []
        for since in (START, START - timedelta(days=99)):
            told = storage_findings([each | (changed(each) if each["at"] >= since else {}) for each in rows])
            (found,) = [each for each in told if each.metric == metric]
            assert found.needs_action, metric
            news.append(found.news)
        assert news == ["new", "ongoing"], metric


@pytest.mark.parametrize(("days", "news"), [(33.0, "new"), (60.0, "ongoing")])
def test_an_age_finding_starts_on_the_day_the_age_passed_its_limit(days: float, news: str) -> None:
    newest = place_reports(RNG(3))[-1]["at"]
    rows = [each | {"restored_at": newest - timedelta(days=days)} for each in place_reports(RNG(3))]
    (found,) = [each for each in storage_findings(rows) if each.metric == "storage_restore_age_days"]
    assert found.needs_action and found.onset is not None
    assert abs(found.onset.replace(tzinfo=None) - (newest - timedelta(days=days - 30))) < timedelta(seconds=1)
    assert news_of(found) == news
