"""Find the training that was avoided because runs ended before the steps or epochs that their parameters state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from observability.detection.run_energy_forecast import is_stated_count, stated_steps
from observability.metrics.training_curves import TrainingRun

EPOCH_NAMES = ("max_epochs", "num_epochs", "num_train_epochs", "n_epochs", "epochs")
"""Parameters that state how many epochs a run will take. The first one that a run has is used."""
EPOCH = "epoch"
"""The metric that states how many epochs are done."""


@dataclass(frozen=True)
class EarlyStop:
    """A run that ended before its plan. done, planned: of `unit`, steps or epochs."""

    run: str
    done: float
    planned: int
    unit: str

    def avoided(self, spent: float) -> float:
        """Return the energy or time that the rest of the plan would have used at the rate so far. spent: the amount that the run used."""
        return spent * (self.planned - self.done) / self.done


def early_stop(run: TrainingRun) -> EarlyStop | None:
    """Return the early stop of a run that ended before the steps or epochs that its parameters state.

    None for a run that is active, that failed or went to its end, that states no plan, or whose remaining steps are no more than the
    distance between two logged steps.
    """
    if run.ended is None or run.failed:
        return None
    if (steps := stated_steps(run.params)) is not None and len(run.step_numbers):
        return _short_of("steps", steps, run.step_numbers, run)
    epochs = next((int(run.params[name]) for name in EPOCH_NAMES if is_stated_count(run.params.get(name))), None)
    if epochs is None or EPOCH not in run.curves:
        return None
    return _short_of("epochs", epochs, run.curves[EPOCH].finite.values, run)


def _short_of(unit: str, planned: int, logged: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]", run: TrainingRun) -> EarlyStop | None:
    """The early stop according to the logged numbers of steps or epochs. Numbers that start at 0 are one less than the count of completed
    ones.
    """
    numbers = np.unique(logged.astype(float))
    if not len(numbers):
        return None
    done = float(numbers[-1]) + (numbers[0] == 0 and bool((numbers % 1 == 0).all()))
    apart = float(np.median(np.diff(numbers))) if len(numbers) > 1 else 1.0
    return EarlyStop(run.name, done, planned, unit) if done > 0 and planned - done > apart else None


def early_stops(runs: Iterable[TrainingRun]) -> list[EarlyStop]:
    """Return the early stop of each run that has one."""
    return [stop for run in runs if (stop := early_stop(run)) is not None]


def avoided_energy(stops: Iterable[EarlyStop], wh: Mapping[str, float | None]) -> dict[str, float]:
    """Return by run the energy, in Wh, that its early stop avoided. wh: energy of runs; runs without energy are left out."""
    return {stop.run: stop.avoided(used) for stop in stops if (used := wh.get(stop.run)) is not None and used > 0}
