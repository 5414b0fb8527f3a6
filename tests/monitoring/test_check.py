"""`check` on the sample fleet agrees with the raw rows about what became worse and what did not, without using later records."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.cli.execute import execute
from observability.core.metric_definitions import METRICS
from observability.monitoring import check
from observability.monitoring.short_claims import MAX_WORDS
from observability.server import process_lock
from observability.store.db.database import Database
from tests.support import raw_rows
from tests.support.commanding import Command, by_metric, spawn
from tests.support.length import LONG
from tests.support.riddles import riddles_in
from tests.support.sample_home import lent, lent_checked

KEYS = {
    "id", "analyzer", "model", "version", "subject", "metric", "value", "unit", "low", "high", "n", "limit", "basis", "severity", "because",
    "window", "slice", "against", "onset", "incident", "likely_source", "event", "evidence", "state", "news", "proof",
}  # fmt: skip
"""The keys of a finding in JSON (contract, section 3)."""
JULY = ("--from", "2013-07-01", "--to", "2013-08-01")


@pytest.fixture(scope="module")
def stored_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample fleet after a check; no test of this file changes it."""
    with lent_checked(tmp_path_factory, "checked") as home:
        yield home


@pytest.fixture(scope="module")
def july_of_delay(stored_fleet: Path) -> list[dict[str, Any]]:
    """The findings about flights-delay in July, as printed by a separate process."""
    return list(spawn(stored_fleet, "check", "--model", "flights-delay", *JULY, "--json").json())


def test_july_names_the_degradation_of_flights_delay_with_exact_figures(july_of_delay: list[dict[str, Any]]) -> None:
    findings = july_of_delay
    july = raw_rows.between(raw_rows.predictions("flights-delay"), "2013-07-01", "2013-08-01")
    found, reference = by_metric(findings), raw_rows.regression(raw_rows.reference("flights-delay"))
    for metric, value in raw_rows.regression(july).items():
        assert found[metric]["value"] == pytest.approx(value, rel=1e-9), metric
        assert found[metric]["n"] == july["label"].notna().sum()
    assert found["mae"]["severity"] == "act", "the limit holds although the month before was as bad"
    assert found["mae"]["evidence"]["baseline"] == pytest.approx(reference["mae"], rel=1e-9)
    assert f"{reference['mae']:.3g}" in found["mae"]["because"]
    assert [each["severity"] for each in findings] == sorted(
        (each["severity"] for each in findings), key=["act", "watch", "unknown", "ok"].index
    )


@pytest.mark.long  # tests/stats/test_confusion.py and tests/dashboard/test_figures.py check the same figures
def test_july_of_flights_late_agrees_with_scikit_learn(command: Command, stored_fleet: Path) -> None:
    found = by_metric(command(stored_fleet, "check", "--model", "flights-late", *JULY, "--json").json())
    july = raw_rows.between(raw_rows.predictions("flights-late"), "2013-07-01", "2013-08-01")
    for metric, value in raw_rows.classification(july, raw_rows.threshold("flights-late")).items():
        near = {"roc_auc": {"abs": 1e-3}, "pr_auc": {"abs": 3e-3}}.get(metric, {"rel": 1e-9})
        assert found[metric]["value"] == pytest.approx(value, **near), metric


def test_findings_carry_exactly_the_keys_of_the_contract(command: Command, stored_fleet: Path) -> None:
    findings = command(stored_fleet, "check", "--json").json()
    assert {each["model"] for each in findings} == {
        "acme/chat-large",
        "acme/chat-small",
        "acme/sentiment-small",
        "help-desk",
        "route-cache",
        "flights-delay",
        "flights-late",
        "employment",
        "sentiment",
        None,
    }
    about_records = {each["analyzer"] for each in findings if each["model"] is None}
    about_data = {"data/batches", "data/cleaning", "data/datasets", "data/devices", "data/labelling", "data/storage", "trust/exports"}
    assert about_records == about_data
    assert {"operations/controllers", "operations/trade_offs", "serving/edge_fleet"} <= {
        each["analyzer"] for each in findings if each["model"]
    }
    for each in findings:
        assert set(each) == KEYS
        assert set(each["window"]) == {"start", "end"}
        assert each["metric"] in METRICS and each["unit"] == METRICS[each["metric"]].unit
        assert each["basis"] in ("measured", "estimated", "simulated") and each["severity"] in ("ok", "watch", "act", "unknown")
        assert each["against"] in ("reference", "past", "level", "peers")
        assert each["severity"] == "unknown" or each["value"] is not None
        assert each["because"].endswith(".") and len(each["because"].split()) <= MAX_WORDS
        assert not riddles_in(" ".join([each["because"], *each["evidence"].get("details", ())]))
    assert len({each["id"] for each in findings}) == len(findings)


@pytest.fixture(scope="module")
def last_week_of_flights(stored_fleet: Path) -> list[dict[str, Any]]:
    """The findings about the default window of flights-delay, as JSON."""
    with process_lock.opened_store(stored_fleet) as store:
        done = execute(store, ["check", "--model", "flights-delay", "--json"], lambda _: None)
    assert done.exit_code == 0, done
    return list(json.loads(done.out))


def test_silence_after_the_last_record_of_a_model_is_not_reported(last_week_of_flights: list[dict[str, Any]]) -> None:
    """The default window of a model that ended years ago extends to the end of the day of its last record; the rest of that day is not
    called silent.
    """
    found = {each["metric"]: each for each in last_week_of_flights if each["analyzer"] == "data/quality"}
    assert [found[metric]["severity"] for metric in ("silence_hours", "freshness_hours", "volume")] == ["ok"] * 3
    assert found["freshness_hours"]["value"] < 1


def test_a_silent_weather_feed_is_one_incident_of_the_last_week_of_flights_and_none_of_employment(
    command: Command, stored_fleet: Path, last_week_of_flights: list[dict[str, Any]]
) -> None:
    """The last hour of the stations ends at midnight UTC, five hours before the day ends in New York. There is no batch for 31 December."""

    def of_feed(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [each for each in said if each["analyzer"] in ("data/batches", "data/cleaning") and each["severity"] in ("act", "watch")]

    found = of_feed(last_week_of_flights)
    assert len({each["incident"] for each in found}) == 1 and min(each["onset"] for each in found) == "2013-12-31T05:00:00Z"
    late = [each for each in found if each["metric"] == "batch_delay_hours"]
    assert {each["subject"] for each in late} == {f"source:hourly weather at {name}" for name in ("EWR", "JFK", "LGA")}
    assert {(each["value"], each["severity"]) for each in late} == {(5.0, "act")}
    assert {each["value"] for each in found if each["metric"] == "batch_gap_hours"} == {
        43.0
    }  # from 05:00 on the 31st to the end of 1 January
    assert of_feed(command(stored_fleet, "check", "--model", "employment", "--json").json()) == []


def test_a_check_of_a_slice_in_all_models_leaves_out_models_without_its_column(command: Command, stored_fleet: Path) -> None:
    said = command(stored_fleet, "check", "--slice", "SEX=female")
    assert said.code == 0
    assert "flights-delay is left out: column 'SEX' is not in flights-delay." in said.out
    found = by_metric(command(stored_fleet, "check", "--model", "employment", "--slice", "SEX=female", "--json").json())
    week = raw_rows.last_week(raw_rows.predictions("employment"))
    expected = raw_rows.classification(week[week["SEX"] == "female"], raw_rows.threshold("employment"))
    assert found["accuracy"]["value"] == pytest.approx(expected["accuracy"], rel=1e-9)
    assert found["accuracy"]["slice"] == "SEX=female"


@pytest.mark.long  # test_a_planted_fall_of_accuracy_by_five_points_in_such_a_week_is_critical
def test_fail_on_exits_with_one_if_a_finding_has_at_least_that_severity(command: Command, stored_fleet: Path) -> None:
    june = ("--model", "flights-delay", "--from", "2013-06-24", "--to", "2013-07-01")
    assert command(stored_fleet, "check", *june, "--fail-on", "act").code == 1
    assert command(stored_fleet, "check", "--model", "sentiment", "--fail-on", "act").code == 0


@pytest.mark.long  # law 10: tests/test_laws.py::test_no_analyzer_counts_records_that_arrived_later
def test_labels_that_arrive_after_as_of_do_not_change_a_check(command: Command, own_fleet: Path, tmp_path: Path) -> None:
    as_of, week = pd.Timestamp("2013-07-08T00:00", tz="UTC"), ("--model", "flights-delay", "--from", "2013-07-01", "--to", "2013-07-08")
    served = raw_rows.between(raw_rows.predictions("flights-delay"), "2013-07-01", "2013-07-08")
    labels = pd.read_parquet(raw_rows.SAMPLE / "flights-delay.labels.parquet").set_index("id")
    arrived = served["id"].map(labels["received_at"])
    known = served[arrived <= as_of]
    assert 0 < len(known) < served["label"].notna().sum()
    asked = ("check", *week, "--as-of", "2013-07-08", "--json")
    before = command(own_fleet, *asked).json()
    for metric, value in raw_rows.regression(known).items():
        assert by_metric(before)[metric]["value"] == pytest.approx(value, rel=1e-9), metric
    assert by_metric(before)["mae"]["n"] == len(known)

    never = served[served["label"].isna()]["id"].head(20).tolist()
    corrected = known["id"].head(200).tolist()
    planted = tmp_path / "planted.jsonl"
    planted.write_text(
        "".join(
            json.dumps({"kind": "label", "id": each, "at": "2013-07-03T12:00:00Z", "model": "flights-delay", "value": 5000,
                        "source": "correction", "received_at": "2013-07-08T00:30:00Z"}) + "\n"
            for each in [*never, *corrected]
        )
    )  # fmt: skip
    assert command(own_fleet, "load", planted, "--json").json()["stored"] == len(never) + len(corrected)
    assert command(own_fleet, *asked).json() == before
    truth = served.set_index("id")["label"].copy()
    truth[[*never, *corrected]] = 5000.0
    told = raw_rows.regression(served.assign(label=served["id"].map(truth)))
    with process_lock.opened_store(own_fleet) as store:
        start, end = datetime(2013, 7, 1, tzinfo=UTC), as_of.to_pydatetime()
        found = check.check(store, model="flights-delay", start=start, end=end, only=("serving/performance",), with_records=False).findings
    now = by_metric([each.to_json() for each in found])
    assert now["mae"]["value"] == pytest.approx(told["mae"], rel=1e-9)
    assert now["mae"]["value"] > 2 * by_metric(before)["mae"]["value"]


WEEKS = [datetime(2017, 1, 2, tzinfo=UTC) + timedelta(weeks=number) for number in range(52)]
"""Mondays of the ISO weeks of 2017."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The sample fleet's store, open in this process."""
    with lent(tmp_path_factory, "opened") as home, process_lock.opened_store(home) as store:
        yield store


def test_employment_shows_its_gaps_between_groups_with_intervals_and_small_groups_as_unknown(opened: Database) -> None:
    start, end = datetime(2018, 1, 1, tzinfo=UTC), datetime(2018, 2, 1, tzinfo=UTC)
    found = check.check(opened, model="employment", start=start, end=end, only=("trust/fairness",), with_records=False).findings
    month = raw_rows.between(raw_rows.predictions("employment"), "2018-01-01", "2018-02-01")
    positives = month[month["label"] == 1].assign(found=lambda rows: rows["score"] >= raw_rows.threshold("employment"))
    rates = positives.groupby("SEX")["found"].mean()
    gap = next(each for each in found if (each.subject, each.metric) == ("SEX", "equalized_odds_difference"))
    shown = {each["level"]: each["true_positive_rate"] for each in gap.evidence["groups"]}
    assert {level: rate[0] for level, rate in shown.items()} == pytest.approx(rates.to_dict(), rel=1e-9)
    assert all(low < rate < high and high - low < 0.1 for rate, low, high, _ in shown.values())
    assert gap.value is not None and gap.low is not None and gap.high is not None and gap.low < gap.value < gap.high
    small = positives.groupby("RAC1P")["found"].agg(["mean", "size"]).query("size < 30")
    unknown = {each.subject: each for each in found if each.subject.startswith("RAC1P=") and each.severity == "unknown"}
    assert {f"RAC1P={level}" for level in small.index} <= set(unknown) and len(small)
    for level, row in small.iterrows():
        said = unknown[f"RAC1P={level}"]
        assert (said.value, said.n) == (pytest.approx(row["mean"]), row["size"]) and "more" in said.because
    bad = [each for each in found if each.needs_action]
    assert bad and {each.news for each in bad} == {"ongoing"}, "a gap that the reference already had is bad, but not new"


@pytest.mark.long  # tests/monitoring/test_false_alarms.py
def test_weeks_of_employment_in_2017_raise_no_new_critical_finding(opened: Database) -> None:
    acts = [
        f"{start:%G-W%V}: {finding.because}"
        for start in WEEKS[:: 4 if LONG else 26]
        for finding in check.check(opened, model="employment", start=start, end=start + timedelta(weeks=1), with_records=LONG).findings
        if finding.severity == "act" and finding.news != "ongoing"
    ]
    assert acts == []
    assert {f"{start:%G-W%V}" for start in WEEKS} == {f"2017-W{number:02}" for number in range(1, 53)}


def test_a_planted_fall_of_accuracy_by_five_points_in_such_a_week_is_critical(command: Command, own_fleet: Path, tmp_path: Path) -> None:
    start = WEEKS[19]
    week = raw_rows.between(raw_rows.predictions("employment"), pd.Timestamp(start), pd.Timestamp(start + timedelta(weeks=1)))
    right = week[(week["score"] >= raw_rows.threshold("employment")) == (week["label"] == 1)]
    flipped = right.sample(round(0.05 * len(week)), random_state=np.random.RandomState(2017))
    planted = tmp_path / "planted.parquet"
    pd.DataFrame(
        {"id": flipped["id"], "at": flipped["at"], "model": "employment", "value": 1 - flipped["label"], "source": "correction"}
    ).to_parquet(planted, index=False)
    assert command(own_fleet, "load", planted, "--kind", "label", "--json").json()["stored"] == len(flipped)

    window = ("--from", f"{start:%Y-%m-%d}", "--to", f"{start + timedelta(weeks=1):%Y-%m-%d}")
    done = command(own_fleet, "check", "--model", "employment", *window, "--json", "--fail-on", "act")
    assert done.code == 1
    found = by_metric(json.loads(done.out))
    assert found["accuracy"]["value"] == pytest.approx((len(right) - len(flipped)) / len(week), rel=1e-9)
    assert found["accuracy"]["severity"] == "act"


@pytest.mark.long  # test_the_feed_that_fell_silent_is_one_incident_…, tests/incidents
def test_a_weather_feed_that_falls_silent_is_one_incident_of_each_flights_model(opened: Database) -> None:
    for model in ("flights-delay", "flights-late"):
        report = check.check(opened, model=model, with_records=False)
        planted = ("serving/batch_gate", "trust/live_guard")  # a batch of flights-delay, and a client of flights-late
        held = {each.incident for each in report.findings if each.analyzer in planted and each.severity == "act"}
        (one,) = [each for each in report.incidents if each.severity == "act" and not each.standing and each.id not in held]
        assert one.source == "input" and one.onset == datetime(2013, 12, 31, tzinfo=UTC) and one.lead.metric == "null_rate"
        stands = {each.id for each in report.incidents if each.standing} | held
        acts = [each for each in report.findings if each.severity == "act" and each.incident not in stands]
        assert (
            len(stands - held) <= 1
            and len(acts) > 8
            and {each.incident for each in acts} == {one.id}
            and {each.likely_source for each in acts} == {"input"}
        )
        assert {each.onset for each in acts if each.metric == "null_rate"} == {one.onset}
        assert one.event is None, "Christmas was six days earlier, too far away to be named"


def test_the_check_command_lists_incidents_first_and_folds_related_findings(command: Command, stored_fleet: Path) -> None:
    lines = command(stored_fleet, "check", "--model", "flights-late").out.splitlines()
    body = [line for line in lines if line.startswith(("Critical", "Warning", "Unknown"))]

    def place(line: str) -> tuple[bool, bool, bool]:
        word = line.split()[0]
        stands = "newer or a rolling reference, or retraining" in line
        return word == "Unknown", word == "Warning", stands

    assert [place(line) for line in body] == sorted(map(place, body)), (
        "critical findings come first, and in each severity new ones before ongoing ones"
    )
    assert {place(line)[2] for line in body if line.startswith("Critical")} == {False, True}
    line = next(line for line in body if line.startswith("Critical") and "Suspected source: input" in line)
    assert "since 31 Dec 2013" in line and "null in" in line and " related findings." in line
    assert not any("; PSI " in line for line in body), "the drift of these features is folded"


@pytest.mark.long  # tests/analyzers/serving/test_performance.py
def test_the_rise_of_the_error_in_june_is_critical_and_in_july_it_is_no_longer_news(
    opened: Database, july_of_delay: list[dict[str, Any]]
) -> None:
    """The error rose in June. July is as bad, and its finding says that June was bad too. The hot weather, which the winter reference does
    not contain, is a finding about inputs.
    """
    start, end = datetime(2013, 6, 24, tzinfo=UTC), datetime(2013, 7, 1, tzinfo=UTC)
    june = check.check(opened, model="flights-delay", start=start, end=end, with_records=False)
    (fall,) = [each for each in june.findings if (each.analyzer, each.metric) == ("serving/performance", "mae")]
    assert fall.severity == "act" and fall.incident in {each.id for each in june.incidents}
    (standing,) = [each for each in july_of_delay if (each["analyzer"], each["metric"]) == ("serving/performance", "mae")]
    assert standing["severity"] == "act" and standing["news"] in ("ongoing", "worse", "improving")
    (hot,) = [each for each in july_of_delay if (each["analyzer"], each["subject"]) == ("data/quality", "temperature_f")]
    assert (hot["severity"], hot["likely_source"], hot["metric"]) == ("act", "input", "out_of_range_rate") and hot["value"] > 0.99
    assert "its expected daily range" in hot["because"], "some days of June were as hot"
