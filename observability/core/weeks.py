"""ISO weeks, Monday to Sunday, in UTC."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Self

from observability.core.errors import UsageError

ZONE = "UTC"
"""Weeks begin on Monday 00:00 in this time zone."""
SHAPE = re.compile(r"(\d{4})-?W(\d{1,2})", re.IGNORECASE)
DAYS = timedelta(days=7)
FIRST_YEAR, LAST_YEAR = 1970, 9998
"""First and last year for which the week before and the week after each week can be computed."""


@dataclass(frozen=True, order=True)
class Week:
    """An ISO week (ISO 8601): the first week of a year contains its first Thursday. `str` gives `2013-W27`."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}-W{self.number:02d}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The week of a text such as `2013-W27` (also `2013W27`). Raises UsageError for another form, a year before 1970 or after 9998, or
        a missing week.
        """
        found = SHAPE.fullmatch(text.strip())
        if found is None or not FIRST_YEAR <= int(found[1]) <= LAST_YEAR:
            raise UsageError("the week cannot be read", got=repr(text), expected=f"an ISO week as 2013-W27, of {FIRST_YEAR} to {LAST_YEAR}")
        year, number = int(found[1]), int(found[2])
        try:
            date.fromisocalendar(year, number, 1)
        except ValueError:
            raise UsageError(f"{year} has no week {number}", got=repr(text), expected="a week from 1 to 52, in some years 53") from None
        return cls(year, number)

    @classmethod
    def of(cls, instant: datetime) -> Self:
        """The week of an instant."""
        year, number, _ = instant.astimezone(UTC).isocalendar()
        return cls(year, number)

    @classmethod
    def before_now(cls, now: datetime) -> Self:
        """The last week that had ended at this time."""
        return cls.of(now - DAYS)

    @property
    def start(self) -> datetime:
        """The first moment of the week: Monday 00:00 UTC."""
        monday = date.fromisocalendar(self.year, self.number, 1)
        return datetime(monday.year, monday.month, monday.day, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The next Monday 00:00 UTC, not included."""
        return self.start + DAYS

    def back(self, weeks: int = 1) -> "Week":
        """The week `weeks` weeks earlier (negative: later)."""
        return Week.of(self.start - weeks * DAYS)
