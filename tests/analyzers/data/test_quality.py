"""data/quality: does it name what was planted, in the figures of scipy and of a count by hand, and is it silent about clean weeks?"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from observability.analyzers.data.quality import ANALYZER
from observability.core.analyzer import Context
from observability.core.catalog import Version
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.questions import NAN, NULL, UNSEEN
from observability.core.settings import ModelSettings
from observability.core.standing_since import standing_since
from observability.core.window import Slice, Window
from observability.stats.scores import SCORE_EDGES
from tests.support.analyzer_worlds import ABSENT_VALUE, START, WRONG_VALUE, context_for, frames_for, spread
from tests.support.length import allowed, repeats

FEATURES = ("age", "income", "region")
PATTERN = np.concatenate([np.zeros(5), np.linspace(20, 60, 10), np.linspace(60, 10, 9)])
"""Predictions expected in each hour of a day: none in five hours of the night."""


def rows(n: int, seed: int, days: int = 7) -> pd.DataFrame:
    """Predictions spread evenly over the window, with columns that can be made to break."""
    rng = np.random.default_rng(seed)
    income = pd.Series(rng.lognormal(10, 0.6, n), dtype=object).where(rng.random(n) > 0.05, None)
    return pd.DataFrame({
        "at": spread(n, days),
        "age": pd.Series(rng.normal(40, 10, n), dtype=object),
        "income": income,
        "region": pd.Series(rng.choice(["north", "south", "east"], n, p=(0.5, 0.3, 0.2)), dtype=object),
        "score": rng.beta(2, 5, n),
        "label": np.nan,
    })  # fmt: skip


def world(reference: pd.DataFrame | None, features: tuple[str, ...] = FEATURES, **options) -> Context:
    """The context whose edges come from these reference rows."""
    return context_for(None if reference is None else reference.astype({"age": float, "income": float}), features=features, **options)


def stream(days: int, seed: int, start: datetime = START, noise: float = 0.05) -> pd.DataFrame:
    """Event times of a live model with nights, weekends at half, and days that differ."""
    rng = np.random.default_rng(seed)
    at = []
    for day in range(days):
        first = start + timedelta(days=day)
        rate = PATTERN * (0.5 if first.weekday() >= 5 else 1.0) * rng.lognormal(0, noise)
        hours = np.repeat(np.arange(24), rng.poisson(rate))
        at += [first + timedelta(hours=float(each)) for each in hours + rng.random(hours.size)]
    return pd.DataFrame({"at": pd.Series(pd.to_datetime(at, utc=True), dtype="datetime64[us, UTC]")})


def judge(
    context: Context,
    current: pd.DataFrame,
    reference: pd.DataFrame | None,
    past: pd.DataFrame | None = None,
    history: pd.DataFrame | None = None,
) -> list[Finding]:
    """What the analyzer says of raw rows. history: event times before the window, for what is asked of arrivals."""
    asks = ANALYZER.needs(context)
    frames = frames_for(asks, context, current, reference, past)
    if history is not None:
        frames["past_arrivals"] = frames_for({"only": asks["past_arrivals"]}, context, current, reference, history)["only"]
    return ANALYZER.analyze(frames, context)


def of_columns(current: pd.DataFrame, reference: pd.DataFrame | None, **options) -> dict[tuple[str, str], Finding]:
    """Findings about columns, by subject and metric."""
    return {(each.subject, each.metric): each for each in judge(world(reference, **options), current, reference)}


def of_arrival(
    current: pd.DataFrame, history: pd.DataFrame, *, now: datetime | None = None, days: int = 7, **options
) -> dict[str, Finding]:
    """Findings about arrival, by metric, of event times only."""
    context = context_for(None, task="regression", days=days, **options)
    context = replace(context, now=now or context.now)
    return {each.metric: each for each in judge(context, current, None, history=history) if each.subject == "model"}


def test_clean_values_give_one_sentence_a_column() -> None:
    said = of_columns(rows(4000, 1), rows(5000, 2))
    columns = [each for each in said.values() if each.subject != "model"]
    assert {each.subject for each in columns} == {*FEATURES, "score"} and len(columns) == 4
    assert {(each.metric, each.severity) for each in columns} == {("null_rate", "ok")}
    assert "No rate of `region` grew beyond its limit" in said["region", "null_rate"].because


def test_a_surge_of_nulls_has_the_figures_of_scipy_and_its_first_day() -> None:
    current, reference = rows(5000, 3), rows(5000, 4)
    late = current["at"] >= START + timedelta(days=2)
    current.loc[late & (np.random.default_rng(5).random(5000) < 0.075), "income"] = None
    said = of_columns(current, reference)["income", "null_rate"]
    nulls, before = int(current["income"].isna().sum()), int(reference["income"].isna().sum())
    assert said.value == nulls / 5000 and said.n == 5000
    wilson = stats.binomtest(nulls, 5000).proportion_ci(method="wilson")
    assert (said.low, said.high) == pytest.approx((wilson.low, wilson.high))
    table = stats.chi2_contingency([[nulls, 5000 - nulls], [before, 5000 - before]], correction=False)
    doubled = stats.chi2.sf(table.statistic / 2, 1)  # nothing is known of its days, which are taken to double the variance
    assert said.evidence["p_value"] == pytest.approx(doubled, rel=1e-6, abs=0)
    assert said.severity == "act" and said.limit == pytest.approx(before / 5000 + 0.05)
    assert said.onset == START + timedelta(days=2)
    told = [f"{100 * each / 5000:.1f}".removesuffix(".0") for each in (nulls, before)]
    assert said.because == f"`income` is null in {told[0]} % of 5,000 predictions; the reference had {told[1]} %."
    assert said.likely_source == "input" and said.against == "reference" and said.rank == pytest.approx(1 + said.value - before / 5000)


@pytest.mark.parametrize(
    ("column", "value", "metric", "word"),
    [
        ("age", float("nan"), "nan_rate", "is NaN in"),
        ("age", ABSENT_VALUE, "absent_rate", "is absent from"),
        ("age", WRONG_VALUE, "wrong_type_rate", "is of another type in"),
        ("region", "west", "unseen_rate", "is a category that the reference never had in"),
        ("age", 400.0, "out_of_range_rate", "is outside the reference's range in"),
    ],
)
def test_each_rate_is_named(column: str, value: object, metric: str, word: str) -> None:
    current = rows(5000, 6)
    current[column] = [value if i % 12 == 0 else each for i, each in enumerate(current[column])]
    said = of_columns(current, rows(5000, 7))
    assert said[column, metric].value == pytest.approx(417 / 5000, abs=1e-3) and said[column, metric].severity == "act"
    assert word in said[column, metric].because
    assert (column, "null_rate") not in said, "nothing is fine about a column that something is wrong with"
    assert {key[0] for key in said if key[0] != "model"} == {*FEATURES, "score"}


def test_three_points_of_an_unseen_category_are_a_watch() -> None:
    current = rows(5000, 8)
    current.loc[::33, "region"] = "west"
    assert of_columns(current, rows(5000, 9))["region", "unseen_rate"].severity == "watch"


def test_one_value_in_a_hundred_outside_the_range_of_the_reference_is_a_watch() -> None:
    current = rows(5000, 8)
    current.loc[::80, "age"] = 400.0
    found = of_columns(current, rows(5000, 9))["age", "out_of_range_rate"]
    assert found.severity == "watch" and found.limit == pytest.approx(0.01, abs=0.001)
    few = rows(5000, 8)
    few.loc[::200, "age"] = 400.0
    assert of_columns(few, rows(5000, 9))["age", "null_rate"].severity == "ok"


def test_a_range_that_leaves_out_an_isolated_value_of_the_reference_says_so() -> None:
    """The reference has 400 once; a sentence of its range without that value is not true unless it says so."""
    reference, current = rows(5000, 9), rows(5000, 8)
    reference.loc[7, "age"] = 400.0
    usual = reference["age"].drop(7)
    current.loc[::12, "age"] = 300.0
    because = of_columns(current, reference)["age", "out_of_range_rate"].because
    ends = f"{usual.min():.6g} to {usual.max():.6g}"
    assert f"outside the reference's range of {ends} (isolated outliers left out; with them {usual.min():.6g} to 400)" in because
    fine = of_columns(rows(5000, 8), reference)["age", "null_rate"].because
    assert "isolated outliers left out" in fine
    assert "isolated" not in of_columns(rows(5000, 8), rows(5000, 9))["age", "null_rate"].because


def test_a_growth_too_small_to_matter_is_fine_however_many_rows() -> None:
    current = rows(60_000, 10)
    current.loc[::80, "region"] = "west"
    assert of_columns(current, rows(60_000, 11))["region", "null_rate"].severity == "ok"


def test_fewer_nulls_than_in_the_reference_are_no_fault() -> None:
    current = rows(5000, 12)
    current["income"] = current["income"].fillna(20_000.0)
    assert of_columns(current, rows(5000, 13))["income", "null_rate"].severity == "ok"


def test_a_column_that_stands_still_is_constant_and_stuck() -> None:
    current = rows(2000, 14)
    current["age"] = 41.5
    said = of_columns(current, rows(5000, 15))
    assert said["age", "constant"].severity == "act" and said["age", "constant"].value == 1.0
    assert said["age", "stuck_hours"].value == 7 * 24 and said["age", "stuck_hours"].severity == "act"
    assert "about 41" in said["age", "constant"].because


def test_a_column_that_hardly_varied_before_may_stand_still() -> None:
    reference, current = rows(5000, 16), rows(2000, 17)
    reference["region"] = np.where(np.arange(5000) % 20, "north", "south")
    current["region"] = "north"
    assert of_columns(current, reference)["region", "null_rate"].severity == "ok"


def test_two_whole_days_of_one_value_are_stuck_and_one_is_a_watch() -> None:
    for days, severity in ((1, "watch"), (2, "act")):
        current = rows(3000, 18)
        held = (current["at"] >= START + timedelta(days=3)) & (current["at"] < START + timedelta(days=3 + days))
        current.loc[held, "age"] = 37.25
        said = of_columns(current, rows(5000, 19))["age", "stuck_hours"]
        assert (said.value, said.severity) == (24.0 * days, severity)
        assert said.onset == START + timedelta(days=3)
        assert said.n == int(held.sum())


def test_a_column_that_keeps_one_value_every_day_is_not_stuck() -> None:
    def weekday(at: pd.Series) -> pd.Series:
        return at.dt.day_name().astype(object)

    reference, current = rows(5000, 20), rows(3000, 21)
    reference["region"], current["region"] = weekday(reference["at"]), weekday(current["at"])
    assert of_columns(current, reference)["region", "null_rate"].severity == "ok"


def test_small_samples_never_alarm_and_say_how_many_more() -> None:
    current = rows(90, 22)
    current["age"], current["region"], current["income"] = 41.5, "west", None
    said = of_columns(current, rows(5000, 23))
    assert {each.severity for each in said.values() if each.subject != "model"} == {"unknown"}
    assert "more" in said["age", "null_rate"].because
    small = of_columns(rows(3000, 24), rows(60, 25))
    assert "a larger reference" in small["age", "null_rate"].because


def test_an_empty_window_gives_only_unknown() -> None:
    said = of_columns(rows(0, 26), rows(5000, 27))
    assert {each.severity for each in said.values()} == {"unknown"}
    assert said["model", "judged"].because.startswith("No predictions in this window")


def test_weights_count_and_cost_certainty() -> None:
    current = rows(4000, 28)
    current["weight"] = np.where(np.arange(4000) % 2, 1.0, 3.0)
    current.loc[::2, "income"] = None
    current.loc[1::2, "income"] = 20_000.0
    said = of_columns(current, rows(5000, 29))["income", "null_rate"]
    assert said.value == pytest.approx(0.75)
    wilson = stats.binomtest(2400, 3200).proportion_ci(method="wilson")
    assert (said.low, said.high) == pytest.approx((wilson.low, wilson.high))


def test_importance_ranks_and_a_setting_moves_the_limit() -> None:
    current = rows(5000, 30)
    current.loc[::10, ["age", "region"]] = None
    settings = ModelSettings(importance={"age": 0.1, "region": 0.8}, limits={"data/quality/null_rate": 0.3})
    said = of_columns(current, rows(5000, 31), settings=settings)
    assert said["region", "null_rate"].rank > said["age", "null_rate"].rank > 1
    assert said["age", "null_rate"].severity == "watch" and said["age", "null_rate"].limit == pytest.approx(0.02)


def test_all_looks_share_one_false_discovery_rate() -> None:
    current = rows(2000, 32)
    current.loc[::9, "income"] = None
    reference = rows(3000, 33)
    context = world(reference)
    strict = judge(replace(context, budget=1e-80), current, reference)
    assert not [each for each in strict if each.severity in ("act", "watch")]
    assert [each.severity for each in judge(context, current, reference) if each.subject == "income"] == ["act"]


def test_without_a_reference_it_asks_for_one_and_compares_with_the_past() -> None:
    context = context_for(None, features=("age", "never"))
    context = replace(context, version=Version("1"))
    past = rows(3000, 34).assign(never=None)
    current = rows(3000, 35).assign(never=None)
    current.loc[::10, "age"] = None
    said = {(each.subject, each.metric): each for each in judge(context, current, None, past)}
    assert "register" in said["model", "judged"].because
    assert said["age", "null_rate"].severity == "act" and said["age", "null_rate"].against == "past"
    assert "the 28 days before had 0 %" in said["age", "null_rate"].because
    assert not [key for key in said if key[0] == "never"]


def test_the_score_is_named_apart_from_a_feature_called_score() -> None:
    reference = rows(3000, 36)
    context = world(reference, ("age", "score"))
    current = rows(3000, 37)
    assert len({each.id for each in judge(context, current, reference)}) == len(judge(context, current, reference))


def test_counters_are_judged_by_their_level() -> None:
    context = context_for(None)
    counters = {
        "stored": 850,
        "duplicates": 20,
        "duplicate_hours": 12,
        "rejected": 130,
        "rejected_hours": 30,
        "rules": {"'score' is a number": 100, "'at' has no offset": 30},
        "unknown_columns": {"agee": 400, "typo": 1},
    }
    said = {each.metric: each for each in judge(replace(context, counters=counters), rows(1000, 38), None)}
    assert said["duplicate_rate"].severity == "watch" and said["duplicate_rate"].value == pytest.approx(0.02)
    assert said["rejected_rate"].severity == "act" and said["rejected_rate"].likely_source == "system"
    assert said["rejected_rate"].because == (
        "130 of 1,000 lines that services sent broke a rule and were rejected (13 %): 'score' is a number (100 lines); "
        "'at' has no offset (30 lines)."
    )
    once = replace(context, counters=counters | {"rejected_hours": 1, "duplicate_hours": 2})
    for finding in judge(once, rows(1000, 38), None):
        if finding.metric in ("rejected_rate", "duplicate_rate"):
            assert finding.severity == "unknown" and "whether they keep coming is not yet known" in finding.because
    assert said["unknown_columns"].severity == "ok" or "`agee` in 400 predictions" in said["unknown_columns"].because
    assert said["unknown_columns"].value == 1.0 and "typo" not in said["unknown_columns"].because
    few = {each.metric: each for each in judge(replace(context, counters={"stored": 20, "rejected": 10}), rows(1000, 38), None)}
    assert few["rejected_rate"].severity == "unknown"
    sliced = replace(context, counters=counters, window=replace(context.window, slice=Slice((("region", "north"),))))
    assert not [each for each in judge(sliced, rows(1000, 38), None) if each.metric.startswith("rejected")]


def test_a_steady_stream_is_fine_and_its_nights_are_no_silence() -> None:
    said = of_arrival(stream(7, 40), stream(28, 41, START - timedelta(days=28)))
    assert {metric: each.severity for metric, each in said.items() if metric != "judged"} == {
        "volume": "ok", "silence_hours": "ok", "freshness_hours": "ok",
    }  # fmt: skip
    volume = said["volume"]
    assert volume.version is None and volume.value == len(stream(7, 40)) and volume.low <= volume.value <= volume.high
    history = stream(28, 41, START - timedelta(days=28))["at"]
    assert volume.evidence["expected"] == pytest.approx(len(history) / 4), "four weeks before, by hour of the week"
    hour = next(each for each in volume.evidence["by_hour"] if each[0] == "2026-03-04T14:00:00Z")
    same = [pd.Timestamp("2026-03-04T14:00Z") - pd.Timedelta(weeks=k) for k in (1, 2, 3, 4)]
    assert hour[2] == pytest.approx(np.mean([(history.dt.floor("h") == each).sum() for each in same]), abs=0.01)
    assert hour[3] <= hour[2] <= hour[4]


def test_half_the_volume_is_named_with_its_first_day() -> None:
    current = stream(7, 42)
    half = current[(current["at"] < START + timedelta(days=2)) | (np.arange(len(current)) % 2 == 0)]
    said = of_arrival(half, stream(28, 43, START - timedelta(days=28)))["volume"]
    assert said.severity in ("watch", "act") and said.likely_source == "system" and "fewer than" in said.because
    assert said.onset == START + timedelta(days=2)
    whole = of_arrival(current[::2], stream(28, 43, START - timedelta(days=28)))["volume"]
    assert whole.severity == "act" and whole.rank > 5


def test_a_fall_on_the_last_day_alone_is_named() -> None:
    current = stream(7, 44)
    kept = current[(current["at"] < START + timedelta(days=6)) | (np.arange(len(current)) % 3 == 0)]
    said = of_arrival(kept, stream(28, 45, START - timedelta(days=28)))["volume"]
    assert said.severity == "act" and "in the last 24 hours" in said.because


def test_half_of_a_single_day_is_a_holiday_and_an_hour_is_no_window() -> None:
    history = stream(28, 45, START - timedelta(days=28))
    kept = stream(7, 44)
    kept = kept[(kept["at"] < START + timedelta(days=6)) | (np.arange(len(kept)) % 2 == 0)]
    said = of_arrival(kept, history)["volume"]
    assert said.severity == "watch" and "in the last 24 hours" in said.because
    short = of_arrival(kept.iloc[:3], history, now=START + timedelta(minutes=40))
    assert short["volume"].severity == "unknown" and "no completed hour" in short["volume"].because


def test_twice_the_volume_is_worth_a_look() -> None:
    twice = pd.concat([stream(7, 46), stream(7, 47)])
    said = of_arrival(twice, stream(28, 48, START - timedelta(days=28)))["volume"]
    assert said.severity == "watch" and "more than" in said.because


def test_a_silence_of_thirty_hours_is_named() -> None:
    current, history = stream(7, 50), stream(28, 51, START - timedelta(days=28))
    begin = START + timedelta(days=2, hours=9)
    kept = current[(current["at"] < begin) | (current["at"] >= begin + timedelta(hours=30))]
    said = of_arrival(kept, history)["silence_hours"]
    assert said.severity == "act" and said.value == pytest.approx(30, abs=1) and said.rank == 8
    assert said.onset == begin and said.likely_source == "system"
    gone = len(current) - len(kept)
    assert said.evidence["expected"] == pytest.approx(gone, rel=0.2)


def test_a_model_that_stopped_is_an_act() -> None:
    current, history = stream(7, 52), stream(28, 53, START - timedelta(days=28))
    end = START + timedelta(days=3, hours=12)
    said = of_arrival(current[current["at"] < end], history, now=end + timedelta(hours=9))
    assert said["silence_hours"].severity == said["freshness_hours"].severity == "act"
    assert "up to now" in said["silence_hours"].because
    assert said["freshness_hours"].value == 9.0
    soon = of_arrival(current[current["at"] < end], history, now=end + timedelta(hours=2))
    assert soon["silence_hours"].severity == soon["freshness_hours"].severity == "ok"
    gone = of_arrival(current.iloc[:0], history)
    assert gone["silence_hours"].severity == gone["volume"].severity == "act"
    assert gone["freshness_hours"].value >= 7 * 24


def test_hours_after_now_are_not_missing() -> None:
    current, history = stream(7, 54), stream(28, 55, START - timedelta(days=28))
    now = START + timedelta(days=3, hours=14, minutes=25)
    said = of_arrival(current[current["at"] < now], history, now=now)
    assert {said[each].severity for each in ("volume", "silence_hours", "freshness_hours")} == {"ok"}
    assert "86 whole hours" in said["volume"].because


def test_windows_need_not_begin_on_an_hour() -> None:
    both = stream(36, 56, START - timedelta(days=28))
    start = START + timedelta(hours=7, minutes=40)
    context = context_for(None, task="regression")
    window = Window("loan", start, start + timedelta(days=7), version="1")
    context = replace(context, window=window, now=window.end)
    current, past = (both[(both["at"] >= a) & (both["at"] < b)] for a, b in ((start, window.end), (start - timedelta(days=28), start)))
    said = {each.metric: each for each in judge(context, current, None, history=past)}
    assert {said[each].severity for each in ("volume", "silence_hours", "freshness_hours")} == {"ok"}
    assert said["volume"].value == ((both["at"] >= START + timedelta(hours=8)) & (both["at"] < START + timedelta(days=7, hours=7))).sum()


def test_the_first_weeks_of_a_model_never_alarm() -> None:
    first = stream(7, 57)
    late = first[first["at"] >= START + timedelta(days=5)]
    said = of_arrival(late, late.iloc[:0])
    assert {each.severity for each in said.values()} == {"unknown"}
    assert "about 14 more days" in said["volume"].because
    young = of_arrival(first.iloc[:0], stream(9, 58, START - timedelta(days=9)))
    assert {each.severity for each in young.values()} == {"unknown"}
    assert "about 5 more days" in young["volume"].because


def test_a_slow_or_bursty_stream_is_not_called_silent() -> None:
    slow = pd.DataFrame({"at": pd.to_datetime([START - timedelta(days=27) + timedelta(hours=37 * i) for i in range(18)], utc=True)})
    said = of_arrival(slow.iloc[:0], slow)
    assert {said[each].severity for each in ("volume", "silence_hours")} == {"unknown"} and said["freshness_hours"].severity != "act"
    rng = np.random.default_rng(59)
    loads = [START + timedelta(days=day, hours=int(rng.integers(0, 20))) for day in range(-28, 7)]
    batch = pd.DataFrame({"at": pd.to_datetime([at for at in loads for _ in range(500)], utc=True)})
    inside = batch["at"] >= START
    said = of_arrival(batch[inside], batch[~inside])
    assert "act" not in {each.severity for each in said.values()}


def test_the_owner_may_state_how_fresh_predictions_must_be() -> None:
    current = stream(3, 60)
    now = START + timedelta(days=4)
    settings = ModelSettings(limits={"data/quality/freshness_hours": 6.0})
    said = of_arrival(current, current.iloc[:0], now=now, settings=settings)["freshness_hours"]
    assert said.severity == "act" and said.against == "level" and said.limit == 6.0
    fresh = of_arrival(current, current.iloc[:0], now=START + timedelta(days=3), settings=settings)["freshness_hours"]
    assert fresh.severity == "ok"


def histograms(rng: np.random.Generator, shares: dict[str, dict[int, float]], sizes: list[int], days: bool) -> pd.DataFrame:
    """A histogram answer drawn straight from the shares of the bins: by day, or in one."""
    drawn = [rng.multinomial(sizes, list(of_bins.values())) for of_bins in shares.values()]
    lengths = [each.size for each in drawn]
    n = np.concatenate([each.ravel() for each in drawn])
    bins = np.concatenate([np.tile(list(of_bins), len(sizes)) for of_bins in shares.values()])
    day = np.concatenate([np.repeat(np.arange(len(sizes)), each.shape[1]) for each in drawn])
    frame = pd.DataFrame({"column": np.repeat(np.array(list(shares), object), lengths), "bin": bins, "n": n, "w": n * 1.0, "w2": n * 1.0})
    if days:
        frame["period"] = np.datetime64(START.replace(tzinfo=None), "us") + day.astype("timedelta64[D]")
    return frame[frame["n"] > 0]


def hourly(rng: np.random.Generator, first: datetime, days: int) -> pd.DataFrame:
    """An answer by hour of a live stream whose days differ by 8 % more than chance."""
    of_days = np.where((np.arange(days) + first.weekday()) % 7 >= 5, 0.5, 1.0) * rng.lognormal(0, 0.08, days)
    n = rng.poisson(np.outer(of_days, PATTERN)).ravel()
    hours = np.datetime64(first.replace(tzinfo=None), "us") + np.arange(n.size).astype("timedelta64[h]")
    return pd.DataFrame({"period": hours, "n": n, "w": n * 1.0, "w2": n * 1.0})[n > 0]


def test_clean_weeks_hardly_ever_alarm() -> None:
    reference = rows(3000, 70)
    context = world(reference)
    edges = {name: context.version.edges[f"feature.{name}"] for name in FEATURES}
    rng = np.random.default_rng(71)
    shares = {
        f"feature.{name}": {NULL: 0.3 if name == "income" else 0.01, NAN: 0.02}
        | {i + 1: 0.0 for i in range(len(edges[name].edges) - 1)}
        for name in ("age", "income")
    }  # fmt: skip
    for of_bins in shares.values():
        inner = [each for each in of_bins if each > 0]
        of_bins.update(zip(inner, rng.dirichlet(np.full(len(inner), 5.0)) * (1 - of_bins[NULL] - of_bins[NAN])))
    shares["feature.region"] = {NULL: 0.002, UNSEEN: 0.001, 0: 0.5, 1: 0.3, 2: 0.197}
    shares["score"] = dict.fromkeys(range(1, len(SCORE_EDGES)), 1 / (len(SCORE_EDGES) - 1))
    severities, weeks = [], repeats(50, 300)
    for _ in range(weeks):
        sizes = rng.poisson(600, 7).tolist()
        frames = {
            "current": histograms(rng, shares, sizes, days=True),
            "reference": histograms(rng, shares, [3000], days=False),
            "arrivals": hourly(rng, START, 7),
            "past_arrivals": hourly(rng, START - timedelta(days=28), 28),
        }
        severities.append({each.severity for each in ANALYZER.analyze(frames, context)})
    assert sum("act" in each for each in severities) == 0
    assert sum("watch" in each for each in severities) <= allowed(0.05, weeks)
    assert all("ok" in each for each in severities)


def test_every_finding_is_in_the_unit_of_its_metric_and_in_utc() -> None:
    current = rows(3000, 72)
    current.loc[::5, "age"] = None
    for each in judge(world(rows(3000, 73)), current, rows(3000, 73), history=stream(28, 74)):
        assert each.unit == METRICS[each.metric].unit
        assert each.onset is None or each.onset.tzinfo is UTC


def test_a_column_in_another_unit_is_out_of_range_and_not_stuck() -> None:
    """One outlier in the reference makes the first bin as wide as the column; 473 values in it are not one value."""
    rng = np.random.default_rng(31)
    reference, current = rows(5000, 30), rows(3000, 32)
    reference["age"] = np.append(rng.normal(40, 5, 4999), 0.0)
    current["age"] = np.round(rng.normal(4, 0.5, 3000), 3)
    said = of_columns(current, reference)
    assert ("age", "stuck_hours") not in said and ("age", "constant") not in said
    found = said["age", "out_of_range_rate"]
    assert found.severity == "act" and found.value == 1.0
    assert "about 10 times smaller: a unit?" in found.because


def test_a_unit_that_changed_on_the_last_days_is_named_with_these_days() -> None:
    current = rows(3000, 32)
    late = current["at"] >= current["at"].max().normalize() - pd.Timedelta(days=1)
    current.loc[late, "age"] *= 100
    found = of_columns(current, rows(5000, 30))["age", "out_of_range_rate"]
    assert found.severity == "act" and found.evidence["factor"] == pytest.approx(100, rel=0.05)
    assert f"The values on 2 of {current['at'].dt.normalize().nunique()} days are about 100 times larger: a unit?" in found.because, (
        found.because
    )


def test_values_that_vary_inside_one_wide_bin_are_not_one_value() -> None:
    """The values of a narrow range fall into one bin of the reference and vary there."""
    rng = np.random.default_rng(33)
    reference, current = rows(5000, 34), rows(3000, 35)
    reference["age"], current["age"] = rng.uniform(0, 1000, 5000), rng.uniform(501, 509, 3000)
    said = of_columns(current, reference)
    assert ("age", "stuck_hours") not in said


def test_the_one_value_that_a_column_kept_is_named() -> None:
    current = rows(3000, 36)
    held = (current["at"] >= START + timedelta(days=3)) & (current["at"] < START + timedelta(days=5))
    current.loc[held, "age"] = 37.25
    assert "kept one value, 37.25, for 2 whole days" in of_columns(current, rows(5000, 37))["age", "stuck_hours"].because


def by_day(values: list[object], seed: int) -> pd.DataFrame:
    """Hourly predictions of as many days as values, whose region is the same for a whole day; the last seven days are the window."""
    frame = rows(24 * len(values), seed, days=len(values))
    frame["at"] += timedelta(days=7 - len(values))
    frame["region"] = np.repeat(np.array(values, object), 24)
    return frame


def of_shared_days(values: list[object], reference: pd.DataFrame) -> dict[tuple[str, str], Finding]:
    """Findings about columns where the values before the last seven are the past month."""
    frame = by_day(values, 38)
    current, past = frame[frame["at"] >= START], frame[frame["at"] < START]
    return {(each.subject, each.metric): each for each in judge(world(reference), current.reset_index(drop=True), reference, past)}


def test_a_column_that_a_whole_day_shares_has_one_observation_a_day() -> None:
    """One new category on one day of seven is one observation, not 24 rows; on five of seven days it is a fault."""
    rng = np.random.default_rng(39)
    reference = rows(24 * 90, 40)
    reference["region"] = np.repeat(rng.choice(["north", "south", "east"], 90), 24).astype(object)
    usual = [str(each) for each in rng.choice(["north", "south", "east"], 28)]
    one = of_shared_days([*usual, "north", "west", "south", "east", "north", "south", "east"], reference)
    assert one["region", "unseen_rate"].severity == "unknown" and "more days" in one["region", "unseen_rate"].because
    most = of_shared_days([*usual, "north", "west", "west", "west", "west", "west", "south"], reference)
    assert most["region", "unseen_rate"].severity == "act"


def test_rows_that_vary_within_a_day_still_count_one_by_one() -> None:
    current = rows(24 * 7, 41)
    current.loc[(current["at"] >= START + timedelta(days=2)) & (current["at"] < START + timedelta(days=3)), "region"] = "west"
    assert of_columns(current, rows(5000, 42))["region", "unseen_rate"].severity == "act"


def test_a_season_that_lasts_as_long_as_before_is_neither_constant_nor_stuck() -> None:
    reference = rows(24 * 90, 43)
    reference["region"] = np.repeat(np.array(["north", "south", "east"], object), 24 * 30)
    said = of_shared_days(["south"] * 35, reference)
    assert said["region", "null_rate"].severity == "ok"
    reference["region"] = np.repeat(np.random.default_rng(44).choice(["north", "south", "east"], 90, p=(0.6, 0.1, 0.3)), 24).astype(object)
    changed = of_shared_days([*(["north", "south", "east"] * 10)[:28], *["south"] * 7], reference)
    assert changed["region", "stuck_hours"].severity in ("watch", "act")


def rates(reference: float, past: float, now: float) -> dict[tuple[str, str], Finding]:
    """Findings of columns of which `age` was null at these rates: in the reference, in the month before, in the window."""
    sides = []
    for place, (rate, days) in enumerate(((reference, 7), (past, 28), (now, 7))):
        frame = rows(600 * days, 80 + place, days)
        frame.loc[np.random.default_rng(90 + place).random(len(frame)) < rate, "age"] = None
        sides.append(frame)
    before, earlier, current = sides
    earlier["at"] -= timedelta(days=28)
    return {(each.subject, each.metric): each for each in judge(world(before), current, before, earlier)}


def test_a_rate_that_the_month_before_had_too_keeps_its_severity_and_is_ongoing() -> None:
    said = rates(0.01, 0.2, 0.2)["age", "null_rate"]
    assert (said.severity, said.news, said.evidence["standing"]) == ("act", "ongoing", True)
    assert "and the 28 days before had" in said.because
    assert (since := standing_since(said)) is not None and since.earlier
    assert rates(0.01, 0.01, 0.2)["age", "null_rate"].news is None


def test_a_slow_rise_over_the_month_is_judged_against_the_reference() -> None:
    """The days of the rise differ much, and do not widen the test of the level."""
    reference, past, current = rows(4200, 94), rows(28 * 600, 95, 28), rows(4200, 96)
    past["at"] -= timedelta(days=28)
    rise = np.linspace(0.01, 0.4, len(past))
    past.loc[np.random.default_rng(97).random(len(past)) < rise, "age"] = None
    current.loc[np.random.default_rng(98).random(len(current)) < 0.3, "age"] = None
    found = {(each.subject, each.metric): each for each in judge(world(reference), current, reference, past)}
    assert found["age", "null_rate"].severity == "act"


def test_a_rate_that_can_hardly_grow_has_no_limit() -> None:
    reference, current = rows(5000, 103), rows(4000, 104)
    reference.loc[50:, "age"] = None
    current["age"] = None
    said = of_columns(current, reference)["age", "null_rate"]
    assert (said.severity, said.value, said.limit) == ("ok", 1.0, None)


def test_a_rate_beyond_its_limit_by_chance_is_unknown_and_says_what_is_missing() -> None:
    reference, current = rows(120, 99), rows(120, 100)
    reference.loc[:2, "age"] = None
    current.loc[:7, "age"] = None
    said = of_columns(current, reference)["age", "null_rate"]
    assert said.severity == "unknown" and said.value > said.limit and "a decision needs" in said.because


def test_a_gap_as_usual_has_the_limit_of_a_gap_that_would_not_be() -> None:
    """Past nights of six hours without predictions make a gap of seven hours usual."""
    history = stream(28, 101, START - timedelta(days=28))
    begin = START - timedelta(days=10, hours=-9)
    history = history[(history["at"] < begin) | (history["at"] >= begin + timedelta(hours=9))]
    current = stream(7, 102)
    begin = START + timedelta(days=2, hours=12)
    kept = current[(current["at"] < begin) | (current["at"] >= begin + timedelta(hours=7))]
    said = of_arrival(kept, history)["silence_hours"]
    assert said.severity == "ok" and said.value == 7
    assert said.limit > said.value and f"(unusual from {said.limit:.0f} hours on)" in said.because
