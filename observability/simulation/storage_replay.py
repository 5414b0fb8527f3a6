"""Replay the analyzer data/storage on the reports of one storage place, with a fault planted in their last week. The store is only read."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzers.data import storage
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, worst_first
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.detection.storage_changes import MIN_DAYS, MIN_PAST_DAYS
from observability.metrics.form_decisions import FORM_DECISIONS
from observability.metrics.prices import PRICE_COLUMNS
from observability.metrics.storage_reports import PLACE_REPORTS, StoragePlace, daily_steps, storage_places
from observability.metrics.stored_forms import STORAGE_AUDITS
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_storage import StorageFault, StorageFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Ask = Callable[[Records, Window], "DataFrame"]
WEEK = timedelta(days=7)
BUDGET = 0.0143


def replay_on_storage(ask: Ask, fault: StorageFault, strength: Strength, now: datetime, *, seed: int = 0) -> RecordDetection:
    """Plant the fault in one place of the store and evaluate it. Raises UsageError if no place fits the fault."""
    return replay_storage_fault(ask(PLACE_REPORTS, Window("", EPOCH, now)), fault, strength, seed)


def replay_storage_fault(reports: "DataFrame", fault: StorageFault, strength: Strength = "middle", seed: int = 0) -> RecordDetection:
    """Plant the fault in the last week of one place and evaluate it. Raises UsageError if no place fits the fault."""
    import pandas as pd

    end = reports["at"].max() + timedelta(seconds=1) if len(reports) else EPOCH.replace(tzinfo=None)
    start = end - WEEK
    window = Window("", aware_utc(start), aware_utc(end))
    late = reports["at"] >= start
    targets = list(_fault_places(reports, late, fault))
    if not targets:
        wanted = f"a place with reports of {MIN_DAYS} days in the last week and {MIN_PAST_DAYS} before it, with {', '.join(fault.needs)}"
        raise UsageError(f"no place to plant {fault.name} on", got=f"{len(reports):,} reports", expected=wanted)
    rng = np.random.default_rng([seed, 43])
    place = targets[int(rng.integers(len(targets)))]
    before = place.before.iloc[:0] if fault.whole else place.before
    planted = fault.plant(StorageFaultPlant(place.whole if fault.whole else place.now, *_usual_growth(place), fault.amount(strength), rng))
    rest = reports[reports["place"].astype(str) != place.name]
    twin, faulty = (pd.concat([rest, *each], ignore_index=True) for each in ((place.before, place.now), (before, planted)))
    looks = (DetectionLook(1, 0, _storage_findings(faulty, window), _storage_findings(twin, window)),)
    target, about = f"place:{place.name}", f"Reports of the place {place.name}."
    return RecordDetection(fault, strength, "place", place.name, "week", 1, target, "", 1, looks, about)


def _fault_places(reports: "DataFrame", late: "Series[bool]", fault: StorageFault) -> Iterator[StoragePlace]:
    """The places that have reports on enough days, with all fields that the fault needs."""
    for place in storage_places(reports[late], reports[~late]) if len(reports) else ():
        days = [part["at"].dt.floor("D").nunique() for part in (place.now, place.before)]
        whole = all(part[name].notna().all() for part in (place.now, place.before) for name in fault.needs)
        if days[0] >= MIN_DAYS and days[1] >= MIN_PAST_DAYS and whole and not (fault.name == "unread_data" and place.archive):
            yield place


def _usual_growth(place: StoragePlace) -> tuple[float, float]:
    """The median and the mean daily growth before the window, in bytes; a thousandth of the stored bytes if there is no growth."""
    steps = daily_steps(place)
    before, least = steps.by_day[~steps.recent], 0.001 * float(place.now["used_bytes"].fillna(0.0).max())
    usual, mean = (float(each(before)) if before.size else 0.0 for each in (np.median, np.mean))
    return usual if usual > 0 else least, mean if mean > 0 else least


def _storage_findings(reports: "DataFrame", window: Window) -> tuple[Finding, ...]:
    """Findings about the places in a window."""
    import pandas as pd

    first = window.start.replace(tzinfo=None)
    prices = pd.DataFrame({name: pd.Series([], dtype="datetime64[us]" if name == "from" else object) for name in PRICE_COLUMNS})
    datasets, decisions = (pd.DataFrame(columns=list(asked.columns or ())) for asked in (STORAGE_AUDITS, FORM_DECISIONS))
    frames = {
        "reports": reports[reports["at"] >= first],
        "past reports": reports[reports["at"] < first],
        "prices": prices,
        "datasets": datasets,
        "decisions": decisions,
    }
    return tuple(worst_first(storage.analyze(frames, Context(EVERY_MODEL, NO_VERSION, window, window.end, BUDGET))))
