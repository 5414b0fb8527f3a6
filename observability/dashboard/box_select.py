"""A drag along a chart over time sets the time range of the page to the periods that it covers. A drag across both axes zooms.

Plotly's own selection would intercept the clicks on marks, so dashboard/assets/figures.js reports a zoom along the time axis as a box.
Charts whose `on_select` names their periods (dashboard/clicks.py) use this. A drag that covers no mark has no effect.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from observability.core.time import aware_utc
from observability.dashboard.time_range import set_dates


def drawn_key(key: str) -> str:
    """The key under which the chart `key` is drawn. It changes with each drag, so that the dragged box does not stay on the chart."""
    count = st.session_state.get(f"drags-{key}", 0)
    return f"{key}-drag-{count}" if count else key


def choose_dragged_dates(key: str, dates: tuple[datetime, datetime]) -> None:
    """Set the time range to the dates that were dragged on the chart `key`."""
    st.session_state[f"drags-{key}"] = st.session_state.get(f"drags-{key}", 0) + 1
    set_dates(*dates)


def dragged_dates(selection: Mapping[str, Any], periods: "pd.Series[Any]") -> tuple[datetime, datetime] | None:
    """The start of the first period and the end of the last period whose marks lie in the dragged box; None if no mark does.

    selection: the selection that Streamlit returns for a chart. periods: the start of the period of each mark, naive UTC.
    """
    known = pd.DatetimeIndex(periods).unique().sort_values()
    for box in selection.get("box") or ():
        try:
            ends = sorted(pd.Timestamp(str(end)).tz_localize(None) for end in box["x"])
        except (ValueError, TypeError, KeyError):
            continue
        inside = known[(known >= ends[0]) & (known <= ends[-1])] if ends else known[:0]
        if len(inside):
            return aware_utc(inside[0].to_pydatetime()), aware_utc(inside[-1].to_pydatetime()) + shortest_step(known)
    return None


def shortest_step(starts: pd.DatetimeIndex) -> timedelta:
    """The shortest time between two periods; a day if there is only one. starts: sorted, each once."""
    steps = starts[1:] - starts[:-1]
    return steps.min().to_pytimedelta() if len(steps) else timedelta(days=1)
