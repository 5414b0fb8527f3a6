"""Compares the energy of a training run with that of earlier runs of the same model with the same parameters."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from observability.core.finding import Severity
from observability.core.settings import ModelSettings
from observability.detection.change import stated_limits
from observability.detection.ratio_changes import ACT, WATCH
from observability.detection.study_noise import MIN_RUNS

NAME = "operations/energy"


@dataclass(frozen=True)
class RunEnergyChange:
    """The energy of a run, compared with earlier runs with the same parameters.

    n: number of earlier runs. usual: geometric mean of their energy, Wh. limit: Wh from which an increase is reported. usual and limit are
    None if there are too few earlier runs.
    """

    n: int
    severity: Severity | None
    comparison: str
    usual: float | None = None
    limit: float | None = None
    times: float | None = None


def run_energy_change(wh: float, earlier: Sequence[float], settings: ModelSettings) -> RunEnergyChange:
    """Return the comparison of a run's energy (Wh) with earlier runs with the same parameters. Their energy must come from the same kind of
    source.

    An increase is reported if it reaches a minimum ratio (`operations/energy/run_energy` for `act`) and is also beyond the 95 % prediction
    interval of the earlier runs (Student's t on logarithms).
    """
    before = np.array([each for each in earlier if each > 0])
    n = len(before)
    if n < MIN_RUNS or not wh > 0:
        more = max(MIN_RUNS - n, 1)
        runs = "run" if more == 1 else "runs"
        return RunEnergyChange(n, None, f"no comparison yet: it needs about {more} more earlier {runs} with the same parameters")
    logs = np.log(before)
    usual = float(np.exp(logs.mean()))
    reach = float(np.exp(stdtrit(n - 1, 0.975) * logs.std(ddof=1) * np.sqrt(1 + 1 / n)))
    watch, act = stated_limits(settings, f"{NAME}/run_energy", WATCH, ACT)
    times = wh / usual
    severity: Severity = "act" if times >= max(act, reach) else "watch" if times >= max(watch, reach) else "ok"
    comparison = f"{times:.2f} times that of {n} earlier runs with the same parameters"
    return RunEnergyChange(n, severity, comparison, usual, usual * max(act if severity == "act" else watch, reach), times)
