"""serving/performance: figures equal scikit-learn's, a fall is named, and missing recent labels are not mistaken for a fall."""

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from observability.analyzers.serving import performance
from observability.analyzers.serving.performance import ANALYZER
from observability.core.finding import claim_period, news_of, with_window_value
from observability.core.settings import ModelSettings
from observability.core.standing_since import standing_since
from observability.detection.metric_changes import MetricChange
from tests.support.analyzer_worlds import context_for, frames_for, spread
from tests.support.length import allowed, repeats


def decided(n: int, seed: int, *, flip: float = 0.0, weight: bool = False) -> pd.DataFrame:
    """Scores, decisions at 0.5, and labels drawn from the scores; a share `flip` of the labels is then inverted."""
    rng = np.random.default_rng(seed)
    score = rng.beta(0.6, 0.9, n)
    label = (rng.random(n) < score).astype(float)
    label = np.where(rng.random(n) < flip, 1 - label, label)
    frame = pd.DataFrame({"at": spread(n), "score": score, "label": label, "decision": (score >= 0.5).astype(int)})
    return frame.assign(weight=rng.choice([1.0, 3.0], n)) if weight else frame


def regressed(n: int, seed: int, *, noise: float = 10.0, shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label = rng.normal(50, 20, n)
    return pd.DataFrame({"at": spread(n), "score": label + shift + rng.normal(0, noise, n), "label": label, "decision": -1})


def findings(current: pd.DataFrame, reference: pd.DataFrame | None, past: pd.DataFrame | None = None, **options) -> dict:
    context = context_for(reference, **options)
    said = ANALYZER.analyze(frames_for(ANALYZER.needs(context), context, current, reference, past), context)
    return {each.metric: each for each in said}


@pytest.mark.parametrize("weight", [False, True])
def test_classification_equals_scikit_learn(weight: bool) -> None:
    rows = decided(4000, 1, weight=weight)
    said = findings(rows, decided(3000, 2))
    y, s, d, w = rows["label"], rows["score"], rows["decision"], rows.get("weight")
    exact = {
        "accuracy": metrics.accuracy_score(y, d, sample_weight=w), "precision": metrics.precision_score(y, d, sample_weight=w),
        "recall": metrics.recall_score(y, d, sample_weight=w), "f1": metrics.f1_score(y, d, sample_weight=w),
        "log_loss": metrics.log_loss(y, np.clip(s, 1e-15, 1 - 1e-15), sample_weight=w), "brier": metrics.brier_score_loss(y, s, sample_weight=w),
    }  # fmt: skip
    for name, value in exact.items():
        assert said[name].value == pytest.approx(value, rel=1e-9), name
    assert said["roc_auc"].value == pytest.approx(metrics.roc_auc_score(y, s, sample_weight=w), abs=1e-3)
    assert said["pr_auc"].value == pytest.approx(metrics.average_precision_score(y, s, sample_weight=w), abs=3e-3)
    assert all(each.low <= each.value <= each.high for each in said.values() if each.low is not None)


def test_regression_equals_scikit_learn() -> None:
    rows = regressed(3000, 3, shift=2)
    said = findings(rows, regressed(3000, 4), task="regression")
    y, s = rows["label"], rows["score"]
    assert said["mae"].value == pytest.approx(metrics.mean_absolute_error(y, s), rel=1e-9)
    assert said["rmse"].value == pytest.approx(metrics.root_mean_squared_error(y, s), rel=1e-9)
    assert said["r2"].value == pytest.approx(metrics.r2_score(y, s), rel=1e-9)
    assert said["bias"].value == pytest.approx((s - y).mean(), rel=1e-9)


def test_a_change_below_one_percent_keeps_its_sign_and_one_decimal() -> None:
    """Regression: a fall of 0.4 % was written `+0 %`."""
    base = regressed(3000, 4)

    def of_errors(factor: float) -> str:
        return str(
            findings(base.assign(score=base["label"] + factor * (base["score"] - base["label"])), base, task="regression")["mae"].because
        )

    assert "(\u22120.4 %)" in of_errors(0.996) and "(+0.4 %)" in of_errors(1.004) and "(+3 %)" in of_errors(1.03)
    assert "(about the same)" in of_errors(1.0)


def before(rows: pd.DataFrame, days: int = 28) -> pd.DataFrame:
    """The rows, moved to the days before the window."""
    return rows.assign(at=spread(len(rows), days) - pd.Timedelta(days=days))


def fallen(seed: int, points: float, rows: int = 1300) -> pd.DataFrame:
    """A week in which the given share of the rows changed from right to wrong decisions."""
    week = decided(rows, 100 + seed)
    right = week.index[week["label"] == week["decision"]]
    flipped = np.random.default_rng(seed).choice(right, round(points * len(week)), replace=False)
    week.loc[flipped, "label"] = 1 - week.loc[flipped, "label"]
    return week


def test_a_fall_of_five_points_is_critical_and_of_three_a_warning() -> None:
    base, past = decided(20_000, 5), before(decided(10_400, 55), 56)
    severities = {points: [findings(fallen(seed, points), base, past)["accuracy"].severity for seed in range(8)] for points in (0.03, 0.07)}
    assert severities[0.07].count("act") >= 7
    assert "act" not in severities[0.03] and severities[0.03].count("ok") <= 3


def test_a_model_that_slides_for_months_is_critical_although_its_own_past_slid_too() -> None:
    """The metric falls by two points a week for eight weeks. The past also shows the fall, so it is not new, but it is still critical."""
    base = decided(20_000, 5)
    past = before(pd.concat([fallen(seed, 0.02 * seed, 700) for seed in range(8)], ignore_index=True), 56)
    said = findings(fallen(9, 0.16), base, past)["accuracy"]
    assert said.severity == "act" and said.limit == pytest.approx(said.evidence["baseline"] - 0.05), said.because


def test_a_week_whose_last_days_lack_labels_is_judged_on_its_labelled_days() -> None:
    week = fallen(3, 0.14, 1400)
    late = week["at"] >= week["at"].iloc[-1].normalize() - pd.Timedelta(days=1)
    week.loc[late, "label"] = np.nan
    said = findings(week, decided(20_000, 5))["accuracy"]
    assert said.severity == "act" and "the last days with complete labels" in said.because, said.because


def test_a_fall_too_large_for_the_missing_labels_to_undo_is_judged_before_they_arrive() -> None:
    week = fallen(4, 0.2, 1400)
    week.loc[week.index % 5 < 2, "label"] = np.nan
    said = findings(week, decided(20_000, 5))["accuracy"]
    assert said.severity == "act" and "even if the others are as good as before" in said.because, said.because


def test_a_secondary_metric_within_twice_its_limit_is_a_warning_at_most() -> None:
    said = findings(fallen(5, 0.06), decided(20_000, 5))
    assert said["recall"].severity in ("watch", "ok", "unknown") and said["f1"].severity != "act"


@pytest.mark.long  # tests/monitoring/test_false_alarms.py
def test_clean_weeks_seldom_alarm() -> None:
    """Each reference is used for thirty weeks, because a reference that is far from the truth by chance makes all weeks of its model
    unusual.
    """
    weeks, runs = [], repeats(12, 300)
    for first in range(0, runs, 30):
        base = decided(20_000, 6 + first)
        weeks += [{each.severity for each in findings(decided(1300, 500 + seed), base).values()} for seed in range(first, first + 30)]
    assert sum("act" in week for week in weeks) == 0
    assert sum("watch" in week for week in weeks) <= allowed(0.05, runs)


def test_a_larger_error_is_an_act_with_both_figures_in_the_sentence() -> None:
    said = findings(regressed(2000, 7, noise=15), regressed(5000, 8), task="regression")["mae"]
    assert said.severity == "act"
    assert "in the reference" in said.because and "%" in said.because
    assert said.value > said.limit > said.evidence["baseline"]
    assert said.onset is not None


def test_a_fall_while_labels_are_young_is_unknown() -> None:
    rows = decided(4000, 9, flip=0.2)
    rows.loc[rows.index[1200:], "label"] = np.nan
    said = findings(rows, decided(5000, 10))
    assert said["accuracy"].severity == "unknown" and "too early" in said["accuracy"].because
    assert said["label_maturity"].severity == "unknown"
    assert said["label_maturity"].value == pytest.approx(0.3)


def test_labels_that_are_usually_incomplete_are_not_young() -> None:
    rows, past = decided(4000, 11, flip=0.2), decided(8000, 12)
    rows.loc[rows.index % 2 == 0, "label"] = np.nan
    past.loc[past.index % 2 == 0, "label"] = np.nan
    assert findings(rows, decided(5000, 13), before(past))["accuracy"].severity == "act"


@pytest.mark.parametrize(("needed", "words"), [(1, "about 1 more label is needed"), (1340, "about 1,340 more labels are needed")])
def test_one_missing_label_is_reported_in_the_singular(needed: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the sentence was `about 1 more labels are needed`; it occurred on a natural stream at z = 2.996."""
    monkeypatch.setattr(performance, "labels_to_decide", lambda _change: needed)
    assert performance.undecided_reason(cast(MetricChange, SimpleNamespace(by_rows=0.003))) == words


def test_few_labels_never_alarm() -> None:
    said = findings(decided(80, 14, flip=0.5), decided(5000, 15))
    assert {each.severity for each in said.values()} <= {"unknown", "ok"}
    assert "more" in said["accuracy"].because


def test_without_a_reference_performance_is_compared_with_the_month_before() -> None:
    said = findings(decided(3000, 16, flip=0.2), None, before(decided(9000, 17)))["accuracy"]
    assert said.against == "past" and said.severity == "act"


def test_a_setting_moves_the_limit() -> None:
    settings = ModelSettings(limits={"serving/performance/mae": 2.0})
    said = findings(regressed(2000, 18, noise=15), regressed(5000, 19), task="regression", settings=settings)["mae"]
    assert said.severity == "watch"


def test_an_empty_window_is_unknown() -> None:
    said = findings(decided(0, 20), decided(500, 21))
    assert [each.severity for each in said.values()] == ["unknown"]


def test_days_that_differ_much_raise_the_limit_and_say_so() -> None:
    """Days vary by chance, so the fall in such a week is no alarm; judged by rows alone it would be one."""
    rng = np.random.default_rng(21)

    def stream(n: int, seed: int, days: int) -> pd.DataFrame:
        frame = regressed(n, seed).assign(at=spread(n, days))
        day = (frame["at"] - frame["at"].iloc[0]).dt.days
        return frame.assign(score=frame["label"] + (frame["score"] - frame["label"]) * np.exp(rng.normal(0, 0.45, days))[day])

    past = before(stream(16_000, 22, 56), 56)
    week = stream(2000, 23, 7).assign(score=lambda each: each["label"] + (each["score"] - each["label"]) * 1.25)
    said = findings(week, stream(16_000, 24, 56), past, task="regression")["mae"]
    assert said.severity != "act", said.because
    last = {each["days"]: each for each in said.evidence["windows"]}[1]
    assert last["limit"] > 0.5, "the last day is compared with the variation between days"
    calm = findings(regressed(2000, 23, noise=14), regressed(16_000, 24), before(regressed(16_000, 22), 56), task="regression")["mae"]
    assert calm.severity == "act"


def test_performance_low_for_weeks_is_critical_and_ongoing() -> None:
    base = decided(20_000, 25)
    standing = findings(decided(3000, 26, flip=0.1), base, before(decided(20_000, 27, flip=0.1), 56))["accuracy"]
    assert standing.severity == "act" and standing.evidence["standing"] and standing.onset is None
    assert news_of(standing) == "ongoing" and standing.state == "critical"
    assert "unchanged from last month" in standing.because
    assert standing_since(standing) is None, "the value is only half a point beyond its limit, so the days do not show when it crossed it"
    fallen = findings(decided(3000, 26, flip=0.2), base, before(decided(20_000, 27, flip=0.2), 56))["accuracy"]
    assert fallen.severity == "act" and (since := standing_since(fallen)) is not None and since.earlier
    assert findings(decided(3000, 26, flip=0.1), base, before(decided(20_000, 28), 56))["accuracy"].severity == "act"
    better = findings(decided(3000, 29), base, before(decided(20_000, 27, flip=0.1), 56))["accuracy"]
    assert (better.severity, better.news) == ("ok", "recovered")


def test_a_fault_of_yesterday_is_reported_before_the_weekly_value_falls() -> None:
    week = decided(3500, 29)
    last = week["at"] >= week["at"].iloc[-1].normalize()
    turned = last & (np.random.default_rng(29).random(len(week)) < 0.2)
    week.loc[turned, "label"] = 1 - week.loc[turned, "decision"]
    said = findings(week, decided(20_000, 30), before(decided(28_000, 31), 56))["accuracy"]
    assert said.severity == "act" and "on the last day" in said.because
    assert [each["days"] for each in said.evidence["windows"]] == [1, 3, 7]
    assert said.n == said.evidence["windows"][0]["n"] < 600
    whole = with_window_value(said)
    assert whole.n == 3500 and whole.value == pytest.approx(float((week["label"] == week["decision"]).mean()))
    assert whole.low < whole.value < whole.high and whole.severity == "act" and claim_period(said) == "on the last day"
    calm = findings(decided(3500, 29), decided(20_000, 30), before(decided(28_000, 31), 56))["accuracy"]
    assert with_window_value(calm).n == 3500


def worse_days(rows: pd.DataFrame, days: int, times: float) -> pd.DataFrame:
    """The same rows, with larger errors on the last days."""
    last = rows["at"] >= rows["at"].iloc[-1].normalize() - pd.Timedelta(days=days - 1)
    return rows.assign(score=rows["score"].where(~last, rows["label"] + times * (rows["score"] - rows["label"])))


def test_a_fall_of_one_day_alone_is_a_warning_until_a_second_day_confirms_it() -> None:
    base, past = regressed(20_000, 44), before(regressed(28_000, 45), 56)
    past = past.assign(score=past["score"].where(past["at"].dt.day != 10, past["label"] + 1.2 * (past["score"] - past["label"])))
    one, two, outage = (
        findings(worse_days(regressed(3500, 46), days, times), base, past, task="regression")["mae"]
        for days, times in ((1, 1.45), (2, 1.45), (1, 2.2))
    )
    assert one.severity == "watch" and "one day alone" in one.because and one.evidence["worse_by"] > one.evidence["varies_up_to"]
    assert two.severity == "act" and "on the last day" in two.because and "one day alone" not in two.because
    assert outage.severity == "act" and outage.n < 600, "a day far worse than every past day needs no second one"


def test_where_labels_come_late_the_last_week_that_has_them_is_measured() -> None:
    past = before(decided(14_000, 32), 28)
    late = past["at"] >= past["at"].iloc[-1] - pd.Timedelta(days=7)
    past.loc[late, "label"] = np.where(
        np.random.default_rng(33).random(int(late.sum())) < 0.2, 1 - past.loc[late, "label"], past.loc[late, "label"]
    )
    week = decided(3500, 34).assign(label=np.nan)
    said = findings(week, decided(20_000, 35), past)["accuracy"]
    assert said.severity == "act" and "the last days with complete labels" in said.because
    assert said.evidence["measured"][1] < "2026-03-02"


def test_a_week_with_labels_of_its_own_is_not_affected_by_bad_days_of_the_week_before() -> None:
    past = before(decided(14_000, 32), 28)
    bad = past["at"] >= past["at"].iloc[-1].normalize() - pd.Timedelta(days=1)
    turned = np.random.default_rng(33).random(int(bad.sum())) < 0.4
    past.loc[bad, "label"] = np.where(turned, 1 - past.loc[bad, "label"], past.loc[bad, "label"])
    week = decided(3500, 34)
    week.loc[week["at"] >= week["at"].iloc[-1].normalize() - pd.Timedelta(days=1), "label"] = np.nan
    said = findings(week, decided(20_000, 35), past)["accuracy"]
    assert said.severity == "ok" and said.evidence["measured"] == ["2026-03-02", "2026-03-06"], said.because


def test_one_extreme_error_is_a_separate_warning_and_changes_no_other_finding() -> None:
    week = regressed(2000, 36)
    week.loc[100, "score"] = 1e12
    context = context_for(regressed(5000, 37), task="regression")
    frames = frames_for(ANALYZER.needs(context), context, week, regressed(5000, 37), before(regressed(8000, 38), 28))
    sums = frames["current_sums"]
    wild = sums["measure"].eq("absolute_error") & sums["total"].gt(1e11)
    frames["current_sums"] = sums.assign(high=np.where(wild, 1e12, 40.0))
    said = {each.metric: each for each in ANALYZER.analyze(frames, context)}
    assert said["largest_error"].severity == "watch" and said["largest_error"].value == 1e12
    assert all(each.severity not in ("act", "watch") for metric, each in said.items() if metric != "largest_error")


def test_a_gradual_rise_too_small_for_a_weekly_comparison_is_found_over_days() -> None:
    """60 labels a day; the error grows over four weeks. At this small error budget the week alone is not significant."""
    past = before(regressed(3360, 39, noise=10), 56)
    day = (past["at"] - past["at"].iloc[0]).dt.days.to_numpy()
    growth = 1 + 0.3 * np.clip((day - 30) / 26, 0, 1)
    past["score"] = past["label"] + (past["score"] - past["label"]) * growth
    said = findings(regressed(420, 40, noise=13.5), regressed(3000, 41), past, task="regression", budget=0.0014)["mae"]
    assert said.evidence["creep"] and "shifted gradually" in said.because
    assert said.severity in ("watch", "act") and said.onset is not None
    assert findings(regressed(420, 42), regressed(3000, 41), before(regressed(3360, 43), 56), task="regression")["mae"].severity == "ok"


def test_a_performance_sentence_states_how_many_labelled_predictions_and_of_which_class() -> None:
    """Rows are counted by hand and with scikit-learn. F1 and PR AUC cover all labelled predictions."""
    rows = decided(2103, 61)
    said = findings(rows, decided(3000, 62))
    (_, fp), (fn, tp) = metrics.confusion_matrix(rows["label"], rows["decision"]).tolist()
    assert f" on {tp + fn:,} positives of 2,103 labelled predictions" in said["pr_auc"].because
    assert f" on {tp + fn:,} positives of 2,103 labelled predictions" in said["recall"].because
    assert f" on {tp + fp:,} predicted positives of 2,103 labelled predictions" in said["precision"].because
    for name in ("f1", "accuracy", "roc_auc", "brier"):
        assert " on 2,103 labelled predictions" in said[name].because and said[name].n == 2103, said[name].because
    some = findings(decided(2103, 61, weight=True), decided(3000, 62))["accuracy"]
    assert f" on 2,103 labelled predictions (effective sample size {some.n:,})" in some.because and some.n < 2103
    rare = rows.assign(label=np.where(np.arange(2103) < 40, 1.0, 0.0))
    few = findings(rare, decided(3000, 62))["pr_auc"].because
    assert few == f"{few.split(' needs')[0]} needs about 3,154 more labels; 2,103 predictions are labelled, 40 of them positives."


def test_the_f1_of_several_classes_is_on_the_labelled_predictions() -> None:
    def three(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        label = rng.integers(0, 3, n)
        decision = np.where(rng.random(n) < 0.6, label, rng.integers(0, 3, n))
        return pd.DataFrame({"at": spread(n), "score": rng.random(n), "label": label.astype(float), "decision": decision})

    rows, reference = three(630, 63), three(3000, 64)
    context = context_for(reference, task="multiclass")
    context = replace(context, model=replace(context.model, classes=("a", "b", "c")))
    found = ANALYZER.analyze(frames_for(ANALYZER.needs(context), context, rows, reference, None), context)
    said = {each.metric: each for each in found}
    assert said["f1"].value == pytest.approx(metrics.f1_score(rows["label"], rows["decision"], average="macro"), rel=1e-9)
    for name in ("f1", "precision", "recall", "accuracy"):
        assert " on 630 labelled predictions" in said[name].because and said[name].n == 630, said[name].because


@pytest.mark.parametrize("weight", [False, True])
def test_a_ranking_metric_states_its_binning_error(weight: bool) -> None:
    """scikit-learn's metrics on the rows lie within the precision that the sentence states, and a change is not stated more precisely than
    that.
    """
    for seed, beta in ((71, (0.6, 0.9)), (72, (2, 5)), (73, (60, 90))):
        rng = np.random.default_rng(seed)
        rows = decided(2103, seed, weight=weight).assign(score=rng.beta(*beta, 2103))
        rows["label"] = (rng.random(2103) < rows["score"]).astype(float)
        said = findings(rows, rows.assign(label=rows["label"].sample(frac=1, random_state=1).to_numpy()))
        w = rows.get("weight")
        exact = {
            "roc_auc": metrics.roc_auc_score(rows["label"], rows["score"], sample_weight=w),
            "pr_auc": metrics.average_precision_score(rows["label"], rows["score"], sample_weight=w),
        }
        for name, value in exact.items():
            because = said[name].because
            printed = float(because.split("(average precision) " if name == "pr_auc" else "ROC AUC ")[1].split(" ")[0])
            error = float(because.split("from score bins, within ")[1].split(" ")[0])
            assert abs(printed - value) <= error, because
    same = findings(rows, rows)["roc_auc"].because
    assert "(no change beyond the error of bins)" in same, same
