"""Claims about one training run, from which findings are made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from observability.core import numerals
from observability.core.finding import Against, Severity, Source

MIN_STEPS = 20
"""A curve is judged only if at least this many steps have a value."""


@dataclass(frozen=True)
class RunClaim:
    """A sentence about a run, with its figure. subject: `run:ID` if None. value, low, high: in the unit of the metric; None only if
    unknown.
    """

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


def run_name(names: Sequence[str], most: int = 4) -> str:
    """Return the first few names, each between backticks."""
    shown = ", ".join(f"`{each}`" for each in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def run_figure(value: float) -> str:
    """Return a value of a metric in four significant digits."""
    return numerals.format_figure(value)


def duration_words(seconds: float) -> str:
    """Return a duration in its largest suitable unit."""
    for size, unit in ((172800.0, "days"), (7200.0, "h"), (120.0, "min")):
        if seconds >= size:
            return f"{seconds / {'days': 86400, 'h': 3600, 'min': 60}[unit]:.3g} {unit}"
    if 0 < seconds < 0.001:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 100 else f"{seconds:.0f} s"


def counted_things(n: int, one: str) -> str:
    """Return a number with its noun, such as `1 step`, `3 steps`."""
    return f"{n:,} {one}{'' if n == 1 else 's'}"
