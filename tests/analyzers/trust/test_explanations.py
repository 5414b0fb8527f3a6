"""The analyzer finds the drivers of the scores, a planted change, attributions that do not add up and a wrong artifact, and names missing
data."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.trust.explanations import ANALYZER
from observability.core.analyzer import Context
from observability.core.catalog import Model, Version
from observability.core.settings import ModelSettings
from observability.core.window import Window
from tests.support.attribution_frames import NAMES, SIZES, START, attributions, served

VERSION = Version("3", START, NAMES, {}, reference_rows=500, artifact="artifacts/1/3/lightgbm-0.txt")
WINDOW = Window("loan", START, START + timedelta(days=7), "3")
CONTEXT = Context(Model(1, "loan", "binary", ("0", "1"), versions=(VERSION,)), VERSION, WINDOW, WINDOW.end, budget=0.014)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def said(current: pd.DataFrame, reference: pd.DataFrame | None = None, context: Context = CONTEXT, days: int = 7) -> dict:
    """Findings by (subject, metric)."""
    frames = {"current": current, "days": served(days)} | ({} if reference is None else {"reference": reference})
    return {(each.subject, each.metric): each for each in ANALYZER.analyze(frames, context)}


def test_the_same_drivers_are_fine_and_named(rng: np.random.Generator) -> None:
    found = said(attributions(rng, 700), attributions(rng, 1000))
    distance = found["model", "attribution_distance"]
    assert distance.severity == "ok" and distance.value < 0.05 < distance.limit == 0.1 and distance.n == 700
    assert distance.because.startswith("Main drivers of the scores: `hour` (5") and "700 of 7,000 predictions" in distance.because
    assert found["model", "attribution_ndcg"].severity == "ok" and found["model", "artifact_mismatch"].value == 0
    assert found["hour", "attribution_share"].value == pytest.approx(4 / 7.5, abs=0.03)
    assert all(each.severity == "ok" for each in found.values()) and len(found) == 4 + len(NAMES)


def test_a_planted_driver_change_names_the_rising_and_falling_features(rng: np.random.Generator) -> None:
    found = said(attributions(rng, 700, SIZES * [0.4, 1, 4, 1]), attributions(rng, 1000))
    distance, order = found["model", "attribution_distance"], found["model", "attribution_ndcg"]
    assert distance.severity == "act" and distance.value > 0.2 and distance.low > 0.1 and distance.likely_source == "input"
    assert "`rain` from 13 % to" in distance.because and "rose" in distance.because and "`hour` from 5" in distance.because
    assert order.severity == "watch" and order.value < 0.9 and "`rain`" in order.because
    assert found["rain", "attribution_share"].severity == "watch" and found["rain", "attribution_share"].evidence["change_low"] > 0.2
    assert found["<b>x</b>", "attribution_share"].severity == "ok"
    limits = ModelSettings(limits={"trust/explanations/attribution_distance": 0.6, "trust/explanations/attribution_ndcg": 0.5})
    lenient = replace(CONTEXT, model=replace(CONTEXT.model, settings=limits))
    calm = said(attributions(rng, 700, SIZES * [0.4, 1, 4, 1]), attributions(rng, 1000), lenient)
    assert {each.severity for each in calm.values()} == {"ok"}


def test_a_driver_change_is_dated_from_daily_values(rng: np.random.Generator) -> None:
    before, after = attributions(rng, 1400), attributions(rng, 1400, np.array([1.0, 5.0, 1.0, 0.5]))
    late = (before["at"] >= before["at"].min() + timedelta(days=4)).to_numpy()
    mixed = pd.concat([before[~late], after[late]], ignore_index=True)
    found = said(mixed, attributions(rng, 1000))["model", "attribution_distance"]
    assert found.severity in ("watch", "act") and found.evidence["onset_known"] == "dated"
    assert found.onset == START + timedelta(days=4)
    throughout = said(after, attributions(rng, 1000))["model", "attribution_distance"]
    assert throughout.severity == "act" and throughout.evidence["onset_known"] == "open" and throughout.onset == START


def test_a_small_sample_is_no_alarm(rng: np.random.Generator) -> None:
    wild = np.array([40.0, 40, 40, 40])
    small = attributions(rng, 110)
    for name in NAMES:
        small[f"attribution.{name}"] = rng.standard_cauchy(110)
    big = attributions(rng, 110, wild)
    for name in NAMES:
        big[f"attribution.{name}"] = rng.standard_cauchy(110)
    distance = said(small, big)["model", "attribution_distance"]
    assert distance.severity == "unknown" and "yet: that needs" in distance.because
    few = said(attributions(rng, 40), attributions(rng, 1000))["model", "attribution_distance"]
    assert few.severity == "unknown" and few.value is None and "about 60 more explained predictions are needed" in few.because


def test_days_are_weighted_by_their_number_of_predictions(rng: np.random.Generator) -> None:
    """A day with ten times the traffic counts ten times, although equally many predictions are explained on each day."""
    one, other = attributions(rng, 300, SIZES, days=1), attributions(rng, 300, SIZES[::-1].copy(), days=1)
    other["at"] = other["at"] + timedelta(days=1)
    other["id"] = "q" + other["id"]
    frame, days = pd.concat([one, other], ignore_index=True), served(2)
    days.loc[days["period"] == days["period"].min(), ["n", "w"]] = 10_000
    frames = {"current": frame, "days": days, "reference": attributions(rng, 1000)}
    found = {(each.subject, each.metric): each for each in ANALYZER.analyze(frames, CONTEXT)}
    of_day = [frame[frame["at"].dt.day == day][[f"attribution.{name}" for name in NAMES]].abs().mean() for day in (2, 3)]
    mean = (10 * of_day[0] + of_day[1]) / 11
    assert found["hour", "attribution_share"].value == pytest.approx(mean["attribution.hour"] / mean.sum(), rel=1e-9)


def test_explanations_of_the_worst_errors_and_rows_that_do_not_add_up_are_ignored(rng: np.random.Generator) -> None:
    clean = attributions(rng, 600)
    errors = attributions(rng, 500, SIZES[::-1].copy() * 9, sampled=False)
    broken = attributions(rng, 100, SIZES[::-1].copy() * 9, adds_up=False)
    reference = attributions(rng, 1000)
    plain = said(clean, reference)["model", "attribution_distance"]
    frame = pd.concat([clean, errors.assign(id="e" + errors["id"]), broken.assign(id="b" + broken["id"])], ignore_index=True)
    found = said(frame, reference)
    assert found["model", "attribution_distance"].value == pytest.approx(plain.value) and found["model", "attribution_distance"].n == 600
    residual = found["model", "additivity_residual"]
    assert residual.severity == "watch" and residual.value == pytest.approx(1 / 7) and "100 of 700" in residual.because


def test_a_model_file_that_gives_other_scores_is_reported(rng: np.random.Generator) -> None:
    wrong = pd.Series([False] * 100 + [True] * 500, dtype=object)
    found = said(attributions(rng, 600, reproduces=wrong), attributions(rng, 1000))["model", "artifact_mismatch"]
    assert found.severity == "watch" and found.likely_source == "system" and "100 of 600" in found.because
    logged = said(attributions(rng, 600, reproduces=pd.Series([None] * 600, dtype=object)), attributions(rng, 1000))
    assert ("model", "artifact_mismatch") not in logged


def test_a_missing_explanation_says_what_is_needed(rng: np.random.Generator) -> None:
    def only(current: pd.DataFrame, context: Context = CONTEXT, **frames: pd.DataFrame) -> str:
        (found,) = ANALYZER.analyze({"current": current, "days": served(), **frames}, context)
        assert found.severity == "unknown" and found.metric == "attribution_distance"
        return found.because

    nothing = attributions(rng, 0)
    assert "None of the 7 days" in only(nothing, reference=nothing) and "python -m observability explain" in only(
        nothing, reference=nothing
    )
    bare = replace(CONTEXT, version=replace(VERSION, artifact=None))
    assert "register it with `--artifact FILE`" in only(nothing, bare, past=nothing, past_days=served())
    (empty,) = ANALYZER.analyze({"current": nothing, "days": served().iloc[:0]}, CONTEXT)
    assert empty.because.startswith("No predictions in this window")
    part = attributions(rng, 300, days=3)
    assert "(3 of 7 days are explained so far)" in said(part, attributions(rng, 1000))["model", "attribution_distance"].because
    first = said(part, nothing)["model", "attribution_distance"]
    assert first.severity == "unknown" and "Main drivers of the scores: `hour`" in first.because and "needs about 100 more" in first.because
    mixed = said(part, attributions(rng, 1000, link="identity"))["model", "attribution_distance"]
    assert "another space (identity, not logit)" in mixed.because


def test_without_a_model_file_the_drivers_are_compared_with_the_models_own_past(rng: np.random.Generator) -> None:
    bare = replace(CONTEXT, version=replace(VERSION, artifact=None))
    assert {"past", "past_days"} < set(ANALYZER.needs(bare)) and "reference" not in ANALYZER.needs(bare)
    past = attributions(rng, 900, SIZES[::-1].copy(), method="logged")
    frames = {"current": attributions(rng, 700, method="logged"), "days": served(), "past": past, "past_days": served()}
    found = {(each.subject, each.metric): each for each in ANALYZER.analyze(frames, bare)}
    distance = found["model", "attribution_distance"]
    assert distance.against == "past" and distance.severity == "act" and "since the past" in distance.because
