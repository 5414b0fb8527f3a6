"""Figure of a simulated fault: what was found on which day or step, how severe, and whether it is found without the fault too."""

from typing import TYPE_CHECKING

from observability.core import formatting
from observability.dashboard import theme

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

SYMBOLS = {"act": "square", "watch": "triangle-up"}
ALSO = "also found without the fault"


def fault_timeline(frame: "DataFrame", last: int, *, unit: str = "day", height: int | None = None) -> "Figure":
    """Findings by days (or steps) since the fault began, a row for each claim; hollow where the same is found without the fault.

    frame: the unit, what (the row), severity, because, also_without_fault.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    rows = list(dict.fromkeys(frame["what"]))
    for severity, symbol in SYMBOLS.items():
        for also in (False, True):
            part = frame[(frame["severity"] == severity) & (frame["also_without_fault"] == also)]
            if part.empty:
                continue
            figure.add_scatter(
                x=part[unit],
                y=part["what"],
                mode="markers",
                name=f"{formatting.STATUS_WORDS[severity]}{', ' + ALSO if also else ''}",
                marker={"symbol": f"{symbol}-open" if also else symbol, "size": 15, "color": theme.TONES[severity], "line": {"width": 2}},
                customdata=theme.inert_labels(part["because"].tolist(), 160),
                hovertemplate=f"{unit.capitalize()} %{{x}}: %{{customdata}}<extra></extra>",
            )
    theme.themed(figure, height=height or 110 + 34 * max(len(rows), 1), x=f"{unit}s since the fault began", legend=True)
    figure.update_xaxes(range=[0.5, last + 0.5], dtick=1 if last <= 14 else 7 if unit == "day" else None)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=rows[::-1],
        tickmode="array",
        tickvals=rows,
        ticktext=theme.inert_labels(rows, 40),
        range=[-0.6, max(len(rows), 1) - 0.4],
    )
    return figure
