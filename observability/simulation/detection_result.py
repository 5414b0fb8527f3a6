"""The result of a fault planted in records: the findings with the fault and without it, at each evaluation."""

from dataclasses import dataclass
from typing import Any

from observability.core.finding import Finding, needs_action
from observability.simulation.fault import DescribedFault, Strength


@dataclass(frozen=True)
class DetectionLook:
    """One evaluation. at: the step or day; after: number of steps or days since the fault began. twin: the findings on the same records
    without the fault.
    """

    at: int
    after: int
    findings: tuple[Finding, ...]
    twin: tuple[Finding, ...]

    @property
    def alarms(self) -> list[Finding]:
        """Findings that need action and do not occur without the fault, worst first."""
        known = {(each.subject, each.metric) for each in self.twin if needs_action(each.severity)}
        return [each for each in self.findings if needs_action(each.severity) and (each.subject, each.metric) not in known]


@dataclass(frozen=True)
class RecordDetection:
    """The result of planting a fault in records. kind, name: what the records belong to, such as `run` and the name of the run. unit: step
    or day; size: the last step or day. target: the subject of the fault; detail: a further description of the target; onset: the step or
    day at which the fault begins. about: where the records come from.
    """

    fault: DescribedFault
    strength: Strength
    kind: str
    name: str
    unit: str
    size: int
    target: str
    detail: str
    onset: int
    looks: tuple[DetectionLook, ...]
    about: str = ""

    @property
    def first_said(self) -> int | None:
        """Number of steps or days from the onset to the first alarm that does not occur without the fault; None if there is no such
        alarm.
        """
        return next((each.after for each in self.looks if each.alarms), None)

    @property
    def first_named(self) -> int | None:
        """Number of steps or days from the onset to the first alarm about the target; None if there is no such alarm."""
        return next((each.after for each in self.looks if any(one.subject == self.target for one in each.alarms)), None)

    @property
    def sentence(self) -> str:
        """The result in a sentence."""
        if self.first_said is None:
            return f"No finding up to the end of the {self.kind}, {self.unit} {self.size:,}, beyond those without the fault."
        first = next(each for each in self.looks if each.alarms)
        units = self.unit if first.after == 1 else f"{self.unit}s"
        said = f"First detected {first.after:,} {units} after the onset: {first.alarms[0].because}"
        return said if self.first_named is not None else f"{said} `{self.target}`, the target of the fault, was never named."

    def rows(self) -> list[dict[str, Any]]:
        """One row per evaluation and alarm; an evaluation without an alarm has one row."""
        return [
            {
                self.unit: look.at,
                f"{self.unit}s_after": look.after,
                "severity": one.severity if one else "ok",
                **{name: getattr(one, name, None) for name in ("subject", "metric", "value", "n")},
                "because": one.because if one else "No alarm beyond those without the fault.",
                "named": one is not None and one.subject == self.target,
            }
            for look in self.looks
            for one in (*look.alarms, *(() if look.alarms else (None,)))
        ]

    def to_json(self) -> dict[str, Any]:
        """The whole result, in the form that the command line prints."""
        return {
            "basis": "simulated", self.kind: self.name, "fault": self.fault.name, "told": self.fault.description, "strength": self.strength,
            "amount": self.fault.amount(self.strength), "unit": self.fault.unit, "falls_on": self.target, "detail": self.detail,
            "records": self.about, f"onset_{self.unit}": self.onset, f"{self.unit}s": self.size, "first_said": self.first_said,
            "first_named": self.first_named, "sentence": self.sentence, "looks": self.rows(),
        }  # fmt: skip
