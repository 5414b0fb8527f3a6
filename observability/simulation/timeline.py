"""The incidents of a planted fault day by day, compared with the same days without it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from observability.core.errors import UsageError
from observability.core.finding import SEVERITIES, Finding, iso, needs_action
from observability.incidents.grouping import Incident
from observability.simulation.clean_log import CleanStream
from observability.simulation.fault import ServingFault, Strength
from observability.simulation.fault_targets import FaultTargets, fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.log_from_store import BaseSource, simulation_base
from observability.simulation.replay import FaultScenario, Progress, ReplayDay, ReplayLab, replay_in_store
from observability.simulation.temporary_store import temporary_store
from observability.store.engine import Store

MIN_ROWS, MAX_ROWS, MAX_DAYS, MAX_DELAY = 50, 20_000, 28, 60
PAST_DAYS = 28
"""Clean days before the fault: analyzers compare with the past four weeks."""


@dataclass(frozen=True)
class TimelineRequest:
    """Options of a simulated fault. Raises UsageError if a number is out of its bounds."""

    model: str
    fault: str
    strength: Strength = "middle"
    days: int = 7
    rows_a_day: int = 1000
    label_delay: int = 0
    seed: int = 0
    source: BaseSource = "auto"

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("rows a day", self.rows_a_day, MIN_ROWS, MAX_ROWS),
            ("days", self.days, 1, MAX_DAYS),
            ("the label delay", self.label_delay, 0, MAX_DELAY),
        ):
            if not low <= value <= high:
                raise UsageError(f"the value of {name} is out of range", got=value, expected=f"{low:,} to {high:,}")


@dataclass(frozen=True)
class TimelineIncident:
    """One incident of one day. twin: whether it also occurs without the fault. names: whether it is about a target of the fault."""

    day: ReplayDay
    incident: Incident
    twin: bool
    names: bool


@dataclass(frozen=True)
class FaultTimeline:
    """The result. source_note: where the clean days come from. planted, twin: the days with and without the fault."""

    choice: TimelineRequest
    fault: ServingFault
    target: dict[str, str]
    source_note: str
    planted: tuple[ReplayDay, ...]
    twin: tuple[ReplayDay, ...]

    def reported(self) -> Iterator[TimelineIncident]:
        """Every incident of every day, worst first within the day."""
        for day, twin in zip(self.planted, self.twin, strict=True):
            without = {_finding_claim(each): each.severity for one in twin.incidents for each in one.findings}
            for incident in day.incidents:
                known = without.get(_finding_claim(incident.lead))
                also = known is not None and SEVERITIES.index(known) <= SEVERITIES.index(incident.lead.severity)
                yield TimelineIncident(day, incident, also, any(_matches_target(each, self.target) for each in incident.findings))

    @property
    def first_said(self) -> int | None:
        """The first day with an incident that does not occur without the fault; None if there is none."""
        return next((each.day.number for each in self.reported() if not each.twin), None)

    @property
    def first_named(self) -> int | None:
        """The first day with an incident about a target of the fault that does not occur without the fault; None if there is none."""
        return next((each.day.number for each in self.reported() if not each.twin and each.names), None)

    @property
    def others(self) -> int:
        """The largest number on one day of further `act` incidents, without the first and without those that also occur without the
        fault.
        """
        acts = [0] * len(self.planted)
        for each in self.reported():
            acts[each.day.number - 1] += each.incident.severity == "act" and not each.twin
        return max(max(acts, default=0) - 1, 0)

    @property
    def sentence(self) -> str:
        """The result in one or two sentences."""
        if self.first_said is None:
            return f"No finding in {len(self.planted)} days beyond those without the fault."
        first = next(each for each in self.reported() if not each.twin)
        said = f"First detected on day {self.first_said}: {first.incident.lead.because}"
        if not self.target:
            return said
        whom = " and ".join(f"`{each}`" for each in self.target.values())
        if self.first_named is None:
            return f"{said} {whom}, the target of the fault, was never named."
        return said if first.names else f"{said} {whom} was named on day {self.first_named}."

    def rows(self) -> list[dict[str, Any]]:
        """The timeline as rows of a table, one per incident and day; a day without incidents has one row."""
        found = []
        said = list(self.reported())
        for day in self.planted:
            mine = [each for each in said if each.day is day]
            for each in mine:
                lead = each.incident.lead
                found.append(
                    {
                        "day": day.number,
                        "as_of": iso(day.end),
                        "severity": each.incident.severity,
                        **{name: getattr(lead, name) for name in LEAD_FIELDS},
                        "likely_source": each.incident.source,
                        "because": lead.because,
                        "with_it": len(each.incident.collateral),
                        "named": each.names,
                        "also_without_fault": each.twin,
                    }
                )
            if not mine:
                found.append(
                    dict.fromkeys(COLUMNS) | {"day": day.number, "as_of": iso(day.end), "severity": "ok", "because": "No action needed."}
                )
        return found

    def to_json(self) -> dict[str, Any]:
        """The whole result, as the command line prints it."""
        choice = self.choice
        return {
            "basis": "simulated",
            "model": choice.model,
            "fault": self.fault.name,
            "told": self.fault.description,
            "strength": choice.strength,
            "amount": self.fault.amount(choice.strength),
            "unit": self.fault.unit,
            "falls_on": self.target,
            **{name: getattr(choice, name) for name in ("rows_a_day", "label_delay", "seed")},
            "clean_days": self.source_note,
            "first_said": self.first_said,
            "first_named": self.first_named,
            "other_incidents": self.others,
            "sentence": self.sentence,
            "days": self.rows(),
        }


LEAD_FIELDS = ("analyzer", "subject", "slice", "metric", "value", "n")
COLUMNS = ("day", "as_of", "severity", *LEAD_FIELDS, "likely_source", "because", "with_it", "named", "also_without_fault")


def _finding_claim(finding: Finding) -> tuple[str | None, ...]:
    """The fields that identify a finding, independent of its window."""
    return finding.analyzer, finding.version, finding.subject, finding.metric, finding.slice


def _matches_target(finding: Finding, target: dict[str, str]) -> bool:
    """Whether a finding that needs action is about a target of the fault."""
    whom = set(target.values())
    return needs_action(finding.severity) and (finding.subject in whom or bool(whom & set((finding.slice or "").split("&"))))


def request_targets(store: Store, choice: TimelineRequest) -> FaultTargets:
    """The fault targets of a request."""
    return fault_targets(simulation_base(store, choice.model, source=choice.source, seed=choice.seed), choice.seed)


def fault_obstacles(scene: FaultTargets) -> dict[str, str | None]:
    """By fault, the reason why it cannot be planted on a model; None if it can."""
    return {name: scene.lacks(each.needs) for name, each in FAULTS.items()}


def build_fault_timeline(scene: FaultTargets, choice: TimelineRequest, progress: Progress = lambda share, said: None) -> FaultTimeline:
    """Plant the fault and check each day in a temporary store. The twin is checked in memory, which is faster and gives equal findings.

    Raises UsageError if the model lacks what the fault needs.
    """
    fault = FAULTS[choice.fault]
    if (why := scene.lacks(fault.needs)) is not None:
        raise UsageError(
            f"the fault {fault.title} cannot be planted on {choice.model}", got=why, attempt="Choose another fault, or log what is missing"
        )
    stream = CleanStream(
        scene.base, choice.seed, past=PAST_DAYS, days=choice.days, rows_a_day=choice.rows_a_day, label_delay=choice.label_delay
    )
    scenario = FaultScenario(stream, scene, fault, choice.strength)
    progress(0.0, "registering the reference in a temporary store")
    with temporary_store(scene.base) as store:
        planted = list(replay_in_store(store, scenario, lambda share, said: progress(0.75 * share, said)))
        model = store.catalog().model(scene.base.name)
    progress(0.75, "the same days without the fault")
    twin = []
    for day in ReplayLab.of(stream, model).judge(FaultScenario(stream, scene)):
        twin.append(day)
        progress(0.8 + 0.2 * day.number / choice.days, f"day {day.number} of {choice.days} without the fault")
    return FaultTimeline(choice, fault, scenario.target, scene.base.source_note, tuple(planted), tuple(twin))
