"""Event times of a reference as instants."""

import re
from datetime import UTC, datetime, tzinfo

import pyarrow as pa
import pyarrow.compute as pc

from observability.core.errors import UsageError
from observability.core.time import naive_utc
from observability.records.values import Rejected, bad_time, parse_time, quoted_value
from observability.store.registry.column_profile import is_text_type

STAMP = pa.timestamp("us")
MAX_CHECKED = 1000
"""Number of different texts of a column that are read before the column is taken for the event time."""
SLASHED = re.compile(r"\d{1,4}[/.]\d{1,2}[/.]\d{1,4}")
"""A date as 24/06/2013, whose day and month are not guessed."""


def event_times(table: pa.Table, name: str | None, now: datetime, zone: tzinfo) -> pa.Array:
    """Event time of every row as naive UTC microseconds; `now` if the reference has no times. zone: time zone of times without an
    offset.
    """
    filler = pa.scalar(naive_utc(now), STAMP)
    if name is None:
        return pa.repeat(filler, table.num_rows)
    column = table[name]
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        own = column.type.tz if pa.types.is_timestamp(column.type) else None
        instants = pa.concat_arrays(column.cast(pa.timestamp("us", own), safe=False).cast(STAMP).chunks or [pa.array([], STAMP)])
        if own is None and zone is not UTC and pa.types.is_timestamp(column.type):
            encoded = instants.dictionary_encode()
            known = [naive_utc(moment.replace(tzinfo=zone)) for moment in encoded.dictionary.to_pylist()]
            instants = pa.array(known, STAMP).take(encoded.indices)
        return pc.fill_null(instants, filler)
    if not is_text_type(column.type):
        raise UsageError(f"the time column {name!r} holds no times", got=str(column.type), expected="2013-07-01T10:00:00Z, or a date")
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    found = [_instant(name, text, zone) for text in encoded.dictionary.to_pylist()]
    return pc.fill_null(pa.array(found, STAMP).take(encoded.indices), filler)


def check_event_times(table: pa.Table, name: str, zone: tzinfo) -> None:
    """Raise UsageError if the column holds no times. The first MAX_CHECKED different texts of the column are checked."""
    column = table[name]
    some = column.cast(pa.string()).unique().slice(0, MAX_CHECKED) if is_text_type(column.type) else column[:1]
    event_times(pa.table({name: some}), name, datetime.now(UTC), zone)


def _instant(name: str, text: str, zone: tzinfo) -> datetime:
    """One time as an instant; a time without an offset is read in the zone."""
    try:
        return naive_utc(parse_time(name, text, zone))
    except Rejected as error:
        if str(error) != str(bad_time(name, text)):
            raise UsageError(str(error)) from None
        raise UsageError(
            f"the time column {name!r} cannot be read",
            got=quoted_value(text),
            expected="2013-07-01T10:00:00Z, or a date like 2013-07-01",
            attempt="Write its dates as year-month-day" if SLASHED.match(text) else "Choose another time column",
        ) from None
