"""Measures how well the processes of a training run are used: time by phase, scaling, and model FLOPs utilisation."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from observability.core.numerals import format_figure, percent
from observability.metrics.training_curves import TrainingRun
from observability.stats.rank_times import RankTimes

SAMPLES = ("global_batch_size", "batch_rows", "samples_per_step", "tokens_per_step", "batch_size")
"""Parameters that state how much work a step does, over all processes; the first one found is used."""
WORK = frozenset(("compute", "forward", "backward", "optimizer", "optimiser", "step"))
"""Names of the phases in which a process trains."""
MIN_OF_ROOF = 0.3
"""Below this share of the possible speed, something other than the device is the limit."""


def phase_shares(times: RankTimes) -> dict[str, float]:
    """Return the share of the ranks' time in each phase, and in waiting for the slowest rank. The shares add up to 1."""
    spent = {name: float((table * times.counts).sum()) for name, table in {**times.phases, "waiting": times.wait}.items()}
    total = sum(spent.values())
    return {name: value / total for name, value in spent.items()} if total > 0 else {}


def productive_share(times: RankTimes) -> float | None:
    """Return the goodput of the logged steps: the share of the ranks' time that is spent training; None if no phase is a training phase."""
    shares = phase_shares(times)
    known = [value for name, value in shares.items() if name.lower() in WORK]
    return sum(known) if known else None


def seconds_per_step(run: TrainingRun) -> float | None:
    """Return the mean wall time per step, between the first and the last logged step; None with fewer than two steps."""
    spans = [
        (int(curve.steps[-1] - curve.steps[0]), float((curve.at[-1] - curve.at[0]).astype(float) / 1e6))
        for curve in run.curves.values()
        if len(curve.steps) > 1
    ]
    if not spans and (run.phases is not None or run.blocks is not None) and len(run.step_times) > 1:
        steps = run.step_numbers
        spans = [(int(steps.max() - steps.min()), float((run.step_times[-1] - run.step_times[0]).astype(float) / 1e6))]
    steps_done, seconds = max(spans, default=(0, 0.0))
    return seconds / steps_done if steps_done > 0 and seconds > 0 else None


def stated_number(run: TrainingRun, names: Iterable[str]) -> float | None:
    """Return the first positive number that the run's parameters or hardware have under one of these names; None if there is none."""
    held: Mapping[str, Any] = {**run.hardware, **run.params}
    for name in names:
        value = held.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return float(value)
    return None


def model_flops_utilisation(run: TrainingRun) -> float | None:
    """Return the share of the devices' peak FLOPs that training used.

    Computed from `flops_per_step` (of all processes) and `peak_flops` (of one device), among the parameters or the hardware; None if either
    is missing.

    References
    ----------
    * Chowdhery et al. (2022), PaLM: Scaling Language Modeling with Pathways, appendix B.
    """
    flops, peak, seconds = stated_number(run, ("flops_per_step",)), stated_number(run, ("peak_flops",)), seconds_per_step(run)
    if flops is None or peak is None or seconds is None:
        return None
    return flops / (seconds * max(len(run.ranks), 1) * peak)


@dataclass(frozen=True)
class RooflinePosition:
    """The position of a run under the roofline of its devices, per device.

    intensity: operations per byte moved. achieved: operations per second. roof: the maximum number of operations per second at this
    intensity. ridge: the intensity above which operations are the limit, not bandwidth.
    """

    intensity: float
    achieved: float
    roof: float
    ridge: float

    @property
    def share(self) -> float:
        """The achieved performance as a share of the possible one."""
        return self.achieved / self.roof

    @property
    def bound(self) -> str:
        """What limits the run: memory or compute."""
        return "memory" if self.intensity < self.ridge else "compute"


def roofline_position(run: TrainingRun) -> RooflinePosition | None:
    """Return the position of a run under the roofline of its devices.

    Computed from `flops_per_step` and `bytes_per_step` (of all processes), `peak_flops` and `peak_bytes_per_second` (of one device), among
    the parameters or the hardware; None if any is missing.

    References
    ----------
    * Williams, Waterman and Patterson (2009), Roofline: an insightful visual performance model for multicore architectures.
    """
    flops, moved = stated_number(run, ("flops_per_step",)), stated_number(run, ("bytes_per_step",))
    peak, bandwidth = stated_number(run, ("peak_flops",)), stated_number(run, ("peak_bytes_per_second",))
    seconds = seconds_per_step(run)
    if flops is None or moved is None or peak is None or bandwidth is None or seconds is None:
        return None
    intensity = flops / moved
    achieved = flops / (seconds * max(len(run.ranks), 1))
    return RooflinePosition(intensity, achieved, min(peak, intensity * bandwidth), peak / bandwidth)


def roofline_words(found: RooflinePosition) -> str:
    """Return a sentence about the position under the roofline, and what would help."""
    share, bound = percent(found.share), found.bound
    start = f"{share} of what the device can do at {format_figure(found.intensity, 3)} operations a byte; {bound} is the limit"
    if found.share > 1:
        return f"{start}. More than is possible: check the stated figures."
    if found.share < MIN_OF_ROOF:
        return f"{start}, but it is far from it: look for waiting, small steps or data loading first."
    advice = (
        "larger batches, fused operations or fewer bytes a number help" if bound == "memory" else "fewer operations or a faster device help"
    )
    return f"{start}: {advice}."


@dataclass(frozen=True)
class ScalingPoint:
    """A run, compared with runs of the same study that have another number of processes.

    rate: samples per second; steps per second if the work of a step is not stated. efficiency: rate per process, divided by the rate per
    process of the run with the fewest processes; 1 is perfect scaling.
    """

    run: str
    ranks: int
    seconds: float
    rate: float
    efficiency: float


def scaling_points(run: TrainingRun, others: Iterable[TrainingRun]) -> list[ScalingPoint]:
    """Return the run and the other runs of its study by their number of processes, fewest first; empty if all have the same number.

    If the parameters state the work of a step (SAMPLES), rates are samples per second. Otherwise a step is assumed to do the same work in
    each run.
    """
    alike = [each for each in others if each.study is not None and each.study == run.study and each.name != run.name]
    known = [(each, seconds) for each in (run, *alike) if (seconds := seconds_per_step(each)) is not None]
    work = [stated_number(each, SAMPLES) for each, _ in known]
    stated = all(each is not None for each in work)
    found = [
        (each, max(len(each.ranks), 1), seconds, (float(size or 1.0) if stated else 1.0) / seconds)
        for (each, seconds), size in zip(known, work, strict=True)
    ]
    if len({ranks for _, ranks, _, _ in found}) < 2:
        return []
    fewest = min(ranks for _, ranks, _, _ in found)
    base = float(np.median([rate / ranks for _, ranks, _, rate in found if ranks == fewest]))
    points = [ScalingPoint(each.name, ranks, seconds, rate, rate / ranks / base) for each, ranks, seconds, rate in found]
    return sorted(points, key=lambda point: (point.ranks, point.run))
