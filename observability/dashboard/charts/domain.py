"""How well can a window be told from the reference by all inputs together, where would chance alone put that, and by which inputs?

Pure functions from frames to plotly figures.
"""

from typing import TYPE_CHECKING

from observability.core import formatting
from observability.dashboard import theme

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MOST_BARS = 10


def scale(frame: "DataFrame", *, null_low: float, null_high: float, limits: dict[str, float]) -> "Figure":
    """The AUC with its interval on a scale from no better than chance (0.5) to perfect (1), the band of chance, and the limits.

    frame: name, auc, low, high (NaN where there is no interval), n, severity; from top to bottom. limits: by "watch" and "act".
    """
    import plotly.graph_objects as go

    rows = frame.iloc[::-1].reset_index(drop=True)
    figure = go.Figure()
    figure.add_vrect(x0=null_low, x1=null_high, fillcolor=theme.NEUTRAL, opacity=0.25, line_width=0, layer="below")
    for name, limit in limits.items():
        figure.add_vline(x=limit, line={"color": theme.TONES[name], "width": 1.2, "dash": "dash"}, layer="below")
        side = "right" if name == "watch" else "left"
        figure.add_annotation(
            x=limit, y=1, yref="paper", yanchor="bottom", xanchor=side, text=f"{name} {limit:g}", showarrow=False, font={"size": 11}
        )
    hover = [
        f"{theme.label(row['name'], 60)}<br>AUC {formatting.number(row['auc'])}"
        + (f" ({formatting.number(row['low'])} to {formatting.number(row['high'])})" if row["low"] == row["low"] else "")
        + f"<br>{int(row['n']):,} predictions"
        for row in rows.to_dict("records")
    ]
    sure = rows["low"].notna()
    for part, symbol in ((rows[sure], "circle"), (rows[~sure], "diamond-open")):
        figure.add_scatter(
            x=part["auc"],
            y=part.index,
            mode="markers",
            marker={"size": 11, "color": [theme.TONES[each] for each in part["severity"]], "symbol": symbol},
            error_x=theme.whiskers(part["auc"], part["low"], part["high"], thickness=1.5, width=4) if symbol == "circle" else None,
            customdata=[hover[place] for place in part.index],
            hovertemplate="%{customdata}<extra></extra>",
        )
    theme.themed(figure, height=90 + 34 * len(rows), x="AUC on rows held out; band: chance")
    least = min(0.45, *(rows["low"].fillna(rows["auc"]) - 0.01), null_low - 0.01)
    figure.update_xaxes(range=[least, 1.01], tickformat=".2~f", showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5)
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(rows))), ticktext=theme.labels(list(rows["name"]), 40), showgrid=False,
        range=[-0.6, len(rows) - 0.4],
    )  # fmt: skip
    figure.update_layout(margin={"t": 30})
    return figure


def losses(frame: "DataFrame", *, selected: str | None = None) -> "Figure":
    """Bars of how much of the AUC each input carries, largest first; a click gives `customdata[0]`, its name.

    frame: subject, loss (of AUC, where its held-out values are shuffled); its first MOST_BARS rows are drawn.
    """
    import plotly.graph_objects as go

    rows = frame.head(MOST_BARS).iloc[::-1].reset_index(drop=True)
    names = theme.labels(list(rows["subject"]))
    figure = go.Figure()
    figure.add_bar(
        x=rows["loss"],
        y=list(range(len(rows))),
        orientation="h",
        marker={"color": theme.PRIMARY},
        width=0.62,
        customdata=[
            [subject, f"without it the AUC is {formatting.number(loss)} lower"] for subject, loss in zip(rows["subject"], rows["loss"])
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
        unselected={"marker": {"opacity": 1}},
    )
    theme.themed(figure, height=max(120, 26 * len(rows) + 60), x="AUC lost where shuffled")
    ticks = [f"<b>{name}</b>" if subject == selected else name for name, subject in zip(names, rows["subject"])]
    figure.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), ticktext=ticks, showgrid=False, range=[-0.6, len(rows) - 0.4])
    figure.update_xaxes(showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5, tickformat=",.2~g")
    return figure


def pairs(frame: "DataFrame") -> "Figure":
    """How each two numbers go together in the reference (a ring) and now (a dot), one row a pair, those that changed most surely first.

    frame: pair, reference, value (rank correlations), low, high, n, severity.
    """
    import plotly.graph_objects as go

    rows = frame.head(MOST_BARS).iloc[::-1].reset_index(drop=True)
    figure = go.Figure()
    for row in rows.itertuples():
        figure.add_scatter(
            x=[row.reference, row.value], y=[row.Index, row.Index], mode="lines", line={"color": theme.QUIET, "width": 2}, hoverinfo="skip"
        )
    figure.add_scatter(
        x=rows["reference"], y=rows.index, mode="markers", marker={"size": 11, "color": theme.NEUTRAL, "symbol": "circle-open"},
        customdata=list(rows["pair"]), hovertemplate="%{customdata}<br>reference %{x:.2f}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=rows["value"], y=rows.index, mode="markers", marker={"size": 11, "color": [theme.TONES[each] for each in rows["severity"]]},
        customdata=[[pair, f"{n:,}"] for pair, n in zip(rows["pair"], rows["n"])],
        hovertemplate="%{customdata[0]}<br>now %{x:.2f} over %{customdata[1]} sampled predictions<extra></extra>",
    )  # fmt: skip
    theme.themed(figure, height=90 + 28 * len(rows), x="Rank correlation (ring: reference, dot: now)")
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=[-1.05, 1.05], tickformat=".2~f", showgrid=True, gridcolor=theme.QUIET, gridwidth=0.5)
    figure.update_yaxes(
        tickmode="array", tickvals=list(range(len(rows))), ticktext=theme.labels(list(rows["pair"]), 40), showgrid=False,
        range=[-0.6, len(rows) - 0.4],
    )  # fmt: skip
    return figure
