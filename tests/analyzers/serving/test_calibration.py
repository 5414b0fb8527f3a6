"""serving/calibration: a calibrated model raises nothing, a fault is found with its size and score range, and a permanent error is not
reported as new.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from observability.analyzers.serving.calibration import ANALYZER
from observability.core.analyzer import Context
from observability.core.finding import Finding, news_of
from observability.core.questions import Aggregate
from observability.core.settings import ModelSettings
from observability.stats.calibration import brownian_range_p_value
from observability.stats.scores import SCORE_EDGES, bin_middles
from tests.support.analyzer_worlds import START, answer, context_for, spread
from tests.support.length import allowed, repeats
from tests.support.levels import beyond_limit


def people(n: int, seed: int, fault: float = 0.0, labelled: float = 1.0) -> pd.DataFrame:
    """Scores in the middle of their bins; labels drawn with the probability score + fault. labelled: the share of rows whose label has
    arrived.
    """
    rng = np.random.default_rng(seed)
    score = bin_middles()[np.searchsorted(SCORE_EDGES, rng.beta(1.5, 2, n), side="right")]
    label = (rng.random(n) < np.clip(score + fault, 0, 1)).astype(float)
    label[rng.random(n) >= labelled] = np.nan
    return pd.DataFrame({"at": spread(n), "score": score, "label": label, "decision": (score >= 0.5).astype(int)})


COUNTED: dict[tuple[int, Aggregate, str], tuple[pd.DataFrame, pd.DataFrame]] = {}


def counted(aggregate: Aggregate, rows: pd.DataFrame, context: Context) -> pd.DataFrame:
    """The result of an aggregate. Results are cached, because several weeks are compared with the same rows."""
    key = id(rows), aggregate, context.model.task or ""
    if key not in COUNTED:
        COUNTED[key] = rows, answer(aggregate, rows, context)
    return COUNTED[key][1].copy()


def findings(current, reference=None, past=None, *, task="binary", in_sample=False, settings=None, budget=0.1 / 7) -> dict[str, Finding]:
    context = context_for(reference, task=task, settings=settings, budget=budget)
    version = replace(context.version, in_sample=in_sample)
    context = replace(
        context, version=version, model=replace(context.model, classes=("a", "b", "c") if task == "multiclass" else context.model.classes)
    )
    nothing = current.iloc[:0]
    rows = {"current": current, "reference": nothing if reference is None else reference, "past": nothing if past is None else past}
    frames = {}
    for name, ask in ANALYZER.needs(context).items():
        own = rows[ask.span]
        frames[name] = counted(ask.aggregate, own, context) if isinstance(ask.aggregate, Aggregate) else sample(own)
    return {each.metric: each for each in ANALYZER.analyze(frames, context)}


def sample(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"at": rows["at"].dt.tz_localize(None), "score": rows["score"], "label_value": rows["label"]})


def test_calibrated_weeks_seldom_alarm() -> None:
    base = people(10_000, 1)
    weeks = [{each.severity for each in findings(people(1000, 100 + seed), base).values()} for seed in range(repeats(10, 300))]
    assert not any("act" in week for week in weeks) and sum("watch" in week for week in weeks) <= allowed(
        0.08 if len(weeks) < 100 else 0.03, len(weeks)
    )


@pytest.mark.parametrize(("fault", "worst"), [(0.1, "act"), (0.055, "watch")])
def test_a_fault_is_found(fault: float, worst: str) -> None:
    base, hits = people(20_000, 2), 0
    for seed in range(15):
        found = findings(people(2000, 200 + seed, fault), base)
        hits += found["ece"].severity in (worst, "act")
    assert hits >= 12


def test_a_calibration_finding_states_size_direction_and_noise_level() -> None:
    found = findings(people(4000, 3, 0.1), people(20_000, 4))
    ece, ecce = found["ece"], found["ecce"]
    assert (
        ece.severity == "act"
        and ece.against == "reference"
        and ece.low <= ece.value <= ece.high
        and ece.value == pytest.approx(0.1, abs=0.02)
    )
    assert "expected from sampling noise" in ece.because and ece.evidence["null_95"] < 0.03 and ece.value > ece.limit
    assert ecce.severity == "act" and ecce.against == "level" and "too low" in ecce.because and ecce.evidence["p_value"] < 1e-6
    assert len(ece.evidence["groups"]) == 10 and sum(group[4] for group in ece.evidence["groups"]) == 4000
    assert len(ece.evidence["trend"]) == 7 and ece.evidence["trend"][0]["null_95"] > ece.evidence["null_95"]


def test_a_finding_that_is_not_significant_states_its_adjusted_p_value_and_limit() -> None:
    """The expected p-values are those of the analyzer's two tests, adjusted by scipy; a p-value of about 0.02 is then not significant."""
    base = people(20_000, 2)
    for seed in range(60):
        found = findings(people(2000, 300 + seed), base)
        p = [found[name].evidence["p_value"] for name in ("ece", "ecce")]
        if 0.015 < p[1] < 0.05:
            break
    adjusted = stats.false_discovery_control(p)[1]
    assert f"(p = {p[1]:.2g}; adjusted p = {adjusted:.2g}, significant up to {0.1 / 7:.2g})" in found["ecce"].because, found["ecce"].because
    assert found["ecce"].because.startswith("No score range deviates significantly") and adjusted > 0.1 / 7


def test_an_error_beyond_its_limit_is_never_ok_with_few_labels() -> None:
    base, unsure = people(10_000, 1), []
    for seed in range(20):
        found = findings(people(300, 700 + seed), base)
        assert [each.because for each in found.values() if each.severity == "ok" and beyond_limit(each)] == [], seed
        unsure += [found["ecce"]] if found["ecce"].severity == "unknown" else []
    assert 2 <= len(unsure) <= 10 and all(beyond_limit(each) for each in unsure)
    for each in unsure:
        assert "more than the limit of" in each.because and "may be chance: a decision needs about" in each.because


def test_the_stated_number_of_extra_labels_makes_the_same_error_significant() -> None:
    rows, base = people(200, 712, 0.05), people(10_000, 1)
    found = findings(rows, base)["ecce"]
    more = int(found.because.split("a decision needs about ")[1].split(" more")[0].replace(",", ""))
    assert found.severity == "unknown" and 100 < more < 200
    few, many = (error_p_value(found, n) / found.evidence["p_value"] for n in (200, 200 + more))
    assert few == pytest.approx(1) and many * found.evidence["p_adjusted"] == pytest.approx(0.1 / 7, rel=0.05)
    assert findings(pd.concat([rows, rows]), base)["ecce"].severity in ("watch", "act")


def error_p_value(found: Finding, n: float) -> float:
    """The p-value of an ECCE from n labels, computed from the range of a Brownian motion, whose mean is 2 * sqrt(2 / pi)."""
    scale = found.evidence["null_mean"] / (2 * np.sqrt(2 / np.pi)) * np.sqrt(found.n / n)
    return brownian_range_p_value(found.value / scale)


def test_a_deviation_equal_to_the_reference_is_critical_and_ongoing() -> None:
    found = findings(people(4000, 5, 0.1), people(20_000, 6, 0.1))
    assert found["ece"].severity == "ok" and found["ecce"].severity == "act" and news_of(found["ecce"]) == "ongoing"
    assert "; the same in the reference" in found["ecce"].because and found["ecce"].evidence["p_value"] < 1e-6


def test_a_significant_but_tiny_error_is_ok_in_many_rows() -> None:
    found = findings(people(120_000, 7, 0.01), people(20_000, 8))
    assert {each.severity for each in found.values()} == {"ok"}
    assert found["ecce"].evidence["p_value"] < 0.001 and "too small to matter" in found["ecce"].because


def restless_month(seed: int, spread_of_days: float) -> pd.DataFrame:
    """Four weeks in which the calibration error differs from day to day."""
    rng, months = np.random.default_rng(seed), []
    for day in range(28):
        months.append(
            people(300, 100 * seed + day, float(rng.normal(0, spread_of_days))).assign(at=START - timedelta(days=28 - day, hours=-6))
        )
    return pd.concat(months, ignore_index=True)


def test_an_error_that_daily_variation_may_explain_is_a_warning_that_says_so() -> None:
    past = restless_month(31, 0.12)
    said = findings(people(4000, 32, 0.08), people(20_000, 33), past)["ece"]
    assert said.evidence["varies_up_to"] > said.evidence["grown"] > 0.05
    assert said.severity == "watch" and "so normal variation may explain it" in said.because
    small = findings(people(4000, 34, 0.02), people(20_000, 33), past)["ece"]
    assert small.severity == "ok" and "normal variation" not in small.because


@pytest.mark.parametrize("baseline", ["reference", "past"])
def test_bad_past_days_do_not_raise_the_calibration_limit(baseline: str) -> None:
    """An error beyond the stated limit that variation between days may explain is unknown, never OK. The limit is the same as after a month
    whose days do not differ.
    """
    quiet, restless, base = restless_month(51, 0.0), restless_month(51, 0.12), people(20_000, 33) if baseline == "reference" else None
    for fault in (0.045, 0.08):
        calm, found = (findings(people(4000, 34, fault), base, past) for past in (quiet, restless))
        for metric, error in found.items():
            beyond = error.value - error.evidence["null_mean"]
            assert error.evidence["varies_up_to"] > beyond > 0.02, "the variation between past days is larger than the excess"
            assert error.severity == ("unknown" if fault < 0.05 else "watch") and "daily range" in error.because, (metric, error.because)
            if baseline == "reference" or metric == "ecce":
                assert error.limit == pytest.approx(calm[metric].limit - (0.03 if calm[metric].severity == "act" else 0), abs=1e-9)
                assert error.limit < error.value and calm[metric].severity == ("watch" if fault < 0.05 else "act")


def test_a_deviation_seen_in_one_of_1000_clean_weeks_is_a_warning_and_critical_needs_a_rarer_one() -> None:
    past, base = restless_month(41, 0.09), people(20_000, 43)
    near, far = (findings(people(4000, 42, fault), base, past)["ecce"] for fault in (0.13, 0.18))
    assert 0.05 < near.evidence["varies_up_to"] < near.value - near.evidence["null_mean"], (
        "both values are beyond the variation between days"
    )
    assert (near.severity, far.severity) == ("watch", "act") and far.limit - near.limit == pytest.approx(0.03)


def test_labels_four_standard_errors_off_are_a_warning_and_five_are_critical() -> None:
    """With few rows, at the error budget of a daily check by twenty analyzers."""
    base = people(20_000, 2)
    four, five = (findings(people(420, seed, 0.1), base, budget=0.1 / 140)["ecce"] for seed in (401, 400))
    assert 1e-5 < four.evidence["p_adjusted"] < 1e-4 and four.value - four.evidence["null_mean"] > 0.05
    assert five.evidence["p_adjusted"] < 1e-6 and (four.severity, five.severity) == ("watch", "act")


def test_without_a_reference_calibration_is_compared_with_the_past_month_or_judged_by_level() -> None:
    past = people(8000, 9)
    assert findings(people(3000, 10, 0.1), None, past)["ece"].severity == "act"
    assert findings(people(3000, 10, 0.1), None, past)["ece"].against == "past"
    alone = findings(people(3000, 10, 0.1))
    assert alone["ece"].severity == "unknown" and alone["ecce"].severity == "act" and alone["ece"].value is not None


@pytest.mark.parametrize(("past_fault", "past_rows", "news"), [(0.0, 8000, "new"), (0.15, 8000, "ongoing"), (0.075, 200, None)])
def test_a_deviation_is_new_if_the_month_before_had_none(past_fault: float, past_rows: int, news: str | None) -> None:
    """Regression: whether a deviation is new was unknown, although the month before was measured. That month may deviate by chance."""
    now = people(3000, 10, 0.2)
    found = findings(now, None, people(past_rows, 9, past_fault))["ecce"]
    assert found.needs_action and news_of(found) == news
    assert (news is None) == (found.evidence["baseline"] > 0.02 and not found.evidence["stood_before"])
    assert news_of(findings(now, people(8000, 9))["ecce"]) is None, "the reference says nothing about the month before"
    assert findings(people(3000, 10), None, people(8000, 9))["ecce"].news is None


def test_an_in_sample_reference_is_passed_over() -> None:
    flattering = people(10_000, 11, 0.0)
    found = findings(people(3000, 12, 0.08), flattering, people(8000, 13, 0.08), in_sample=True)
    assert found["ece"].against == "past" and found["ece"].severity == "ok"


def test_young_labels_or_few_labels_are_unknown() -> None:
    young = findings(people(4000, 14, 0.15, labelled=0.4), people(20_000, 15))
    assert {each.severity for each in young.values()} == {"unknown"} and "41 % of the labels have arrived" in young["ece"].because
    usual = findings(people(4000, 14, 0.15, labelled=0.4), people(20_000, 15), people(4000, 16, 0.0, labelled=0.42))
    assert usual["ece"].severity == "act"
    few = findings(people(150, 17, 0.3), people(20_000, 18))
    assert list(few) == ["ece"] and few["ece"].severity == "unknown" and "about 50 more" in few["ece"].because


def test_labels_of_whole_days_are_judged_while_the_last_two_days_wait() -> None:
    rows = people(6000, 14, 0.15)
    rows.loc[rows["at"] >= rows["at"].min().normalize() + pd.Timedelta(days=5), "label"] = np.nan
    said = findings(rows, people(20_000, 15))["ece"]
    assert 0.6 < rows["label"].notna().mean() < 0.8 and said.severity == "act"


def test_row_weights_reduce_the_effective_sample_size() -> None:
    rows, base = people(3000, 19, 0.05), people(20_000, 20)
    heavy = rows.assign(weight=np.where(np.arange(3000) % 20 == 0, 60.0, 1.0))
    assert findings(heavy, base)["ece"].evidence["null_95"] > 2 * findings(rows, base)["ece"].evidence["null_95"]


def test_an_owner_limit_can_allow_a_larger_calibration_error() -> None:
    settings = ModelSettings(limits={"serving/calibration/ece": 0.2})
    found = findings(people(4000, 21, 0.12), people(20_000, 22), settings=settings)
    assert found["ece"].severity == "watch" and found["ece"].because.endswith("; the owner's limit is 20.0 points.")
    assert found["ecce"].severity == "act" and "the owner's limit" not in found["ecce"].because
    found = findings(people(4000, 21, 0.12), people(20_000, 22), settings=ModelSettings(limits={"serving/calibration/ecce": 0.2}))
    assert found["ecce"].severity == "watch" and found["ecce"].because.endswith("; the owner's limit is 20.0 points.")
    tight = findings(people(40_000, 21, 0.02), people(20_000, 22), settings=ModelSettings(limits={"serving/calibration/ecce": 0.01}))
    assert tight["ecce"].severity == "act" and tight["ecce"].limit == pytest.approx(tight["ecce"].evidence["null_mean"] + 0.01)


def classes(n: int, seed: int, fault: float = 0.0) -> pd.DataFrame:
    """Three classes; the decided class is right with a probability of the score plus a fault."""
    rng = np.random.default_rng(seed)
    score = bin_middles()[np.searchsorted(SCORE_EDGES, 0.34 + 0.6 * rng.random(n), side="right")]
    decision = rng.integers(0, 3, n)
    right = rng.random(n) < score + fault
    return pd.DataFrame(
        {"at": spread(n), "score": score, "decision": decision, "label": np.where(right, decision, (decision + 1) % 3).astype(float)}
    )


def test_multiclass_calibration_judges_the_confidence_of_the_predicted_class() -> None:
    base = classes(10_000, 23)
    found = findings(classes(3000, 24, -0.15), base, task="multiclass")
    assert found["ece"].severity == "act" and found["ece"].value == pytest.approx(0.15, abs=0.03)
    assert found["ece"].because.startswith("Confidences") and "too high" in found["ecce"].because
    assert findings(classes(3000, 25), base, task="multiclass")["ece"].severity == "ok"


def houses(n: int, seed: int, slope: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    score = rng.normal(100, 20, n)
    return pd.DataFrame({"at": spread(n), "score": score, "label": 100 + slope * (score - 100) + rng.normal(0, 15, n), "decision": -1})


def test_the_calibration_slope_of_a_regression_is_compared_with_the_reference() -> None:
    base = houses(5000, 26)
    found = findings(houses(2000, 27, 0.6), base, task="regression")["calibration_slope"]
    assert found.severity == "act" and found.value == pytest.approx(0.6, abs=0.05) and "too extreme" in found.because
    assert len(found.evidence["groups"]) == 10 and found.limit == pytest.approx((0.7, 1.3), abs=0.05)
    assert findings(houses(2000, 28), base, task="regression")["calibration_slope"].severity == "ok"
    assert findings(houses(2000, 29, 0.6), houses(5000, 30, 0.6), task="regression")["calibration_slope"].severity == "ok"
    few = findings(houses(120, 31), base, task="regression")["calibration_slope"]
    assert few.severity == "unknown" and "80 more" in few.because
