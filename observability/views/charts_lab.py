"""How does a planted fault show, day by day: who was named on which day, how badly, and would it have been said anyway?"""

from typing import TYPE_CHECKING

from observability.views import text, theme

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

SYMBOLS = {"act": "square", "watch": "triangle-up"}
ALSO = "also said without the fault"


def timeline(frame: "DataFrame", days: int, *, height: int | None = None) -> "Figure":
    """Marks of what was said, a row each, by day since the fault began; hollow where the same is said without it.

    frame: day, what (the row), severity, because, also_without_fault.
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
                x=part["day"],
                y=part["what"],
                mode="markers",
                name=f"{text.STATUS_WORDS[severity]}{', ' + ALSO if also else ''}",
                marker={"symbol": f"{symbol}-open" if also else symbol, "size": 15, "color": theme.TONES[severity], "line": {"width": 2}},
                customdata=theme.labels(part["because"].tolist(), 160),
                hovertemplate="Day %{x}: %{customdata}<extra></extra>",
            )
    theme.themed(figure, height=height or 110 + 34 * max(len(rows), 1), x="days since the fault began", legend=True)
    figure.update_xaxes(range=[0.5, days + 0.5], dtick=1 if days <= 14 else 7)
    figure.update_yaxes(
        categoryorder="array",
        categoryarray=rows[::-1],
        tickmode="array",
        tickvals=rows,
        ticktext=theme.labels(rows, 40),
        range=[-0.6, max(len(rows), 1) - 0.4],
    )
    return figure
