"""data/quality: planted faults are named, with figures equal to scipy's and to a count by hand; clean weeks raise nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from observability.analyzers.data.quality import ANALYZER
from observability.core.catalog import Version
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.questions import NAN, NULL, UNSEEN
from observability.core.settings import ModelSettings
from observability.core.standing_since import standing_since
from observability.core.window import Slice
from observability.stats.scores import SCORE_EDGES
from tests.support.analyzer_worlds import ABSENT_VALUE, START, WRONG_VALUE, context_for
from tests.support.length import allowed, repeats
from tests.support.quality_world import (
    FEATURES,
    PATTERN,
    arrival_quality,
    column_quality,
    live_stream,
    quality_findings,
    quality_rows,
    quality_world,
)


def test_clean_columns_give_one_ok_finding_each() -> None:
    said = column_quality(quality_rows(4000, 1), quality_rows(5000, 2))
    columns = [each for each in said.values() if each.subject != "model"]
    assert {each.subject for each in columns} == {*FEATURES, "score"} and len(columns) == 4
    assert {(each.metric, each.severity) for each in columns} == {("null_rate", "ok")}
    assert "No rate of `region` grew beyond its limit" in said["region", "null_rate"].because


def test_whole_numbers_beyond_double_precision_are_reported_for_their_column() -> None:
    current, reference = quality_rows(4000, 1), quality_rows(5000, 2)
    for rows in (current, reference):
        rows["income"] = rows["income"] + 2.0**60
    said = column_quality(current, reference)
    assert "whole numbers beyond 2^53 are compared rounded" in said["income", "null_rate"].because
    assert not any("rounded" in each.because for (subject, _), each in said.items() if subject != "income")


def test_a_surge_of_nulls_has_the_figures_of_scipy_and_its_first_day() -> None:
    current, reference = quality_rows(5000, 3), quality_rows(5000, 4)
    late = current["at"] >= START + timedelta(days=2)
    current.loc[late & (np.random.default_rng(5).random(5000) < 0.075), "income"] = None
    said = column_quality(current, reference)["income", "null_rate"]
    nulls, before = int(current["income"].isna().sum()), int(reference["income"].isna().sum())
    assert said.value == nulls / 5000 and said.n == 5000
    wilson = stats.binomtest(nulls, 5000).proportion_ci(method="wilson")
    assert (said.low, said.high) == pytest.approx((wilson.low, wilson.high))
    table = stats.chi2_contingency([[nulls, 5000 - nulls], [before, 5000 - before]], correction=False)
    doubled = stats.chi2.sf(table.statistic / 2, 1)  # its days are unknown, so they are assumed to double the variance
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
def test_each_quality_rate_is_reported_with_its_own_metric(column: str, value: object, metric: str, word: str) -> None:
    current = quality_rows(5000, 6)
    current[column] = [value if i % 12 == 0 else each for i, each in enumerate(current[column])]
    said = column_quality(current, quality_rows(5000, 7))
    assert said[column, metric].value == pytest.approx(417 / 5000, abs=1e-3) and said[column, metric].severity == "act"
    assert word in said[column, metric].because
    assert (column, "null_rate") not in said, "a column with a fault has no OK finding about null values"
    assert {key[0] for key in said if key[0] != "model"} == {*FEATURES, "score"}


def test_an_unseen_category_in_three_percent_of_rows_is_a_warning() -> None:
    current = quality_rows(5000, 8)
    current.loc[::33, "region"] = "west"
    assert column_quality(current, quality_rows(5000, 9))["region", "unseen_rate"].severity == "watch"


def test_one_value_in_a_hundred_outside_the_range_of_the_reference_is_a_watch() -> None:
    current = quality_rows(5000, 8)
    current.loc[::80, "age"] = 400.0
    found = column_quality(current, quality_rows(5000, 9))["age", "out_of_range_rate"]
    assert found.severity == "watch" and found.limit == pytest.approx(0.01, abs=0.001)
    few = quality_rows(5000, 8)
    few.loc[::200, "age"] = 400.0
    assert column_quality(few, quality_rows(5000, 9))["age", "null_rate"].severity == "ok"


def test_a_range_that_leaves_out_an_isolated_value_of_the_reference_says_so() -> None:
    """The value 400 occurs once in the reference. A sentence that states the range without this value must say so."""
    reference, current = quality_rows(5000, 9), quality_rows(5000, 8)
    reference.loc[7, "age"] = 400.0
    usual = reference["age"].drop(7)
    current.loc[::12, "age"] = 300.0
    because = column_quality(current, reference)["age", "out_of_range_rate"].because
    ends = f"{usual.min():.6g} to {usual.max():.6g}"
    assert f"outside the reference's range of {ends} (isolated outliers left out; with them {usual.min():.6g} to 400)" in because
    fine = column_quality(quality_rows(5000, 8), reference)["age", "null_rate"].because
    assert "isolated outliers left out" in fine
    assert "isolated" not in column_quality(quality_rows(5000, 8), quality_rows(5000, 9))["age", "null_rate"].because


def test_a_negligible_rise_is_ok_in_any_number_of_rows() -> None:
    current = quality_rows(60_000, 10)
    current.loc[::80, "region"] = "west"
    assert column_quality(current, quality_rows(60_000, 11))["region", "null_rate"].severity == "ok"


def test_fewer_nulls_than_in_the_reference_are_no_fault() -> None:
    current = quality_rows(5000, 12)
    current["income"] = current["income"].fillna(20_000.0)
    assert column_quality(current, quality_rows(5000, 13))["income", "null_rate"].severity == "ok"


def test_a_column_with_a_single_value_is_constant_and_stuck() -> None:
    current = quality_rows(2000, 14)
    current["age"] = 41.5
    said = column_quality(current, quality_rows(5000, 15))
    assert said["age", "constant"].severity == "act" and said["age", "constant"].value == 1.0
    assert said["age", "stuck_hours"].value == 7 * 24 and said["age", "stuck_hours"].severity == "act"
    assert "about 41" in said["age", "constant"].because


def test_a_column_that_hardly_varied_in_the_reference_may_be_constant() -> None:
    reference, current = quality_rows(5000, 16), quality_rows(2000, 17)
    reference["region"] = np.where(np.arange(5000) % 20, "north", "south")
    current["region"] = "north"
    assert column_quality(current, reference)["region", "null_rate"].severity == "ok"


def test_two_whole_days_of_one_value_are_stuck_and_one_is_a_watch() -> None:
    for days, severity in ((1, "watch"), (2, "act")):
        current = quality_rows(3000, 18)
        held = (current["at"] >= START + timedelta(days=3)) & (current["at"] < START + timedelta(days=3 + days))
        current.loc[held, "age"] = 37.25
        said = column_quality(current, quality_rows(5000, 19))["age", "stuck_hours"]
        assert (said.value, said.severity) == (24.0 * days, severity)
        assert said.onset == START + timedelta(days=3)
        assert said.n == int(held.sum())


def test_a_column_that_keeps_one_value_every_day_is_not_stuck() -> None:
    def weekday(at: pd.Series) -> pd.Series:
        return at.dt.day_name().astype(object)

    reference, current = quality_rows(5000, 20), quality_rows(3000, 21)
    reference["region"], current["region"] = weekday(reference["at"]), weekday(current["at"])
    assert column_quality(current, reference)["region", "null_rate"].severity == "ok"


def test_small_samples_never_alarm_and_say_how_many_more() -> None:
    current = quality_rows(90, 22)
    current["age"], current["region"], current["income"] = 41.5, "west", None
    said = column_quality(current, quality_rows(5000, 23))
    assert {each.severity for each in said.values() if each.subject != "model"} == {"unknown"}
    assert "more" in said["age", "null_rate"].because
    small = column_quality(quality_rows(3000, 24), quality_rows(60, 25))
    assert "a larger reference" in small["age", "null_rate"].because


def test_an_empty_window_gives_only_unknown() -> None:
    said = column_quality(quality_rows(0, 26), quality_rows(5000, 27))
    assert {each.severity for each in said.values()} == {"unknown"}
    assert said["model", "judged"].because.startswith("No predictions in this window")


def test_row_weights_change_the_rate_and_widen_its_interval() -> None:
    current = quality_rows(4000, 28)
    current["weight"] = np.where(np.arange(4000) % 2, 1.0, 3.0)
    current.loc[::2, "income"] = None
    current.loc[1::2, "income"] = 20_000.0
    said = column_quality(current, quality_rows(5000, 29))["income", "null_rate"]
    assert said.value == pytest.approx(0.75)
    wilson = stats.binomtest(2400, 3200).proportion_ci(method="wilson")
    assert (said.low, said.high) == pytest.approx((wilson.low, wilson.high))


def test_importance_sets_the_rank_and_a_setting_changes_the_limit() -> None:
    current = quality_rows(5000, 30)
    current.loc[::10, ["age", "region"]] = None
    settings = ModelSettings(importance={"age": 0.1, "region": 0.8}, limits={"data/quality/null_rate": 0.3})
    said = column_quality(current, quality_rows(5000, 31), settings=settings)
    assert said["region", "null_rate"].rank > said["age", "null_rate"].rank > 1
    assert said["age", "null_rate"].severity == "watch" and said["age", "null_rate"].limit == pytest.approx(0.02)


def test_all_comparisons_share_one_false_discovery_rate() -> None:
    current = quality_rows(2000, 32)
    current.loc[::9, "income"] = None
    reference = quality_rows(3000, 33)
    context = quality_world(reference)
    strict = quality_findings(replace(context, budget=1e-80), current, reference)
    assert not [each for each in strict if each.severity in ("act", "watch")]
    assert [each.severity for each in quality_findings(context, current, reference) if each.subject == "income"] == ["act"]


def test_without_a_reference_the_past_is_compared_and_registration_is_suggested() -> None:
    context = context_for(None, features=("age", "never"))
    context = replace(context, version=Version("1"))
    past = quality_rows(3000, 34).assign(never=None)
    current = quality_rows(3000, 35).assign(never=None)
    current.loc[::10, "age"] = None
    said = {(each.subject, each.metric): each for each in quality_findings(context, current, None, past)}
    assert "register" in said["model", "judged"].because
    assert said["age", "null_rate"].severity == "act" and said["age", "null_rate"].against == "past"
    assert "the 28 days before had 0 %" in said["age", "null_rate"].because
    assert not [key for key in said if key[0] == "never"]


def test_findings_of_the_score_and_of_a_feature_named_score_have_different_ids() -> None:
    reference = quality_rows(3000, 36)
    context = quality_world(reference, ("age", "score"))
    current = quality_rows(3000, 37)
    assert len({each.id for each in quality_findings(context, current, reference)}) == len(quality_findings(context, current, reference))


def test_duplicate_and_rejection_counters_are_judged_by_their_rates() -> None:
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
    said = {each.metric: each for each in quality_findings(replace(context, counters=counters), quality_rows(1000, 38), None)}
    assert said["duplicate_rate"].severity == "watch" and said["duplicate_rate"].value == pytest.approx(0.02)
    assert said["rejected_rate"].severity == "act" and said["rejected_rate"].likely_source == "system"
    assert said["rejected_rate"].because == (
        "130 of 1,000 lines that services sent broke a rule and were rejected (13 %): 'score' is a number (100 lines); "
        "'at' has no offset (30 lines)."
    )
    once = replace(context, counters=counters | {"rejected_hours": 1, "duplicate_hours": 2})
    for finding in quality_findings(once, quality_rows(1000, 38), None):
        if finding.metric in ("rejected_rate", "duplicate_rate"):
            assert finding.severity == "unknown" and "whether they keep coming is not yet known" in finding.because
    assert said["unknown_columns"].severity == "ok" or "`agee` in 400 predictions" in said["unknown_columns"].because
    assert said["unknown_columns"].value == 1.0 and "typo" not in said["unknown_columns"].because
    few = {
        each.metric: each
        for each in quality_findings(replace(context, counters={"stored": 20, "rejected": 10}), quality_rows(1000, 38), None)
    }
    assert few["rejected_rate"].severity == "unknown"
    sliced = replace(context, counters=counters, window=replace(context.window, slice=Slice((("region", "north"),))))
    assert not [each for each in quality_findings(sliced, quality_rows(1000, 38), None) if each.metric.startswith("rejected")]


def histograms(rng: np.random.Generator, shares: dict[str, dict[int, float]], sizes: list[int], days: bool) -> pd.DataFrame:
    """The result of a histogram query, made directly from the shares of the bins, by day or for the whole window."""
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
    """The result of a query by hour, on a live stream whose days differ by 8 % more than chance."""
    of_days = np.where((np.arange(days) + first.weekday()) % 7 >= 5, 0.5, 1.0) * rng.lognormal(0, 0.08, days)
    n = rng.poisson(np.outer(of_days, PATTERN)).ravel()
    hours = np.datetime64(first.replace(tzinfo=None), "us") + np.arange(n.size).astype("timedelta64[h]")
    return pd.DataFrame({"period": hours, "n": n, "w": n * 1.0, "w2": n * 1.0})[n > 0]


def test_clean_weeks_hardly_ever_alarm() -> None:
    reference = quality_rows(3000, 70)
    context = quality_world(reference)
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
    severities, weeks = [], repeats(15, 300)
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
    current = quality_rows(3000, 72)
    current.loc[::5, "age"] = None
    for each in quality_findings(quality_world(quality_rows(3000, 73)), current, quality_rows(3000, 73), history=live_stream(28, 74)):
        assert each.unit == METRICS[each.metric].unit
        assert each.onset is None or each.onset.tzinfo is UTC


def test_a_column_in_another_unit_is_out_of_range_and_not_stuck() -> None:
    """Because of one outlier in the reference, the first bin is as wide as the column, so 473 different values in it are not one stuck
    value.
    """
    rng = np.random.default_rng(31)
    reference, current = quality_rows(5000, 30), quality_rows(3000, 32)
    reference["age"] = np.append(rng.normal(40, 5, 4999), 0.0)
    current["age"] = np.round(rng.normal(4, 0.5, 3000), 3)
    said = column_quality(current, reference)
    assert ("age", "stuck_hours") not in said and ("age", "constant") not in said
    found = said["age", "out_of_range_rate"]
    assert found.severity == "act" and found.value == 1.0
    assert "about 10 times smaller: a unit?" in found.because


def test_a_unit_that_changed_on_the_last_days_is_named_with_these_days() -> None:
    current = quality_rows(3000, 32)
    late = current["at"] >= current["at"].max().normalize() - pd.Timedelta(days=1)
    current.loc[late, "age"] *= 100
    found = column_quality(current, quality_rows(5000, 30))["age", "out_of_range_rate"]
    assert found.severity == "act" and found.evidence["factor"] == pytest.approx(100, rel=0.05)
    assert f"The values on 2 of {current['at'].dt.normalize().nunique()} days are about 100 times larger: a unit?" in found.because, (
        found.because
    )


def test_values_that_vary_within_one_reference_bin_are_not_stuck() -> None:
    """The values vary only within a narrow range, inside one bin of the reference."""
    rng = np.random.default_rng(33)
    reference, current = quality_rows(5000, 34), quality_rows(3000, 35)
    reference["age"], current["age"] = rng.uniform(0, 1000, 5000), rng.uniform(501, 509, 3000)
    said = column_quality(current, reference)
    assert ("age", "stuck_hours") not in said


def test_the_one_value_that_a_column_kept_is_named() -> None:
    current = quality_rows(3000, 36)
    held = (current["at"] >= START + timedelta(days=3)) & (current["at"] < START + timedelta(days=5))
    current.loc[held, "age"] = 37.25
    assert "kept one value, 37.25, for 2 whole days" in column_quality(current, quality_rows(5000, 37))["age", "stuck_hours"].because


def by_day(values: list[object], seed: int) -> pd.DataFrame:
    """Hourly predictions on one day per value; the region has the same value for a whole day. The last seven days are the window."""
    frame = quality_rows(24 * len(values), seed, days=len(values))
    frame["at"] += timedelta(days=7 - len(values))
    frame["region"] = np.repeat(np.array(values, object), 24)
    return frame


def of_shared_days(values: list[object], reference: pd.DataFrame) -> dict[tuple[str, str], Finding]:
    """Findings about columns. The last seven values are the days of the window; those before are the past month."""
    frame = by_day(values, 38)
    current, past = frame[frame["at"] >= START], frame[frame["at"] < START]
    return {
        (each.subject, each.metric): each
        for each in quality_findings(quality_world(reference), current.reset_index(drop=True), reference, past)
    }


def test_a_column_with_one_value_a_day_has_one_observation_a_day() -> None:
    """One new category on one day of seven is one observation, not 24 rows; on five of seven days it is a fault."""
    rng = np.random.default_rng(39)
    reference = quality_rows(24 * 90, 40)
    reference["region"] = np.repeat(rng.choice(["north", "south", "east"], 90), 24).astype(object)
    usual = [str(each) for each in rng.choice(["north", "south", "east"], 28)]
    one = of_shared_days([*usual, "north", "west", "south", "east", "north", "south", "east"], reference)
    assert one["region", "unseen_rate"].severity == "unknown" and "more days" in one["region", "unseen_rate"].because
    most = of_shared_days([*usual, "north", "west", "west", "west", "west", "west", "south"], reference)
    assert most["region", "unseen_rate"].severity == "act"


def test_rows_that_vary_within_a_day_count_as_single_observations() -> None:
    current = quality_rows(24 * 7, 41)
    current.loc[(current["at"] >= START + timedelta(days=2)) & (current["at"] < START + timedelta(days=3)), "region"] = "west"
    assert column_quality(current, quality_rows(5000, 42))["region", "unseen_rate"].severity == "act"


def test_a_season_of_usual_length_is_neither_constant_nor_stuck() -> None:
    reference = quality_rows(24 * 90, 43)
    reference["region"] = np.repeat(np.array(["north", "south", "east"], object), 24 * 30)
    said = of_shared_days(["south"] * 35, reference)
    assert said["region", "null_rate"].severity == "ok"
    reference["region"] = np.repeat(np.random.default_rng(44).choice(["north", "south", "east"], 90, p=(0.6, 0.1, 0.3)), 24).astype(object)
    changed = of_shared_days([*(["north", "south", "east"] * 10)[:28], *["south"] * 7], reference)
    assert changed["region", "stuck_hours"].severity in ("watch", "act")


def rates(reference: float, past: float, now: float) -> dict[tuple[str, str], Finding]:
    """The findings if `age` is null at the given rates in the reference, in the month before and in the window."""
    sides = []
    for place, (rate, days) in enumerate(((reference, 7), (past, 28), (now, 7))):
        frame = quality_rows(600 * days, 80 + place, days)
        frame.loc[np.random.default_rng(90 + place).random(len(frame)) < rate, "age"] = None
        sides.append(frame)
    before, earlier, current = sides
    earlier["at"] -= timedelta(days=28)
    return {(each.subject, each.metric): each for each in quality_findings(quality_world(before), current, before, earlier)}


def test_a_rate_equally_high_in_the_month_before_stays_critical_and_is_ongoing() -> None:
    said = rates(0.01, 0.2, 0.2)["age", "null_rate"]
    assert (said.severity, said.news, said.evidence["standing"]) == ("act", "ongoing", True)
    assert "and the 28 days before had" in said.because
    assert (since := standing_since(said)) is not None and since.earlier
    assert rates(0.01, 0.01, 0.2)["age", "null_rate"].news is None


def test_a_slow_rise_over_the_month_is_judged_against_the_reference() -> None:
    """The days of the rise vary a lot, but this variation does not widen the test of the level."""
    reference, past, current = quality_rows(4200, 94), quality_rows(28 * 600, 95, 28), quality_rows(4200, 96)
    past["at"] -= timedelta(days=28)
    rise = np.linspace(0.01, 0.4, len(past))
    past.loc[np.random.default_rng(97).random(len(past)) < rise, "age"] = None
    current.loc[np.random.default_rng(98).random(len(current)) < 0.3, "age"] = None
    found = {(each.subject, each.metric): each for each in quality_findings(quality_world(reference), current, reference, past)}
    assert found["age", "null_rate"].severity == "act"


def test_a_rate_near_its_maximum_in_the_reference_has_no_limit() -> None:
    reference, current = quality_rows(5000, 103), quality_rows(4000, 104)
    reference.loc[50:, "age"] = None
    current["age"] = None
    said = column_quality(current, reference)["age", "null_rate"]
    assert (said.severity, said.value, said.limit) == ("ok", 1.0, None)


def test_a_rate_beyond_its_limit_that_may_be_chance_is_unknown() -> None:
    reference, current = quality_rows(120, 99), quality_rows(120, 100)
    reference.loc[:2, "age"] = None
    current.loc[:7, "age"] = None
    said = column_quality(current, reference)["age", "null_rate"]
    assert said.severity == "unknown" and said.value > said.limit and "a decision needs" in said.because


def test_a_gap_judged_as_usual_is_below_its_stated_limit() -> None:
    """Past nights have gaps of six hours without predictions, so a gap of seven hours is usual too."""
    history = live_stream(28, 101, START - timedelta(days=28))
    begin = START - timedelta(days=10, hours=-9)
    history = history[(history["at"] < begin) | (history["at"] >= begin + timedelta(hours=9))]
    current = live_stream(7, 102)
    begin = START + timedelta(days=2, hours=12)
    kept = current[(current["at"] < begin) | (current["at"] >= begin + timedelta(hours=7))]
    said = arrival_quality(kept, history)["silence_hours"]
    assert said.severity == "ok" and said.value == 7
    assert said.limit > said.value and f"(unusual from {said.limit:.0f} hours on)" in said.because
