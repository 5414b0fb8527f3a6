"""What would have been said on each day, and when?

A scenario is a fault, its strength, and a stream; its days are judged one by one as of each day's end, with only what had arrived by then. Beside
it stands its twin, the same days without the fault: what is said about both is not the fault's doing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Catalog, Model
from observability.core.finding import Finding, needs_action
from observability.core.window import Window
from observability.incidents.grouping import Incident
from observability.monitoring import check
from observability.simulation.clean_log import DAY, Base, Stream
from observability.simulation.coded_rows import Coded
from observability.simulation.fault import STRENGTHS, Fault, Plant, Strength
from observability.simulation.fault_targets import Scene
from observability.simulation.findings_cache import Remembered
from observability.simulation.log_rows import Rows
from observability.simulation.memory_engine import Part, Tables
from observability.simulation.temporary_store import load, throw_away

if TYPE_CHECKING:
    from observability.store.db.database import Store

Progress = Callable[[float, str], object]
"""Called with the share that is done and what is being done; it may raise to stop."""
WINDOW_DAYS = 7
"""Length of the window that a daily check judges, as `check` takes it by default."""


@dataclass(frozen=True)
class Day:
    """What was said as of the end of one day: findings and the incidents that they form, worst first. number: days since the onset, from 1."""

    number: int
    end: datetime
    findings: tuple[Finding, ...]
    incidents: tuple[Incident, ...] = ()

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """What asks for a person, worst first."""
        return tuple(each for each in self.findings if needs_action(each.severity))


@dataclass(frozen=True)
class Scenario:
    """A fault at a strength, planted on a stream from its onset on. fault None: the twin, in which nothing is planted."""

    stream: Stream
    scene: Scene
    fault: Fault | None = None
    strength: Strength = "middle"

    @property
    def target(self) -> dict[str, str]:
        """Who the fault falls on, in plain names."""
        return {} if self.fault is None else self.scene.target(self.fault.needs)

    @property
    def lacks(self) -> str | None:
        """Why the fault cannot be planted on this base; None where it can."""
        return None if self.fault is None else self.scene.lacks(self.fault.needs)

    def planted(self, number: int, clean: Rows) -> Rows:
        """The rows of the day with that number, from the onset on, with the fault in them."""
        if self.fault is None:
            return clean
        rng = np.random.default_rng([self.stream.seed, number, 11, STRENGTHS.index(self.strength)])
        return self.fault.planted(clean, Plant(self.scene, self.fault.amount(self.strength), number - self.stream.past, rng))


@dataclass
class Lab:
    """A stream ready for many scenarios: its model is registered once, its clean days are drawn, binned and counted once.

    models: the catalog's model. `Lab.of` makes one.
    """

    stream: Stream
    model: Model
    reference: dict[str, Part]
    clean: dict[int, list[Part]]
    rows: dict[int, Rows]
    levels: dict[str, dict[str | None, int]] = field(default_factory=dict)
    shared: dict[Any, Any] = field(default_factory=dict)
    before: Remembered = field(default_factory=Remembered)

    @classmethod
    def of(cls, stream: Stream, model: Model | None = None) -> "Lab":
        """The lab of a stream. model: of a base that was registered before, else it is registered in a throw-away store."""
        if model is None:
            model = registered_model(stream.base)
        known = {each.name: each for each in model.versions}
        rows = {number: stream.day(number) for number in range(stream.past + stream.days)}
        clean = {number: parts_of(model, each) for number, each in rows.items()}
        reference = {
            name: Part(version, Coded(model, version, undated(stream.base.reference, name)), None) for name, version in known.items()
        }
        return cls(stream, model, reference, clean, {number: each for number, each in rows.items() if number >= stream.past})

    def planted(self, scenario: Scenario, number: int) -> list[Part]:
        """One day, counted from the onset (from 1), with the fault in it."""
        day = self.stream.past + number - 1
        return self.clean[day] if scenario.fault is None else parts_of(self.model, scenario.planted(day, self.rows[day]))

    def judge(self, scenario: Scenario, reads: check.Reads = "all", first: int = 1) -> Iterator[Day]:
        """What is said day by day, from the first day with the fault on, or from a later one on. Days are planted one by one: before a day began, nothing of it had arrived."""
        untouched = frozenset(id(part) for each in (*self.clean.values(), self.reference.values()) for part in each)
        tables = Tables(self.model, {}, self.reference, clean=untouched, shared=self.shared, before=self.before, levels=self.levels)
        tables.add(part for number in range(self.stream.past) for part in self.clean[number])
        for number in range(1, self.stream.days + 1):
            tables.add(self.planted(scenario, number))
            if number >= first:
                yield judged_day(tables, self.model, self.stream, number, reads)


def registered_model(base: Base) -> Model:
    """The model of a base as the catalog has it."""
    with throw_away(base) as store:
        return store.catalog().model(base.name)


def parts_of(model: Model, rows: Rows) -> list[Part]:
    """Rows as parts by day and version."""
    known = {each.name: each for each in model.versions}
    days = rows["at"].astype("datetime64[D]")
    found = []
    for name in dict.fromkeys(rows["version"].tolist()):
        own = np.equal(rows["version"], name).astype(bool)
        for day in np.unique(days[own]):
            inside = own & (days == day)
            found.append(Part(known[name], Coded(model, known[name], rows if inside.all() else rows.take(inside)), day))
    return found


def undated(rows: Rows, version: str) -> Rows:
    """The rows of a reference, which had all arrived always."""
    epoch = np.full(len(rows), np.datetime64("1970-01-01", "us"))
    names = np.array([f"reference/{version}/{place + 1}" for place in range(len(rows))], object)
    late = np.where(np.isnan(rows["label"]), np.datetime64("NaT", "us"), epoch)
    return rows.put({"id": names, "at": epoch, "arrived": epoch, "label_arrived": late})


def judged_day(asked: "Store | Tables", model: Model, stream: Stream, number: int, reads: check.Reads = "all") -> Day:
    """What is said as of the end of a day."""
    end = stream.onset + number * DAY
    window = Window(model.name, end - timedelta(days=WINDOW_DAYS), end, as_of=end)
    findings = check.unique(check.model_findings(asked, model, window, end, (), reads))
    settled, incidents = check.gathered(Catalog((model,)), findings)
    return Day(number, end, tuple(settled), incidents)


def by_store(scenario: Scenario, progress: Progress = lambda share, said: None) -> Iterator[Day]:
    """What is said day by day, on the honest road: a throw-away store, loaded with lines."""
    progress(0.0, "registering the reference in a throw-away store")
    with throw_away(scenario.stream.base) as store:
        yield from in_store(store, scenario, progress)


def in_store(store: "Store", scenario: Scenario, progress: Progress) -> Iterator[Day]:
    """The same in a throw-away store that has nothing but the model."""
    stream = scenario.stream
    days = []
    for number in range(stream.past + stream.days):
        rows = stream.day(number)
        days.append(scenario.planted(number, rows) if number >= stream.past else rows)
    progress(0.05, f"loading {sum(map(len, days)):,} simulated predictions")
    report = load(store, stream.base, days)
    if report.rejected:
        raise RuntimeError(f"the lab wrote lines that were rejected: {report.reasons}")
    model = store.catalog().model(stream.base.name)
    for number in range(1, stream.days + 1):
        progress(0.2 + 0.8 * (number - 1) / stream.days, f"judging day {number} of {stream.days}")
        yield judged_day(store, model, stream, number)
