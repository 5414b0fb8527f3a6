"""Do scores mean what they say: what was promised against what came true, how far that is from what chance gives, and since when?

Pure functions from frames to plotly figures.
"""

from typing import TYPE_CHECKING

import numpy as np

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts.time import PERCENT, YOUNG, with_marks

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MATURE = 0.8


def reliability(groups: "DataFrame", counts: "DataFrame", before: "DataFrame | None" = None, *, score: str, truth: str) -> "Figure":
    """Shares that came true against mean scores, with 95 % intervals, on the diagonal where both agree; the number of rows by score below.

    groups, before: score, rate, low, high, n. counts: low, high (ends of each step of the score), n. score, truth: names of the axes.
    """
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.78, 0.22], vertical_spacing=0.05)
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="score = truth", line={"color": theme.NEUTRAL, "width": 1, "dash": "dash"}, hoverinfo="skip", row=1, col=1
    )  # fmt: skip
    if before is not None and len(before):
        figure.add_scatter(
            x=before["score"], y=before["rate"], mode="lines", name="reference", line={"color": theme.NEUTRAL, "width": 2}, opacity=0.55,
            customdata=[hover("reference", each) for each in before.to_dict("records")], hovertemplate="%{customdata}<extra></extra>", row=1, col=1,
        )  # fmt: skip
    figure.add_scatter(
        x=groups["score"], y=groups["rate"], mode="lines+markers", name="now", line={"color": theme.PRIMARY, "width": 1.6},
        marker={"size": 8, "color": theme.PRIMARY}, error_y=whiskers(groups),
        customdata=[hover("now", each) for each in groups.to_dict("records")], hovertemplate="%{customdata}<extra></extra>", row=1, col=1,
    )  # fmt: skip
    figure.add_bar(
        x=(counts["low"] + counts["high"]) / 2, y=counts["n"], width=counts["high"] - counts["low"], marker={"color": theme.PRIMARY, "line": {"width": 0}},
        opacity=0.75, showlegend=False,
        customdata=[f"{each['low']:g} to {each['high']:g}<br>{formatting.count(each['n'])} labelled predictions" for each in counts.to_dict("records")],
        hovertemplate="%{customdata}<extra></extra>", row=2, col=1,
    )  # fmt: skip
    theme.themed(figure, height=470, legend=True)
    figure.update_layout(bargap=0.02)
    figure.update_xaxes(range=[-0.02, 1.02])
    figure.update_xaxes(title={"text": score, "standoff": 8, "font": {"color": theme.NEUTRAL, "size": 11}}, row=2, col=1)
    figure.update_yaxes(
        title={"text": truth, "font": {"color": theme.NEUTRAL, "size": 11}}, range=[-0.02, 1.02], tickformat=",.0%", row=1, col=1
    )
    figure.update_yaxes(
        title={"text": "rows", "font": {"color": theme.NEUTRAL, "size": 11}}, rangemode="tozero", nticks=3, tickformat="~s", row=2, col=1
    )
    return figure


def whiskers(rows: "DataFrame") -> dict[str, object]:
    """Error bars of rates."""
    return theme.whiskers(rows["rate"], rows["low"], rows["high"], color=theme.PRIMARY, thickness=1.4, width=4)


def hover(side: str, each: dict[object, float]) -> str:
    """What a point says."""
    found = f"{side}: score {formatting.share(each['score'])}<br>came true {formatting.share(each['rate'])}"
    return f"{found} ({formatting.share(each['low'])} to {formatting.share(each['high'])})<br>{formatting.count(each['n'])} labelled predictions"


def line(groups: "DataFrame", before: "DataFrame | None" = None) -> "Figure":
    """Mean truth against mean prediction of a regression, by tenths of the predictions, with 95 % intervals, on the line where both agree.

    groups, before: score, rate, low, high (label's unit), n.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    scores = [*groups["score"], *(before["score"] if before is not None else ())]
    span = [min(scores), max(scores)]
    figure.add_scatter(
        x=span, y=span, mode="lines", name="prediction = truth", line={"color": theme.NEUTRAL, "width": 1, "dash": "dash"}, hoverinfo="skip"
    )
    sides = [("reference", before, theme.NEUTRAL), ("now", groups, theme.PRIMARY)]
    for name, rows, colour in sides:
        if rows is None or not len(rows):
            continue
        figure.add_scatter(
            x=rows["score"], y=rows["rate"], name=name, mode="lines+markers" if name == "now" else "lines", line={"color": colour, "width": 1.8},
            marker={"size": 8, "color": colour}, opacity=1.0 if name == "now" else 0.55, error_y=whiskers(rows) if name == "now" else None,
            customdata=[
                f"{name}: prediction {formatting.number(each['score'])}<br>truth {formatting.number(each['rate'])} ({formatting.number(each['low'])} to "
                f"{formatting.number(each['high'])})<br>{formatting.count(each['n'])} predictions"
                for each in rows.to_dict("records")
            ],
            hovertemplate="%{customdata}<extra></extra>",
        )  # fmt: skip
    return theme.themed(figure, height=400, x="mean prediction of each tenth", y="mean truth", legend=True)


def null_strip(sides: "DataFrame") -> "Figure":
    """An expected calibration error as a dot with its interval, on the band that a model without fault stays in 95 times in 100.

    sides: name, ece, low, high, null_mean, null_95, n; one row for now, one for the reference.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    rows = sides.iloc[::-1].reset_index(drop=True)
    for place, each in enumerate(rows.to_dict("records")):
        figure.add_shape(
            type="rect",
            x0=0,
            x1=each["null_95"],
            y0=place - 0.32,
            y1=place + 0.32,
            fillcolor=theme.OK,
            opacity=0.18,
            line_width=0,
            layer="below",
        )
        figure.add_shape(
            type="line",
            x0=each["null_mean"],
            x1=each["null_mean"],
            y0=place - 0.32,
            y1=place + 0.32,
            line={"color": theme.OK, "width": 1.6},
        )
    colours = [theme.PRIMARY if name == "now" else theme.NEUTRAL for name in rows["name"]]
    figure.add_scatter(
        x=rows["ece"], y=rows.index, mode="markers", marker={"size": 11, "color": colours}, showlegend=False,
        error_x=theme.whiskers(rows["ece"], rows["low"], rows["high"], thickness=1.2, width=4),
        customdata=[
            f"{each['name']}: {formatting.share(each['ece'])} ({formatting.share(each['low'])} to {formatting.share(each['high'])})<br>without fault {formatting.share(each['null_mean'])} on "
            f"average, below {formatting.share(each['null_95'])} 95 times in 100<br>{formatting.count(each['n'])} labelled predictions"
            for each in rows.to_dict("records")
        ],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip
    theme.themed(figure, height=90 + 44 * len(rows), x="ECE (green: chance, without fault)")
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(rows.index),
        ticktext=theme.labels(list(rows["name"])),
        showgrid=False,
        range=[-0.6, len(rows) - 0.4],
    )
    figure.update_xaxes(tickformat=",.0%", rangemode="tozero")
    return figure


def trend(series: "DataFrame", marks: "DataFrame | None" = None) -> "Figure":
    """The expected calibration error by period over the band that a model without fault stays in; grey where most labels are still to come.

    series: period, ece, low, high, null_95, n, labelled, served.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    known = series[series["ece"].notna()]
    step = series["period"].diff().min() if len(series) > 1 else None
    if step is not None:
        for period in series.loc[series["labelled"] < MATURE * series["served"].clip(lower=1), "period"]:
            figure.add_vrect(x0=period - step / 2, x1=period + step / 2, **YOUNG)
    figure.add_scatter(
        x=[*known["period"], *known["period"][::-1]], y=[*known["null_95"], *np.zeros(len(known))], fill="toself", fillcolor=theme.OK, opacity=0.18,
        mode="none", name="chance, without fault", hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=series["period"], y=series["ece"], name="ECE", mode="lines+markers", connectgaps=False, line={"color": theme.PRIMARY, "width": 1.8},
        marker={"size": 5, "color": theme.PRIMARY},
        customdata=[
            f"ECE {formatting.share(each['ece'])} ({formatting.share(each['low'])} to {formatting.share(each['high'])})<br>chance stays below {formatting.share(each['null_95'])}<br>"
            f"{int(each['labelled']):,} of {int(each['served']):,} predictions labelled"
            for each in series.to_dict("records")
        ],
        hovertemplate="%{x|%a %e %b %Y}<br>%{customdata}<extra></extra>",
    )  # fmt: skip
    theme.themed(figure, height=270, y="ECE", legend=True)
    figure.update_yaxes(tickformat=PERCENT, rangemode="tozero")
    return with_marks(figure, marks, series["period"])
