"""The time zone in which pages show times: UTC, or the viewer's own zone if the viewer chose it. A cookie of the browser stores the choice.

Addresses, CSV files, findings and counts by day stay in UTC, because the store counts by hour and by UTC day.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from observability.core import formatting
from observability.core.time import aware_utc
from observability.dashboard import figure_capture

if TYPE_CHECKING:
    from pandas import DataFrame

COOKIE = "observability-time-zone"
OWN = "own"
"""The value of the cookie if the viewer chose to see their own zone."""
HELD, CHANGED = "time-zone", "time-zone-changed"
DRAWN = "time-zone-of-"
"""Prefix of the session key that holds the zone in which a chart was drawn."""
UTC_SIGN = "(UTC)"
"""The text in a column's title that names the zone of its times."""


def viewer_zone() -> ZoneInfo | None:
    """The time zone of the viewer's browser; None if it is unknown or the same as UTC."""
    name = st.context.timezone
    try:
        zone = ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the name is a folder of zones, or cannot be the name of a file
        return None
    return None if zone is None or name in ("UTC", "Etc/UTC", "GMT", "Etc/GMT") else zone


def shown_zone() -> tzinfo:
    """The zone in which the page shows times: UTC, or the viewer's own zone if the viewer chose it. Figures made for other people are in
    UTC.
    """
    if figure_capture.COLLECTOR.get() is not None or not _own_zone_is_chosen():
        return UTC
    return viewer_zone() or UTC


def _own_zone_is_chosen() -> bool:
    state = st.session_state
    if HELD not in state:
        state[HELD] = OWN if unquote(dict(st.context.cookies).get(COOKIE) or "").strip('"') == OWN else ""
    return bool(state[HELD] == OWN)


def changed_zone() -> str | None:
    """The choice to write to the cookie; None if this session has not changed it."""
    return str(st.session_state[HELD]) if st.session_state.get(CHANGED) else None


def choose_zone(*, own: bool) -> None:
    """Show times in the viewer's own zone, or in UTC."""
    st.session_state.update({HELD: OWN if own else "", CHANGED: True})


def zone_name() -> str:
    """The name of the shown zone for titles: `UTC`, or the place of the viewer's zone, such as `Berlin`."""
    return str(shown_zone()).rpartition("/")[2].replace("_", " ")


def zoned(instant: datetime) -> datetime:
    """An instant in the shown zone. A naive instant is in UTC."""
    return aware_utc(instant).astimezone(shown_zone())


def zoned_minute(instant: datetime) -> str:
    """A time such as `12 Jul 2013 14:05` in the shown zone; the zone is named in the title beside it."""
    return formatting.format_minute(zoned(instant))


def named_minute(instant: datetime) -> str:
    """The time with its zone, as `12 Jul 2013 14:05 UTC`."""
    return f"{zoned_minute(instant)} {zone_sign(instant)}"


def zone_sign(instant: datetime) -> str:
    """The short name of the shown zone at an instant: `UTC`, `CEST`, or `UTC+03` if the zone has no short name."""
    short = f"{zoned(instant):%Z}"
    return f"UTC{short}" if short[:1] in "+-" else short


def named_span(start: datetime, end: datetime) -> str:
    """A half-open window in words, with its zone. A window of whole UTC days is given in UTC, because the store counts by UTC days."""
    ends = [aware_utc(start), aware_utc(end)]
    if shown_zone() is UTC or all(instant.hour == instant.minute == instant.second == 0 for instant in ends):
        return f"{formatting.format_span(ends[0], ends[1])} UTC"
    return f"{formatting.format_span(zoned(start), zoned(end))} {zone_sign(end)}"


def zone_titles(columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The columns of a table; their titles name the shown zone instead of UTC."""
    return [zone_title(dict(column)) for column in columns]


def zone_title(title: Any) -> Any:
    """A title, or the settings of a column, with the shown zone instead of `(UTC)`; a value that is not text is unchanged."""
    if isinstance(title, dict):
        return {**title, "label": zone_title(title.get("label"))}
    return title.replace(UTC_SIGN, f"({zone_name()})") if isinstance(title, str) else title


def table_titles(titles: Mapping[str, Any], frame: "DataFrame", seen: "DataFrame") -> dict[str, Any]:
    """The titles of the table under a chart. seen: the frame as `zoned_frame` returns it. A column whose values are the same in both frames
    keeps its title.
    """
    return {name: title if frame[name].equals(seen[name]) else zone_title(title) for name, title in titles.items() if name in frame}


def zoned_second(instant: datetime) -> str:
    """A time such as `2013-07-12 14:05:09` in the shown zone; the zone is named in the title beside it."""
    return f"{zoned(instant):%Y-%m-%d %H:%M:%S}"


def zoned_frame(frame: "DataFrame") -> "DataFrame":
    """A frame for display: its times are converted to the shown zone; columns of whole UTC days are unchanged."""
    from observability.dashboard.charts.time_axis import frame_in_zone

    return frame if shown_zone() is UTC else frame_in_zone(frame, shown_zone())


def zoned_figure(figure: Any, key: str) -> Any:
    """A Plotly figure to draw under `key`, with its times in the shown zone (see `figure_in_zone`)."""
    from observability.dashboard.charts.time_axis import figure_in_zone

    st.session_state.pop(f"{DRAWN}{key}", None)
    if shown_zone() is UTC:
        return figure
    drawn, moved = figure_in_zone(figure, shown_zone(), zone_name())
    if moved:
        st.session_state[f"{DRAWN}{key}"] = str(shown_zone())
    return drawn


def utc_selection(key: str, selection: Mapping[str, Any]) -> Mapping[str, Any]:
    """A selection on the chart drawn under `key`, with its times converted back to UTC, as in the data of the chart."""
    from observability.dashboard.charts.time_axis import selection_in_utc

    name = st.session_state.get(f"{DRAWN}{key}")
    return selection if name is None else selection_in_utc(selection, ZoneInfo(name))
