"""Drift of calls: the PSI equals counts by hand, the right weeks are compared, free texts are compared by length, and too few calls give a
reason.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import f

from observability.core.window import Window
from observability.detection import call_drift
from observability.detection.call_drift import MOVED, CallDrift, call_drifts, changed_weeks, compared_calls, factors_beyond
from observability.stats.distance import psi
from tests.support.model_calls import CONTEXT, FEATURES, START, calls

LIMITS = MOVED
WINDOW = CONTEXT.window


def drifts(now: pd.DataFrame, past: pd.DataFrame, window: Window = WINDOW) -> dict[str, CallDrift]:
    return {each.column: each for each in call_drifts(compared_calls(now, past, window), FEATURES, window, LIMITS)}


@pytest.fixture(scope="module")
def sides() -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(4)
    return calls(rng, 1, first_week=0), calls(rng)


def test_the_call_psi_matches_hand_counts_against_the_pooled_weeks(sides: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    now, past = sides
    now = now.assign(**{"feature.operation": np.where(np.arange(len(now)) % 2, "chat", "embeddings")})
    found = drifts(now, past)["operation"]
    counted = [[int((side["feature.operation"] == name).sum()) for name in ("chat", "embeddings")] for side in (past, now)]
    assert found.effect == pytest.approx(psi(*counted)) and found.level == "embeddings"
    assert (found.before, found.now) == pytest.approx([each[1] / sum(each) for each in counted])
    weeks = [past[(START.replace(tzinfo=None) - past["at"]) // timedelta(days=7) == week] for week in range(8)]
    by_week = [[int((week["feature.operation"] == name).sum()) for name in ("chat", "embeddings")] for week in weeks]
    against = [psi(np.array(counted[0]) - np.array(own), own) for own in by_week]
    assert found.varies == pytest.approx(max(against)) and found.last_week == pytest.approx(against[0])


def test_answer_columns_use_only_successful_calls(sides: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    now, past = sides
    hit = np.arange(len(now)) % 3 == 0
    failing = now.assign(status=now["status"].mask(hit, "error"), prediction=now["prediction"].mask(hit, None))
    failing["feature.output_tokens"] = failing["feature.output_tokens"].mask(hit)
    found = drifts(failing, past)
    assert found["output_tokens"].calls == (failing["status"] == "ok").sum() < found["input_tokens"].calls == len(now)
    assert max(found[name].effect for name in ("output_tokens", "answer", "refused")) < 0.1, "an error does not count as a different answer"


def test_missing_values_are_a_bin_and_free_text_is_measured_by_length(sides: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    now, past = sides
    lost = now.assign(**{"feature.input_tokens": now["feature.input_tokens"].mask(np.arange(len(now)) % 3 == 0)})
    found = drifts(lost, past)["input_tokens"]
    assert (found.level, round(found.before, 2), round(found.now, 2)) == ("missing", 0.0, 0.33)
    texts = [
        side.assign(prediction=[f"answer {place} " + "word " * (place % 9 + more) for place in range(len(side))])
        for side, more in ((now, 9), (past, 0))
    ]
    found = drifts(*texts)["length of answer"]
    assert found.of_answers and found.effect > 1 and found.now - found.before == pytest.approx(45, abs=2)


def test_a_day_is_compared_with_the_same_hours_of_the_earlier_weeks(sides: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    rng = np.random.default_rng(5)
    every, sunday = calls(rng, 5, 500, first_week=-4), replace(WINDOW, start=START + timedelta(days=6))
    inside = every["at"] >= sunday.start.replace(tzinfo=None)
    now, past = every[inside], every[~inside]
    found = compared_calls(now, past, sunday)
    assert not found.missing and set(found.before["at"].dt.dayofweek) == {6} and sorted(set(found.before["week"])) == [0, 1, 2, 3]
    assert drifts(now, past, sunday)["input_tokens"].effect < 0.1, "questions that are longer on weekends are no drift"


def test_weeks_already_affected_by_a_change_are_excluded_from_the_baseline() -> None:
    usual, moved, other = np.array([[690, 310], [710, 290], [700, 300]]), np.array([[300, 700]]), np.array([[950, 50]])
    assert changed_weeks(np.vstack([moved, usual]), moved[0], LIMITS, False) == 1, (
        "the change is still there, so the changed week is excluded"
    )
    assert changed_weeks(np.vstack([moved, moved, usual]), moved[0], LIMITS, False) == 2
    assert changed_weeks(np.vstack([moved, usual]), usual[0], LIMITS, False) == 1, "the change is over, so the changed week is excluded"
    assert changed_weeks(np.vstack([moved, usual]), other[0], LIMITS, False) == 0, (
        "weeks vary and the window resembles none of them, so no week is excluded"
    )
    assert (
        changed_weeks(np.vstack([usual, moved]), usual[0], LIMITS, False)
        == changed_weeks(np.vstack([moved, usual[:1]]), moved[0], LIMITS, False)
        == 0
    )
    assert changed_weeks(np.vstack([moved, usual]) // 100, moved[0], LIMITS, False) == 0, "few calls are no evidence of a change"


def test_at_most_the_newest_two_weeks_are_excluded_from_the_baseline() -> None:
    usual, moved = np.array([[690, 310], [710, 290], [700, 300], [705, 295], [695, 305]]), np.array([[300, 700]])
    assert [changed_weeks(np.vstack([moved] * weeks + [usual]), moved[0], LIMITS, False) for weeks in (1, 2, 3)] == [1, 2, 0]


def test_drift_factors_depend_on_the_column_kind_and_the_number_of_weeks(
    sides: tuple[pd.DataFrame, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [factors_beyond(weeks, number) for weeks in (5, 6) for number in (False, True)] == [
        (4, 8),
        (4, 12),
        (3.2, 6.4),
        pytest.approx((3.2, 9.6)),
    ]
    usual, moved = np.array([[690, 310], [710, 290], [700, 300]]), np.array([[300, 700]])
    now, past = sides
    of_four = now, past[past["at"] >= START.replace(tzinfo=None) - timedelta(days=28)]
    limits = {each.column: (each.number, each.varies, each.limits[0]) for each in drifts(*of_four).values()}
    monkeypatch.setattr(call_drift, "NUMBERS_BEYOND", (10_000.0, 20_000.0))
    of_kinds = [changed_weeks(np.vstack([moved, usual]), moved[0], LIMITS, number) for number in (False, True)]
    assert of_kinds == [1, 0], "such a week counts as changed for a category, but is usual for a numeric column"
    after = {each.column: each.limits[0] for each in drifts(*of_four).values()}
    assert {name for name, limit in after.items() if limit != limits[name][2]} == {name for name, (number, *_) in limits.items() if number}


def test_after_many_weeks_a_number_is_compared_with_the_average_weekly_variation() -> None:
    """Counted by hand: a restless numeric column is compared with its own weekly variation; a calm one with half of its own and half of the
    mean, but at most four times its own.
    """
    rng = np.random.default_rng(4)
    past = calls(rng, variation=0.1, restless=0.3)
    now, extra, sizes = calls(rng, 1, first_week=0), {}, {}
    found = {each.column: each for each in call_drifts(compared_calls(now, past, WINDOW), FEATURES, WINDOW, (0.0, 0.0))}
    for name in ("input_tokens", "output_tokens"):
        own = past if name == "input_tokens" else past[past["status"] == "ok"]
        age = (START.replace(tzinfo=None) - own["at"]) // timedelta(days=7)
        tokens = own[f"feature.{name}"]
        bins = np.digitize(tokens, np.quantile(tokens, np.arange(1, 10) / 10))
        counts = np.array([np.bincount(bins[age == week], minlength=10) for week in range(8)])
        rest = counts.sum(axis=0) - counts
        chance = 9 * (1 / counts.sum(axis=1) + 1 / rest.sum(axis=1))
        extra[name] = np.mean([psi(of, week) for of, week in zip(rest, counts, strict=True)] - chance)
        sizes[name] = 1 / len(own) + 1 / (len(now) if name == "input_tokens" else int((now["status"] == "ok").sum()))
        assert found[name].extra == pytest.approx(extra[name]) and found[name].extra > 0
    mean = (extra["input_tokens"] + extra["output_tokens"]) / 2
    calm = extra["output_tokens"]
    capped = min(mean, 4 * calm)
    weeks = {
        "input_tokens": (extra["input_tokens"], 7),
        "output_tokens": ((calm + capped) / 2, 7 * (calm + capped) ** 2 / (calm**2 + capped**2)),
    }
    assert extra["input_tokens"] > 3 * calm
    for name, (variance, freedom) in weeks.items():
        expected = [8 * sizes[name] + f.isf(tail / 2, 1, freedom) * (variance + sizes[name]) for tail in (0.01, 0.0002)]
        assert found[name].limits == pytest.approx(expected), name


def test_a_number_that_changed_weeks_ago_does_not_hide_drift_of_another(sides: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    """A setting was raised three weeks ago, so the weeks after the change are still in the baseline. Questions twice as long are found
    nevertheless.
    """
    now, past = sides
    recent = past["at"] >= START.replace(tzinfo=None) - timedelta(days=21)
    past = past.assign(**{"feature.temperature": np.where(recent, 0.5, 0.2)})
    now = now.assign(**{"feature.temperature": 0.5, "feature.input_tokens": now["feature.input_tokens"] * 2})
    found = drifts(now, past)
    assert found["temperature"].extra > 1, "the column varies much between weeks"
    assert found["input_tokens"].effect > found["input_tokens"].limits[0]


def test_a_value_above_a_constant_past_is_detected(sides: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    now, past = sides
    found = drifts(now.assign(**{"feature.temperature": 0.9}), past)["temperature"]
    assert found.effect > 1 and (found.before, found.now) == pytest.approx((0.2, 0.9))


def test_too_few_calls_or_weeks_say_what_is_needed(sides: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    now, past = sides
    assert compared_calls(now.head(60), past, WINDOW).missing == "60 calls in this window; that needs about 40 more"
    newest = past[past["at"] >= START.replace(tzinfo=None) - timedelta(days=7)]
    assert (
        compared_calls(now, newest, WINDOW).missing
        == "100 calls or more were made in 1 of the eight weeks before; that needs about 1 more such week"
    )
    assert drifts(now, newest) == drifts(now.iloc[:0], past.iloc[:0]) == {}
    of_two = drifts(now, past[past["at"] >= START.replace(tzinfo=None) - timedelta(days=14)])
    assert {each.limits[1] for each in of_two.values()} == {np.inf}, "two weeks are too few for a critical finding"
