"""What was said of records with a planted fault, look by look, and what of the same records without it?"""

from dataclasses import dataclass
from typing import Any

from observability.core.finding import Finding, needs_action
from observability.simulation.fault import Described, Strength


@dataclass(frozen=True)
class Look:
    """What was said at one look. at: the step or day; after: how many since the fault began. twin: findings of the same look without the fault."""

    at: int
    after: int
    findings: tuple[Finding, ...]
    twin: tuple[Finding, ...]

    @property
    def alarms(self) -> list[Finding]:
        """What needs a person and is not also said without the fault, worst first."""
        known = {(each.subject, each.metric) for each in self.twin if needs_action(each.severity)}
        return [each for each in self.findings if needs_action(each.severity) and (each.subject, each.metric) not in known]


@dataclass(frozen=True)
class Told:
    """What was said. kind, name: of what the records are, as run and its name. unit: what time is counted in, step or day; size: the last one. target: the
    subject on which the fault falls, detail: further words on it; onset: the step or day at which it begins. about: where the records come from.
    """

    fault: Described
    strength: Strength
    kind: str
    name: str
    unit: str
    size: int
    target: str
    detail: str
    onset: int
    looks: tuple[Look, ...]
    about: str = ""

    @property
    def first_said(self) -> int | None:
        """Steps or days from the fault's beginning to the first look at which something was said that the twin does not say; None where nothing was."""
        return next((each.after for each in self.looks if each.alarms), None)

    @property
    def first_named(self) -> int | None:
        """The same until what was said is about what the fault falls on."""
        return next((each.after for each in self.looks if any(one.subject == self.target for one in each.alarms)), None)

    @property
    def sentence(self) -> str:
        """The answer in a sentence."""
        if self.first_said is None:
            return f"Nothing was said to the end of the {self.kind}, {self.unit} {self.size:,}, that is not also said without the fault."
        first = next(each for each in self.looks if each.alarms)
        units = self.unit if first.after == 1 else f"{self.unit}s"
        said = f"First said {first.after:,} {units} after it began: {first.alarms[0].because}"
        return said if self.first_named is not None else f"{said} `{self.target}`, on which the fault falls, was never named."

    def rows(self) -> list[dict[str, Any]]:
        """One row a look and alarm; a look without one has one row."""
        return [
            {
                self.unit: look.at, f"{self.unit}s_after": look.after, "severity": one.severity if one else "ok", "subject": one.subject if one else None,
                "metric": one.metric if one else None, "value": one.value if one else None, "n": one.n if one else None,
                "because": one.because if one else "Nothing needs a person that does not without the fault.",
                "named": one is not None and one.subject == self.target,
            }
            for look in self.looks for one in (*look.alarms, *(() if look.alarms else (None,)))
        ]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Everything, as the command line prints it."""
        return {
            "basis": "simulated", self.kind: self.name, "fault": self.fault.name, "told": self.fault.told, "strength": self.strength,
            "amount": self.fault.amount(self.strength), "unit": self.fault.unit, "falls_on": self.target, "detail": self.detail,
            "records": self.about, f"onset_{self.unit}": self.onset, f"{self.unit}s": self.size, "first_said": self.first_said,
            "first_named": self.first_named, "sentence": self.sentence, "looks": self.rows(),
        }  # fmt: skip
