"""serving/estimated_performance: the estimate agrees with later labels, is withheld if labels contradict it, and raises alarms only where
labels are missing.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression

from observability.analyzers.serving.estimated_performance import ANALYZER
from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.core.questions import Aggregate
from observability.core.settings import ModelSettings
from observability.detection.estimate_sentences import rounded_labels
from observability.metrics.estimates import MetricEstimate, labels_to_settle
from observability.stats.interval import Interval
from observability.stats.scores import SCORE_EDGES, bin_middles
from tests.support.analyzer_worlds import START, answer, context_for, spread
from tests.support.length import allowed, repeats

MIDDLES = bin_middles()


def middle(score: np.ndarray) -> np.ndarray:
    return MIDDLES[np.searchsorted(SCORE_EDGES, score, side="right")]


def people(n: int, seed: int, *, power: float = 1.3, sharp: float = 1.0, labelled: float = 1.0, days_before: int = 0) -> pd.DataFrame:
    """Scores for which the true probability is score ** power. sharp below 1: scores crowd in the middle, where decisions err more."""
    rng = np.random.default_rng(seed)
    score = middle(0.5 + (rng.beta(0.7, 0.9, n) - 0.5) * sharp)
    label = (rng.random(n) < score**power).astype(float)
    label[rng.random(n) >= labelled] = np.nan
    at = spread(n, 14 if days_before else 7) - timedelta(days=days_before)
    return pd.DataFrame({"at": at, "score": score, "label": label, "decision": (score >= 0.5).astype(int)})


COUNTED: dict[tuple[int, Aggregate, str], tuple[pd.DataFrame, pd.DataFrame]] = {}


def counted(aggregate: Aggregate, rows: pd.DataFrame, context: Context) -> pd.DataFrame:
    """The result of an aggregate. Results are cached, because several weeks are compared with the same rows."""
    key = id(rows), aggregate, context.model.task or ""
    if key not in COUNTED:
        COUNTED[key] = rows, answer(aggregate, rows, context)
    return COUNTED[key][1].copy()


def findings(current, reference=None, past=None, *, in_sample=False, task="binary", features=(), settings=None) -> dict[str, Finding]:
    context = context_for(reference, task=task, features=features, settings=settings)
    context = replace(context, version=replace(context.version, in_sample=in_sample))
    if task == "multiclass":
        context = replace(context, model=replace(context.model, classes=("a", "b", "c")))
    nothing = current.iloc[:0]
    rows = {"current": current, "reference": nothing if reference is None else reference, "past": nothing if past is None else past}
    asks = ANALYZER.needs(context)
    frames = {
        name: counted(ask.aggregate, rows[ask.span], context)
        if isinstance(ask.aggregate, Aggregate)
        else losses(rows[ask.span], ask.span == "reference")
        for name, ask in asks.items()
    }
    return {each.metric: each for each in ANALYZER.analyze(frames, context)}


def losses(rows: pd.DataFrame, timeless: bool) -> pd.DataFrame:
    """The result of EstimatedErrors, computed by hand from the columns guess (estimated absolute error), score and label."""
    period = pd.Timestamp(0) if timeless else rows["at"].dt.tz_localize(None).dt.normalize()
    error = (rows["score"] - rows["label"]).abs()
    parts = []
    for measure, guess, truth in (("absolute_error", rows["guess"], error), ("squared_error", 1.6 * rows["guess"] ** 2, error**2)):
        known = truth.notna()
        parts.append(
            pd.DataFrame(
                {"period": period, "measure": measure, "labelled": known.astype(int), "n": 1, "w": 1.0, "w2": 1.0, "estimated": guess,
                 "estimated_squares": guess**2, "measured": truth.fillna(0), "measured_squares": truth.fillna(0) ** 2,
                 "difference_squares": ((guess - truth) ** 2).fillna(0)}
            )
        )  # fmt: skip
    return pd.concat(parts).groupby(["period", "measure", "labelled"], as_index=False).sum()


def test_the_estimate_matches_raw_rows_calibrated_with_scikit_learn() -> None:
    base, now = people(8000, 1), people(1500, 2, labelled=0.0)
    found = findings(now, base)
    chance = IsotonicRegression(out_of_bounds="clip").fit(base["score"], base["label"]).predict(now["score"])
    decided, twice, weights = now["decision"].to_numpy(bool), np.tile(now["score"], 2), np.concatenate([chance, 1 - chance])
    label = np.repeat([1, 0], len(now))
    wanted = {
        "accuracy": np.where(decided, chance, 1 - chance).mean(), "precision": chance[decided].mean(), "recall": chance[decided].sum() / chance.sum(),
        "roc_auc": metrics.roc_auc_score(label, twice, sample_weight=weights), "log_loss": metrics.log_loss(label, twice, sample_weight=weights),
        "pr_auc": metrics.average_precision_score(label, twice, sample_weight=weights),
        "brier": metrics.brier_score_loss(label, twice, sample_weight=weights),
    }  # fmt: skip
    for metric, value in wanted.items():
        assert found[metric].value == pytest.approx(value), metric
        assert found[metric].basis == "estimated" and found[metric].low < value < found[metric].high
    assert "estimate_error" not in found and "no labels have arrived to check it" in found["accuracy"].because


def test_the_estimate_interval_contains_the_later_measured_value() -> None:
    held = {"accuracy": 0, "roc_auc": 0, "log_loss": 0}
    for seed in range(30):
        now = people(1000, 1000 + seed)
        found = findings(now.assign(label=np.nan), people(3000, 2000 + seed))
        truth = {
            "accuracy": (now["decision"] == now["label"]).mean(), "roc_auc": metrics.roc_auc_score(now["label"], now["score"]),
            "log_loss": metrics.log_loss(now["label"], now["score"]),
        }  # fmt: skip
        for metric, value in truth.items():
            held[metric] += found[metric].low <= value <= found[metric].high
    assert min(held.values()) >= 25, held


def test_an_estimated_fall_without_labels_is_critical_if_past_estimates_were_accurate() -> None:
    base, past = people(10_000, 3), people(4000, 4, days_before=21)
    now = people(2500, 5, sharp=0.3, labelled=0.0)
    found = findings(now, base, past)
    assert found["accuracy"].severity == "act" and "without a label" in found["accuracy"].because
    assert found["accuracy"].value < found["accuracy"].limit < found["accuracy"].evidence["baseline"]
    error = found["estimate_error"]
    assert error.severity == "ok" and error.basis == "measured" and error.low <= 0 <= error.high and "was accurate" in error.because
    assert findings(now, base)["accuracy"].severity == "watch", "the estimate has not been checked against labels yet"
    assert findings(now, base, past, in_sample=True)["accuracy"].severity == "watch"
    assert "optimistic" in findings(now, base, past, in_sample=True)["accuracy"].because


def test_the_estimate_raises_no_alarm_if_labels_have_arrived() -> None:
    found = findings(people(2500, 6, sharp=0.3), people(10_000, 3), people(4000, 4, days_before=21))
    assert {each.severity for each in found.values()} <= {"ok", "unknown"}
    assert found["accuracy"].severity == "unknown" and "so the measurement decides" in found["accuracy"].because, (
        "a value beyond the limit is never OK"
    )
    alike = findings(people(2500, 6), people(10_000, 3), people(4000, 4, days_before=21))
    assert {each.severity for each in alike.values()} == {"ok"}


def test_an_estimate_that_labels_contradict_is_not_trusted() -> None:
    """Concept drift: the same scores now mean another probability. The estimate cannot detect this, and the finding says so."""
    base, past = people(10_000, 7), people(4000, 8, power=0.25, days_before=21)
    now = people(2000, 9, power=0.25, labelled=0.0)
    found = findings(now, base, past)
    accuracy = found["accuracy"]
    assert accuracy.severity == "unknown" and accuracy.value == pytest.approx(accuracy.evidence["baseline"], abs=0.03)
    assert "is not trusted" in accuracy.because and "labels showed" in accuracy.because
    assert found["estimate_error"].severity == "unknown" and abs(found["estimate_error"].value) > 0.05
    truth = (past["decision"] == past["label"]).mean()
    assert accuracy.evidence["check"]["measured"] == pytest.approx(truth, abs=1e-9) and accuracy.evidence["check"]["n"] == 4000


def test_if_the_main_estimate_is_not_trusted_no_estimate_is() -> None:
    """Regression: precision and F1 were OK while accuracy was not trusted, although all are estimated from the same scores."""
    base, past = people(10_000, 7), people(4000, 8, power=0.8, days_before=21)
    found = findings(people(2000, 9, power=0.8, labelled=0.0), base, past)
    own = [metric for metric, each in found.items() if (each.evidence.get("check") or {}).get("failed")]
    assert "accuracy" in own and len(own) < len(found) - 1, "the check of some metrics succeeded"
    assert {each.severity for each in found.values()} == {"unknown"}
    for metric in found.keys() - {*own, "estimate_error"}:
        assert "is not trusted, because the estimate of accuracy is not: on the 14 days" in found[metric].because


def test_an_estimate_contradicted_by_the_windows_own_labels_is_not_trusted() -> None:
    base, past = people(10_000, 7), people(4000, 8, days_before=21)
    assert findings(people(3000, 10, power=0.25), base, past)["log_loss"].severity == "unknown"


@pytest.mark.long  # tests/monitoring/test_false_alarms.py
def test_clean_weeks_seldom_distrust_or_alarm() -> None:
    base = people(10_000, 11)
    weeks = repeats(10, 300)
    said = [findings(people(1200, 3000 + seed, labelled=0.3), base, people(3000, 4000 + seed, days_before=21)) for seed in range(weeks)]
    assert not [each.because for week in said for each in week.values() if each.severity == "act"]
    assert sum(any(each.severity == "watch" for each in week.values()) for week in said) <= allowed(0.04, weeks)
    assert sum(each.severity == "unknown" for week in said for each in week.values()) <= 0.16 * weeks


def test_variation_between_days_widens_the_estimate_interval() -> None:
    base = people(10_000, 12)
    parts = [
        people(300, 50 + day, power=0.6 if day % 2 else 2.6).assign(at=START + timedelta(hours=24 * (day - 14) + 3)) for day in range(14)
    ]
    past = pd.concat(parts, ignore_index=True)
    calm = people(4200, 13, days_before=14)
    spread_, even = (findings(people(900, 14, labelled=0.0), base, each)["estimate_error"] for each in (past, calm))
    assert spread_.high - spread_.low > 1.4 * (even.high - even.low)


def test_without_a_reference_the_finding_asks_to_register_one() -> None:
    found = findings(people(500, 15))
    assert [each.severity for each in found.values()] == ["unknown"] and "register this version" in found["accuracy"].because
    small = findings(people(500, 15), people(300, 16))
    assert "too few labelled predictions" in small["accuracy"].because


def classes(n: int, seed: int, labelled: float = 1.0) -> pd.DataFrame:
    """Three classes, with calibrated probabilities in the columns 0, 1, 2."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet([1.2, 1, 0.8], n)
    label = (rng.random(n)[:, None] > np.cumsum(p, axis=1)).sum(axis=1).astype(float)
    label[rng.random(n) >= labelled] = np.nan
    frame = pd.DataFrame({"at": spread(n), "score": p.max(axis=1), "decision": p.argmax(axis=1), "label": label})
    return frame.assign(**{str(k): p[:, k] for k in range(3)})


def test_multiclass_estimates_are_close_to_the_labelled_metrics() -> None:
    base, held = classes(8000, 17), 0
    for seed in range(12):
        now = classes(2000, 100 + seed)
        found = findings(now.assign(label=np.nan), base, task="multiclass")
        y, d, p = now["label"], now["decision"], now[["0", "1", "2"]]
        truth = {
            "accuracy": metrics.accuracy_score(y, d), "precision": metrics.precision_score(y, d, average="macro"),
            "recall": metrics.recall_score(y, d, average="macro"), "f1": metrics.f1_score(y, d, average="macro"),
            "log_loss": metrics.log_loss(y, p), "brier": np.mean(((np.eye(3)[y.astype(int)] - p) ** 2).sum(axis=1)),
        }  # fmt: skip
        assert set(truth) <= set(found)
        held += sum(found[metric].low <= value <= found[metric].high for metric, value in truth.items())
        assert found["accuracy"].value == pytest.approx(now["score"].mean(), abs=0.02)
    assert held >= 0.9 * 12 * 6


def houses(n: int, seed: int, *, scale: float = 1.0, hidden: float = 1.0, labelled: float = 1.0, days_before: int = 0) -> pd.DataFrame:
    """A regression whose error grows with a known scale, which the estimate uses, and with a hidden factor, which it does not know."""
    rng = np.random.default_rng(seed)
    wide = scale * rng.uniform(5, 15, n)
    label = rng.normal(0, hidden * wide)
    label[rng.random(n) >= labelled] = np.nan
    at = spread(n, 14 if days_before else 7) - timedelta(days=days_before)
    return pd.DataFrame({"at": at, "score": 0.0, "label": label, "decision": -1, "guess": wide * np.sqrt(2 / np.pi)})


def test_regression_errors_are_estimated_and_alarm_without_labels() -> None:
    base, past = houses(5000, 18), houses(3000, 19, days_before=21)
    found = findings(houses(1500, 20, scale=1.6, labelled=0.0), base, past, task="regression")
    assert found["mae"].severity == "act" and found["mae"].value == pytest.approx(1.6 * 10 * np.sqrt(2 / np.pi), rel=0.05)
    assert found["estimate_error"].severity == "ok" and found["rmse"].severity in ("watch", "act")
    measured = findings(houses(1500, 20, scale=1.6), base, past, task="regression")["mae"]
    assert measured.severity == "unknown" and "so the measurement decides" in measured.because


def test_an_error_that_inputs_cannot_explain_makes_the_estimate_untrusted() -> None:
    base, past = houses(5000, 21), houses(3000, 22, hidden=1.6, days_before=21)
    found = findings(houses(1500, 23, hidden=1.6, labelled=0.0), base, past, task="regression")
    assert found["mae"].severity == "unknown" and "is not trusted" in found["mae"].because
    assert found["mae"].value == pytest.approx(10 * np.sqrt(2 / np.pi), rel=0.05)
    check = found["mae"].evidence["check"]
    assert check["measured"] == pytest.approx(past["label"].abs().mean()) and check["error"] == pytest.approx(
        (past["guess"] - past["label"].abs()).mean()
    )


def test_the_interval_of_estimated_errors_contains_the_later_measured_value() -> None:
    base, held = houses(5000, 24), 0
    for seed in range(40):
        now = houses(800, 500 + seed)
        found = findings(now.assign(label=np.nan), base, task="regression")["mae"]
        held += found.low <= now["label"].abs().mean() <= found.high
    assert held >= 35


def test_a_regression_without_estimates_is_unknown_and_says_so() -> None:
    now = houses(500, 25)
    context = context_for(houses(1000, 26), task="regression")
    asks = ANALYZER.needs(context)
    frames = {
        name: answer(ask.aggregate, now, context) if isinstance(ask.aggregate, Aggregate) else losses(now, False).iloc[:0]
        for name, ask in asks.items()
    }
    (found,) = ANALYZER.analyze(frames, context)
    assert found.severity == "unknown" and "have not been estimated" in found.because


def mixed(days: int, a_day: int, rng: np.random.Generator, *, first: int = 0, labelled: float = 0.0) -> pd.DataFrame:
    """Days with different mixes of easy and hard rows."""
    parts = []
    for day in range(first, first + days):
        rows = people(a_day, int(rng.integers(1 << 30)), sharp=float(rng.uniform(0.3, 1.0)), labelled=labelled)
        parts.append(rows.assign(at=START + timedelta(days=day) + (rows["at"] - START) / 7))
    return pd.concat(parts, ignore_index=True)


def test_weeks_with_a_different_mix_of_days_are_not_a_fall() -> None:
    rng, said, by_rows = np.random.default_rng(80), [], 0
    base = mixed(60, 300, rng, labelled=1.0)
    past = mixed(28, 300, rng, first=-28, labelled=1.0)
    for _ in range(12):
        found = findings(mixed(7, 300, rng), base, past)
        said += [each.because for each in found.values() if each.severity in ("act", "watch")]
        accuracy = found["accuracy"]
        assert accuracy.evidence["varies_up_to"] > 0.02
        by_rows += abs(accuracy.evidence["worse_by"]) > 0.02
    assert by_rows >= 2, "several weeks differ by more than the smallest relevant fall"
    assert said == []
    hard = people(2100, 81, sharp=0.1, labelled=0.0)
    assert findings(hard, base, past)["accuracy"].severity in ("act", "watch"), "no earlier week had so many hard rows"


def aged(frame: pd.DataFrame, seed: int, moved: float = 0.0) -> pd.DataFrame:
    """The rows with two inputs, one of them moved by the given number of standard deviations."""
    rng = np.random.default_rng(seed)
    return frame.assign(age=rng.normal(moved, 1, len(frame)), income=rng.normal(0, 1, len(frame)))


def test_an_estimate_far_from_the_reference_is_unknown_and_states_the_labels_needed() -> None:
    base, past = aged(people(10_000, 90), 1), aged(people(4000, 91, days_before=21), 2)
    features = ("age", "income")
    near = findings(aged(people(900, 92, labelled=0.0), 3), base, past, features=features)
    assert near["accuracy"].severity == "ok" and near["accuracy"].low is not None
    far = findings(aged(people(900, 92, labelled=0.0), 3, moved=2.0), base, past, features=features)
    assert {each.severity for metric, each in far.items() if metric != "estimate_error"} == {"unknown"}
    accuracy = far["accuracy"]
    assert accuracy.value == near["accuracy"].value and (accuracy.low, accuracy.high) == (None, None)
    assert "extrapolates: `age` (PSI" in accuracy.because and "`income`" not in accuracy.because
    baseline = accuracy.evidence["baseline"]
    wanted = (1.96 * np.sqrt(baseline * (1 - baseline)) + 1.2816 * np.sqrt((baseline - 0.05) * (1.05 - baseline))) ** 2 / 0.05**2
    assert accuracy.evidence["labels_needed"] == pytest.approx(wanted, rel=0.01)
    assert "A fall of 5 points cannot be ruled out: it needs about" in accuracy.because
    tolerant = ModelSettings(limits={"serving/estimated_performance/accuracy": 0.1})
    asked = findings(aged(people(900, 92, labelled=0.0), 3, moved=2.0), base, past, features=features, settings=tolerant)["accuracy"]
    assert asked.evidence["labels_needed"] < 0.4 * wanted and "A fall of 10 points" in asked.because


def test_a_fall_in_an_extrapolated_estimate_is_unknown_unless_labels_contradict_the_estimate() -> None:
    base, past = aged(people(10_000, 93), 4), aged(people(4000, 94, days_before=21), 5)
    fell = aged(people(2500, 95, sharp=0.3, labelled=0.0), 6, moved=2.0)
    assert findings(fell, base, past, features=("age", "income"))["accuracy"].severity == "unknown"
    assert findings(fell, base, past)["accuracy"].severity == "act", "without inputs the estimate is trusted"
    wrong = aged(people(4000, 96, power=0.25, days_before=21), 7)
    said = findings(aged(people(900, 97, power=0.25, labelled=0.0), 8, moved=2.0), base, wrong, features=("age", "income"))["accuracy"]
    assert "is not trusted" in said.because and said.severity == "unknown"


def test_an_extrapolated_estimate_needs_no_more_labels_if_labels_have_arrived() -> None:
    base = aged(people(10_000, 98), 9)
    found = findings(aged(people(2500, 99), 10, moved=2.0), base, features=("age", "income"))
    assert found["accuracy"].severity == "ok" and "labels_needed" not in found["accuracy"].evidence


def test_an_error_of_a_regression_that_extrapolates_says_how_many_labels_it_needs() -> None:
    base, past = aged(houses(5000, 18), 11), aged(houses(3000, 19, days_before=21), 12)
    now = aged(houses(1500, 20, labelled=0.0), 13, moved=2.0)
    mae = findings(now, base, past, task="regression", features=("age", "income"))["mae"]
    assert mae.severity == "unknown" and "A rise of 25 % cannot be ruled out" in mae.because
    assert 20 < mae.evidence["labels_needed"] < 1000


def test_the_number_of_labels_needed_is_that_of_a_one_proportion_test() -> None:
    estimate = MetricEstimate(Interval(0.983, 0.97, 0.99, 336))
    assert labels_to_settle("accuracy", estimate, 0.8, 0.05) == pytest.approx(716, abs=2)
    assert rounded_labels(716) == 720 and rounded_labels(1234) == 1300 and rounded_labels(7) == 10
    assert labels_to_settle("accuracy", estimate, 0.8, 0.1) < 200
    assert labels_to_settle("roc_auc", MetricEstimate(Interval(0.9, None, None, 336)), 0.9, 0.03) is None
