"""A run that ends before its stated plan avoided the energy of the remaining steps; any other run avoided none."""

from dataclasses import replace

import pytest

from observability.dashboard.operations.energy_savings import early_stops_words
from observability.dashboard.training.runs import RunUse, early_stop_words
from observability.detection.early_stops import EarlyStop, avoided_energy, early_stop, early_stops, stops_without_plan
from observability.metrics.training_curves import TrainingRun, runs_from_records
from tests.support.run_frames import a_run, frame_of, loss


def run_of(metrics: dict, status: str | None = "finished", **params: object) -> TrainingRun:
    records = a_run({"loss": loss(40), **metrics}, "job", params=params, ended=status)
    kinds = {kind: frame_of(kind, [each for each in records if each["kind"] == kind]) for kind in ("run", "step")}
    return runs_from_records(kinds["run"], kinds["step"])[0]


def test_energy_of_the_rest_is_what_was_spent_times_the_steps_that_are_left() -> None:
    run = run_of({}, total_steps=100)
    done = int(run.step_numbers.max()) + (run.step_numbers.min() == 0)
    stop = early_stop(run)
    assert stop is not None and (stop.done, stop.planned, stop.unit) == (done, 100, "steps")
    assert avoided_energy([stop], {"job": 12.0}) == {"job": pytest.approx(12.0 * (100 - done) / done)}
    assert avoided_energy([stop], {"job": None}) == {} == avoided_energy([stop], {"other": 3.0})


def test_epochs_are_read_from_their_metric_and_may_count_from_zero() -> None:
    stop = early_stop(run_of({"epoch": [float(step // 10) for step in range(40)]}, max_epochs=10))
    assert stop is not None and (stop.done, stop.planned, stop.unit) == (4, 10, "epochs")
    assert stop.avoided(8.0) == pytest.approx(12.0)


@pytest.mark.parametrize(
    ("status", "params"),
    [
        ("finished", {"total_steps": 40}),
        ("failed", {"total_steps": 100}),
        ("finished", {}),
        (None, {"total_steps": 100}),
        ("finished", {"epochs": 9}),
    ],
)
def test_a_finished_a_failed_and_an_unplanned_run_avoided_no_steps(status: str | None, params: dict) -> None:
    assert early_stops([run_of({}, status, **params)]) == []


def test_a_pruned_run_counts_as_stopped_early() -> None:
    assert [stop.run for stop in early_stops([run_of({}, "pruned", total_steps=100)])] == ["job"]


def test_a_pruned_trial_without_a_plan_is_compared_with_the_finished_trials_of_its_study() -> None:
    """Regression: if the parameters of a study state no steps, the page of energy said that its pruned trials avoided nothing."""
    trials = [replace(run_of({}), name=f"t{place}", study="s") for place in range(3)]
    cut = {name: replace(curve, steps=curve.steps[:10], values=curve.values[:10]) for name, curve in trials[0].curves.items()}
    pruned = replace(trials[0], name="short", status="pruned", curves=cut)
    last = {name: max(int(curve.steps[-1]) for curve in run.curves.values()) for name, run in (("whole", trials[0]), ("short", pruned))}
    (stop,) = early_stops([*trials, pruned])
    assert stop == EarlyStop("short", last["short"], last["whole"], "steps", of_study=True)
    said = early_stops_words([stop], {"short": RunUse(2.0, "measured")})
    assert "Of 1 pruned trial the plan is the median of the study's finished trials." in said
    assert early_stops([pruned]) == [] and stops_without_plan([pruned]) == ["short"], "no trial of the study has finished"
    assert stops_without_plan([*trials, pruned]) == []


@pytest.mark.parametrize(
    ("params", "metrics"),
    [
        ({"total_steps": 40}, {}),
        ({"total_steps": 100}, {}),
        ({"epochs": 10}, {}),
        ({"epochs": 4}, {"epoch": [float(step // 10) for step in range(40)]}),
    ],
)
def test_a_stopped_run_that_states_its_steps_or_epochs_is_not_listed_as_unplanned(params: dict, metrics: dict) -> None:
    """Regression: such a run was listed if it had reached its plan, or if its completed steps or epochs were not logged."""
    run = run_of(metrics, "pruned", **params)
    unlogged = replace(run, curves={}, step_numbers=run.step_numbers[:0])
    assert stops_without_plan([run, unlogged]) == []
    assert stops_without_plan([run_of(metrics, "pruned")]) == ["job"]


def test_a_trial_that_reached_its_planned_length_avoided_no_steps() -> None:
    """Regression: a trial beyond the median length of its study was said to have no plan, and one at its last epoch was called shorter than
    the study.
    """
    trials = [replace(run_of({}), name=f"t{place}", study="s") for place in range(3)]
    beyond = replace(trials[0], name="beyond", status="pruned")
    assert stops_without_plan([*trials, beyond]) == [] == early_stops([*trials, beyond])
    own = replace(run_of({"epoch": [float(step // 10) for step in range(40)]}, "pruned", epochs=4), name="own", study="s")
    cut = {name: replace(curve, steps=curve.steps // 2) for name, curve in own.curves.items()}
    assert early_stops([*trials, replace(own, curves=cut)]) == []


def test_the_page_sums_the_known_avoided_energy_and_states_the_method() -> None:
    stops = [EarlyStop("a", 40, 100, "steps"), EarlyStop("b", 5, 10, "epochs"), EarlyStop("c", 1, 2, "steps")]
    said = early_stops_words(stops, {"a": RunUse(2.0, "measured"), "b": RunUse(1.0, "assumed"), "c": RunUse()})
    assert "2 runs" in said and "4.00 Wh" in said and "steps left ÷ steps done" in said and "assumed" in said and "1 further run" in said
    assert early_stops_words(stops[2:], {}) == ""
    assert early_stop_words(stops[0], RunUse(2.0, "measured")) == (
        "Ended at 40 of 100 steps, which avoided about 3.00 Wh (energy × steps left ÷ steps done)."
    )
