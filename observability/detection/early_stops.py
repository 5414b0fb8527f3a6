"""Finds how much training was avoided by runs that ended before their planned steps or epochs.

The plan is what the parameters of a run state. For a pruned trial that states no plan, it is the median of the last steps of the finished
trials of its study, as in the savings of a study (study_results.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from observability.detection.run_energy_forecast import is_stated_count, stated_steps
from observability.detection.study_results import last_logged_step
from observability.metrics.training_curves import TrainingRun

EPOCH_NAMES = ("max_epochs", "num_epochs", "num_train_epochs", "n_epochs", "epochs")
"""Parameters that state the number of epochs of a run. The first one that a run has is used."""
EPOCH = "epoch"
"""The metric that states how many epochs are done."""


@dataclass(frozen=True)
class EarlyStop:
    """A run that ended before its plan. done, planned: numbers of `unit` (steps or epochs). of_study: whether the plan was taken from its
    study.
    """

    run: str
    done: float
    planned: int
    unit: str
    of_study: bool = False

    def avoided(self, spent: float) -> float:
        """Return the energy or time that the rest of the plan would have used at the rate so far. spent: the amount that the run used."""
        return spent * (self.planned - self.done) / self.done


def early_stop(run: TrainingRun) -> EarlyStop | None:
    """Return the early stop of a run that ended before the steps or epochs that its parameters state.

    None for a run that is active, failed, completed its plan, or states no plan; and for a run whose remaining steps are at most the
    distance between two logged steps.
    """
    if run.ended is None or run.failed:
        return None
    if (steps := stated_steps(run.params)) is not None and len(run.step_numbers):
        return _short_of("steps", steps, run.step_numbers, run)
    if (epochs := stated_epochs(run.params)) is None or EPOCH not in run.curves:
        return None
    return _short_of("epochs", epochs, run.curves[EPOCH].finite.values, run)


def stated_epochs(params: Mapping[str, object]) -> int | None:
    """Return the number of epochs that parameters state; None if they state none."""
    return next((int(value) for name in EPOCH_NAMES if is_stated_count(value := params.get(name))), None)


def _short_of(unit: str, planned: int, logged: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]", run: TrainingRun) -> EarlyStop | None:
    """The early stop according to the logged numbers of steps or epochs. If the numbers start at 0, the number of completed ones is one
    more than the last number.
    """
    numbers = np.unique(logged.astype(float))
    if not len(numbers):
        return None
    done = float(numbers[-1]) + (numbers[0] == 0 and bool((numbers % 1 == 0).all()))
    apart = float(np.median(np.diff(numbers))) if len(numbers) > 1 else 1.0
    return EarlyStop(run.name, done, planned, unit) if done > 0 and planned - done > apart else None


def early_stops(runs: Iterable[TrainingRun]) -> list[EarlyStop]:
    """Return the early stop of each run that has one."""
    everything = list(runs)
    plans = study_plans(everything)
    found = ((run, early_stop(run)) for run in everything)
    return [stop for run, stated in found if (stop := stated or _pruned_stop(run, plans.get(run.study or ""))) is not None]


def study_plans(runs: Iterable[TrainingRun]) -> dict[str, int]:
    """Return, for each study, the median of the last steps of its finished trials; studies without a finished trial are left out."""
    finished: dict[str, list[int]] = {}
    for run in runs:
        if run.study is not None and run.ended is not None and not run.failed and not run.pruned and (last := last_logged_step(run)):
            finished.setdefault(run.study, []).append(last)
    return {study: int(np.median(steps)) for study, steps in finished.items()}


def _pruned_stop(run: TrainingRun, planned: int | None) -> EarlyStop | None:
    """The early stop of a pruned trial that states no plan. planned: the median number of steps of finished trials in its study."""
    if not run.pruned or planned is None or stated_steps(run.params) is not None:
        return None
    if stated_epochs(run.params) is not None and EPOCH in run.curves:
        return None
    done = last_logged_step(run)
    return EarlyStop(run.name, done, planned, "steps", of_study=True) if 0 < done < planned else None


def stops_without_plan(runs: Iterable[TrainingRun]) -> list[str]:
    """Return the runs that were stopped early according to their status, but have no plan: neither they nor their study give a number of
    steps or epochs. What they avoided is unknown.
    """
    everything = list(runs)
    plans = study_plans(everything)
    return [
        run.name
        for run in everything
        if run.pruned and stated_steps(run.params) is None and stated_epochs(run.params) is None and run.study not in plans
    ]


def avoided_energy(stops: Iterable[EarlyStop], wh: Mapping[str, float | None]) -> dict[str, float]:
    """Return the energy in Wh that the early stop of each run avoided. wh: energy by run; runs whose energy is unknown are left out."""
    return {stop.run: stop.avoided(used) for stop in stops if (used := wh.get(stop.run)) is not None and used > 0}
