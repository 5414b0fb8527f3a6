"""serving/multivariate_drift finds changes that no single feature shows, and raises nothing for drift that single features already show."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from observability.analyzers.serving import drift
from observability.analyzers.serving.multivariate_drift import (
    ANALYZER,
    DomainVerdict,
    correlations_of,
    domain_evidence,
    domain_sentence,
    sides_of,
    undecided_domain,
    weeks_beyond,
)
from observability.core import analyzer
from observability.core.finding import DETAILS, Finding, news_of
from observability.core.settings import ModelSettings
from observability.core.standing_since import StandingSince, standing_since
from observability.stats.domain import Separation, WindowSeparation
from tests.support.analyzer_worlds import context_for, frames_for, spread
from tests.support.drift_rows import FEATURES, findings, rows
from tests.support.length import repeats


def together(current: pd.DataFrame, reference: pd.DataFrame | None, past: pd.DataFrame | None = None, **options) -> Finding:
    """The finding about all inputs jointly."""
    return both(current, reference, past, **options)[0]


def both(current: pd.DataFrame, reference: pd.DataFrame | None, past: pd.DataFrame | None = None, **options) -> list[Finding]:
    """The finding about all inputs jointly, and the findings about pairs of numbers."""
    context = context_for(reference, features=FEATURES, **options)
    return ANALYZER.analyze(frames_for(ANALYZER.needs(context), context, current, reference, past), context)


def month(seed: int, tie: float, strays: float = 0.0) -> pd.DataFrame:
    """The four weeks before the window, whose correlation varies from day to day by `strays`."""
    rng = np.random.default_rng(seed)
    parts = []
    for day in range(28):
        at = pd.Timestamp("2026-03-02", tz="UTC") + pd.Timedelta(days=day - 28)
        parts.append(tied(140, seed + day, float(np.clip(tie + strays * rng.normal(), -0.99, 0.99))).assign(at=at))
    return pd.concat(parts, ignore_index=True).sample(frac=1.0, random_state=1, ignore_index=True)


def week(seed: int, tie: float, last: float) -> pd.DataFrame:
    """A window in which the last day has another correlation. The rows are in random order, as in a sample by hash."""
    frame, late = tied(2000, seed, tie), tied(2000, seed + 1, last)
    frame = pd.concat([frame[frame["at"] < frame["at"].iloc[-286]], late[late["at"] >= frame["at"].iloc[-286]]], ignore_index=True)
    return frame.sample(frac=1.0, random_state=2, ignore_index=True)


def test_a_correlation_change_that_may_be_chance_is_not_called_a_change() -> None:
    """Regression: a change that was not significant at the error budget got the sentence "the correlation changed"."""
    _, pair = both(tied(2000, 91, 0.4), tied(3000, 90, 0.7), budget=1e-300)
    assert pair.severity == "unknown" and "may have changed their correlation" in pair.because, pair.because
    assert f"it may be chance among 1 pair (p {pair.evidence['p_adjusted']:.2g} with all counted)" in pair.because


def test_a_correlation_broken_on_the_last_day_is_reported_with_its_features() -> None:
    reference, current, past = tied(3000, 90, 0.7), week(91, 0.7, 0.1), month(500, 0.7)
    whole, pair = both(current, reference, past)
    assert whole.severity == "ok" and (pair.severity, pair.metric) == ("act", "rank_correlation")
    assert pair.onset == pd.Timestamp("2026-03-08", tz="UTC").to_pydatetime() and pair.evidence["features"] == ["age", "income"]
    last = current[current["at"] >= pd.Timestamp("2026-03-08", tz="UTC")]
    assert pair.value == pytest.approx(stats.spearmanr(last["age"], last["income"])[0], abs=0.02) and pair.n == len(last)
    assert pair.low <= pair.value <= pair.high < pair.limit and "on the last day" in pair.because


def test_a_feature_with_one_value_a_day_is_left_out_and_named() -> None:
    rng = np.random.default_rng(5)

    def weather(frame: pd.DataFrame) -> pd.DataFrame:
        of_day = frame["at"].dt.floor("D").map({day: rng.normal() for day in frame["at"].dt.floor("D").unique()})
        return frame.assign(income=of_day + 0.05 * rng.normal(size=len(frame)))

    reference, current, past = weather(tied(3000, 94, 0.0)), weather(week(95, 0.0, 0.0)), weather(month(800, 0.0))
    context = context_for(reference, features=FEATURES)
    frames = frames_for(ANALYZER.needs(context), context, current, reference, past)
    together_ = correlations_of(frames, sides_of(frames, context), context)
    assert together_ is not None and together_.left_out() == ["income"] and together_.changes(0.1) == []
    assert both(tied(3000, 90, 0.7), week(91, 0.7, 0.7), month(500, 0.7))[1].evidence["left_out"] == []


def test_a_naturally_varying_correlation_is_ok_and_an_equally_broken_past_one_is_ongoing() -> None:
    reference, current = tied(3000, 92, 0.7), week(93, 0.7, 0.3)
    assert both(current, reference, month(600, 0.7))[1].severity == "act"
    straying = both(current, reference, month(700, 0.6, strays=0.35))[1]
    assert straying.severity == "ok" and "No correlation changed significantly" in straying.because
    stood = both(tied(2000, 94, 0.3), reference, month(800, 0.3))[1]
    assert (stood.severity, news_of(stood)) == ("act", "ongoing") and "as in the past four weeks" in stood.because and stood.onset is None


def test_text_features_are_not_used_for_correlations() -> None:
    reference, current = tied(3000, 96, 0.7), week(97, 0.7, 0.1)
    context = context_for(reference, features=FEATURES)
    frames = frames_for(ANALYZER.needs(context), context, current, reference, month(950, 0.7))
    of_texts = {name: frame.astype({"feature.region": "str"}) if name.endswith("_rows") else frame for name, frame in frames.items()}
    pair = ANALYZER.analyze(of_texts, context)[1]
    assert pair.severity == "act" and pair.evidence["features"] == ["age", "income"] and pair.evidence["looked_at"] == 1


def test_clean_weeks_name_no_changed_pair_of_features() -> None:
    reference = tied(3000, 95, 0.6)
    said = [both(tied(1500, seed, 0.6), reference, month(900, 0.6))[1].severity for seed in range(400, 400 + repeats(3, 300))]
    assert set(said) == {"ok"}


def tied(n: int, seed: int, age_and_income: float) -> pd.DataFrame:
    """Rows in which age and income are correlated; the distribution of each stays the same."""
    frame, rng = rows(n, seed), np.random.default_rng(seed + 10_000)
    x = rng.normal(size=(n, 2))
    y = age_and_income * x[:, 0] + np.sqrt(1 - age_and_income**2) * x[:, 1]
    frame["age"], frame["income"] = 40 + 10 * x[:, 0], np.exp(10 + 0.6 * y)
    return frame


def test_a_broken_correlation_is_an_alarm_though_no_single_feature_moved() -> None:
    reference, current = tied(3000, 70, 0.8), tied(2500, 71, -0.5)
    assert {each.severity for each in findings(current, reference).values()} == {"ok"}
    said = together(current, reference)
    assert said.severity == "act" and said.value > 0.65 and said.low <= said.value <= said.high
    details = " ".join(said.evidence["details"])
    assert (
        "`income` and `age`" in said.because
        and "rank correlation of `age` and `income`" in details
        and "Pairs of inputs show more than single inputs" in details
    )
    assert said.evidence["pair"]["features"] == ["age", "income"]
    assert said.evidence["pair"]["correlation_reference"] == pytest.approx(0.79, abs=0.05)
    assert said.evidence["single_features_auc"] < 0.55 and said.n == 2000 and said.evidence["n_reference"] == 2000


def test_multivariate_drift_is_critical_although_one_feature_explains_it() -> None:
    reference, current = rows(3000, 72), rows(2500, 73, age=1.0)
    assert findings(current, reference)["age"].severity == "act"
    said = together(current, reference)
    assert said.severity == "act" and said.state == "critical" and said.value > 0.65
    assert "These inputs also drifted on their own: `age`." in said.evidence["details"] and "mostly `age`" in said.because


def test_a_broken_correlation_is_named_beside_a_moved_feature() -> None:
    reference, current = tied(3000, 74, 0.8), tied(2500, 75, -0.5)
    current["region"] = "east"
    assert findings(current, reference)["region"].severity == "act"
    reference["region"] = np.random.default_rng(1).choice(["east", "north"], 3000, p=(0.9, 0.1))
    current.loc[::5, "region"] = "south"
    said = together(current, reference)
    assert said.severity == "act" and any("Pairs of inputs" in detail for detail in said.evidence["details"])


@pytest.mark.long  # test_clean_weeks_name_no_changed_pair_of_features
def test_clean_weeks_cannot_be_distinguished_from_the_reference() -> None:
    reference = tied(3000, 300, 0.6)
    weeks = repeats(8, 300)
    said = [together(tied(1500, seed, 0.6), reference) for seed in range(310, 310 + weeks)]
    assert {each.severity for each in said} == {"ok"}
    assert sum(each.value > each.evidence["null_95"] for each in said) <= 0.2 * weeks


def test_few_rows_or_hours_are_not_judged_and_the_finding_says_what_is_needed() -> None:
    said = together(tied(90, 76, -0.9), tied(3000, 77, 0.9))
    assert said.severity == "unknown" and said.value is None and "about" in said.because and "more predictions" in said.because
    assert "a larger reference" in together(tied(3000, 76, -0.9), tied(80, 77, 0.9)).because
    assert "register" in together(rows(500, 78), None).because
    context = context_for(rows(500, 78), features=FEATURES)
    short = replace(context, window=replace(context.window, end=context.window.start + pd.Timedelta(hours=20).to_pytimedelta()))
    (said,) = ANALYZER.analyze(frames_for(ANALYZER.needs(short), short, rows(400, 79), rows(500, 78)), short)
    assert said.severity == "unknown" and "a day or more" in said.because and said.n == 400
    assert set(drift.ANALYZER.needs(context)) < set(ANALYZER.needs(context))


def test_a_setting_changes_the_limit_of_multivariate_drift() -> None:
    settings = ModelSettings(limits={"serving/multivariate_drift/domain_auc": 0.9})
    assert together(tied(2500, 79, -0.5), tied(3000, 80, 0.8), settings=settings).severity == "watch"


def lucky(days: range, a_day: int, seed: int, share: float = 0.12, tie: float = 0.6) -> pd.DataFrame:
    """Days with correlated rows, in which a part of the variance of age and income lies between days."""
    parts = []
    for day in days:
        luck = np.random.default_rng([seed, day + 1000]).normal(size=2) * np.sqrt(share)
        frame = tied(a_day, 1000 * seed + day + 1000, tie)
        frame["age"] = 40 + 10 * (np.sqrt(1 - share) * (frame["age"] - 40) / 10 + luck[0])
        frame["income"] = np.exp(10 + 0.6 * (np.sqrt(1 - share) * (np.log(frame["income"]) - 10) / 0.6 + luck[1]))
        parts.append(frame.assign(at=pd.Timestamp("2026-03-02", tz="UTC") + pd.Timedelta(days=day)))
    return pd.concat(parts, ignore_index=True).sample(frac=1.0, random_state=seed, ignore_index=True)


def test_natural_daily_variation_is_no_drift_but_a_broken_correlation_within_it_is() -> None:
    reference = lucky(range(-400, -340), 60, 1)
    said = [together(lucky(range(7), 280, seed), reference, past=lucky(range(-28, 0), 140, seed)) for seed in range(2, 10)]
    told = [each for each in said if each.evidence["against_days"]]
    assert len(told) >= 3, "if variation between days were ignored, most of these weeks would differ significantly from the reference"
    assert {each.severity for each in told} <= {"unknown", "ok"} and not [each for each in said if each.needs_action]
    assert all("single days reach AUC" in each.because for each in told if each.severity == "unknown")
    broken = together(lucky(range(7), 280, 3, tie=-0.6), reference, past=lucky(range(-28, 0), 140, 3))
    assert broken.severity == "act" and broken.evidence["against_days"]["p_value"] < 1e-6 and not broken.evidence["standing"]
    stands = together(lucky(range(7), 280, 3, tie=-0.6), reference, past=lucky(range(-28, 0), 140, 3, tie=-0.6))
    assert stands.severity == "act" and news_of(stands) == "ongoing" and "past four weeks" not in stands.because
    assert standing_since(stands) == StandingSince(date(2026, 2, 2), earlier=True) and standing_since(broken) is None


def test_a_difference_only_in_columns_with_one_value_a_day_is_unknown_and_says_so() -> None:
    names = (*FEATURES, "warmth")

    def dated(frame: pd.DataFrame, base: float) -> pd.DataFrame:
        return frame.assign(warmth=base + (frame["at"].dt.dayofyear * 5 % 9) / 9)

    reference = dated(tied(3000, 120, 0.6).assign(at=spread(3000, 60)), 0.0)
    context = context_for(reference, features=names)

    def of(current: pd.DataFrame) -> Finding:
        return ANALYZER.analyze(frames_for(ANALYZER.needs(context), context, current, reference), context)[0]

    said = of(dated(tied(2000, 121, 0.6), 3.0))
    assert said.severity == "unknown" and said.value < 0.55 and said.evidence["calendar"] == ["warmth"]
    assert "Only inputs with one value a day separate window and reference: AUC 1.00 with `warmth`" in said.because
    broken = of(dated(tied(2000, 122, -0.6), 3.0))
    assert broken.severity == "act" and "without `warmth` (one value a day)" in broken.evidence["details"][0]
    assert of(dated(tied(2000, 123, 0.6), 0.0)).severity == "ok"


def month_of_outcomes(tie: float, right: float) -> pd.DataFrame:
    """Four weeks with the given correlation and the given share of right decisions."""
    frame, rng = month(500, tie), np.random.default_rng(1)
    label = (rng.random(len(frame)) < 0.5).astype(float)
    decision = np.where(rng.random(len(frame)) < right, label, 1 - label).astype(int)
    return frame.assign(label=label, decision=decision, score=0.1 + 0.8 * decision)


def test_a_drift_alarm_states_how_many_past_weeks_with_such_a_drift_had_a_performance_fall() -> None:
    rng = np.random.default_rng(2)
    reference = tied(3000, 70, 0.8)
    label = (rng.random(3000) < 0.5).astype(float)
    decision = np.where(rng.random(3000) < 0.9, label, 1 - label).astype(int)
    reference = reference.assign(label=label, decision=decision, score=0.1 + 0.8 * decision)
    current = tied(2500, 71, -0.5).assign(decision=0, score=0.2)
    for past, words in (
        (month_of_outcomes(-0.5, 0.7), "4 of 4 past weeks with such a move had a fall of accuracy of at least 5 points"),
        (month_of_outcomes(-0.5, 0.9), "0 of 4 past weeks with such a move had a fall"),
        (month_of_outcomes(0.8, 0.9), "Its effect on performance is unknown: none of the 4 past weeks with labels had such a shift"),
        (month(500, -0.5), "Its effect on performance is unknown: no past week has labels"),
    ):
        said = together(current, reference, past)
        assert said.severity == "act" and words in said.evidence["details"][-1] and "such_moves" in said.evidence
        assert len(said.because.split()) <= 35


def test_days_that_are_high_in_two_features_by_chance_are_not_a_correlation() -> None:
    reference, past, current = tied(3000, 101, 0.0), month(1000, 0.0), tied(2800, 102, 0.0)
    day = current["at"].dt.dayofyear - current["at"].dt.dayofyear.min()
    luck = day.map({4: 0.6, 5: -0.5, 6: -0.6}).fillna(0.0)
    current = current.assign(age=current["age"] + 10 * luck, income=current["income"] * np.exp(0.6 * luck))
    late = current[day >= 4]
    assert stats.spearmanr(late["age"], late["income"])[0] > 0.15, "correlated over the three days together, but on none of them alone"
    assert abs(last_days(reference, current, past)) < 0.08
    tie = current.assign(income=current["income"] * np.exp(0.02 * (current["age"] - 40)))
    assert last_days(reference, tie, past) > 0.2


def last_days(reference: pd.DataFrame, current: pd.DataFrame, past: pd.DataFrame) -> float:
    """The rank correlation of age and income in the last three days."""
    context = context_for(reference, features=FEATURES)
    mixed = current.sample(frac=1.0, random_state=3, ignore_index=True)
    frames = frames_for(ANALYZER.needs(context), context, mixed, reference, past)
    found = correlations_of(frames, sides_of(frames, context), context)
    assert found is not None
    (pair,) = [each for each in found.changes(1.0) if each.days == 3]
    return pair.after


def verdict(weeks: tuple[bool | None, ...]) -> DomainVerdict:
    """The verdict on a drift in which the window does not differ from the days before. weeks: for each past week, newest first, whether it
    is as far from the reference.
    """
    found = Separation(0.9, 0.88, 0.92, 0.5, 0.01, 1e-9, 0.9, (("age", 0.2),), None, (900, 900), np.ones(9), np.zeros(9))
    return DomainVerdict(found, ("age",), 0.8, 0.05, 1e-9, days=WindowSeparation(0.5, 0.5, 0.01, 0.5), weeks=weeks)


@pytest.mark.parametrize(
    ("weeks", "since"),
    [
        ((True,) * 4, StandingSince(date(2026, 2, 2), earlier=True)),
        ((True, True, None, None), StandingSince(date(2026, 2, 16), earlier=False)),
        ((True, False, True, True), StandingSince(date(2026, 2, 23), earlier=False)),
        ((False,) * 4, None),
        ((None,) * 4, None),
    ],
    ids=["all", "first known later", "from a week", "none", "unknown"],
)
def test_a_drift_states_its_first_week_or_that_it_is_not_clearly_different_from_the_past(
    weeks: tuple[bool | None, ...], since: StandingSince | None
) -> None:
    judged, context = verdict(weeks), context_for(rows(40, 1), features=FEATURES)
    finding = replace(
        undecided_domain(context, 900, ""), severity=judged.severity, limit=judged.act, evidence=weeks_beyond(judged, context)
    )
    assert finding.severity == "act" and standing_since(finding) == since
    said = domain_sentence(judged, finding)
    assert ("not clearly different from the past four weeks" in said) == (since is None) and "unchanged" not in said


@pytest.mark.parametrize(("weeks", "stands"), [((True, False), True), ((False, True), False), ((None, True), False), ((), False)])
def test_a_continuing_drift_is_ongoing_if_the_week_before_was_as_far_away(weeks: tuple[bool | None, ...], stands: bool) -> None:
    """The drift differs from the days before the window. An ongoing season counts as one drift; a drift that ended and came back is new."""
    judged, context = replace(verdict(weeks), days=WindowSeparation(0.8, 0.5, 0.01, 1e-9)), context_for(rows(40, 1), features=FEATURES)
    assert judged.news and judged.stands == stands and judged.severity == "act"
    evidence = domain_evidence(judged) | weeks_beyond(judged, context)
    since = standing_since(replace(undecided_domain(context, 900, ""), severity="act", evidence=evidence))
    assert evidence["standing"] == stands and (since is not None) == stands
    assert since is None or since == StandingSince(date(2026, 2, 23), earlier=False)


def test_only_the_most_important_of_very_many_inputs_are_compared_and_the_finding_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analyzer, "MOST_INPUTS", 2)
    reference, current = tied(3000, 70, 0.8), tied(2500, 71, -0.5)
    settings = {
        name: ModelSettings(importance=dict.fromkeys(names, 0.5))
        for name, names in {"both": ("age", "income"), "region": ("region",)}.items()
    }
    broken = together(current, reference, settings=settings["both"])
    assert broken.severity == "act" and (broken.evidence["compared_inputs"], broken.evidence["inputs"]) == (2, 3)
    assert {name for name, _ in broken.evidence["importance"]} == {"age", "income"}
    assert any("over the 2 most important of 3 inputs" in each for each in broken.evidence[DETAILS])
    other = together(current, reference, settings=settings["region"])
    assert other.severity == "ok" and {name for name, _ in other.evidence["importance"]} == {"age", "region"}
    assert "over the 2 most important of 3 inputs" in other.because
    assert "over the 2 first of 3 inputs" in " ".join(together(current, reference).evidence[DETAILS]), (
        "the importance of the inputs is unknown"
    )
    context = context_for(reference, features=FEATURES, settings=settings["region"])
    assert ANALYZER.needs(context)["current_rows"].aggregate.columns == ("id", "at", "feature.age", "feature.region")
