"""Which rows a question covers: a window of event time, and a slice."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal, Self
from urllib.parse import quote, unquote

from observability.core.errors import UsageError

Environment = Literal["production", "shadow", "validation", "probe", "controller", "reference"]
HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Slice:
    """A part of a model's rows: those for which every condition `name = value` holds. Conditions are sorted by name; there is at least one.

    A name is a feature, a sensitive attribute, or one of version, replica, device, batch, status (looked up in that order). A value is the
    text of the stored value ("EWR", "3", "true"); `null` stands for a missing value.
    """

    conditions: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        if not self.conditions:
            raise UsageError("a slice needs at least one condition", expected="name=value", attempt="Leave the slice out for all rows")
        object.__setattr__(self, "conditions", tuple(sorted(self.conditions)))

    def __str__(self) -> str:
        return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in self.conditions)

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """The slice of a text `a=x&b=y` with percent-encoded names and values. An empty text gives no slice.

        Raises UsageError if a part has no `=` or a name occurs twice.
        """
        if not text:
            return None
        pairs = []
        for part in text.split("&"):
            name, equals, value = part.partition("=")
            if not equals or not name:
                raise UsageError("a slice cannot be read", got=repr(text), expected="name=value, joined by &")
            pairs.append((unquote(name), unquote(value)))
        if len({name for name, _ in pairs}) < len(pairs):
            raise UsageError("a slice names a column twice", got=repr(text), expected="each name once")
        return cls(tuple(pairs))


@dataclass(frozen=True)
class Window:
    """Rows of one model: half open [start, end) in event time, UTC, with the records that had arrived by `as_of`.

    `version` None means all versions. `as_of` None means all records that have arrived; for whole hours, counts are exact from the rollups,
    for other times the raw rows are used. With environment "reference", the rows are the stored reference of `version`, and start and end
    are ignored.
    """

    model: str
    start: datetime
    end: datetime
    version: str | None = None
    slice: Slice | None = None
    as_of: datetime | None = None
    environment: Environment = "production"

    def __post_init__(self) -> None:
        for name in ("start", "end", "as_of"):
            instant = getattr(self, name)
            if instant is None:
                continue
            if instant.tzinfo is None:
                raise UsageError(
                    f"the time {name} has no time zone", got=instant, expected="an instant with an offset", attempt="Add Z for UTC"
                )
            object.__setattr__(self, name, instant.astimezone(UTC))
        if self.end < self.start:
            got = f"{self.start:%Y-%m-%dT%H:%M:%SZ} to {self.end:%Y-%m-%dT%H:%M:%SZ}"
            raise UsageError("the window ends before it starts", got=got, expected="a start before the end", attempt="Change one of them")

    @property
    def days(self) -> float:
        """The length of the window in days."""
        return (self.end - self.start) / timedelta(days=1)

    def on_grain(self, grain: timedelta) -> bool:
        """Whether start and end are multiples of `grain` (hour or day) in UTC."""
        return (self.start - EPOCH) % grain == timedelta(0) and (self.end - EPOCH) % grain == timedelta(0)

    def past(self, days: float) -> "Window":
        """The window of `days` days that ends where this window starts."""
        return replace(self, start=self.start - timedelta(days=days), end=self.start)

    def reference(self) -> "Window":
        """The window of the stored reference of this window's version; it does not depend on the dates."""
        return replace(self, start=EPOCH, end=EPOCH, environment="reference", as_of=None)
