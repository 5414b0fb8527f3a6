"""serving/latency: rates and percentiles equal those of the raw rows, one slow replica is named, a stated service level alarms in time, and
noise raises nothing.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from observability.analyzers.serving.latency import ANALYZER
from observability.core.analyzer import Context
from observability.core.catalog import Model, Version
from observability.core.finding import Finding
from observability.core.questions import Aggregate, Bucket
from observability.core.settings import ModelSettings
from observability.core.window import Window
from observability.stats.quantile import LOG_EDGES
from observability.store.query import aggregates
from tests.support import reference_engine
from tests.support.analyzer_worlds import START
from tests.support.engine_world import START as WORLD_START
from tests.support.engine_world import copied
from tests.support.length import allowed, repeats
from tests.support.levels import beyond_limit

DAY, PAST = timedelta(days=1), 28
LEVEL = ModelSettings(service_level_availability=0.99, service_level_latency_ms=400.0)


def requests(
    seed: int, *, an_hour: int = 18, days: int = 7, errors: float = 0.002, replicas: tuple[str, ...] = ("r1", "r2", "r3"), version: str = "1",
    bursts: bool = False,
) -> pd.DataFrame:  # fmt: skip
    """Requests of the past and of `days` days of the window, with lognormal latencies of median 55 ms. With `bursts`, days differ in
    latency and in failures.
    """
    rng = np.random.default_rng(seed)
    n = an_hour * 24 * (PAST + days)
    day = np.sort(rng.uniform(-PAST, days, n))
    each_day = np.floor(day).astype(int) + PAST
    slow = np.exp(rng.normal(0, 0.15, PAST + days)) if bursts else np.ones(PAST + days)
    failing = errors * (rng.gamma(1.0, 1.0, PAST + days) if bursts else np.ones(PAST + days))
    status = np.where(rng.random(n) < failing[each_day], rng.choice(["error", "timeout", "fallback", "rejected"], n), "ok")
    return pd.DataFrame(
        {
            "at": pd.Timestamp(START) + pd.to_timedelta(day * 86400, unit="s"), "day": day, "version": version, "status": status,
            "latency_ms": np.exp(rng.normal(4, 0.5, n)) * slow[each_day], "replica": rng.choice(replicas, n), "device": None,
        }
    )  # fmt: skip


def answer(aggregate: Aggregate, rows: pd.DataFrame) -> pd.DataFrame:
    """The result of an aggregate, computed from raw rows in the slow and obvious way."""
    keys = {}
    for key in aggregate.keys:
        if isinstance(key, Bucket):
            keys["period"] = rows["at"].dt.floor("D" if key.period == "day" else "h").dt.tz_localize(None)
        else:
            keys[key.column] = rows[key.column]
    base = pd.DataFrame(keys, index=rows.index)
    if aggregate.histogram:
        values = rows["latency_ms"].to_numpy(float)
        base["column"] = "latency_ms"
        base["bin"] = np.where(np.isnan(values), -1, np.searchsorted(LOG_EDGES, np.nan_to_num(values), side="right"))
    base["w"] = rows["weight"] if "weight" in rows else 1.0
    base["n"], base["w2"] = 1, base["w"] ** 2
    return base.groupby(list(aggregate.key_names), as_index=False, dropna=False)[["n", "w", "w2"]].sum()


def context(settings: ModelSettings | None = None, days: float = 7, version: str = "1", budget: float = 0.1 / 7) -> Context:
    of = Version(version, START - timedelta(days=60))
    window = Window("loan", START, START + timedelta(days=days), version=version)
    return Context(
        Model(1, "loan", "binary", ("0", "1"), versions=(of,), settings=settings or ModelSettings()), of, window, window.end, budget
    )


def said(rows: pd.DataFrame, asked: Context) -> list[Finding]:
    """The findings about raw rows."""
    frames = {}
    for name, ask in ANALYZER.needs(asked).items():
        span = asked.window if ask.span == "current" else asked.window.past(ask.days)
        part = rows[(rows["at"] >= span.start) & (rows["at"] < span.end)]
        frames[name] = answer(ask.aggregate, part[part["version"] == asked.version.name] if ask.scope == "version" else part)
    return ANALYZER.analyze(frames, asked)


def by_claim(findings: list[Finding]) -> dict:
    return {(each.subject, each.metric, each.against): each for each in findings}


def alarms(findings: list[Finding]) -> list[Finding]:
    return [each for each in findings if each.severity in ("act", "watch")]


def test_request_rates_and_latency_percentiles_match_the_raw_rows() -> None:
    rows = requests(1, errors=0.02)
    found = by_claim(said(rows, context()))
    window = rows[rows["day"] >= 0]
    rate = found["model", "request_rate", "past"]
    assert rate.n == len(window) and rate.value == pytest.approx(len(window) / 168) and rate.severity == "ok"
    young = by_claim(said(rows[rows["day"] >= -10], context()))["model", "request_rate", "past"]
    assert (young.severity, young.value) == ("unknown", rate.value) and "it needs 17 more days of past" in young.because
    failed = int((window["status"] != "ok").sum())
    error = found["model", "error_rate", "past"]
    assert error.value == pytest.approx(failed / len(window)) and error.n == len(window)
    assert (error.low, error.high) == pytest.approx(proportion_confint(failed, len(window), method="wilson"))
    assert error.evidence["by_status"] == window["status"].value_counts().to_dict()
    answered = window[window["status"].isin(["ok", "fallback", "timeout"])]["latency_ms"]
    for q in (50, 95, 99):
        each = found["model", f"latency_p{q}", "past"]
        assert each.value == pytest.approx(np.percentile(answered, q, method="inverted_cdf"), rel=0.0201)
        assert each.low <= np.percentile(answered, q) * 1.02 and each.high >= np.percentile(answered, q) * 0.98
        assert each.severity == "ok" and each.n == len(answered) and each.unit == "ms"
    days = window.loc[answered.index].groupby(np.floor(window["day"]))["latency_ms"]
    drawn = found["model", "latency_p99", "past"].evidence["by_day"]
    assert [row[0] for row in drawn] == [str((START + DAY * place).date()) for place in range(7)]
    assert [row[4] for row in drawn] == days.size().tolist()
    assert [row[1] for row in drawn] == pytest.approx([np.percentile(each, 99, method="inverted_cdf") for _, each in days], rel=0.0201)
    assert {row[2] for row in drawn} == {None}, "about 430 answers a day are too few for an interval of p99"


def test_a_weighted_request_counts_by_its_weight() -> None:
    rows = requests(2, errors=0.05)
    rows["weight"] = np.where(rows["status"] == "ok", 1.0, 3.0)
    window = rows[rows["day"] >= 0]
    error = by_claim(said(rows, context()))["model", "error_rate", "level"]
    assert error.value == pytest.approx(window.loc[window["status"] != "ok", "weight"].sum() / window["weight"].sum())
    assert error.n == len(window)


def test_one_replica_with_a_p99_half_as_long_again_is_named_and_no_other() -> None:
    named = 0
    for seed in range(12):
        rows = requests(100 + seed, bursts=True)
        slow = (rows["replica"] == "r3") & (rows["day"] >= 0)
        rows.loc[slow, "latency_ms"] *= 1.5
        found = [each for each in alarms(said(rows, context())) if "=" in each.subject]
        assert {each.subject for each in found} <= {"replica=r3"}
        named += any(each.severity == "act" for each in found)
        for each in found:
            assert each.against == "peers" and each.likely_source == "system" and each.evidence["ratio"] == pytest.approx(1.5, rel=0.15)
            assert (
                each.n == slow.sum() - (slow & rows["status"].isin(["error", "rejected"])).sum() and f"{each.n:,} answers" in each.because
            )
            assert each.value > each.limit and "than the other 2 replicas" in each.because
    assert named >= 11


def test_a_latency_rise_below_a_few_milliseconds_is_ok_unless_the_owner_sets_a_limit() -> None:
    rows = requests(4)
    rows["latency_ms"] /= 400
    rows.loc[(rows["replica"] == "r2") & (rows["day"] >= 0), "latency_ms"] *= 2
    found = said(rows, context())
    assert alarms(found) == []
    rows.loc[rows["day"] >= 0, "latency_ms"] *= 2
    p50 = by_claim(said(rows, context()))["model", "latency_p50", "past"]
    assert p50.severity == "ok" and "is below the 2 ms that matter." in p50.because and p50.limit >= p50.evidence["baseline"] + 2
    assert p50.evidence["least_increase_ms"] == 2.0
    strict = ModelSettings(limits={"serving/latency/latency_increase": 0.05})
    assert {each.severity for each in alarms(said(rows, context(strict)))} >= {"act"}


def test_a_replica_with_only_a_longer_latency_tail_is_found() -> None:
    seen = 0
    for seed in range(8):
        rows = requests(200 + seed, an_hour=40)
        tail = (rows["replica"] == "r2") & (rows["day"] >= 0) & (rows["latency_ms"] > np.exp(4 + 0.5 * 1.645))
        rows.loc[tail, "latency_ms"] *= 1.5
        seen += any(each.subject == "replica=r2" and each.metric == "latency_p99" for each in alarms(said(rows, context())))
    assert seen >= 7


def test_the_onset_of_a_latency_rise_is_its_first_hour() -> None:
    rows = requests(3, an_hour=60)
    rows.loc[(rows["day"] >= 4.5), "latency_ms"] *= 1.8
    found = by_claim(said(rows, context()))["model", "latency_p99", "past"]
    assert found.severity == "act" and found.likely_source == "system"
    assert abs(found.onset - (START + 4.5 * DAY)) <= timedelta(hours=2)
    assert "the four weeks before had" in found.because


def test_a_replica_that_fails_more_often_is_named() -> None:
    rows = requests(4)
    rng = np.random.default_rng(0)
    bad = (rows["replica"] == "r1") & (rows["day"] >= 2) & (rng.random(len(rows)) < 0.05)
    rows.loc[bad, "status"] = "error"
    found = by_claim(alarms(said(rows, context())))
    each = found["replica=r1", "error_rate", "peers"]
    assert each.severity == "act" and "fails more often than the other 2 replicas" in each.because
    assert not [claim for claim in found if claim[0] in ("replica=r2", "replica=r3")]


def test_a_past_difference_between_replicas_raises_no_alarm() -> None:
    rows = requests(5)
    rows.loc[rows["replica"] == "r3", "latency_ms"] *= 1.8
    extra = (rows["replica"] == "r2") & (np.random.default_rng(1).random(len(rows)) < 0.03)
    rows.loc[extra, "status"] = "error"
    assert not alarms(said(rows, context()))
    rows.loc[(rows["replica"] == "r3") & (rows["day"] >= 0), "latency_ms"] *= 1.6
    found = by_claim(alarms(said(rows, context())))
    assert found["replica=r3", "latency_p99", "peers"].evidence["ratio"] == pytest.approx(1.6, rel=0.15)


def test_when_one_of_two_replicas_becomes_faster_the_other_is_not_called_slow() -> None:
    rows = requests(6, replicas=("r1", "r2"))
    rows.loc[(rows["replica"] == "r1") & (rows["day"] >= 0), "latency_ms"] /= 2
    assert not alarms(said(rows, context()))


def test_if_half_of_the_replicas_are_slow_their_own_past_identifies_them() -> None:
    rows = requests(7, an_hour=60, replicas=("r1", "r2", "r3", "r4"))
    rows.loc[rows["replica"].isin(["r1", "r2"]) & (rows["day"] >= 0), "latency_ms"] *= 1.8
    found = {each.subject for each in alarms(said(rows, context())) if "=" in each.subject}
    assert found == {"replica=r1", "replica=r2"}


@pytest.mark.long  # tests/monitoring/test_false_alarms.py
@pytest.mark.parametrize("days", [7, 1])
def test_clean_weeks_and_days_seldom_alarm(days: int) -> None:
    found = [alarms(said(requests(300 + seed, days=days, bursts=True, errors=0.01), context(days=days))) for seed in range(repeats(6, 300))]
    assert not any(each.severity == "act" for week in found for each in week)
    assert sum(bool(week) for week in found) <= allowed(0.05, len(found))


def test_a_value_beyond_its_limit_is_never_ok_if_days_vary() -> None:
    unsure = []
    for seed in range(12):
        found = said(requests(700 + seed, an_hour=6, days=1, bursts=True, errors=0.02), context(days=1))
        assert [each.because for each in found if each.severity == "ok" and beyond_limit(each)] == [], seed
        unsure += [each for each in found if each.severity == "unknown" and beyond_limit(each)]
    assert {each.metric for each in unsure} >= {"error_rate"}
    assert all("beyond the limit of" in each.because and "choose a longer window" in each.because for each in unsure)


def test_the_limit_of_a_high_error_rate_is_one_and_a_half_times_the_past_odds() -> None:
    high = ModelSettings(limits={"serving/latency/error_rate_level": 1.0})
    found = by_claim(said(requests(13, errors=0.3), context(high)))["model", "error_rate", "past"]
    usual = found.evidence["baseline"]
    assert found.severity == "ok" and found.limit / (1 - found.limit) == pytest.approx(1.5 * usual / (1 - usual))


def test_few_requests_alarm_nobody_and_say_how_many_more_are_needed() -> None:
    rows = requests(8, an_hour=18)
    few = rows[(rows["day"] < 0) | (rows.index % 40 == 0)].copy()
    few.loc[few["day"] >= 0, "latency_ms"] *= 20
    few.loc[(few["day"] >= 0) & (few.index % 3 == 0), "status"] = "error"
    found = said(few, context(LEVEL))
    assert not alarms(found)
    p99 = by_claim(found)["model", "latency_p99", "past"]
    assert p99.severity == "unknown" and "more" in p99.because and p99.n < 100
    single = few[(few["day"] < 0) | (few.index == few.index[(few["day"] >= 0) & (few["status"] == "ok")][0])]
    alone = by_claim(said(single, context(LEVEL)))
    assert "cannot be measured on 1 answer: it needs about" in alone["model", "latency_p99", "past"].because
    assert "cannot be measured on 1 answer: it needs about" in alone["model", "latency_p99", "level"].because


def test_a_version_without_a_past_is_compared_with_other_versions_and_a_young_model_is_unknown() -> None:
    rows = requests(9)
    rows.loc[rows["day"] >= 0, "version"] = "2"
    rows.loc[rows["day"] >= 0, "latency_ms"] *= 1.7
    found = by_claim(said(rows, context(version="2")))["model", "latency_p99", "past"]
    assert found.severity == "act" and "the model's other versions" in found.because
    young = by_claim(said(rows[rows["day"] >= -3], context(version="2")))
    assert (
        young["model", "latency_p95", "past"].severity == "unknown"
        and "4 more days of past" in young["model", "latency_p95", "past"].because
    )
    assert young["model", "latency_p95", "past"].value is not None


def test_a_short_window_is_compared_with_the_same_hours_of_the_week() -> None:
    rows = requests(10, an_hour=60)
    monday_morning = (rows["at"].dt.dayofweek == 0) & (rows["at"].dt.hour < 12)
    rows.loc[monday_morning, "latency_ms"] *= 2
    assert not alarms(said(rows, context(days=0.5)))
    rows.loc[monday_morning & (rows["day"] >= 0), "latency_ms"] *= 1.8
    assert by_claim(said(rows, context(days=0.5)))["model", "latency_p95", "past"].severity in ("watch", "act")


def test_without_latencies_the_finding_says_how_to_log_them() -> None:
    rows = requests(11).assign(latency_ms=np.nan)
    found = by_claim(said(rows, context(LEVEL)))
    assert "log `latency_ms`" in found["model", "latency_p50", "past"].because
    assert found["model", "error_rate", "past"].severity == "ok" and ("model", "latency_p99", "past") not in found


def outage(seed: int, start: float, end: float, share: float) -> pd.DataFrame:
    """Requests; between two instants (in days of the window) a share of them fails."""
    rows = requests(seed, an_hour=200, errors=0.001)
    rng = np.random.default_rng(seed)
    hit = (rows["day"] >= start) & (rows["day"] < end) & (rng.random(len(rows)) < share)
    rows.loc[hit, "status"] = "error"
    return rows


def test_the_remaining_error_budget_over_four_weeks_matches_a_hand_computation() -> None:
    rows = outage(12, 3.0, 3.25, 0.3)
    found = by_claim(said(rows, context(LEVEL)))
    month = rows[(rows["day"] >= -21) & (rows["day"] < 7)]
    bad = int((month["status"] != "ok").sum())
    left = found["model", "error_budget_left", "level"]
    assert left.value == pytest.approx(1 - bad / len(month) / 0.01) and left.n == len(month) and left.severity == "ok"
    assert left.version is None and left.evidence["allowed"] == pytest.approx(0.01 * len(month))
    slow = month[month["status"].isin(["ok", "fallback", "timeout"])]["latency_ms"]
    edge = LOG_EDGES[np.searchsorted(LOG_EDGES, 400)]
    assert found["latency_ms", "error_budget_left", "level"].value == pytest.approx(1 - (slow >= edge).mean() / 0.01)


def test_an_ongoing_budget_burn_is_critical_and_a_past_one_a_warning() -> None:
    burning = by_claim(said(outage(13, 6.9, 7.0, 0.3), context(LEVEL)))["model", "burn_rate", "level"]
    assert burning.severity == "act" and burning.limit == 14.4 and burning.value == pytest.approx(30, rel=0.25)
    assert abs(burning.onset - (START + 6.9 * DAY)) <= timedelta(hours=2) or burning.onset == START + 7 * DAY - timedelta(hours=1)
    over = by_claim(said(outage(14, 2.0, 2.2, 0.3), context(LEVEL)))["model", "burn_rate", "level"]
    assert over.severity == "watch" and "no longer active" in over.because and over.value > 14.4
    quiet = by_claim(said(outage(15, 0, 0, 0), context(LEVEL)))["model", "burn_rate", "level"]
    assert quiet.severity == "ok" and [rule[:3] for rule in quiet.evidence["rules"]] == [[14.4, 1, 1], [6.0, 6, 1], [1.0, 72, 6]]


def test_an_overspent_error_budget_is_critical() -> None:
    found = by_claim(said(outage(16, -20, 7, 0.02), context(LEVEL)))["model", "error_budget_left", "level"]
    assert found.severity == "act" and found.value < 0 and "spent" in found.because


def test_an_unfinished_hour_counts_together_with_the_hour_before() -> None:
    rows = outage(17, 6.8, 7.0, 0.3)
    asked = context(LEVEL)
    live = replace(asked, now=asked.window.end - timedelta(minutes=50))
    found = by_claim(said(rows[rows["at"] < live.now], live))["model", "burn_rate", "level"]
    assert found.severity == "act" and f"{live.now:%H:%M} UTC" in found.because


def test_with_a_stated_level_latency_is_judged_by_it_and_its_past_is_a_warning_at_most() -> None:
    rows = requests(18, an_hour=60)
    kept = by_claim(said(rows, context(LEVEL)))["model", "latency_p99", "level"]
    assert kept.severity == "ok" and kept.limit == 400
    rows.loc[rows["day"] >= 0, "latency_ms"] *= 2.5
    found = by_claim(said(rows, context(LEVEL)))
    assert (
        found["model", "latency_p99", "level"].severity == "act" and "beyond the 400 ms" in found["model", "latency_p99", "level"].because
    )
    assert found["model", "latency_p99", "past"].severity == "watch"
    assert START <= found["model", "latency_p99", "level"].onset < START + DAY
    late = requests(18, an_hour=60)
    late.loc[late["day"] >= 5, "latency_ms"] *= 5
    since = by_claim(said(late, context(LEVEL)))["model", "latency_p99", "level"]
    assert since.severity == "act" and abs(since.onset - (START + 5 * DAY)) <= timedelta(hours=2)


def test_an_owner_limit_can_accept_slower_responses() -> None:
    rows = requests(19, an_hour=60)
    rows.loc[rows["day"] >= 0, "latency_ms"] *= 1.7
    settings = ModelSettings(limits={f"serving/latency/latency_p{q}": 3.0 for q in (50, 95, 99)})
    assert {each.severity for each in said(rows, context(settings))} <= {"ok", "watch"}
    assert any(each.severity == "act" for each in said(rows, context()))


def test_an_empty_window_is_unknown() -> None:
    rows = requests(20)
    found = said(rows[rows["day"] < 0], context(LEVEL))
    assert [each.severity for each in found] == ["unknown"]


@pytest.mark.parametrize("model", ["loan"])
def test_rollups_raw_rows_and_the_reference_engine_find_the_same_with_a_service_level(model: str, tmp_path) -> None:
    with copied(tmp_path / "home") as store:
        known = store.catalog().model(model)
        known = replace(known, settings=ModelSettings(service_level_availability=0.5, service_level_latency_ms=30.0))
        window = Window(model, WORLD_START + timedelta(days=2), WORLD_START + timedelta(days=5), version="1")
        asked = Context(known, known.version("1"), window, window.end)
        found = []
        for ask in (aggregates.answer_aggregate, reference_engine.ask):
            frames = {}
            for name, each in ANALYZER.needs(asked).items():
                of = window if each.span == "current" else window.past(28)
                frames[name] = ask(store, each.aggregate, of if each.scope == "version" else replace(of, version=None))
            found.append(sorted(ANALYZER.analyze(frames, asked), key=lambda each: each.id))
        assert [(each.id, each.severity, each.n) for each in found[0]] == [(each.id, each.severity, each.n) for each in found[1]]
        for one, other in zip(*found, strict=True):
            assert one.value == (None if other.value is None else pytest.approx(other.value, rel=1e-9))


@pytest.mark.parametrize(("errors", "severity", "limit"), [(0.3, "act", "10 %"), (0.07, "watch", "5 %"), (0.04, "ok", None)])
def test_a_high_error_rate_is_critical_even_if_it_is_not_new(errors: float, severity: str, limit: str | None) -> None:
    found = by_claim(said(requests(11, errors=errors), context()))["model", "error_rate", "level" if limit else "past"]
    assert found.severity == severity and found.news == (None if limit is None else "ongoing")
    assert found.because.endswith(f"The limit is {limit}, whatever the baseline." if limit else ".")
    assert (found.limit == {"act": 0.1, "watch": 0.05}[severity]) if limit else "too many" not in found.because


def test_a_young_model_failing_half_of_its_requests_is_critical_without_a_past() -> None:
    """The interval decides: if 12 of 100 requests fail, the true share may be below 10 %, which is only a warning."""
    rows = requests(12, errors=0.5)
    young = rows[rows["day"] >= 0]
    found = by_claim(said(young, context()))["model", "error_rate", "level"]
    assert found.severity == "act" and found.news is None and "no comparison yet" in found.because
    some = young.head(100).assign(status=["error"] * 12 + ["ok"] * 88)
    found = by_claim(said(some, context()))["model", "error_rate", "level"]
    assert proportion_confint(12, 100, method="wilson")[0] < 0.1 and found.severity == "watch"


def test_an_owner_limit_sets_how_high_an_error_rate_is_critical() -> None:
    rows = requests(13, errors=0.3)
    for settings in (ModelSettings(limits={"serving/latency/error_rate_level": 0.8}), ModelSettings(service_level_availability=0.5)):
        assert by_claim(said(rows, context(settings)))["model", "error_rate", "past"].severity == "ok"
