"""Checks the results of a study: the winner compared with chance, pruning, budget, importance, and whether to go on, each for runs with a
known answer.
"""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from observability.dashboard import theme
from observability.dashboard.charts.studies import best_against_budget
from observability.dashboard.training.studies import chance_words
from observability.detection.run_claims import run_figure
from observability.detection.study_noise import claims_about_studies
from observability.detection.study_results import (
    StudyResults,
    best_by_budget,
    further_trials,
    parameter_importances,
    pruning_savings,
    results_of_studies,
    study_gain,
    winner_against_chance,
)
from observability.metrics.training_curves import runs_from_records
from tests.support.length import allowed, repeats
from tests.support.run_frames import START, a_run, frame_of, loss, said


def study(trials: list[tuple[float, dict, str]], n: int = 10, pruned: tuple[int, ...] = ()) -> StudyResults:
    """A study of consecutive runs, each with its last value, its parameters and its seed; the runs in `pruned` stop after three steps."""
    records = []
    for place, (value, params, seed) in enumerate(trials):
        steps = 3 if place in pruned else n
        own = a_run({"val_loss": value + np.linspace(1, 0, steps)}, f"t{place:03d}", study="s", params=params, seed=seed)
        own = [each | ({"status": "pruned"} if place in pruned and each.get("event") == "end" else {}) for each in own]
        moved = timedelta(hours=place)
        for each in own:
            each["at"] = (moved + START.fromisoformat(each["at"])).isoformat()
        records += own
    kinds = {kind: frame_of(kind, [each for each in records if each["kind"] == kind]) for kind in ("run", "step")}
    (found,) = results_of_studies(runs_from_records(kinds["run"], kinds["step"]))
    return found


def noisy(mean: float, n: int, seed: int) -> list[float]:
    return list(mean + np.random.default_rng(seed).normal(0, 0.01, n))


def test_a_lucky_winner_is_not_called_better_than_chance() -> None:
    """In each study 40 settings are equal. Only in few studies is the best of them beyond the band of the seeds."""
    wrong, studies = 0, repeats(20, 100)
    for seed in range(studies):
        same = [(value, {"rate": 0.1}, str(i)) for i, value in enumerate(noisy(0.5, 10, seed))]
        others = [(value, {"rate": 0.2 + i / 100}, "1") for i, value in enumerate(noisy(0.5, 40, 1000 + seed))]
        found = winner_against_chance(study([*same, *others], 2))
        wrong += found is not None and found.beyond_chance
    assert wrong <= allowed(0.06, studies)


def test_a_truly_better_winner_stays_better_after_its_repeats() -> None:
    same = [(value, {"rate": 0.1}, str(i)) for i, value in enumerate(noisy(0.5, 10, 1))]
    better = [(value, {"rate": 0.3}, str(i)) for i, value in enumerate([0.40, *noisy(0.45, 5, 2)])]
    found = winner_against_chance(study([*same, *better]))
    repeats = [value for value, _, _ in better[1:]]
    assert found is not None and found.repeats == 5 and found.beyond_chance
    assert found.gain.value == pytest.approx(np.mean([value for value, _, _ in same]) - np.mean(repeats)), "the trial that won is left out"
    once = winner_against_chance(study([*same, better[0]]))
    assert once is not None and once.repeats == 0 and once.beyond_chance and once.gain.value > found.gain.value
    assert winner_against_chance(study([(0.5, {"rate": i}, "1") for i in range(5)])) is None


def test_pruning_saves_the_steps_that_were_not_made() -> None:
    found = study([(0.5, {"rate": i}, "1") for i in range(6)], pruned=(2, 4))
    saved = pruning_savings(found)
    assert saved is not None and (saved.pruned, saved.steps) == (2, 14)
    assert saved.seconds == pytest.approx(2 * 7 * 120 / 3), "three steps take four intervals of 30 s"
    spent = sum(each.run.seconds for each in found.trials)
    assert saved.share == pytest.approx(saved.seconds / (spent + saved.seconds))
    assert pruning_savings(study([(0.5, {"rate": i}, "1") for i in range(3)])) is None


def test_the_best_so_far_counts_the_time_of_pruned_trials_and_not_their_value() -> None:
    found = study([(0.5, {"r": 1}, "1"), (0.1, {"r": 2}, "1"), (0.4, {"r": 3}, "1"), (0.6, {"r": 4}, "1")], pruned=(1,))
    points = best_by_budget(found)
    assert [point.best for point in points] == pytest.approx([0.5, 0.5, 0.4, 0.4]) and points[1].value is None
    assert points[-1].seconds == pytest.approx(sum(each.run.seconds for each in found.trials))
    assert found.best.run.name == "t002"


def test_a_repeat_better_than_the_best_line_is_marked_separately() -> None:
    """If another seed of a known setting happens to be better, it does not set a new best value. The figure draws it hollow, with a
    separate name in the legend.
    """
    points = best_by_budget(study([(0.5, {"r": 1}, "1"), (0.3, {"r": 1}, "2"), (0.4, {"r": 2}, "1")]))
    assert [point.repeat for point in points] == [False, True, False] and [point.best for point in points] == pytest.approx([0.5, 0.5, 0.4])
    figure = best_against_budget(pd.DataFrame([vars(point) for point in points]), "val_loss")
    drawn = {trace.name: list(trace.x) for trace in figure.data}
    assert drawn["trial"] == [1, 3] and drawn["repeat of a setting"] == [2] and "best first run so far" in drawn


def test_the_chance_band_matches_the_finding_and_its_limit_is_in_the_legend() -> None:
    values = [0.50, 0.52, 0.49, 0.51, 0.48]
    found = study([*((value, {"r": 1}, str(seed)) for seed, value in enumerate(values)), (0.40, {"r": 2}, "1"), (0.50, {"r": 3}, "1")])
    low, high = stats.t.interval(0.95, 4, np.mean(values), np.std(values, ddof=1) * np.sqrt(1 + 1 / 5))  # the interval of one further run
    points = best_by_budget(found)
    assert [(point.chance_low, point.chance_high) for point in points] == [(pytest.approx(low), pytest.approx(high))] * 7
    (claim,) = [claim for claim, _ in claims_about_studies([each.run for each in found.trials]) if claim.metric == "seed_noise"]
    assert claim.evidence["mean"] - claim.evidence["reach"] == pytest.approx(low)
    name = chance_words(found)
    assert name == f"chance, by 5 runs of one setting: 0.5 ± {run_figure(high - 0.5)}" and run_figure(high - 0.5) in claim.because
    figure = best_against_budget(pd.DataFrame([vars(point) for point in points]), "val_loss", name)
    states = {theme.OK, theme.WATCH, theme.ACT}
    assert not {each.fillcolor for each in figure.data} & states, "the chance band does not use a colour of severities"
    (band,) = [trace for trace in figure.data if trace.name == name]
    assert (min(band.y), max(band.y)) == pytest.approx((low, high)) and (min(band.x), max(band.x)) == (1, 7)


def test_without_three_seeds_of_a_setting_no_band_is_drawn() -> None:
    found = study([(0.5, {"r": 1}, "1"), (0.6, {"r": 1}, "2"), (0.4, {"r": 2}, "1")])
    points = best_by_budget(found)
    assert chance_words(found) == "" and {(point.chance_low, point.chance_high) for point in points} == {(None, None)}
    figure = best_against_budget(pd.DataFrame([vars(point) for point in points]), "val_loss")
    assert not [trace for trace in figure.data if trace.fill == "toself"]


def test_the_most_important_parameter_comes_first() -> None:
    rng = np.random.default_rng(3)
    trials = [((rate - 0.5) ** 2, {"rate": rate, "idle": float(rng.uniform()), "same": 1}, "1") for rate in rng.uniform(0, 1, 40)]
    found = parameter_importances(study(trials, 2))
    assert [each.name for each in found] == ["rate", "idle"] and found[0].p_value <= 0.05 < found[1].p_value
    assert sum(each.share for each in found) == pytest.approx(1)
    assert parameter_importances(study(trials[:9], 2)) == []


def test_stopping_is_suggested_if_further_trials_gain_less_than_the_seed_noise() -> None:
    rng = np.random.default_rng(4)
    seeds = [(value, {"rate": 0.1}, str(i)) for i, value in enumerate(noisy(0.5, 8, 5))]
    flat = [(0.49 + abs(value), {"rate": 0.2 + i}, "1") for i, value in enumerate(rng.normal(0, 0.001, 40))]
    stop = further_trials(study([*seeds, *flat], 2))
    assert stop is not None and stop.stop and stop.trials == 10 and stop.gain.value <= stop.noise
    wild = [(float(value), {"rate": 0.2 + i}, "1") for i, value in enumerate(rng.normal(0, 3, 12))]
    on = further_trials(study([*seeds, *wild], 2))
    assert on is not None and not on.stop and on.gain.low <= on.gain.value <= on.gain.high
    assert further_trials(study(seeds, 2)) is None


def test_a_bad_setting_of_a_search_needs_no_action() -> None:
    bad = np.concatenate([loss(40), np.linspace(1, 9, 40)])
    alone = said(a_run({"train_loss": bad}, "bad", study="s", params={"r": 99}))
    assert {each.severity for each in alone} == {"act"}
    others = [record for i in range(12) for record in a_run({"train_loss": loss(80, i)}, f"r{i}", study="s", params={"r": i})]
    found = [each for each in said([*a_run({"train_loss": bad}, "bad", study="s", params={"r": 99}), *others]) if each.subject == "run:bad"]
    assert {each.severity for each in found} == {
        "ok"
    } and "As expected of a search, which tries bad settings (13 runs): run `bad` diverged" in found[0].because


def test_a_high_metric_is_better_when_higher() -> None:
    records = [a_run({"val_accuracy": np.full(5, value)}, f"a{i}", study="s", params={"r": i}) for i, value in enumerate((0.5, 0.9, 0.7))]
    flat = [each for own in records for each in own]
    kinds = {kind: frame_of(kind, [each for each in flat if each["kind"] == kind]) for kind in ("run", "step")}
    (found,) = results_of_studies(runs_from_records(kinds["run"], kinds["step"]))
    assert found.best.run.name == "a1" and study_gain(found) == (pytest.approx(0.4), "the first trial")
