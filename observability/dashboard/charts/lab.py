"""Figure of a simulated fault: its findings by day or step, with their severity and whether they also occur without the fault."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

SYMBOLS = {"act": "square", "watch": "triangle-up"}
ALSO = "also found without the fault"


def fault_timeline(frame: pd.DataFrame, last: int, *, unit: str = "day") -> go.Figure:
    """Draw the findings by days (or steps) since the fault began, with a row for each claim. A mark is hollow if the same is found without
    the fault.

    frame: the column named by `unit`, what (the row), severity, because, also_without_fault.
    """
    figure = go.Figure()
    rows = list(dict.fromkeys(frame["what"]))
    for severity, symbol in SYMBOLS.items():
        for also in (False, True):
            part = frame[(frame["severity"] == severity) & (frame["also_without_fault"] == also)]
            if part.empty:
                continue
            name = f"{formatting.STATUS_WORDS[severity]}{', ' + ALSO if also else ''}"
            marker = {"symbol": f"{symbol}-open" if also else symbol, "size": 15, "color": theme.TONES[severity], "line": {"width": 2}}
            texts, hover = theme.inert_labels(part["because"].tolist(), 160), f"{unit.capitalize()} %{{x}}: %{{customdata}}"
            layout.add_marks(figure, part[unit], part["what"], texts, hover=hover, name=name, marker=marker)
    ticks: dict[str, Any] = {"tickmode": "array", "tickvals": rows, "ticktext": theme.inert_labels(rows, 40)}
    ticks |= {"categoryorder": "array", "categoryarray": rows[::-1], "range": [-0.6, max(len(rows), 1) - 0.4]}
    theme.themed(figure, height=110 + 34 * max(len(rows), 1), x=f"{unit}s since the fault began", legend=True, **ticks)
    return figure.update_xaxes(range=[0.5, last + 0.5], dtick=1 if last <= 14 else 7 if unit == "day" else None)
