"""serving/drift: drifted columns are named, with figures equal to scipy's and to a count by hand; other columns raise nothing."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from observability.analyzers.serving.drift import ANALYZER
from observability.core.finding import Finding, claim_period, news_of, with_window_value
from observability.core.settings import ModelSettings
from observability.core.standing_since import StandingSince, standing_since
from tests.support.analyzer_worlds import ABSENT_VALUE, context_for, frames_for
from tests.support.drift_rows import FEATURES, before, findings, rows
from tests.support.length import allowed, repeats, some


def test_all_columns_are_ok_if_nothing_moved() -> None:
    said = findings(rows(4000, 1), rows(5000, 2))
    assert set(said) == {"age", "income", "region", "score"}
    assert {each.severity for each in said.values()} == {"ok"}


def test_psi_equals_a_count_by_hand_on_reference_deciles() -> None:
    reference, current = rows(5000, 3), rows(3000, 4, age=0.5)
    said = findings(current, reference)["age"]
    cuts = np.quantile(reference["age"], np.arange(1, 10) / 10, method="higher")
    p, q = (np.bincount(np.searchsorted(cuts, side["age"], side="right"), minlength=10) / len(side) for side in (reference, current))
    assert said.value == pytest.approx(float(np.sum((q - p) * np.log(q / p))), rel=1e-9)
    assert said.low <= said.value <= said.high
    assert said.severity == "watch"
    d = stats.ks_2samp(reference["age"], current["age"]).statistic
    assert said.evidence["kolmogorov_smirnov"] == pytest.approx(d, abs=2e-3)
    assert said.evidence["mean_shift"] == pytest.approx(0.5, abs=0.06)
    shift = stats.wasserstein_distance(reference["age"], current["age"]) / reference["age"].std()
    assert said.evidence["wasserstein"] == pytest.approx(shift, abs=0.02)


def test_a_large_move_is_an_act_that_says_the_direction() -> None:
    said = findings(rows(3000, 5, age=1.0), rows(5000, 6))["age"]
    assert said.severity == "act"
    assert "1.0 reference standard deviations higher" in said.because
    assert said.onset is not None and said.likely_source == "input"


@pytest.mark.parametrize("last_days", [False, True])
def test_the_mean_of_values_beyond_the_reference_range_is_exact(last_days: bool) -> None:
    """Bins end at the reference's range, but the sums include values beyond it, so the mean equals scipy's on the rows."""
    reference, current = rows(5000, 3), rows(3500, 4)
    moved = current["at"] > current["at"].iloc[-1] - pd.Timedelta(days=1) if last_days else current["age"].notna()
    current.loc[moved, "age"] += 60
    own = findings(current, reference, before(14_000, 5))["age"]
    one_in_200 = stats.mstats.winsorize(reference["age"].to_numpy(), (0.005, 0.005))
    true = (stats.tmean(current.loc[moved, "age"]) - stats.tmean(reference["age"])) / np.std(one_in_200)
    assert true > 5.8 and own.severity == "act"
    assert own.evidence["value_shift"] == pytest.approx(true, rel=0.01)
    said = f"values are {true:.1f} reference standard deviations higher on average (2.5 higher with values limited to the reference’s range"
    assert said in own.because, own.because
    one_wild = rows(3500, 6, age=1.0)
    one_wild.loc[7, "age"] = -1e6
    wild = findings(one_wild, reference)["age"].because
    assert "reference standard deviations lower on average (1.0 higher with values limited" in wild, wild


def test_a_reference_that_is_too_small_is_the_stated_cause_and_not_the_number_of_predictions() -> None:
    """Regression: the page said that these columns had too few predictions and that a longer window could decide."""
    small, few = findings(rows(4000, 1), rows(120, 2)), findings(rows(150, 3), rows(5000, 4))
    for said, cause, words in ((small, "small reference", "a larger reference needed"), (few, "few rows", "more predictions needed")):
        own = [each for each in said.values() if each.severity == "unknown" and each.value < each.limit]
        assert own and all(each.evidence["undecided"] == cause and words in each.because for each in own)
    assert "4,000 predictions: a larger reference" in small["age"].because
    assert {"undecided" in each.evidence for each in findings(rows(4000, 1), rows(5000, 2)).values()} == {False}


def test_a_category_that_moved_names_its_level() -> None:
    said = findings(rows(3000, 7, regions=(0.15, 0.3, 0.55)), rows(5000, 8))["region"]
    assert said.severity == "act"
    assert "`east`" in said.because or "`north`" in said.because
    assert said.evidence["l_infinity"] == pytest.approx(0.35, abs=0.03)


def test_missing_is_a_bin_of_its_own() -> None:
    current = rows(3000, 9).astype({"age": object})
    current.loc[::4, "age"] = None
    current.loc[1::4, "age"] = ABSENT_VALUE
    said = findings(current, rows(5000, 10))["age"]
    assert said.severity == "act"
    assert said.because.startswith("`age` moved: 50.0 % of the values are missing, 0.0 % in the reference; PSI "), (
        "the sentence begins with what moved"
    )


def test_a_small_sample_is_never_an_alarm() -> None:
    said = findings(rows(60, 11, age=2.0), rows(5000, 12))["age"]
    assert said.severity == "unknown"
    assert "more predictions" in said.because


def test_clean_weeks_seldom_alarm() -> None:
    reference = rows(5000, 100)
    weeks = repeats(8, 300)
    severities = [each.severity for seed in range(weeks) for each in findings(rows(1500, seed + 200), reference).values()]
    assert severities.count("act") == 0
    assert severities.count("watch") <= allowed(0.02, weeks)


def test_a_shift_too_small_to_matter_is_ok_however_many_rows() -> None:
    context = context_for(rows(200_000, 20), features=("age",))
    reference, current = rows(200_000, 20), rows(400_000, 21, age=0.02)
    said = {each.subject: each for each in ANALYZER.analyze(frames_for(ANALYZER.needs(context), context, current, reference), context)}
    assert said["age"].evidence["p_value"] < 0.05
    assert said["age"].severity == "ok"


def test_a_shift_beyond_the_limit_that_may_be_chance_is_unknown_and_not_called_unchanged() -> None:
    """The budget for false discoveries is so small that even a clear shift beyond the limit raises no alarm."""
    found = findings(rows(1000, 41, age=0.4), rows(5000, 40), budget=1e-40)["age"]
    assert found.severity == "unknown" and "cannot be judged" in found.because, found.because
    assert found.value >= found.limit and f"p {found.evidence['p_adjusted']:.2g}" in found.because


def test_a_drift_that_lasted_for_weeks_is_critical_and_ongoing() -> None:
    reference = rows(5000, 70)
    standing = findings(rows(3500, 71, age=1.0), reference, before(14_000, 72, age=1.0))["age"]
    assert standing.severity == "act" and standing.onset is None and news_of(standing) == "ongoing"
    assert "as in the past 4 weeks" in standing.because and standing.evidence["standing_weeks"] == 4
    assert standing_since(standing) == StandingSince(date(2026, 2, 2), earlier=True)
    month = before(14_000, 72)
    month.loc[month["at"] >= pd.Timestamp("2026-02-06", tz="UTC"), "age"] += 10.0
    later = findings(rows(3500, 71, age=1.0), reference, month)["age"]
    assert later.evidence["standing"] and standing_since(later) == StandingSince(date(2026, 2, 6), earlier=False)
    new = findings(rows(3500, 71, age=1.0), reference, before(14_000, 73))["age"]
    assert standing_since(new) is None
    assert new.severity == "act" and "against its own past" in new.because
    assert news_of(new) == "new"
    further = findings(rows(3500, 74, age=2.0), reference, before(14_000, 75, age=1.0))["age"]
    assert (further.severity, further.news) == ("act", "worse")
    better = findings(rows(3500, 76), reference, before(14_000, 75, age=1.0))["age"]
    assert (better.severity, better.news) == ("ok", "recovered") and "back below the limit" in better.because


@pytest.mark.parametrize(("past_age", "age", "known"), [(8.0, 9.0, False), (4.5, 3.9, True)])
def test_a_shift_beyond_the_reference_range_is_never_called_unchanged(past_age: float, age: float, known: bool) -> None:
    """The PSI on the past's own deciles is computed with pandas. The reference's deciles do not show the shift, because nearly all values
    are beyond their last edge.
    """
    reference, past, current = rows(60_000, 70), before(14_000, 75, age=past_age), rows(3500, 74, age=age)
    own = findings(current, reference, past)["age"]
    tenths = pd.qcut(past["age"], 10, retbins=True)[1]
    tenths[[0, -1]] = -np.inf, np.inf
    p, q = (pd.cut(side["age"], tenths).value_counts(normalize=True, sort=False).clip(lower=1e-4) for side in (past, current))
    exact = float(((q - p) * np.log(q / p)).sum())
    share = f"{100 * (past['age'] > reference['age'].max()).mean():.0f} % of those values are beyond the reference’s range, in a single bin"
    assert exact > 0.3 and own.evidence["past_psi"] < 0.1 and share in own.because, own.because
    assert ("change from its own past 28 days unknown" in own.because) is not known
    if known:
        said = float(own.because.split("at least ")[1].split(" against its own past 28 days")[0])
        assert own.evidence["past_psi"] < said <= exact
    assert own.needs_action and news_of(own) != "new"


def test_a_column_beyond_the_reference_range_is_not_called_constant_per_day() -> None:
    said = findings(rows(3500, 74, age=9.0), rows(5000, 70), before(14_000, 75, age=8.0))["age"]
    assert said.severity == "unknown" and "share its value" not in said.because, said.because
    assert "but 100 % of its values lie beyond one end of the reference’s range, in one bin" in said.because
    assert said.evidence["undecided"] == "beyond reference"


def test_a_fault_of_yesterday_is_reported_before_it_dominates_the_week() -> None:
    current = rows(3500, 76)
    last = current["at"] >= current["at"].iloc[-1] - pd.Timedelta(hours=23)
    current.loc[last, "age"] += 8
    said = findings(current, rows(5000, 77), before(14_000, 78))["age"]
    assert said.severity == "act" and "on the last day" in said.because
    windows = {each["days"]: each for each in said.evidence["windows"]}
    assert set(windows) == {1, 3, 7}
    assert windows[7]["severity"] != "act" and windows[1]["value"] == said.value and windows[7]["value"] < 0.1
    assert said.n == windows[1]["n"] == 500
    whole = with_window_value(said)
    assert (whole.value, whole.n) == (windows[7]["value"], 3500) and whole.low <= whole.value <= whole.high
    assert claim_period(said) == "on the last day"


def test_a_single_day_of_a_column_with_one_value_a_day_is_unknown() -> None:
    def dated(n: int, seed: int, days: int, first: int) -> pd.DataFrame:
        frame = rows(n, seed, days=days).assign(at=lambda each: each["at"] + pd.Timedelta(days=first))
        return frame.assign(region=frame["at"].dt.day_name().astype(object))

    reference, past = dated(7000, 83, 28, -60), dated(14_000, 84, 28, -28)
    said = findings(dated(500, 85, 1, 0), reference, past, days=1)["region"]
    assert said.severity == "unknown" and "it has one value a day" in said.because and said.value > 1
    stuck = past.assign(region="Monday")
    again = dated(500, 86, 1, 0).assign(region="Monday")
    assert findings(again, reference, stuck, days=1)["region"].severity == "unknown"
    week = findings(dated(3500, 88, 7, 0), reference, past)
    assert week["region"].severity == "ok" and week["region"].evidence["one_value_a_day"]
    local = [side.assign(region=(side["at"] - pd.Timedelta(hours=3)).dt.day_name()) for side in (dated(3500, 88, 7, 0), reference, past)]
    assert not findings(*local)["region"].evidence["by_day"], "a day in UTC contains three hours of the previous local day"
    assert not week["region"].evidence["by_day"] and len(week["age"].evidence["by_day"]) == 7, (
        "the region has only one value a day, so single days are not compared with the week"
    )
    named = findings(dated(500, 87, 1, 0).assign(region="Holiday"), reference, past, days=1)["region"]
    assert named.severity == "unknown" and "a day is too few" in named.because, "only data/quality names an unseen level after one day"


def with_sundays(frame: pd.DataFrame, factor: float, weeks: int = 9, drift: float = 0.0) -> pd.DataFrame:
    """The rows, with the ages of the last Sundays multiplied by a factor, and all ages increased by some years."""
    bad = (frame["at"].dt.dayofweek == 6) & (frame["at"] >= frame["at"].max() - pd.Timedelta(weeks=weeks))
    return frame.assign(age=np.where(bad, frame["age"] * factor, frame["age"]) + drift)


@pytest.mark.parametrize("bad_weeks", some([0, 1, 2, 3, 4], 3))
def test_a_unit_change_on_sundays_is_reported_on_each_sunday(bad_weeks: int) -> None:
    """Compared with the past, such Sundays are usual from the third or fourth on. Compared with the reference, which has no dates, each is
    unusual.
    """
    reference, current, past = before(4000, 60), rows(3500, 61), before(14_000, 62)
    bad = findings(with_sundays(current, 10.0), reference, with_sundays(past, 10.0, bad_weeks))["age"]
    assert bad.severity == "act" and bad.evidence["look_days"] == 1
    assert news_of(bad) == "new" or bad_weeks
    assert ("the reference is like the other days" in bad.because) == (news_of(bad) == "ongoing")
    elsewhere = with_sundays(past, 10.0, 4, drift=6)
    moved = findings(with_sundays(current, 10.0, drift=6), reference, elsewhere)["age"]
    assert "the reference is like the other days" not in moved.because, (
        "if every day is far from the reference, the drift of all days is reported"
    )


@pytest.mark.parametrize("drift", some([0.0, 1.0, 2.0], 2))
@pytest.mark.parametrize("factor", some([1.15, 1.25, 10.0], 2))
def test_a_natural_weekly_pattern_is_not_reported_on_sundays_despite_a_slow_drift(factor: float, drift: float) -> None:
    sides = with_sundays(before(4000, 60), factor), with_sundays(before(14_000, 62), factor, drift=drift)
    natural = findings(with_sundays(rows(3500, 61), factor, drift=drift), *sides)["age"]
    assert natural.evidence["look_days"] == 7 and "the reference is like the other days" not in natural.because, natural.because


def test_a_column_with_strong_daily_variation_has_its_own_limit_with_a_reason() -> None:
    rng = np.random.default_rng(79)

    def stream(n: int, seed: int, days: int) -> pd.DataFrame:
        frame = rows(n, seed, days=days)
        day = (frame["at"] - frame["at"].iloc[0]).dt.days
        return frame.assign(age=frame["age"] + rng.normal(0, 8, days)[day])

    past = stream(14_000, 80, 28)
    past["at"] -= pd.Timedelta(days=28)
    said = findings(stream(3500, 81, 7), stream(30_000, 82, 60), past)
    assert said["age"].severity == "ok" and said["age"].limit == 0.1
    last = {each["days"]: each for each in said["age"].evidence["windows"]}[1]
    assert last["limit"] > 0.3, "the last day is compared with the variation between days"
    assert "`income` is stable" in said["income"].because
    assert said["income"].limit == 0.1 and "vary" not in said["income"].because


@pytest.mark.parametrize("factor", [10.0, 0.01])
def test_a_unit_that_changed_within_the_window_is_named_with_its_days(factor: float) -> None:
    reference, current = rows(5000, 3), rows(3500, 4, days=7)
    late = current["at"] >= current["at"].min().normalize() + pd.Timedelta(days=4)
    current.loc[late, "age"] *= factor
    own = findings(current, reference, before(14_000, 5))["age"]
    days = int(current.loc[late, "at"].dt.normalize().nunique())
    size = "10 times larger" if factor > 1 else "100 times smaller"
    assert own.severity == "act" and own.evidence["factor"] == pytest.approx(factor, rel=0.05)
    assert f"values on {days} of 7 days are about {size}, as in another unit" in own.because, own.because
    drifted = current.assign(age=current["age"] * 1.5 + 20)
    drifted.loc[late, "age"] = (current.loc[late, "age"] / factor * 1.5 + 20) * factor
    found = findings(drifted, reference, before(14_000, 5))["age"]
    assert found.evidence["factor"] == pytest.approx(factor, rel=0.05), (
        "the factor is the one between the days, even if both are far from the reference"
    )
    moved = rows(3500, 4, days=7)
    moved.loc[late, "age"] += 10 * moved["age"].mean()
    assert "factor" not in findings(moved, reference, before(14_000, 5))["age"].evidence, (
        "the mean moved, but the standard deviation did not"
    )


def test_a_psi_that_a_stable_column_never_has_is_not_called_stable() -> None:
    """A week beyond the usual limit that variation between days explains raises no drift finding, but no sentence says that nothing
    moved.
    """
    rng = np.random.default_rng(79)

    def stream(n: int, seed: int, days: int) -> pd.DataFrame:
        frame = rows(n, seed, days=days)
        day = (frame["at"] - frame["at"].iloc[0]).dt.days
        return frame.assign(age=frame["age"] + rng.normal(0, 25, days)[day])

    past = stream(14_000, 80, 28)
    past["at"] -= pd.Timedelta(days=28)
    found = findings(stream(3500, 81, 7), stream(30_000, 82, 60), past)["age"]
    assert found.value > 0.1 and found.severity == "unknown", found
    assert "`age` cannot be judged: PSI " in found.because, found.because


def test_a_mean_shift_of_a_quarter_standard_deviation_is_a_warning_even_with_a_small_psi() -> None:
    reference, past = rows(30_000, 91), rows(14_000, 92, days=28)
    past["at"] -= pd.Timedelta(days=28)

    def said(shift: float, n: int = 7000) -> dict[str, Finding]:
        context = context_for(reference, features=FEATURES)
        current = rows(n, 93, days=7)
        current["age"] += shift * reference["age"].std()
        found = ANALYZER.analyze(frames_for(ANALYZER.needs(context), context, current, reference, past), context)
        return {each.metric: each for each in found if each.subject == "age"}

    moved = said(0.3)
    assert moved["psi"].severity == "ok" and "is stable" not in moved["psi"].because
    claim = moved["mean_shift"]
    assert claim.severity == "watch" and claim.news == "new" and claim.limit == 0.25
    assert claim.low < claim.value < claim.high and claim.value == pytest.approx(0.3, abs=0.05)
    assert "reference standard deviations higher on average" in claim.because
    assert set(said(0.15)) == {"psi"} and set(said(0.3, 60)) == {"psi"}
    assert said(1.0)["psi"].severity == "act" and set(said(1.0)) == {"psi"}


@pytest.mark.parametrize("way", [1, -1])
def test_a_mean_that_moved_has_its_first_day_whichever_way_it_goes(way: int) -> None:
    reference, past = rows(30_000, 91), rows(14_000, 92, days=28)
    past["at"] -= pd.Timedelta(days=28)
    context = context_for(reference, features=FEATURES)
    current = rows(7000, 93, days=7)
    current["age"] += way * 0.3 * reference["age"].std()
    found = ANALYZER.analyze(frames_for(ANALYZER.needs(context), context, current, reference, past), context)
    claim = next(each for each in found if each.metric == "mean_shift")
    assert claim.onset is not None and claim.onset.date() == current["at"].iloc[0].date()


def test_importance_sets_the_rank_and_a_setting_changes_the_limit() -> None:
    settings = ModelSettings(importance={"age": 0.1, "income": 0.8}, limits={"serving/drift/psi": 2.0})
    current = rows(3000, 30, age=1.0)
    current["income"] *= 2
    said = findings(current, rows(5000, 31), settings=settings)
    assert said["income"].rank > said["age"].rank
    assert said["age"].severity == "watch" and said["age"].limit == 0.1


def test_a_missing_reference_or_an_empty_window_is_stated() -> None:
    assert "register" in findings(rows(500, 40), None)["model"].because
    nothing = findings(rows(0, 41), rows(500, 42))
    assert [each.severity for each in nothing.values()] == ["unknown"]


def test_the_score_is_judged_and_onset_is_the_first_bad_day() -> None:
    current = rows(7000, 50)
    late = current["at"] >= current["at"].iloc[0] + pd.Timedelta(days=4)
    current.loc[late, "score"] = np.clip(current.loc[late, "score"] + 0.35, 0, 1)
    said = findings(current, rows(5000, 51))["score"]
    assert said.severity in ("watch", "act")
    assert said.onset is not None and said.onset.day == 6


def test_all_columns_are_judged_at_one_false_discovery_rate() -> None:
    reference = rows(3000, 60)
    context = context_for(reference, features=FEATURES[:2])
    said = ANALYZER.analyze(frames_for(ANALYZER.needs(context), context, rows(2000, 61), reference), context)
    own = [each.evidence["p_value"] for each in said]
    ordered = sorted(own + [p for each in said if (p := each.evidence.get("mean_shift_p_value")) is not None])
    assert len(ordered) > len(own)
    by_hand = [min(p * len(ordered) / (i + 1) for i, p in list(enumerate(ordered))[k:]) for k in range(len(ordered))]
    expected = sorted(min(by_hand[ordered.index(p)], 1.0) for p in own)
    assert sorted(each.evidence["p_adjusted"] for each in said) == pytest.approx(expected)
    assert replace(context, budget=0.0).budget == 0


LEVELS = tuple(f"city-{place:02}" for place in range(40))


def cities(
    n: int, seed: int, days: int, *, traded: float = 0.0, shares: np.ndarray | None = None, start: str = "2026-03-02"
) -> pd.DataFrame:
    """Rows with a column of many small levels. traded: the share of the rows in which the largest level and a small one are swapped."""
    rng = np.random.default_rng(seed)
    frame = rows(n, seed, days=days).drop(columns="region")
    of = rng.choice(LEVELS, n, p=many() if shares is None else shares).astype(object)
    chosen = rng.random(n) < traded
    first, second = chosen & (of == LEVELS[0]), chosen & (of == LEVELS[25])
    of[first], of[second] = LEVELS[25], LEVELS[0]
    return frame.assign(city=of, at=frame["at"] - frame["at"].min() + pd.Timestamp(start, tz="UTC"))


def many() -> np.ndarray:
    shares = np.linspace(0.05, 0.01, len(LEVELS))
    return shares / shares.sum()


def trades(current: pd.DataFrame, reference: pd.DataFrame, past: pd.DataFrame | None = None, **options) -> list:
    context = context_for(reference, features=("age", "income", "city"), **options)
    said = ANALYZER.analyze(frames_for(ANALYZER.needs(context), context, current, reference, past), context)
    return [each for each in said if each.metric == "level_trade"]


def test_swapped_names_of_two_small_levels_are_found_although_the_psi_is_small() -> None:
    reference, past = cities(20_000, 90, 30), cities(14_000, 91, 28, start="2026-02-02")
    current = cities(3500, 92, 7, traded=0.6)
    (said,) = trades(current, reference, past)
    p, q = (frame["city"].value_counts(normalize=True) for frame in (reference, current))
    moved = {name: abs(q[name] - p[name]) for name in (LEVELS[0], LEVELS[25])}
    assert said.severity == "act" and said.subject == "city" and said.evidence["levels"] == [LEVELS[0], LEVELS[25]]
    assert said.value == pytest.approx(min(moved.values())) and said.low <= said.value <= said.high
    assert f"`{LEVELS[0]}` fell, `{LEVELS[25]}` rose" in said.because and said.onset is not None and said.onset.day == 2
    shown = findings(
        current.rename(columns={"city": "region"}), reference.rename(columns={"city": "region"}), past.rename(columns={"city": "region"})
    )
    assert shown["region"].value < 0.1 and shown["region"].severity in ("ok", "unknown")


def test_a_change_of_demand_is_not_a_swap_of_level_names() -> None:
    reference, past = cities(20_000, 93, 30), cities(14_000, 94, 28, start="2026-02-02")
    all_of_them = many() * np.exp(np.random.default_rng(95).normal(0, 0.4, len(LEVELS)))
    assert trades(cities(7000, 96, 7, shares=all_of_them / all_of_them.sum()), reference, past) == []
    one = many() * np.where(np.arange(len(LEVELS)) == 0, 0.4, 1.0)
    assert trades(cities(7000, 97, 7, shares=one / one.sum()), reference, past) == [], "all other levels gained what one level lost"


def test_extra_rows_of_one_of_three_levels_are_not_a_swap() -> None:
    names, shares = np.array(["north", "south", "west"]), np.array([0.55, 0.3, 0.15])

    def regions(n, seed, days, *, on_top=0.0, traded=False, start="2026-03-02"):
        frame = cities(n, seed, days, start=start)
        rng = np.random.default_rng(seed)
        place = np.where(rng.random(n) < on_top, 2, rng.choice(3, n, p=shares[::-1] if traded else shares))
        return frame.assign(city=names[place])

    reference, past = regions(20_000, 110, 30), regions(140_000, 111, 28, start="2026-02-02")
    assert trades(regions(70_000, 112, 7, on_top=0.1), reference, past) == [], (
        "the smallest level gained a tenth, and all others lost in proportion"
    )
    (said,) = trades(regions(70_000, 113, 7, traded=True), reference, past)
    assert said.severity == "act" and set(said.evidence["levels"]) == {"north", "west"}


def test_a_standing_or_undated_swap_of_levels_is_critical_but_not_new() -> None:
    reference = cities(20_000, 98, 30)
    past, current = cities(14_000, 99, 28, traded=0.6, start="2026-02-02"), cities(3500, 100, 7, traded=0.6)
    (standing,) = trades(current, reference, past)
    assert standing.severity == "act" and news_of(standing) == "ongoing" and "as in the past four weeks" in standing.because
    (without,) = trades(cities(7000, 100, 7, traded=1.0), reference)
    assert without.severity == "act" and without.evidence["share_past"] is None
    back = trades(cities(3500, 101, 7), reference, past)
    assert back == [], "the names are right again, so no swap is named"


def test_a_small_swap_of_large_levels_without_a_dated_jump_is_not_critical() -> None:
    """A change of 1.5 points in a level of 33 % is significant in 50,000 rows, but with a PSI of 0.001 it is no critical recoding."""
    names = np.array(["north", "south", "west"])

    def regions(shares: list[float], days: int, start: str = "2026-03-02") -> pd.DataFrame:
        frame = cities(50_000, 120, days, start=start)
        return frame.assign(
            city=np.repeat(names, np.round(np.array(shares) * 50_000).astype(int))[np.random.default_rng(1).permutation(50_000)]
        )

    reference = regions([0.35, 0.33, 0.32], 30)
    now, before = regions([0.335, 0.343, 0.322], 7), regions([0.335, 0.343, 0.322], 28, "2026-02-02")
    (fresh,), (standing,) = trades(now, reference), trades(now, reference, before)
    assert (fresh.severity, standing.severity, news_of(standing)) == ("watch", "watch", "ongoing")
    assert "other levels moved little" in fresh.because and fresh.limit < fresh.value
    (large,) = trades(regions([0.29, 0.39, 0.32], 7), reference)
    assert large.severity == "act"


def test_an_owner_limit_sets_how_large_a_swap_must_be() -> None:
    reference, past = cities(20_000, 90, 30), cities(14_000, 91, 28, start="2026-02-02")
    settings = ModelSettings(limits={"serving/drift/level_trade": 0.05})
    (said,) = trades(cities(3500, 92, 7, traded=0.6), reference, past, settings=settings)
    assert said.severity == "watch"


@pytest.mark.long  # test_extra_rows_of_one_of_three_levels_are_not_a_swap
def test_clean_weeks_of_many_levels_seldom_report_a_swap() -> None:
    """In half of the clean weeks the shares vary by day. At the error budget of one check, no finding may be an `act`."""
    reference = cities(20_000, 102, 30)
    rng = np.random.default_rng(103)
    said, weeks = [], repeats(5, 300)
    for week in range(weeks):
        past, current = cities(14_000, 200 + week, 28, start="2026-02-02"), cities(3500, 300 + week, 7)
        if week % 2:
            past, current = (varied(frame, rng) for frame in (past, current))
        said += trades(current, reference, past, budget=0.001)
    assert [each for each in said if each.severity == "act"] == [] and len(said) <= allowed(0.02, weeks)


def varied(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The same rows, with shares of the levels that vary by a third from day to day."""
    days = frame["at"].dt.floor("D")
    drawn = frame["city"].to_numpy(object).copy()
    for day in days.unique():
        shares = many() * np.exp(rng.normal(0, 0.3, len(LEVELS)))
        drawn[(days == day).to_numpy()] = rng.choice(LEVELS, int((days == day).sum()), p=shares / shares.sum())
    return frame.assign(city=drawn)


def test_missing_values_absent_from_the_reference_are_critical_and_not_daily_variation() -> None:
    current = rows(3500, 90)
    late = current["at"] >= current["at"].iloc[0] + pd.Timedelta(days=3)
    gone = late & (np.random.default_rng(90).random(len(current)) < 0.3)
    current.loc[gone, "age"] = np.nan
    found = findings(current, rows(5000, 91))["age"]
    assert found.severity == "act" and "missing" in found.because, found.because


def test_the_days_that_a_chart_draws_cover_the_window() -> None:
    said = findings(rows(9000, 92, days=90), rows(5000, 93), days=90)
    assert len(said["age"].evidence["by_day"]) == 90
