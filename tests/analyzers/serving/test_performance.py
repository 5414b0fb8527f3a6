"""serving/performance: are the figures scikit-learn's, is a fall named, and is youth of labels not taken for a fall?"""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from observability.analyzers.serving.performance import ANALYZER
from observability.settings import ModelSettings
from tests.analyzers.worlds import context_for, frames_for, spread


def decided(n: int, seed: int, *, flip: float = 0.0, weight: bool = False) -> pd.DataFrame:
    """Scores, decisions at 0.5, and labels drawn from the scores; `flip` of the labels are turned over."""
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


def test_a_five_point_fall_of_accuracy_in_a_thousand_rows_is_an_act() -> None:
    base = decided(20_000, 5)
    named = 0
    for seed in range(30):
        week = decided(1300, 100 + seed)
        right = week.index[week["label"] == week["decision"]]
        flipped = np.random.default_rng(seed).choice(right, round(0.05 * len(week)), replace=False)
        week.loc[flipped, "label"] = 1 - week.loc[flipped, "label"]
        named += findings(week, base)["accuracy"].severity == "act"
    assert named >= 24


def test_clean_weeks_seldom_alarm() -> None:
    base = decided(20_000, 6)
    weeks = [{each.severity for each in findings(decided(1300, 500 + seed), base).values()} for seed in range(100)]
    assert sum("act" in week for week in weeks) <= 1
    assert sum("watch" in week for week in weeks) <= 5


def test_a_larger_error_is_an_act_with_both_figures_in_the_sentence() -> None:
    said = findings(regressed(2000, 7, noise=15), regressed(5000, 8), task="regression")["mae"]
    assert said.severity == "act"
    assert "the reference had" in said.because and "%" in said.because
    assert said.value > said.limit > said.evidence["baseline"]
    assert said.onset is not None


def test_a_fall_while_labels_are_young_is_unknown() -> None:
    rows = decided(4000, 9, flip=0.2)
    rows.loc[rows.index[1200:], "label"] = np.nan
    said = findings(rows, decided(5000, 10))
    assert said["accuracy"].severity == "unknown" and "too early" in said["accuracy"].because
    assert said["label_maturity"].severity == "unknown"
    assert said["label_maturity"].value == pytest.approx(0.3)


def test_labels_that_usually_come_for_a_part_are_not_young() -> None:
    rows, past = decided(4000, 11, flip=0.2), decided(8000, 12)
    rows.loc[rows.index % 2 == 0, "label"] = np.nan
    past.loc[past.index % 2 == 0, "label"] = np.nan
    assert findings(rows, decided(5000, 13), past)["accuracy"].severity == "act"


def test_few_labels_never_alarm() -> None:
    said = findings(decided(80, 14, flip=0.5), decided(5000, 15))
    assert {each.severity for each in said.values()} <= {"unknown", "ok"}
    assert "more" in said["accuracy"].because


def test_without_a_reference_the_month_before_is_the_measure() -> None:
    said = findings(decided(3000, 16, flip=0.2), None, decided(9000, 17))["accuracy"]
    assert said.against == "past" and said.severity == "act"


def test_a_setting_moves_the_limit() -> None:
    settings = ModelSettings(limits={"serving/performance/mae": 2.0})
    said = findings(regressed(2000, 18, noise=15), regressed(5000, 19), task="regression", settings=settings)["mae"]
    assert said.severity == "watch"


def test_an_empty_window_says_so() -> None:
    said = findings(decided(0, 20), decided(500, 21))
    assert [each.severity for each in said.values()] == ["unknown"]
