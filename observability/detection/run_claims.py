"""What is claimed about one training run, before it is put into a finding?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from observability.core import numerals
from observability.core.finding import Against, Severity, Source

LEAST_STEPS = 20
"""Steps with a value below which no curve is judged."""


@dataclass(frozen=True)
class Claim:
    """One sentence with its number. subject: `run:ID` where None. value, low, high: in the metric's unit, None only where it cannot tell."""

    metric: str
    n: int
    severity: Severity
    because: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    against: Against = "level"
    onset: datetime | None = None
    source: Source | None = None
    rank: float = 0.0
    subject: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


def named(names: Sequence[str], most: int = 4) -> str:
    """Names between backticks, the first few of them."""
    shown = ", ".join(f"`{each}`" for each in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def figure(value: float) -> str:
    """A value of a metric in four significant digits."""
    return numerals.figure(value)


def duration(seconds: float) -> str:
    """A duration in its largest unit that says enough."""
    for size, unit in ((172800.0, "days"), (7200.0, "h"), (120.0, "min")):
        if seconds >= size:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:.3g} {unit}"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def counted(n: int, one: str) -> str:
    """`1 step`, `3 steps`."""
    return f"{n:,} {one}{'' if n == 1 else 's'}"
