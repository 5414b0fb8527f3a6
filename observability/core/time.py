"""Parse times given as text, and convert between naive and aware UTC."""

from datetime import UTC, datetime, timedelta

from observability.core.errors import UsageError

STEP = timedelta(minutes=5)
"""Step in which the clock of pages and of the watcher advances."""


def instant_from_text(text: str | None, name: str) -> datetime | None:
    """The time in a text: RFC 3339 with an offset, or a bare date (midnight UTC). Raises UsageError."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"the value of {name} is not a time", got=repr(text), expected="2026-07-01 or 2026-07-01T06:00:00Z") from None
    if when.tzinfo is None:
        if len(text) > 10:
            raise UsageError(f"the value of {name} has no offset", got=repr(text), expected="2026-07-01T06:00:00Z", attempt="Add Z for UTC")
        when = when.replace(tzinfo=UTC)
    return when.astimezone(UTC)


def naive_utc(instant: datetime) -> datetime:
    """The time in UTC without an offset, as stored. A naive time is taken as UTC."""
    return instant if instant.tzinfo is None else instant.astimezone(UTC).replace(tzinfo=None)


def aware_utc(instant: datetime) -> datetime:
    """The time in UTC with its offset. A naive time is taken as UTC."""
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def end_of_step(instant: datetime) -> datetime:
    """The end of the STEP that contains the given time (UTC). It is later than records that have just arrived, and windows that end "now"
    stay equal during the step.
    """
    return instant - (instant - datetime(1970, 1, 1, tzinfo=UTC)) % STEP + STEP
