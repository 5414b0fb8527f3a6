"""One model judged over a frozen week."""

from dataclasses import dataclass

from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.window import Window
from observability.incidents.grouping import Incident


@dataclass(frozen=True)
class Judged:
    """One model in the week: its window, findings worst first, incidents worst first, what the week before said, predictions served."""

    model: Model
    window: Window
    findings: tuple[Finding, ...]
    incidents: tuple[Incident, ...]
    before: tuple[Finding, ...]
    served: int
