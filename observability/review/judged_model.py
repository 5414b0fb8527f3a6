"""Results of one model over a frozen week."""

from dataclasses import dataclass

from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.window import Window
from observability.incidents.grouping import Incident


@dataclass(frozen=True)
class JudgedModel:
    """The week of one model: window, findings (worst first), incidents (worst first), last week's findings, number of predictions."""

    model: Model
    window: Window
    findings: tuple[Finding, ...]
    incidents: tuple[Incident, ...]
    before: tuple[Finding, ...]
    served: int
