"""Faults of studies: good trials are pruned, the search is at an edge, seeds are noisy, a winner is lucky, tuning data are in training,
trials repeat or fail.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from observability.detection.study_noise import parameters_text
from observability.detection.study_results import StudyResults
from observability.metrics.training_curves import TrainingRun
from observability.metrics.training_metric_names import base_metric
from observability.simulation.fault import NamedFault


@dataclass(frozen=True)
class StudyFaultPlant:
    """Where and how strongly a fault is planted. study: a clean study; amount: the amount of the fault."""

    study: StudyResults
    amount: float
    rng: np.random.Generator

    @property
    def runs(self) -> list[TrainingRun]:
        """The runs of the study."""
        return [each.run for each in self.study.trials]

    def chosen(self, among: Sequence[TrainingRun]) -> set[str]:
        """The names of a random share of some runs, at least one."""
        count = max(round(self.amount * len(among)), 1)
        return {among[place].name for place in self.rng.permutation(len(among))[:count]}

    def with_values(self, change: Callable[[TrainingRun, float], float]) -> list[TrainingRun]:
        """The runs after the last value of the compared metric is changed. All steps of a run change by the same difference."""
        found = []
        for run in self.runs:
            last = run.last_value(self.study.metric)
            found.append(run if last is None else with_metric(run, self.study.metric, ended_at(change(run, last))))
        return found


def with_metric(run: TrainingRun, metric: str, change: Callable[[float], float]) -> TrainingRun:
    """A run whose metric ends at another value. Its whole curve is moved by the difference."""
    last = run.last_value(metric)
    if last is None:
        return run
    moved = change(last) - last
    curves, final = dict(run.curves), dict(run.final)
    if metric in curves:
        curves[metric] = replace(curves[metric], values=curves[metric].values + moved)
    if metric in final:
        final[metric] += moved
    return replace(run, curves=curves, final=final)


def ended_at(value: float) -> Callable[[float], float]:
    """A function that replaces any value by the given one."""
    return lambda _: value


@dataclass(frozen=True)
class StudyFault(NamedFault):
    """A fault of a study."""

    section: str = "training"


def best_pruned(plant: StudyFaultPlant) -> list[TrainingRun]:
    """A share of the pruned trials would have become the best trials."""
    study, sign = plant.study, plant.study.sign
    pruned = [run for run in plant.runs if run.pruned and study.metric in run.curves]
    hit, changed = plant.chosen(pruned) if pruned else set(), []
    best = min(study.cost(each) for each in study.done)
    for run in plant.runs:
        if run.name not in hit:
            changed.append(run)
            continue
        curve = run.curves[study.metric]
        step = int(curve.steps[-1])
        rivals = [
            study.sign * float(np.interp(step, each.run.curves[study.metric].steps, each.run.curves[study.metric].values))
            for each in study.done
        ]
        ahead = min(rivals) - 0.02 * abs(best)
        changed.append(with_metric(run, study.metric, ended_at(sign * ahead)))
    return changed


def search_at_an_edge(plant: StudyFaultPlant) -> list[TrainingRun]:
    """A share of the best settings lies at the edge of the range of one parameter."""
    ordered = sorted(plant.study.settings, key=plant.study.cost)
    name = next(key for key, value in ordered[0].run.params.items() if isinstance(value, float))
    values = [float(each.run.params[name]) for each in ordered]
    best = [each.run for each in ordered[: max(int(np.ceil(0.2 * len(ordered))), 8)]]
    hit, high = plant.chosen(best), max(values)
    moved = {parameters_text(run) for run in best if run.name in hit}
    return [replace(run, params={**run.params, name: high}) if parameters_text(run) in moved else run for run in plant.runs]


def noisy_seeds(plant: StudyFaultPlant) -> list[TrainingRun]:
    """The variation between seeds of one setting is a multiple of the variation between settings."""
    groups: dict[str, list[TrainingRun]] = {}
    for trial in plant.study.done:
        groups.setdefault(parameters_text(trial.run), []).append(trial.run)
    widest = max(groups, key=lambda key: len(groups[key]))
    single = [float(own[0].last_value(plant.study.metric) or 0.0) for key, own in groups.items() if key != widest]
    spread = float(np.std(single, ddof=1))
    middle = float(np.mean([run.last_value(plant.study.metric) or 0.0 for run in groups[widest]]))
    noise = plant.rng.standard_normal(len(groups[widest]))
    drawn = dict(zip((run.name for run in groups[widest]), plant.amount * spread * noise, strict=True))
    return plant.with_values(lambda run, value: middle + float(drawn[run.name]) if run.name in drawn else value)


def lucky_winner(plant: StudyFaultPlant) -> list[TrainingRun]:
    """A setting wins because of one run that is several standard deviations better than its repeats and all other runs."""
    groups: dict[str, list[TrainingRun]] = {}
    for trial in plant.study.done:
        groups.setdefault(parameters_text(trial.run), []).append(trial.run)
    own = max(groups.values(), key=len)
    repeats = [float(run.last_value(plant.study.metric) or 0.0) * plant.study.sign for run in own[1:]]
    spread = float(np.std(repeats, ddof=1))
    drawn = float(np.mean(repeats)) - (plant.amount + plant.rng.standard_normal()) * spread
    best = min(plant.study.cost(trial) for trial in plant.study.done) - 0.1 * spread
    return [
        with_metric(run, plant.study.metric, ended_at(plant.study.sign * min(drawn, best))) if run is own[0] else run for run in plant.runs
    ]


def tuning_leak(plant: StudyFaultPlant) -> list[TrainingRun]:
    """Rows used to choose settings are in the training data; the error on test data grows by a factor."""
    study = plant.study
    name = f"test_{base_metric(study.metric)}"

    def with_test(run: TrainingRun) -> TrainingRun:
        value = run.last_value(study.metric)
        if value is None:
            return run
        error = 1 - value if study.better == "high" else value
        held = error * plant.amount * float(np.exp(plant.rng.normal(0, 0.03)))
        return replace(run, final={**run.final, name: 1 - min(held, 1.0) if study.better == "high" else held})

    return [with_test(run) for run in plant.runs]


def repeated_trials(plant: StudyFaultPlant) -> list[TrainingRun]:
    """A share of the trials repeats the setting and the seed of an earlier trial."""
    first = plant.runs[0]
    hit = plant.chosen(plant.runs[1:])
    return [replace(run, params=first.params, seed=first.seed or "1") if run.name in hit or run is first else run for run in plant.runs]


def failing_trials(plant: StudyFaultPlant) -> list[TrainingRun]:
    """A share of the trials fails."""
    hit = plant.chosen(plant.runs)
    return [replace(run, status="failed") if run.name in hit else run for run in plant.runs]


FAULTS: dict[str, StudyFault] = {
    each.name: each
    for each in (
        StudyFault("best_pruned", (0.25, 0.6, 0.9), "share of the pruned trials", "study_pruned_share", best_pruned),
        StudyFault("search_at_an_edge", (0.75, 0.9, 1.0), "share of the best settings", "study_bound_share", search_at_an_edge),
        StudyFault("noisy_seeds", (1.0, 2.5, 6.0), "times the spread of settings", "study_noise_ratio", noisy_seeds),
        StudyFault("lucky_winner", (6.0, 10.0, 20.0), "standard deviations of its repeats", "study_winner_excess", lucky_winner),
        StudyFault("tuning_leak", (1.4, 1.8, 4.0), "times the error", "study_test_ratio", tuning_leak),
        StudyFault("repeated_trials", (0.3, 0.5, 0.8), "share of the trials", "study_repeat_share", repeated_trials),
        StudyFault("failing_trials", (0.2, 0.35, 0.7), "share of the trials", "study_failed_share", failing_trials),
    )
}
