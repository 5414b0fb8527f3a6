"""Replay the analyzer data/devices on the batches of a device in which a fault is planted.

The fault begins with the first batch in the last week of a source. The week is evaluated each time a batch of the device arrives, with only
the batches that had arrived by then. The twin, for comparison, is the week without the fault. The store is only read.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzers.data import devices
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, worst_first
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.detection.batch_statistics import MIN_ROWS, NAMES, STD, device_subject
from observability.detection.own_history import MIN_PAST_VALUES
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_collection import DeviceFault, DeviceFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Records, Window], "DataFrame"]
WEEK = timedelta(days=7)
BUDGET = 0.0143


def replay_on_device(
    ask: Ask, fault: DeviceFault, strength: Strength, now: datetime, *, source: str | None = None, seed: int = 0
) -> RecordDetection:
    """Plant the fault in a device of the given source. Without a source: in a device of the source that has the newest batch and a suitable
    device.

    Raises UsageError if no device is suitable for the fault.
    """
    batches = ask(replace(devices.BATCHES, numbers=()), Window("", EPOCH, now))
    batches = batches[batches["source"] == source] if source else batches
    return replay_device_fault(batches.reset_index(drop=True), fault, strength, seed)


def replay_device_fault(
    batches: "DataFrame", fault: DeviceFault, strength: Strength = "middle", seed: int = 0, *, looks: int | None = None
) -> RecordDetection:
    """Plant the fault in the batches of one device and evaluate it. Raises UsageError if no device is suitable.

    looks: how many of the last evaluations are made, None for all.
    """
    targets = list(_targets(batches, fault))
    if not targets:
        wanted = f"a device with {MIN_PAST_VALUES} batches before its last week and one in it, of {MIN_ROWS} rows or more"
        wanted += f", whose stats hold {NAMES[fault.needs][0]}" if fault.needs else ""
        raise UsageError(f"no device to plant {fault.name} on", got=f"{len(batches):,} batches", expected=wanted)
    source, device, column = targets[int(np.random.default_rng([seed, 23]).integers(len(targets)))]
    mine = (batches["source"] == source) & (batches["device"] == device)
    start, whole = batches.loc[batches["source"] == source, "at"].max() - WEEK, batches["source"] == source
    late = mine & (batches["at"] > start)
    spreads = [
        float((stats.get(column) or {}).get("std") or 0.0) for stats in batches.loc[mine & ~late, "stats"] if isinstance(stats, Mapping)
    ]
    plant = DeviceFaultPlant(batches[late], column, fault.amount(strength), float(np.median(spreads)) or 1.0)
    faulty = fault.plant(plant)
    planted = batches.astype({"stats": object}).copy()
    planted.loc[late, ["stats", "captured_to"]] = faulty[["stats", "captured_to"]]
    begin, found = aware_utc(start.to_pydatetime()), []
    times = list(enumerate(batches.loc[late, "at"].sort_values().dt.to_pydatetime()))
    for place, at in times[-(looks or len(times)) :]:
        seen = [_findings(each[whole & (each["at"] <= at)], begin, aware_utc(at)) for each in (planted, batches)]
        found.append(DetectionLook(place + 1, place, seen[0], seen[1]))
    target = device_subject(source, device)
    about = f"Batches of source {source}."
    return RecordDetection(
        fault, strength, "source", source, "arrival", len(times), target, column if fault.needs else "", 1, tuple(found), about
    )


def _targets(batches: "DataFrame", fault: DeviceFault) -> Iterator[tuple[str, str, str]]:
    """Each source, device and column in which the fault can be planted: the device has a past and a batch in the last week, and most past
    batches have the statistic.
    """
    for (source, device), part in batches[batches["device"].notna()].groupby(["source", "device"], sort=True):
        late = part["at"] > batches.loc[batches["source"] == source, "at"].max() - WEEK
        past = [stats for stats in part.loc[~late, "stats"] if isinstance(stats, Mapping)]
        if not late.any() or len(past) < MIN_PAST_VALUES or part["rows"].median() < MIN_ROWS:
            continue
        for column in sorted({name for stats in past for name in stats}):
            own = [stats.get(column) or {} for stats in past]
            known = [next((each[name] for name in NAMES[fault.needs] if name in each), None) for each in own] if fault.needs else own
            usable = sum(each is not None and (fault.needs != STD or (isinstance(each, int | float) and each > 0)) for each in known)
            if usable >= 0.9 * len(past):
                yield str(source), str(device), column


def _findings(batches: "DataFrame", start: datetime, now: datetime) -> tuple[Finding, ...]:
    """Findings about the devices of a source, at the time when its newest batch arrives."""
    end = now + timedelta(seconds=1)
    first = start.replace(tzinfo=None)
    frames = {
        "batches": batches[batches["at"] > first].reset_index(drop=True),
        "past batches": batches[(batches["at"] <= first) & (batches["at"] > first - timedelta(days=devices.PAST_DAYS))].reset_index(
            drop=True
        ),
    }
    return tuple(worst_first(devices.analyze(frames, Context(EVERY_MODEL, NO_VERSION, Window("", start, end), end, BUDGET))))
