"""trust/fairness: rates equal scikit-learn's, a gap of one group is named, and a permanent gap raises no alert."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from observability.analyzers.trust.fairness import ANALYZER
from observability.core.analyzer import Context
from observability.core.catalog import Column, Edges, Model
from observability.core.finding import news_of
from observability.core.settings import ModelSettings
from observability.core.standing_since import StandingSince, standing_since
from observability.core.window import Window
from observability.detection.fairness_criteria import CRITERIA, criterion_level
from observability.detection.fairness_sentences import because_too_few, criterion_sentence
from observability.metrics.groups import Attribute, group_metrics, group_question, sensitive_attributes
from observability.store.query import aggregates
from tests.support import reference_engine
from tests.support.analyzer_worlds import answer, context_for, frames_for, spread
from tests.support.engine_world import START, copied
from tests.support.length import allowed, repeats

CHOSEN = ModelSettings(fairness_criterion="equalized_odds")


def people(
    n: int,
    seed: int,
    *,
    tpr: dict[str, float] | None = None,
    fpr: float = 0.2,
    shares: tuple[float, ...] = (0.5, 0.5),
    weight: bool = False,
):
    """Labels with probability 0.5; decisions with a TPR by group (0.8 unless given) and one FPR; groups F, M, then X, Y."""
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M", "X", "Y"][: len(shares)], n, p=shares)
    label = rng.random(n) < 0.5
    hit = pd.Series(sex).map({"F": 0.8, "M": 0.8, "X": 0.8, "Y": 0.8} | (tpr or {})).to_numpy(float)
    decision = rng.random(n) < np.where(label, hit, fpr)
    frame = pd.DataFrame({"at": spread(n), "group.sex": sex, "label": label.astype(float), "decision": decision.astype(int), "score": 0.5})
    return frame.assign(weight=rng.choice([1.0, 3.0], n)) if weight else frame


def context(reference: pd.DataFrame | None, *, settings: ModelSettings = CHOSEN, task: str = "binary", **options) -> Context:
    found = context_for(None, task="binary", settings=settings, **options)
    levels = Edges(levels=("M", "F", "X", "Y"))
    version = replace(found.version, edges={"group.sex": levels}, reference_rows=0 if reference is None else len(reference))
    model = replace(found.model, task=task, columns=(Column(1, "sex", "f1", "category", "group", sensitive=True),), versions=(version,))
    return replace(found, model=model, version=version)


def findings(current, reference, past=None, **options) -> dict:
    asked = context(reference, **options)
    said = ANALYZER.analyze(frames_for(ANALYZER.needs(asked), asked, current, reference, past), asked)
    return {(each.subject, each.metric): each for each in said}


@pytest.mark.parametrize("weight", [False, True])
def test_rates_by_group_equal_scikit_learn(weight: bool) -> None:
    rows = people(3000, 1, tpr={"F": 0.7}, shares=(0.3, 0.5, 0.2), weight=weight)
    asked = context(None)
    groups = group_metrics(
        asked.model,
        answer(group_question(asked.model, sensitive_attributes(asked.model, asked.version)), rows, asked),
        sensitive_attributes(asked.model, asked.version),
    )
    assert groups.names == ("M", "F", "X")
    for place, name in enumerate(groups.names):
        part = rows[rows["group.sex"] == name]
        y, d, w = part["label"], part["decision"], part.get("weight")
        tn, fp, _, _ = metrics.confusion_matrix(y, d, sample_weight=w).ravel()
        wanted = {
            "selection_rate": np.average(d, weights=w), "true_positive_rate": metrics.recall_score(y, d, sample_weight=w),
            "false_positive_rate": fp / (fp + tn), "precision": metrics.precision_score(y, d, sample_weight=w),
            "accuracy": metrics.accuracy_score(y, d, sample_weight=w), "base_rate": np.average(y, weights=w),
        }  # fmt: skip
        for metric, value in wanted.items():
            assert groups.metrics[metric].value[place] == pytest.approx(value, rel=1e-12), metric
    assert groups.rows.sum() == len(rows)


@pytest.mark.parametrize(
    ("criterion", "metric"),
    [("demographic_parity", "demographic_parity_difference"), ("equalized_odds", "equalized_odds_difference"),
     ("equal_opportunity", "equal_opportunity_difference"), ("predictive_parity", "predictive_parity_difference")],
)  # fmt: skip
def test_each_fairness_criterion_is_the_gap_between_its_group_rates(criterion: str, metric: str) -> None:
    rows = people(4000, 2, tpr={"F": 0.74}, shares=(0.4, 0.4, 0.2))
    said = findings(rows, people(9000, 3), settings=ModelSettings(fairness_criterion=criterion))[("sex", metric)]
    by_group = [part for _, part in rows.groupby("group.sex")]
    tpr = [metrics.recall_score(each["label"], each["decision"]) for each in by_group]
    fpr = [metrics.recall_score(1 - each["label"], 1 - each["decision"]) for each in by_group]
    wanted = {
        "demographic_parity": np.ptp([each["decision"].mean() for each in by_group]),
        "equalized_odds": max(np.ptp(tpr), np.ptp(fpr)),
        "equal_opportunity": np.ptp(tpr),
        "predictive_parity": np.ptp([metrics.precision_score(each["label"], each["decision"]) for each in by_group]),
    }[criterion]
    assert said.value == pytest.approx(wanted, rel=1e-12)
    assert said.low <= said.value <= said.high and said.limit == 0.1 and said.against == "level"


def test_a_ten_point_gap_of_one_group_is_critical_and_names_the_group() -> None:
    base, named = people(20_000, 4), 0
    for seed in range(20):
        said = findings(people(3500, 100 + seed, tpr={"F": 0.7}), base)
        found = said.get(("sex=F", "true_positive_rate"))
        named += found is not None and found.severity == "act"
        assert ("sex=M", "true_positive_rate") not in said
    assert named >= 16


def test_a_critical_gap_states_what_moved_and_since_when() -> None:
    rows, late = people(7000, 5), people(7000, 6, tpr={"F": 0.6})
    rows.loc[rows.index >= 3000, ["group.sex", "label", "decision"]] = late.loc[late.index >= 3000, ["group.sex", "label", "decision"]]
    found = findings(rows, people(20_000, 7))[("sex=F", "true_positive_rate")]
    assert found.severity == "act" and found.likely_source == "model" and found.against == "reference"
    assert found.onset == START_OF_FAULT
    assert "below the other group; in the reference" in found.because and len(found.evidence["by_day"]) == 7
    assert found.value < found.limit < found.evidence["baseline"]


def month(seed: int, days: int, *, strays: float = 0.0, rows: int = 500) -> pd.DataFrame:
    """Four weeks before the window, in which the TPR of group F varies from day to day by `strays`."""
    rng = np.random.default_rng(seed)
    parts = [people(rows, 1000 * seed + day, tpr={"F": float(np.clip(0.8 + strays * rng.normal(), 0.0, 1.0))}) for day in range(days)]
    starts = [pd.Timestamp("2026-03-02", tz="UTC") + pd.Timedelta(days=day - 28) for day in range(days)]
    return pd.concat([part.assign(at=at) for part, at in zip(parts, starts, strict=True)], ignore_index=True)


def test_a_gap_on_the_last_day_is_reported_and_dated() -> None:
    rows, late = people(7000, 31), people(7000, 32, tpr={"F": 0.55})
    rows.loc[rows.index >= 6000, ["group.sex", "label", "decision"]] = late.loc[late.index >= 6000, ["group.sex", "label", "decision"]]
    found = findings(rows, people(20_000, 33), month(34, 28, rows=1000))[("sex=F", "true_positive_rate")]
    assert found.severity == "act" and found.evidence["days"] == 1 and found.onset == pd.Timestamp("2026-03-08", tz="UTC").to_pydatetime()
    last = rows[(rows.index >= 6000) & (rows["group.sex"] == "F") & (rows["label"] == 1)]
    assert found.value == pytest.approx(last["decision"].mean()) and found.n == len(last)


def test_a_group_is_compared_with_its_own_variation_between_days() -> None:
    rows, base = people(7000, 35, tpr={"F": 0.72}), people(20_000, 36)
    steady = findings(rows, base, month(37, 28, rows=1000))[("sex=F", "true_positive_rate")]
    straying = findings(rows, base, month(37, 28, strays=0.12, rows=1000))
    assert steady.severity == "act"
    assert straying.get(("sex=F", "true_positive_rate")) is None and straying[("sex", "equalized_odds_difference")].severity == "unknown"


def test_a_gap_present_in_the_past_month_is_critical_and_ongoing() -> None:
    rows, base = people(7000, 38, tpr={"F": 0.68}), people(20_000, 39)
    long = people(28_000, 41, tpr={"F": 0.68}).assign(at=month(40, 28, rows=1000)["at"])
    found = findings(rows, base, long)[("sex=F", "true_positive_rate")]
    assert found.severity == "act" and news_of(found) == "ongoing" and found.onset is None
    assert (since := standing_since(found)) is not None and since.earlier


@pytest.mark.parametrize("weeks", [0, 1, 2, 3, 4])
def test_a_gap_that_lasts_is_as_critical_in_each_week(weeks: int) -> None:
    """Days of the fault within the past month do not widen the standard error of the level."""
    base, rows, clean = people(20_000, 51), people(14_000, 52, tpr={"F": 0.68}), month(53, 28, rows=2000)
    ill = people(len(clean), 54, tpr={"F": 0.68}).assign(at=clean["at"])
    bad = clean["at"] >= pd.Timestamp("2026-03-02", tz="UTC") - pd.Timedelta(weeks=weeks)
    found = findings(rows, base, pd.concat([clean[~bad], ill[bad]], ignore_index=True))
    assert found[("sex=F", "true_positive_rate")].severity == found[("sex", "equalized_odds_difference")].severity == "act"


def test_a_month_like_the_reference_resolves_the_uncertainty_of_a_small_reference() -> None:
    """With 400 positives of a group in the reference, its TPR is uncertain by 11 points; the month has as many positives in two days."""
    rows, base, past = people(7000, 42, tpr={"F": 0.69}), people(1600, 50), month(44, 28, rows=1000)
    found = findings(rows, base, past)[("sex=F", "true_positive_rate")]
    assert found.needs_action and found.evidence["p_with_past"] and found.evidence["p_value"] < 1e-6
    hits = rows[(rows["group.sex"] == "F") & (rows["label"] == 1)]["decision"].mean()
    assert found.value == pytest.approx(hits) and found.evidence["baseline"] == pytest.approx(0.8, abs=0.05), (
        "the comparison is with the reference"
    )
    assert findings(rows, base).get(("sex=F", "true_positive_rate")) is None, "the reference alone is not enough"


def test_a_past_month_with_a_gap_does_not_count_as_a_baseline() -> None:
    rows, base = people(7000, 45, tpr={"F": 0.66}), people(20_000, 46)
    bad = people(28_000, 47, tpr={"F": 0.72}).assign(at=month(48, 28, rows=1000)["at"])
    found, alone = (findings(rows, base, past)[("sex=F", "true_positive_rate")] for past in (bad, None))
    assert not found.evidence["p_with_past"] and found.severity == alone.severity == "act"
    assert found.value == alone.value and found.evidence["gap_reference"] == alone.evidence["gap_reference"]


START_OF_FAULT = pd.Timestamp("2026-03-05", tz="UTC").to_pydatetime()


@pytest.mark.long  # tests/monitoring/test_false_alarms.py
def test_clean_weeks_seldom_alarm() -> None:
    base = people(20_000, 8, shares=(0.4, 0.4, 0.15, 0.05))
    runs = repeats(12, 300)
    weeks = [
        {each.severity for each in findings(people(1300, 500 + seed, shares=(0.4, 0.4, 0.15, 0.05)), base).values()} for seed in range(runs)
    ]
    assert sum("act" in week for week in weeks) == 0
    assert sum("watch" in week for week in weeks) <= allowed(0.04, runs)


def test_a_gap_also_present_in_the_reference_is_critical_and_ongoing() -> None:
    rows, base = people(4000, 9, tpr={"F": 0.6}), people(20_000, 10, tpr={"F": 0.6})
    said = findings(rows, base)
    found = said.pop(("sex", "equalized_odds_difference"))
    assert found.severity == "act" and found.value > 0.15 and news_of(found) == "ongoing"
    assert "points in the reference already" in found.because and found.evidence["stood_in_reference"]
    assert standing_since(found) == StandingSince(date(2026, 3, 2), earlier=True), "the window has no past rows"
    assert {each.severity for each in said.values()} <= {"ok"}


def test_a_tiny_group_does_not_hide_a_significant_gap() -> None:
    rows = people(12_000, 40, tpr={"F": 0.66, "X": 0.6}, shares=(0.49, 0.495, 0.015))
    found = findings(rows, None)[("sex", "equalized_odds_difference")]
    assert found.severity == "act" and found.evidence["p_value"] < 1e-20
    assert found.evidence["surest"] == ["true_positive_rate", "F", "M"]


def sentence(chance: float, growth: float | None, comparisons: int | None) -> str:
    """The sentence about a gap that is beyond the limit but raised nothing, for the given p-values."""
    rows, base = people(4000, 41, tpr={"F": 0.66}), people(20_000, 42)
    asked = context(base)
    chosen = sensitive_attributes(asked.model, asked.version)
    now, before = (group_metrics(asked.model, answer(group_question(asked.model, chosen), each, asked), chosen) for each in (rows, base))
    judged = criterion_level(CRITERIA["equalized_odds"], now, before.aligned(now.levels), asked.model.settings)
    assert judged is not None
    judged = replace(judged, spread=replace(judged.spread, p_value=chance), growth=growth)
    return criterion_sentence(asked.model, chosen[0], now, judged, "ok", comparisons)


def test_each_reason_why_a_wide_gap_raises_nothing_has_its_own_sentence() -> None:
    assert "not significant: sampling noise among equal groups up to" in sentence(0.3, 0.001, 4)
    assert "significant by itself, but not after adjustment for the 4 comparisons of this run" in sentence(0.03, 0.001, 4)
    assert "not after adjustment for all tests of a week" in sentence(0.03, None, 1)
    assert "and significant by itself" in sentence(1e-9, None, None)


def test_without_a_reference_the_level_alone_is_judged() -> None:
    said = findings(people(4000, 11, tpr={"F": 0.6}), None)
    assert said[("sex", "equalized_odds_difference")].severity == "act"
    assert not any("=" in subject for subject, _ in said)


def test_without_a_chosen_criterion_a_gap_is_a_warning_at_most_and_asks_for_one() -> None:
    said = findings(people(4000, 12, tpr={"F": 0.5}), people(20_000, 13), settings=ModelSettings())
    assert {each.severity for each in said.values()} == {"watch"}
    found = said[("sex", "equalized_odds_difference")]
    assert "no criterion of fairness is chosen" in found.because and "exclude each other" in found.because


def test_an_equal_fall_of_all_groups_is_no_fairness_finding() -> None:
    every = dict.fromkeys("FMXY", 0.55)
    said = findings(people(4000, 14, tpr=every, shares=(0.4, 0.3, 0.3)), people(20_000, 15, shares=(0.4, 0.3, 0.3)))
    assert {each.severity for each in said.values()} == {"ok"}


def test_small_groups_are_unknown_and_say_how_many_rows_they_need() -> None:
    rows = people(1000, 16, shares=(0.5, 0.46, 0.04))
    rows.loc[rows["group.sex"] == "X", "decision"] = 0
    found = findings(rows, people(9000, 17, shares=(0.5, 0.46, 0.04)))
    small = found[("sex=X", "true_positive_rate")]
    assert small.severity == "unknown" and "more" in small.because and small.n < 30
    assert found[("sex", "equalized_odds_difference")].severity == "ok"


def test_groups_that_are_left_out_of_a_comparison_are_counted() -> None:
    shares = (0.4, 0.37, 0.04, 0.19)
    said = findings(people(1000, 16, tpr={"F": 0.4}, shares=shares), people(9000, 17, shares=shares))
    because = said["sex=F", "true_positive_rate"].because
    assert "below the other 2 groups (1 with too few labelled positives now or in the reference left out); in the reference" in because
    shares = (0.5, 0.2, 0.2, 0.1)
    said = findings(people(8000, 18, tpr={"F": 0.65, "Y": 0.95}, shares=shares), people(30_000, 19, shares=shares))
    told = sorted(said[name, "true_positive_rate"].because for name in ("sex=F", "sex=Y"))
    assert "below the other 3 groups; in" in told[0] and "above the other 2 groups (1 that moved further left out); in" in told[1]


def test_only_the_groups_that_moved_are_named_among_four() -> None:
    shares = (0.5, 0.2, 0.2, 0.1)
    said = findings(people(8000, 18, tpr={"F": 0.65, "Y": 0.95}, shares=shares), people(30_000, 19, shares=shares))
    assert {subject for subject, metric in said if "=" in subject} == {"sex=F", "sex=Y"}


def test_fairness_with_young_labels_is_unknown() -> None:
    rows = people(6000, 20, tpr={"F": 0.6})
    rows.loc[rows.index % 2 == 0, "label"] = np.nan
    said = findings(rows, people(20_000, 21))
    assert {each.severity for each in said.values()} == {"unknown"} and "too few labels yet" in said[
        ("sex=F", "true_positive_rate")
    ].because
    past = rows.copy()
    assert "act" in {each.severity for each in findings(rows, people(20_000, 21), past).values()}


def test_labels_of_whole_days_are_judged_while_the_last_two_days_wait() -> None:
    rows = people(14_000, 20, tpr={"F": 0.6})
    rows.loc[rows["at"] >= rows["at"].min().normalize() + pd.Timedelta(days=5), "label"] = np.nan
    said = findings(rows, people(20_000, 21))
    assert 0.6 < rows["label"].notna().mean() < 0.8
    claim = said["sex=F", "true_positive_rate"]
    assert claim.severity == "act" and claim.evidence["days"] == 5 and "too few labels" not in claim.because


def test_the_four_fifths_rule_uses_the_ratio_if_rates_are_small() -> None:
    rows, base = people(20_000, 22, fpr=0.02), people(20_000, 23, fpr=0.02)
    for frame, rate in ((rows, 0.4), (base, 1.0)):
        keep = np.random.default_rng(24).random(len(frame)) < np.where(frame["group.sex"] == "F", rate, 1.0) * 0.15
        frame["decision"] = np.where(keep, frame["decision"], 0)
    said = findings(rows, base, settings=ModelSettings(fairness_criterion="demographic_parity"))
    found = said[("sex", "demographic_parity_ratio")]
    assert found.severity == "act" and found.limit == 0.8 and found.high < 0.8


def test_an_owner_limit_can_accept_a_larger_gap() -> None:
    settings = replace(CHOSEN, limits={"trust/fairness/equalized_odds_difference": 0.5, "trust/fairness/true_positive_rate": 0.5})
    said = findings(people(4000, 25, tpr={"F": 0.6}), people(20_000, 26), settings=settings)
    assert {each.severity for each in said.values()} <= {"ok", "watch"}
    assert said[("sex", "equalized_odds_difference")].limit == 0.5


def numbers(n: int, seed: int, noise: dict[str, float]):
    rng = np.random.default_rng(seed)
    sex = rng.choice(["F", "M"], n)
    label = rng.normal(50, 10, n)
    score = label + rng.normal(0, 1, n) * pd.Series(sex).map(noise).to_numpy(float)
    return pd.DataFrame({"at": spread(n), "group.sex": sex, "label": label, "score": score, "decision": -1})


def test_regression_groups_are_compared_by_mae() -> None:
    rows = numbers(4000, 27, {"F": 14.0, "M": 10.0})
    said = findings(rows, numbers(20_000, 28, {"F": 10.0, "M": 10.0}), task="regression")
    error = (rows["score"] - rows["label"]).abs().groupby(rows["group.sex"]).mean()
    assert said[("sex", "group_mae_difference")].value == pytest.approx(np.ptp(error), rel=1e-12)
    assert said[("sex=F", "mae")].severity == "act" and said[("sex=F", "mae")].value == pytest.approx(error["F"])
    same = findings(numbers(4000, 29, {"F": 10.0, "M": 10.0}), numbers(20_000, 30, {"F": 10.0, "M": 10.0}), task="regression")
    assert {each.severity for each in same.values()} == {"ok"}


def test_multiclass_groups_are_compared_by_accuracy() -> None:
    rows, base = people(4000, 31, tpr={"F": 0.6}), people(20_000, 32)
    said = findings(rows, base, task="multiclass")
    right = (rows["label"] == rows["decision"]).groupby(rows["group.sex"]).mean()
    assert said[("sex", "group_accuracy_difference")].value == pytest.approx(np.ptp(right))
    assert said[("sex=F", "accuracy")].severity == "act"


def test_an_empty_window_a_single_group_and_no_labels_are_unknown() -> None:
    base = people(5000, 33)
    only_f, unlabelled = base[base["group.sex"] == "F"], base.assign(label=np.nan)
    for rows in (base.iloc[:0], only_f, unlabelled):
        said = findings(rows, base)
        assert said and {each.severity for each in said.values()} == {"unknown"}


def test_a_declared_attribute_without_logged_values_says_where_it_is_expected() -> None:
    frame = pd.DataFrame({"group.sex": [None], "decision": [1], "label": [1], "n": [400], "w": [400.0], "w2": [400.0]})
    sex = Attribute("sex", "group.sex", ("F", "M"))
    said = because_too_few(sex, group_metrics(Model(1, "loan", "binary", ("0", "1")), frame, [sex]), CRITERIA["equalized_odds"])
    assert "No prediction of this window carries `sex`" in said and "the `groups` of a prediction" in said


def test_a_window_compared_with_itself_raises_no_alarm() -> None:
    rows = people(4000, 34, tpr={"F": 0.5}, shares=(0.3, 0.3, 0.3, 0.1))
    assert {each.severity for each in findings(rows, rows).values() if each.against != "level"} <= {"ok"}


def test_a_model_without_sensitive_attributes_has_no_fairness_findings() -> None:
    asked = context(None)
    bare = replace(asked, model=replace(asked.model, columns=()))
    assert ANALYZER.needs(bare) == {} and ANALYZER.analyze({}, bare) == []


def test_bands_of_numbers_are_groups_and_every_engine_finds_the_same(tmp_path) -> None:
    with copied(tmp_path / "home") as store:
        model = store.catalog().model("loan")
        window = Window("loan", START, START + pd.Timedelta(days=5), version="1")
        asked = Context(model, model.version("1"), window, window.end)
        assert [each.reference for each in sensitive_attributes(model, asked.version)] == [
            "band.income",
            "feature.sex",
            "feature.vip",
            "group.race",
        ]
        found = []
        for ask in (aggregates.answer_aggregate, reference_engine.ask):
            spans = {"current": window, "past": window.past(28), "reference": window.reference()}
            frames = {name: ask(store, each.aggregate, spans[each.span]) for name, each in ANALYZER.needs(asked).items()}
            found.append(sorted(ANALYZER.analyze(frames, asked), key=lambda each: each.id))
        assert [(each.subject, each.severity, each.n) for each in found[0]] == [(each.subject, each.severity, each.n) for each in found[1]]
        assert {"income=0 to below 1", "income"} <= {each.subject for each in found[0]}
        for one, other in zip(*found, strict=True):
            assert one.value == (None if other.value is None else pytest.approx(other.value, rel=1e-9))


@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_a_declared_number_without_bands_is_unknown_and_says_why(task: str) -> None:
    asked = context(None, task=task)
    model = replace(asked.model, columns=(Column(1, "age", "f1", "number", "feature", sensitive=True),))
    (said,) = ANALYZER.analyze({}, replace(asked, model=model))
    assert (said.subject, said.severity) == ("age", "unknown") and "without bands in version 1" in said.because
