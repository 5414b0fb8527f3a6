"""A box for a day and a box for a time on this day. Together with a time zone they give a point in time. A range includes its last day."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import streamlit as st

from observability.core.time import aware_utc, naive_utc

FIRST, LAST = datetime(1970, 1, 1), datetime(2100, 1, 1)
DAY = timedelta(days=1)
INCLUDED = "The day is included. With a time, the range ends at that time of the day."


def day_and_time(instant: datetime, *, ends: bool = False, zone: tzinfo = UTC) -> tuple[date, time | None]:
    """Return the day of a point in time and its time of day, None at midnight. ends: whether it is the end of a range; midnight is then the
    end of the day before. A point in time outside the range of the boxes becomes the first or the last day of the range.
    """
    held = min(max(naive_utc(instant).replace(second=0, microsecond=0), FIRST + DAY), LAST)
    held = aware_utc(held).astimezone(zone).replace(tzinfo=None)
    if held.time() != time():
        return held.date(), held.time()
    return (held - DAY if ends else held).date(), None


def chosen_instant(day: date | None, at: time | None, *, ends: bool = False, zone: tzinfo = UTC) -> datetime | None:
    """Return the point in time (UTC) for a day and a time; None without a day. Without a time it is the start of the day, or its end
    (ends).
    """
    if day is None:
        return None
    start = datetime.combine(day, at or time(), zone)
    return (start + DAY if ends and at is None else start).astimezone(UTC)


def _box_keys(key: str, shown: datetime | None, zone: tzinfo) -> tuple[str, str]:
    """Return the keys of the box for a day and of the box for a time. They depend on the point in time and the zone, so that another point
    in time or another zone gets new boxes.
    """
    named = shown if zone is UTC else f"{shown} {zone}"
    return f"{key}-day {named}", f"{key}-time {named}"


def instant_in_boxes(key: str, shown: datetime | None, *, ends: bool = False, zone: tzinfo = UTC) -> datetime | None:
    """Return the point in time that the boxes hold now. It differs from the shown one if a person changed it and no page has been drawn
    since.
    """
    before = day_and_time(shown, ends=ends, zone=zone) if shown else (None, None)
    held = tuple(st.session_state.get(box, was) for box, was in zip(_box_keys(key, shown, zone), before))
    return shown if held == before else chosen_instant(*held, ends=ends, zone=zone)


def instant_boxes(
    label: str,
    key: str,
    shown: datetime | None,
    changed: Callable[[datetime | None], None],
    *,
    ends: bool = False,
    latest: datetime | None = None,
    zone: tzinfo = UTC,
) -> None:
    """Draw the two boxes, filled with a point in time or empty. The box of the time stands below that of the day: a calendar opens below
    its box, so it would not cover a box beside it.

    changed: called with the point in time that a person chose, or None if it was removed.

    latest: the end of the records, at which the calendar of an empty box opens; later days cannot be chosen in it.

    zone: the time zone of the day and the time.
    """
    day, at = day_and_time(shown, ends=ends, zone=zone) if shown else (None, None)
    boxes = _box_keys(key, shown, zone)
    last = day_and_time(latest, ends=True, zone=zone)[0] if latest and not shown else LAST.date()

    def write() -> None:
        changed(chosen_instant(*(st.session_state[box] for box in boxes), ends=ends, zone=zone))

    with st.container(width=156, gap="xsmall"):
        hint = INCLUDED if ends else None
        st.date_input(label, day, FIRST.date(), last, key=boxes[0], format="YYYY-MM-DD", help=hint, on_change=write)
        st.time_input(f"{label}: time", at, key=boxes[1], step=3600, label_visibility="collapsed", on_change=write)
