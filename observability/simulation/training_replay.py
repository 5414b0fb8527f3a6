"""Replay the analyzer training/runs on a run with a planted fault.

The fault begins at some step. Between this step and the end of the run, the run is evaluated at ten steps, each time with only the records
up to that step. The twin is the run without the fault. The store is only read.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzers.training import runs
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import NotFoundError, UsageError
from observability.core.finding import Finding, needs_action, worst_first
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.detection.device_figures import run_kind
from observability.detection.device_past import MAX_EARLIER
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_training import RunFault, RunFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

Frames = dict[str, "DataFrame"]
Ask = Callable[[Records, Window], "DataFrame"]
MINIMUM_STEPS = 30
"""Minimum number of steps of a run: half of them come before the fault, and the analyzer needs at least 20."""
LOOKS = 10


def replay_on_run(
    ask: Ask, fault: RunFault, strength: Strength, now: datetime, *, model: str | None = None, name: str | None = None, seed: int = 0
) -> RecordDetection:
    """Plant the fault in the named run. Without a name, plant it in the newest clean run (of `model`, if given) that has what the fault
    needs.

    A run is clean if it has ended and has no finding that needs action. Raises NotFoundError if there is no run of that name, and
    UsageError if the fault fits no run.
    """
    found = runs.judged_runs(ask, model or "", now).verdicts(now)
    if name is not None:
        if all(each.run.name != name for each in found):
            raise NotFoundError(f"there is no training run {name!r}", attempt="Leave --run out for the newest clean one")
        return replay_training_fault(run_records(ask, name, now, earlier_alike(found, name)), name, fault, strength, seed)
    why: str | None = None
    for each in found:
        if each.run.ended is None or each.claims is None or any(needs_action(claim.severity) for claim in each.claims):
            continue
        try:
            records = run_records(ask, each.run.name, now, earlier_alike(found, each.run.name))
            return replay_training_fault(records, each.run.name, fault, strength, seed)
        except UsageError as error:
            why = why or str(error)
    raise UsageError(
        f"no training run to plant {fault.name} on",
        got=f"{len(found)} runs, none clean with what the fault needs{f' ({why})' if why else ''}",
        expected="a run that ended well",
        attempt="Name a run (--run): findings that exist without the fault are not counted",
    )


def earlier_alike(found: Sequence[runs.RunVerdict], name: str) -> tuple[str, ...]:
    """The newest earlier runs of the same kind as the named run, oldest first."""
    run = next(each.run for each in found if each.run.name == name)
    alike = [each.run for each in found if run_kind(run) is not None and run_kind(each.run) == run_kind(run) and each.run.first < run.first]
    return tuple(each.name for each in sorted(alike, key=lambda each: (each.first, each.name))[-MAX_EARLIER:])


def run_records(ask: Ask, name: str, now: datetime, earlier: Sequence[str] = ()) -> Frames:
    """The records of one run, as the analyzer reads them. The blocks of ranks are left out, because no fault is planted in them.

    earlier: other runs whose starts, ends and readings are read too.
    """
    window = Window("", EPOCH, now)
    asks = {key: asked.aggregate for key, asked in runs.needs(Context(EVERY_MODEL, NO_VERSION, window, now)).items()}
    wanted = {key: each for key, each in asks.items() if isinstance(each, Records) and not each.blocks}
    only = {key: (name, *earlier) if key in ("runs", "resources") else name for key in wanted}
    return {key: ask(replace(each, only=(("run", only[key]),)), window) for key, each in wanted.items()}


def replay_training_fault(
    frames: Frames, name: str, fault: RunFault, strength: Strength = "middle", seed: int = 0, *, looks: int = LOOKS
) -> RecordDetection:
    """Plant the fault in the records of a run and evaluate it. Raises UsageError if the run lacks what the fault needs.

    looks: how many of the ten evaluations are made; the last ones are chosen.
    """
    steps = frames["steps"]
    count = int(steps["step"].nunique())
    if count < MINIMUM_STEPS:
        raise UsageError(f"run {name}: too few steps to plant a fault", got=count, expected=f"{MINIMUM_STEPS} or more")
    planted = fault.plant(RunFaultPlant(name, steps, frames["resources"], fault.amount(strength), np.random.default_rng([seed, 17])))
    numbers = np.sort(steps["step"].unique())
    later = numbers[numbers >= planted.onset]
    chosen = later[np.unique(np.linspace(0, len(later) - 1, LOOKS + 1).astype(int)[1:])]
    faulty = frames | {"steps": planted.steps} | ({} if planted.readings is None else {"resources": planted.readings})
    found = []
    for step in chosen[-looks:]:
        last = step == chosen[-1]
        with_it = _run_findings(faulty, int(step), last)
        found.append(DetectionLook(int(step), int(step) - planted.onset, with_it, _run_findings(frames, int(step), last)))
    return RecordDetection(
        fault, strength, "run", name, "step", int(numbers[-1]), planted.target, planted.detail, planted.onset, tuple(found)
    )


def _run_findings(frames: Frames, step: int, whole: bool) -> tuple[Finding, ...]:
    """Findings as of a step, from only the records up to it. whole: include the end of the run as well."""
    steps = frames["steps"]
    end = max(frame["at"].max() for frame in frames.values() if len(frame)) if whole else steps.loc[steps["step"] <= step, "at"].max()
    seen = {key: frame[frame["at"] <= end] for key, frame in frames.items()}
    if not whole:
        seen["steps"] = seen["steps"][seen["steps"]["step"] <= step]
    now = end.to_pydatetime().replace(tzinfo=EPOCH.tzinfo) + timedelta(seconds=1)
    return tuple(worst_first(runs.analyze(seen, Context(EVERY_MODEL, NO_VERSION, Window("", aware_utc(steps["at"].min()), now), now))))
