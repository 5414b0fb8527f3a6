"""Forecasts the energy of a training run that has not ended: the energy used so far, divided by the share of its steps that are done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from scipy.special import stdtrit

from observability.detection.run_state import INTERVALS, MIN_SILENCE_S
from observability.detection.study_noise import MIN_RUNS
from observability.metrics.energy_readings import reading_energy

if TYPE_CHECKING:
    from pandas import DataFrame

Array = np.ndarray[Any, np.dtype[Any]]
TOTAL_NAMES = ("total_steps", "max_steps", "num_steps", "num_train_steps", "n_steps", "steps")
"""Parameters that state the total number of steps of a run. The first one that a run has is used."""


@dataclass(frozen=True)
class RunProgress:
    """Steps and energy of a run. steps, at: number of steps done, and when this was logged; read, joules: end time and energy of each
    reading; stride: n if every n-th step was read.
    """

    steps: Array
    at: Array
    read: Array
    joules: Array
    stride: int = 1

    @property
    def done(self) -> int:
        """The number of steps done at the time of the last reading."""
        return int(self.steps[self.at <= self.read.max()].max(initial=0))

    def joules_at(self, step: int) -> float:
        """Joules read until a given number of steps was done; NaN if the run did fewer steps."""
        reached = self.at[self.steps >= step]
        return float(self.joules[self.read <= reached.min()].sum()) if len(reached) else float("nan")

    def is_reporting(self, now: datetime) -> bool:
        """Whether the run logs as usual at an instant (naive UTC). It does not if nothing was logged for ten usual step intervals and for
        at least five minutes.
        """
        gaps = np.diff(np.unique(self.at)) / np.timedelta64(1, "s")
        silence = (np.datetime64(now, "us") - max(self.at.max(), self.read.max())) / np.timedelta64(1, "s")
        return bool(silence <= max(INTERVALS * float(np.median(gaps)) / self.stride if len(gaps) else 0.0, MIN_SILENCE_S))


@dataclass(frozen=True)
class RunEnergyForecast:
    """The forecast energy of a whole run in joules; NaN if unknown, and then `lacks` states the reason. done, total: numbers of steps.

    n: number of earlier runs on which the interval is based; low and high are None if there are fewer than MIN_RUNS.
    """

    n: int
    done: int
    total: int | None
    joules: float
    low: float | None = None
    high: float | None = None
    lacks: str = ""


def stated_steps(params: Any) -> int | None:
    """Return the number of steps that parameters state; None if they state none."""
    for name in TOTAL_NAMES if isinstance(params, Mapping) else ():
        if is_stated_count(value := params.get(name)):
            return int(value)
    return None


def is_stated_count(value: object) -> TypeGuard[int | float]:
    """Whether a parameter can be a count: a number of at least 1 and below 2^53."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value < 2**53


def progress_of_runs(steps: "DataFrame", readings: "DataFrame", names: set[str]) -> dict[str, RunProgress]:
    """Return the progress of the named runs for which there are both steps that were read and readings with energy.

    steps: step records (run, at, step, stride); readings: resource records.
    """
    own = steps[steps["run"].isin(names) & steps["step"].notna() & steps["stride"].ne(0)]
    drawn = reading_energy(readings[readings["run"].isin(set(own["run"]))])
    logged = dict(iter(own.groupby("run")))
    found = {}
    for name, read in drawn.groupby("run"):
        numbers = logged[name]["step"].to_numpy("int64")
        half = (read["seconds"].to_numpy(float) * 5e5).astype("timedelta64[us]")
        found[str(name)] = RunProgress(
            numbers + (numbers.min() == 0),
            logged[name]["at"].to_numpy("datetime64[us]"),
            read["at"].to_numpy("datetime64[us]") + half,
            read["joules"].to_numpy(float),
            int(logged[name]["stride"].max()),
        )
    return found


def run_energy_forecast(run: RunProgress, earlier: Sequence[RunProgress], stated: int | None) -> RunEnergyForecast:
    """Return the forecast energy of a whole run: the joules used so far, divided by the share of its steps that are done.

    The total number of steps is the stated one, else the median of earlier runs. With at least MIN_RUNS earlier runs, the same forecast is
    made for each of them at the same step. The geometric mean of the errors of these forecasts corrects the forecast of this run, and
    their spread gives the 95 % prediction interval (Student's t on logarithms). The forecast is never below the energy already used.
    """
    done, so_far = run.done, float(run.joules.sum())
    total = stated or (round(float(np.median([each.done for each in earlier]))) if earlier else None)
    lacks = ""
    if total is None:
        lacks = "nothing tells how many steps it will take (parameter `total_steps`)"
    elif done > total:
        lacks = f"it has done more steps than {'its parameters state' if stated else 'earlier runs'}"
    elif not (done > 0 and so_far > 0):
        lacks = "it has no step with energy yet"
    if total is None or lacks:
        return RunEnergyForecast(len(earlier), done, total, float("nan"), lacks=lacks)
    parts = [(each.joules_at(done), float(each.joules.sum())) for each in earlier]
    errors = np.log([whole * done / total / part for part, whole in parts if part > 0])
    n, plain = len(errors), so_far * total / done
    if n < MIN_RUNS:
        return RunEnergyForecast(n, done, total, plain)
    middle = plain * float(np.exp(errors.mean()))
    reach = float(np.exp(stdtrit(n - 1, 0.975) * errors.std(ddof=1) * np.sqrt(1 + 1 / n)))
    value, low, high = (max(each, so_far) for each in (middle, middle / reach, middle * reach))
    return RunEnergyForecast(n, done, total, value, low, high)
