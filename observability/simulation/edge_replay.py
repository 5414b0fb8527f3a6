"""Replay the analyzer serving/edge_fleet on reports of devices in which a fault is planted in their last week. The store is only read."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzers.serving import edge_fleet
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, worst_first
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.metrics.edge_fleet import GROUPS, REPORTS
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_edge import ROLLED_OUT, EdgeFault, EdgeFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Records, Window], "DataFrame"]
WEEK = timedelta(days=7)
BUDGET = 0.0143


def replay_on_edge_fleet(
    ask: Ask, fault: EdgeFault, strength: Strength, now: datetime, *, model: str | None = None, seed: int = 0
) -> RecordDetection:
    """Plant the fault in the devices of a model; without a model, in those of the model with most reports. Raises UsageError if there is no
    suitable model.
    """
    reports = ask(REPORTS, Window("", EPOCH, now))
    return replay_edge_fault(reports[reports["model"] == model] if model else reports, fault, strength, seed)


def replay_edge_fault(reports: "DataFrame", fault: EdgeFault, strength: Strength = "middle", seed: int = 0) -> RecordDetection:
    """Plant the fault in one class or ring of devices, or in all devices, and evaluate the week. Raises UsageError if no devices are
    suitable.
    """
    word = GROUPS[fault.group]
    wanted = f"a {word} of {edge_fleet.MIN_DEVICES} devices with reports in the last week and the four before it"
    if reports.empty:
        raise UsageError(f"no devices to plant {fault.name} on", got="no reports", expected=wanted)
    model = str(reports["model"].mode().iloc[0])
    own = reports[reports["model"] == model].reset_index(drop=True)
    end = own["at"].max() + timedelta(seconds=1)
    start = end - WEEK
    own = own[own["at"] >= start - timedelta(days=edge_fleet.PAST_DAYS)].reset_index(drop=True)
    late = own["at"] >= start
    sizes = own[late].groupby(fault.group)["device"].nunique()
    levels = sorted(sizes[sizes >= edge_fleet.MIN_DEVICES].index)
    if not levels or late.all():
        raise UsageError(f"no devices to plant {fault.name} on", got=f"{len(own):,} reports of {model}", expected=wanted)
    rng = np.random.default_rng([seed, 31])
    level = str(levels[int(rng.integers(len(levels)))])
    mask = late if fault.everywhere else late & (own[fault.group] == level)
    planted = own.copy()
    planted.loc[mask] = fault.plant(EdgeFaultPlant(own[mask], fault.amount(strength), rng))
    if fault.everywhere:
        first = own["at"].min() - timedelta(days=1)
        planted = _with_earlier_version(planted, first)
    window = Window("", aware_utc(start.to_pydatetime()), aware_utc(end.to_pydatetime()))
    seen = [_fleet_findings(each, window) for each in (planted, own)]
    target = "devices" if fault.everywhere else f"{word}={level}"
    target = f"version={ROLLED_OUT}/{target}" if fault.metric == edge_fleet.RING_GAP else target
    look = DetectionLook(1, 0, seen[0], seen[1])
    return RecordDetection(fault, strength, "fleet", model, "week", 1, target, fault.metric, 1, (look,), f"Devices that serve {model}.")


def _with_earlier_version(reports: "DataFrame", at: datetime) -> "DataFrame":
    """The reports, preceded by one report of the earlier version, so that the age of this version is known."""
    import pandas as pd

    row = reports.iloc[[0]].assign(at=at, version="an earlier version")
    return pd.concat([row, reports], ignore_index=True)


def _fleet_findings(reports: "DataFrame", window: Window) -> tuple[Finding, ...]:
    """Findings about the devices in a window."""
    first = window.start.replace(tzinfo=None)
    frames = {"reports": reports[reports["at"] >= first], "past reports": reports[reports["at"] < first], "versions": reports}
    return tuple(worst_first(edge_fleet.analyze(frames, Context(EVERY_MODEL, NO_VERSION, window, window.end, BUDGET))))
