"""What did the monitoring say about a planted fault, day by day, and what does it say about the same days without it?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from observability.core.errors import UsageError
from observability.core.finding import SEVERITIES, Finding, iso, needs_action
from observability.incidents.grouping import Incident
from observability.simulation.clean_log import Stream
from observability.simulation.fault import Fault, Strength
from observability.simulation.fault_targets import Scene, cast
from observability.simulation.faults import FAULTS
from observability.simulation.log_from_store import Source, base_of
from observability.simulation.replay import Day, Lab, Progress, Scenario, in_store
from observability.simulation.temporary_store import throw_away

if TYPE_CHECKING:
    from observability.store.db.database import Store

LEAST_ROWS, MOST_ROWS, MOST_DAYS, MOST_DELAY = 50, 20_000, 28, 60
PAST_DAYS = 28
"""Clean days before the fault: what analyzers hold against the past looks back four weeks."""


@dataclass(frozen=True)
class Choice:
    """What a person asks the lab for. model: None for the first that has a reference. rows_a_day: None for as many as the model usually gets, within bounds."""

    model: str
    fault: str
    strength: Strength = "middle"
    days: int = 7
    rows_a_day: int = 1000
    label_delay: int = 0
    seed: int = 0
    source: Source = "auto"

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("rows a day", self.rows_a_day, LEAST_ROWS, MOST_ROWS),
            ("days", self.days, 1, MOST_DAYS),
            ("the label delay", self.label_delay, 0, MOST_DELAY),
        ):
            if not low <= value <= high:
                raise UsageError(f"{name}: out of range", got=value, expected=f"{low:,} to {high:,}")


@dataclass(frozen=True)
class Said:
    """One incident of one day. twin: it is also said about the same day without the fault. names: it is about what the fault fell on."""

    day: Day
    incident: Incident
    twin: bool
    names: bool


@dataclass(frozen=True)
class Timeline:
    """What was said. told: where the clean days come from. planted, twin: the days with and without the fault."""

    choice: Choice
    fault: Fault
    target: dict[str, str]
    told: str
    planted: tuple[Day, ...]
    twin: tuple[Day, ...]

    def said(self) -> Iterator[Said]:
        """Every incident of every day, worst first within the day."""
        for day, twin in zip(self.planted, self.twin, strict=True):
            without = {claim(each): each.severity for one in twin.incidents for each in one.findings}
            for incident in day.incidents:
                known = without.get(claim(incident.lead))
                also = known is not None and SEVERITIES.index(known) <= SEVERITIES.index(incident.lead.severity)
                yield Said(day, incident, also, any(about(each, self.target) for each in incident.findings))

    @property
    def first_said(self) -> int | None:
        """The first day on which something was said that the twin does not say; None where nothing was."""
        return next((each.day.number for each in self.said() if not each.twin), None)

    @property
    def first_named(self) -> int | None:
        """The first day on which that was about what the fault fell on; None where it never was."""
        return next((each.day.number for each in self.said() if not each.twin and each.names), None)

    @property
    def others(self) -> int:
        """The most incidents of one day that need somebody, beyond the first and beyond those of the twin."""
        acts = [0] * len(self.planted)
        for each in self.said():
            acts[each.day.number - 1] += each.incident.severity == "act" and not each.twin
        return max(max(acts, default=0) - 1, 0)

    @property
    def sentence(self) -> str:
        """The answer in one or two sentences."""
        if self.first_said is None:
            return f"Nothing was said in {len(self.planted)} days that is not also said without the fault."
        first = next(each for each in self.said() if not each.twin)
        said = f"First said on day {self.first_said}: {first.incident.lead.because}"
        if not self.target:
            return said
        whom = " and ".join(f"`{each}`" for each in self.target.values())
        if self.first_named is None:
            return f"{said} {whom}, on which the fault falls, was never named."
        return said if first.names else f"{said} {whom} was named on day {self.first_named}."

    def rows(self) -> list[dict[str, Any]]:
        """The timeline as rows of a table, one an incident and day; a day on which nothing was said has one row."""
        found = []
        said = list(self.said())
        for day in self.planted:
            mine = [each for each in said if each.day is day]
            for each in mine:
                lead = each.incident.lead
                found.append(
                    {
                        "day": day.number, "as_of": iso(day.end), "severity": each.incident.severity, "analyzer": lead.analyzer, "subject": lead.subject,
                        "slice": lead.slice, "metric": lead.metric, "value": lead.value, "n": lead.n, "likely_source": each.incident.source,
                        "because": lead.because, "with_it": len(each.incident.collateral), "named": each.names, "also_without_fault": each.twin,
                    }
                )  # fmt: skip
            if not mine:
                found.append(
                    dict.fromkeys(COLUMNS)
                    | {"day": day.number, "as_of": iso(day.end), "severity": "ok", "because": "Nothing needs a person."}
                )
        return found

    def to_json(self) -> dict[str, Any]:
        """Everything, as the command line prints it."""
        choice = self.choice
        return {
            "basis": "simulated", "model": choice.model, "fault": self.fault.name, "told": self.fault.told, "strength": choice.strength,
            "amount": self.fault.amount(choice.strength), "unit": self.fault.unit, "falls_on": self.target, "rows_a_day": choice.rows_a_day,
            "label_delay": choice.label_delay, "seed": choice.seed, "clean_days": self.told, "first_said": self.first_said,
            "first_named": self.first_named, "other_incidents": self.others, "sentence": self.sentence, "days": self.rows(),
        }  # fmt: skip


COLUMNS = (
    "day", "as_of", "severity", "analyzer", "subject", "slice", "metric", "value", "n", "likely_source", "because", "with_it", "named", "also_without_fault",
)  # fmt: skip


def claim(finding: Finding) -> tuple[str | None, ...]:
    """What a finding is a claim of, whatever its window."""
    return finding.analyzer, finding.version, finding.subject, finding.metric, finding.slice


def about(finding: Finding, target: dict[str, str]) -> bool:
    """Whether a finding that needs a person is about something that the fault falls on."""
    whom = set(target.values())
    return needs_action(finding.severity) and (finding.subject in whom or bool(whom & set((finding.slice or "").split("&"))))


def scene_of(store: "Store", choice: Choice) -> Scene:
    """The scene of a choice."""
    return cast(base_of(store, choice.model, source=choice.source, seed=choice.seed), choice.seed)


def possible(scene: Scene) -> dict[str, str | None]:
    """By fault, why it cannot be planted on a model; None where it can."""
    return {name: scene.lacks(each.needs) for name, each in FAULTS.items()}


def tell(scene: Scene, choice: Choice, progress: Progress = lambda share, said: None) -> Timeline:
    """Plants the fault, judges each day in a throw-away store, and the twin in memory (which gives the same findings, and sooner).

    Raises UsageError where the model lacks what the fault needs.
    """
    fault = FAULTS[choice.fault]
    if (why := scene.lacks(fault.needs)) is not None:
        raise UsageError(
            f"{fault.title} cannot be planted on {choice.model}", got=why, attempt="Choose another fault, or log what is missing"
        )
    stream = Stream(scene.base, choice.seed, past=PAST_DAYS, days=choice.days, rows_a_day=choice.rows_a_day, label_delay=choice.label_delay)
    scenario = Scenario(stream, scene, fault, choice.strength)
    progress(0.0, "registering the reference in a throw-away store")
    with throw_away(scene.base) as store:
        planted = list(in_store(store, scenario, lambda share, said: progress(0.75 * share, said)))
        model = store.catalog().model(scene.base.name)
    progress(0.75, "the same days without the fault")
    twin = []
    for day in Lab.of(stream, model).judge(Scenario(stream, scene)):
        twin.append(day)
        progress(0.8 + 0.2 * day.number / choice.days, f"day {day.number} of {choice.days} without the fault")
    return Timeline(choice, fault, scenario.target, scene.base.told, tuple(planted), tuple(twin))
