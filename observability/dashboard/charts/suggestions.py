"""How right are suggestions from each confidence on, how many reach it, and does accuracy change in the course of a session?

Pure functions from frames to plotly figures.
"""

from typing import TYPE_CHECKING

from observability.dashboard import theme
from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

BAND = "rgba(0, 114, 178, 0.16)"


def curve(frame: "DataFrame", at: float, today: Interval) -> "Figure":
    """Accuracy of the suggestions that reach each confidence with its interval, the share that reaches it, the chosen threshold, and how right people are today.

    frame: confidence, coverage, value, low, high, n, accepted. today: the error of people.
    """
    import plotly.graph_objects as go

    figure, known = go.Figure(), frame[frame["value"].notna()]
    counts = [[int(n), int(accepted)] for n, accepted in zip(known["n"], known["accepted"], strict=True)]
    if len(known):
        figure.add_scatter(x=known["confidence"], y=known["high"], mode="lines", line={"width": 0}, hoverinfo="skip", showlegend=False)
        figure.add_scatter(
            x=known["confidence"], y=known["low"], mode="lines", line={"width": 0}, fill="tonexty", fillcolor=BAND, name="95 % interval", hoverinfo="skip",
        )  # fmt: skip
        figure.add_scatter(
            x=known["confidence"], y=known["value"], mode="lines", name="right by gold", line={"color": theme.PRIMARY, "width": 2}, customdata=counts,
            hovertemplate="from %{x:.1%}: %{y:.1%} right of %{customdata[0]:,} gold items<extra></extra>",
        )  # fmt: skip
    figure.add_scatter(
        x=frame["confidence"], y=frame["coverage"], mode="lines", name="share that reaches it", line={"color": theme.WATCH, "width": 1.8, "dash": "dash"},
        customdata=frame["accepted"], hovertemplate="from %{x:.1%}: %{y:.1%} of the suggestions (%{customdata:,})<extra></extra>",
    )  # fmt: skip
    if today.value is not None:
        right = 1 - today.value
        figure.add_scatter(
            x=[frame["confidence"].min(), frame["confidence"].max()], y=[right, right], mode="lines", name="people today",
            line={"color": theme.STRONG, "width": 1.3, "dash": "dot"}, hovertemplate="people today: %{y:.1%} right<extra></extra>",
        )  # fmt: skip
    figure.add_vline(x=at, line={"color": theme.NEUTRAL, "width": 1.4})
    theme.themed(figure, height=320, x="confidence from", y="share", legend=True)
    figure.update_xaxes(tickformat=".0%", range=[max(min(float(frame["confidence"].min()), at) - 0.01, 0.0), 1.005])
    figure.update_yaxes(tickformat=".0%", range=[0, 1.02])
    return figure


def by_hour(frame: "DataFrame") -> "Figure":
    """Accuracy by the hour of the session, with its interval. frame: hour, value, low, high, n."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.add_scatter(
        x=frame["hour"], y=frame["value"], mode="markers", marker={"size": 9, "color": theme.PRIMARY}, customdata=frame["n"], name="right on gold",
        error_y={"type": "data", "symmetric": False, "array": frame["high"] - frame["value"], "arrayminus": frame["value"] - frame["low"], "color": theme.PRIMARY, "thickness": 1.6, "width": 0},
        hovertemplate="hour %{x}: %{y:.1%} right of %{customdata:,} gold items<extra></extra>",
    )  # fmt: skip
    theme.themed(figure, height=240, x="hours since the session began", y="right on gold items")
    figure.update_xaxes(dtick=1)
    figure.update_yaxes(tickformat=".0%", range=[max(float(frame["low"].min()) - 0.05, 0.0), 1.01])
    return figure


def sides(frame: "DataFrame") -> "Figure":
    """How often the wrong answer is given where it is suggested and where nothing is, a dot with its interval each. frame: side, value, low, high, n."""
    import plotly.graph_objects as go

    figure, rows = go.Figure(), frame.iloc[::-1].reset_index(drop=True)
    figure.add_scatter(
        x=rows["value"], y=rows.index, mode="markers", marker={"size": 10, "color": [theme.PRIMARY, theme.WATCH][: len(rows)]}, customdata=rows[["side", "low", "high", "n"]],
        error_x={"type": "data", "symmetric": False, "array": rows["high"] - rows["value"], "arrayminus": rows["value"] - rows["low"], "color": theme.NEUTRAL, "thickness": 1.6, "width": 4},
        hovertemplate="%{customdata[0]}<br>%{x:.1%} (%{customdata[1]:.1%} to %{customdata[2]:.1%}) of %{customdata[3]:,} items<extra></extra>",
    )  # fmt: skip
    theme.themed(figure, height=150, x="give the wrong answer, of the same items")
    figure.update_yaxes(tickvals=list(rows.index), ticktext=theme.labels(list(rows["side"])), range=[-0.6, len(rows) - 0.4], showgrid=False)
    figure.update_xaxes(tickformat=".0%", range=[-0.01, min(float(rows["high"].max()) + 0.05, 1.01)], showgrid=True)
    return figure
