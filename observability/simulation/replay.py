"""Replay the daily check on a stream with a planted fault.

A scenario is a fault, its strength, and a stream. Each day is checked as of its end, with only the records that had arrived by then. The
twin is the same stream without the fault; findings that also occur in the twin are not due to the fault.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from observability.core.catalog import Catalog, Model
from observability.core.finding import Finding, needs_action
from observability.core.window import Window
from observability.incidents.grouping import Incident
from observability.monitoring import analyzer_runs, check
from observability.simulation.clean_log import DAY, CleanStream
from observability.simulation.coded_rows import CodedRows
from observability.simulation.fault import STRENGTHS, FaultPlant, ServingFault, Strength
from observability.simulation.fault_targets import FaultTargets
from observability.simulation.findings_cache import FindingsCache
from observability.simulation.log_rows import LogRows
from observability.simulation.memory_engine import DayRows, MemoryEngine
from observability.simulation.temporary_store import load_days, temporary_store
from observability.store.engine import Engine, Store

Progress = Callable[[float, str], object]
"""Called with the share of the work that is done and a text about the current step. It may raise an error to stop the work."""
REGISTERED_PREFIXES = ("feature.", "group.", "score", "label")
"""Prefixes of the columns of a registered reference (temporary_store.py)."""
WINDOW_DAYS = 7
"""Length of the window of a daily check, the default of `check`."""


@dataclass(frozen=True)
class ReplayDay:
    """The check as of the end of one day: findings and incidents, worst first. number: days since the onset, from 1."""

    number: int
    end: datetime
    findings: tuple[Finding, ...]
    incidents: tuple[Incident, ...] = ()

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """Findings that need action, worst first."""
        return tuple(each for each in self.findings if needs_action(each.severity))


@dataclass(frozen=True)
class FaultScenario:
    """A fault of some strength, planted on a stream from its onset on. If `fault` is None, this is the twin, without a fault."""

    stream: CleanStream
    scene: FaultTargets
    fault: ServingFault | None = None
    strength: Strength = "middle"

    @property
    def target(self) -> dict[str, str]:
        """The targets of the fault by name."""
        return {} if self.fault is None else self.scene.target(self.fault.needs)

    @property
    def lacks(self) -> str | None:
        """Why the fault cannot be planted on this base; None if it can."""
        return None if self.fault is None else self.scene.lacks(self.fault.needs)

    def planted(self, number: int, clean: LogRows) -> LogRows:
        """The rows of one day with the fault in them. number: the day of the stream, at or after the onset."""
        if self.fault is None:
            return clean
        rng = np.random.default_rng([self.stream.seed, number, 11, STRENGTHS.index(self.strength)])
        return self.fault.planted(clean, FaultPlant(self.scene, self.fault.amount(self.strength), number - self.stream.past, rng))


@dataclass
class ReplayLab:
    """A stream that is prepared for many scenarios. Its model is registered once, and its clean days are drawn, binned and counted once.

    model: the model as the catalog has it. Use `ReplayLab.of` to make a lab.
    """

    stream: CleanStream
    model: Model
    reference: dict[str, DayRows]
    clean: dict[int, list[DayRows]]
    rows: dict[int, LogRows]
    levels: dict[str, dict[str | None, int]] = field(default_factory=dict)
    shared: dict[Any, Any] = field(default_factory=dict)
    before: FindingsCache = field(default_factory=FindingsCache)

    @classmethod
    def of(cls, stream: CleanStream, model: Model | None = None) -> "ReplayLab":
        """The lab of a stream. model: the catalog's model if the base is already registered; otherwise the base is registered in a
        temporary store.
        """
        if model is None:
            with temporary_store(stream.base) as store:
                model = store.catalog().model(stream.base.name)
        known = {each.name: each for each in model.versions}
        rows = {number: stream.day(number) for number in range(stream.past + stream.days)}
        clean = {number: _day_rows(model, each) for number, each in rows.items()}
        reference = {
            name: DayRows(version, CodedRows(model, version, _reference_log(stream.base.reference, name)), None)
            for name, version in known.items()
        }
        return cls(stream, model, reference, clean, {number: each for number, each in rows.items() if number >= stream.past})

    def planted(self, scenario: FaultScenario, number: int) -> list[DayRows]:
        """The rows of one day with the fault in them. Days are counted from 1 at the onset."""
        day = self.stream.past + number - 1
        return self.clean[day] if scenario.fault is None else _day_rows(self.model, scenario.planted(day, self.rows[day]))

    def judge(self, scenario: FaultScenario, reads: analyzer_runs.Reads = "all", first: int = 1, every: int = 1) -> Iterator[ReplayDay]:
        """Yield the check of every day, or of every nth day (`every`), from day `first` of the fault on. The fault is planted day by day,
        so a check never sees rows of a later day.
        """
        untouched = frozenset(id(part) for each in (*self.clean.values(), self.reference.values()) for part in each)
        tables = MemoryEngine(self.model, {}, self.reference, clean=untouched, shared=self.shared, before=self.before, levels=self.levels)
        tables.add(part for number in range(self.stream.past) for part in self.clean[number])
        for number in range(1, self.stream.days + 1):
            tables.add(self.planted(scenario, number))
            if number >= first and (number - first) % every == 0:
                yield _replay_day(tables, self.model, self.stream, number, reads, self.before.ask)


def _day_rows(model: Model, rows: LogRows) -> list[DayRows]:
    """Log rows divided into parts by day and version."""
    known = {each.name: each for each in model.versions}
    days = rows["at"].astype("datetime64[D]")
    found = []
    for name in dict.fromkeys(rows["version"].tolist()):
        own = np.equal(rows["version"], name).astype(bool)
        for day in np.unique(days[own]):
            inside = own & (days == day)
            found.append(DayRows(known[name], CodedRows(model, known[name], rows if inside.all() else rows.take(inside)), day))
    return found


def _reference_log(rows: LogRows, version: str) -> LogRows:
    """The rows of a reference as a log, with the registered columns only; all rows count as arrived."""
    epoch = np.full(len(rows), np.datetime64("1970-01-01", "us"))
    names = np.array([f"reference/{version}/{place + 1}" for place in range(len(rows))], object)
    late = np.where(np.isnan(rows["label"]), np.datetime64("NaT", "us"), epoch)
    kept = {name: values for name, values in rows.columns.items() if name.startswith(REGISTERED_PREFIXES)}
    return LogRows({**kept, "id": names, "at": epoch, "arrived": epoch, "label_arrived": late})


def _replay_day(
    engine: Engine,
    model: Model,
    stream: CleanStream,
    number: int,
    reads: analyzer_runs.Reads = "all",
    judge: analyzer_runs.RunAnalyzer = analyzer_runs.run_analyzer,
) -> ReplayDay:
    """The result of the check as of the end of a day."""
    end = stream.onset + number * DAY
    window = Window(model.name, end - timedelta(days=WINDOW_DAYS), end, as_of=end)
    findings = check.unique_findings(check.model_findings(engine, model, window, end, (), reads, judge))
    settled, incidents = check.findings_with_incidents(Catalog((model,)), findings)
    return ReplayDay(number, end, tuple(settled), incidents)


def replay_in_store(store: Store, scenario: FaultScenario, progress: Progress) -> Iterator[ReplayDay]:
    """Replay in a temporary store that holds only the model."""
    stream = scenario.stream
    days = []
    for number in range(stream.past + stream.days):
        rows = stream.day(number)
        days.append(scenario.planted(number, rows) if number >= stream.past else rows)
    progress(0.05, f"loading {sum(map(len, days)):,} simulated predictions")
    report = load_days(store, stream.base, days)
    if report.rejected:
        raise RuntimeError(f"the lab wrote lines that were rejected: {report.reasons}")
    model = store.catalog().model(stream.base.name)
    for number in range(1, stream.days + 1):
        progress(0.2 + 0.8 * (number - 1) / stream.days, f"judging day {number} of {stream.days}")
        yield _replay_day(store, model, stream, number)
