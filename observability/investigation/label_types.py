"""The label of a prediction and its revisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Revision:
    """One label as it was given: event time, time of arrival (UTC), canonical text, number where it is one. current: it counts now."""

    value: str
    at: datetime
    arrived: datetime
    number: float | None = None
    source: str | None = None
    annotator: str | None = None
    guideline: str | None = None
    current: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Label:
    """What is held for true: the current revision, and every revision in order of arrival."""

    value: str
    at: datetime
    revisions: tuple[Revision, ...]
