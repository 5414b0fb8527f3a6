"""Moves the time axis of a finished figure, and a selection on it, from UTC to another time zone and back.

The times of a figure are naive UTC. Drawn in a zone they are naive again, because plotly does not know zones.
"""

from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go


def figure_in_zone(figure: go.Figure, zone: tzinfo, name: str) -> tuple[go.Figure, bool]:
    """A copy of a figure with its times in a zone, and whether its times were moved. The axis names the zone.

    A figure by day stays in UTC days, because the store counts by them, and its axis says so. A figure without times is returned unchanged.
    """
    timed = [trace.x for trace in figure.data if are_times(getattr(trace, "x", None))]
    if not timed:
        return figure, False
    drawn, moves = go.Figure(figure), are_within_days(max(timed, key=len))
    title = {"text": f"{name} time" if moves else "days in UTC", "font": {"size": 11}}
    drawn.update_xaxes(title=title, selector=lambda axis: not axis.title.text)
    if not moves:
        return drawn, False
    for trace in drawn.data:
        if are_times(getattr(trace, "x", None)):
            trace.x = times_in_zone(trace.x, zone)
    for shape in drawn.layout.shapes:
        shape.update({end: _place_in_zone(shape[end], zone) for end in ("x0", "x1")})
    for note in drawn.layout.annotations:
        note.x = _place_in_zone(note.x, zone)
    for axis in drawn.select_xaxes():
        if axis.range:
            axis.range = [_place_in_zone(end, zone) for end in axis.range]
        if axis.tickvals is not None:
            axis.tickvals = [_place_in_zone(tick, zone) for tick in axis.tickvals]
    return drawn, True


def selection_in_utc(selection: Mapping[str, Any], zone: tzinfo) -> Mapping[str, Any]:
    """Return the selection on a chart that was drawn in a zone, with its times in UTC. For an hour that occurs twice in the zone, the first
    is taken.
    """
    points = [{**point, "x": _place_in_utc(point.get("x"), zone)} for point in selection.get("points", ())]
    boxes = [{**box, "x": [_place_in_utc(end, zone) for end in box.get("x", ())]} for box in selection.get("box", ())]
    return {**selection, "points": points, "box": boxes}


def frame_in_zone(frame: pd.DataFrame, zone: tzinfo) -> pd.DataFrame:
    """Return a frame with its times in a zone; columns of whole UTC days are unchanged."""
    found = {str(name): times_in_zone(frame[name], zone) for name in frame if are_within_days(frame[name])}
    return frame.assign(**{name: pd.Series(times, index=frame.index) for name, times in found.items()})


def times_in_zone(times: Any, zone: tzinfo) -> pd.DatetimeIndex:
    """Return times (naive UTC) as times in a zone, again naive."""
    return pd.DatetimeIndex(pd.to_datetime(times, utc=True)).tz_convert(zone).tz_localize(None)


def are_times(values: Any) -> bool:
    """Whether the values of a trace or a column are times."""
    if values is None or not len(values):
        return False
    held = np.asarray(values)
    return held.dtype.kind == "M" or (held.dtype == object and isinstance(held[0], datetime))


def are_within_days(values: Any) -> bool:
    """Return whether the values are times of which at least one is not midnight (UTC)."""
    if not are_times(values):
        return False
    known = pd.DatetimeIndex(pd.to_datetime(values, utc=True)).dropna()
    return bool((known != known.normalize()).any())


def _place_in_zone(place: Any, zone: tzinfo) -> Any:
    """Return a position on a time axis moved into a zone; a value that is not a time is unchanged."""
    time = _time_of_place(place)
    return place if time is None else time.tz_localize("UTC").tz_convert(zone).tz_localize(None)


def _place_in_utc(place: Any, zone: tzinfo) -> Any:
    """A position on an axis that was drawn in a zone, moved to UTC; a value that is not a time is unchanged."""
    time = _time_of_place(place)
    if time is None:
        return place
    return str(time.tz_localize(zone, ambiguous=True, nonexistent="shift_forward").tz_convert("UTC").tz_localize(None))


def _time_of_place(place: Any) -> pd.Timestamp | None:
    """The time (naive UTC) of a position on an axis; None if the position is not a time."""
    if place is None or isinstance(place, int | float):
        return None
    try:
        time = pd.Timestamp(place)
    except (ValueError, TypeError):
        return None
    return None if pd.isna(time) else time.tz_convert("UTC").tz_localize(None) if time.tzinfo else time
