"""Figures of drift: which columns moved most, and on which days."""

from typing import TYPE_CHECKING

from observability.core import formatting
from observability.core.finding import SEVERITIES
from observability.dashboard import theme
from observability.dashboard.charts import layout

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MOST_BARS = 25
MOST_CELLS = 40


def drift_bars(frame: "DataFrame", *, selected: str | None = None) -> "Figure":
    """Horizontal bars of PSI with intervals, largest first, coloured by the severity of their findings, with the findings' limits.

    The two limits that most findings share are lines across the chart; any other limit is a stroke on its own bar.

    frame: subject, value, low, high, limit, severity, n, worst_look (`on the last day`, where only then it moved so far; a ring) and
    value_there; its first MOST_BARS rows are drawn. A click gives `customdata[0]`, the subject.
    """
    import plotly.graph_objects as go

    rows = layout.bottom_up(frame, MOST_BARS)
    colours = [theme.TONES[severity] for severity in rows["severity"]]
    figure = go.Figure()
    figure.add_bar(
        y=list(range(len(rows))),
        x=rows["value"],
        orientation="h",
        marker={"color": colours},
        error_x=theme.error_bars(rows["value"], rows["low"], rows["high"]),
        customdata=[
            [
                row["subject"],
                f"PSI {formatting.value_with_interval(row['value'], row['low'], row['high'])}"
                f"<br>{row['n']:,} predictions, {formatting.STATUS_WORDS[row['severity']]}",
            ]
            for row in rows.to_dict("records")
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
        width=0.62,
        unselected={"marker": {"opacity": 1}},
    )
    theme.themed(figure, height=max(140, 26 * len(rows) + 70), x="population stability index (nats)")
    recent = rows[rows["value_there"].notna()]
    if len(recent):
        figure.add_scatter(
            y=recent.index,
            x=recent["value_there"],
            mode="markers",
            showlegend=False,
            marker={
                "symbol": "circle-open",
                "size": 9,
                "color": [theme.TONES[severity] for severity in recent["severity"]],
                "line": {"width": 2},
            },
            customdata=[[subject] for subject in recent["subject"]],
            hovertemplate=[
                f"{days}: PSI {formatting.format_number(value)}<extra></extra>"
                for days, value in zip(recent["worst_look"], recent["value_there"])
            ],
        )
    _add_limits(figure, rows)
    layout.name_rows(figure, list(rows["subject"]), selected=selected)
    layout.value_axis(figure, rangemode="tozero", tickformat=",.3~g")
    figure.update_layout(margin={"t": 30})
    return figure


def _add_limits(figure: "Figure", rows: "DataFrame") -> None:
    """Add the findings' limits. A line is coloured as Critical where a critical finding passed it, else as Warning."""
    known = rows[rows["limit"].notna()]
    counts = known["limit"].value_counts()
    shared = counts[counts > (1 if len(known) > 3 else 0)].index[:2]
    own = known[~known["limit"].isin(shared)]
    if len(own):
        figure.add_scatter(
            y=own.index,
            x=own["limit"],
            mode="markers",
            marker={"symbol": "line-ns-open", "size": 14, "color": theme.NEUTRAL, "line": {"width": 2}},
            hovertemplate=[f"limit {limit:.2g}: the range of its own days<extra></extra>" for limit in own["limit"]],
        )
    for limit in shared:
        worst = min(known.loc[known["limit"] == limit, "severity"], key=SEVERITIES.index)
        layout.limit_line(figure, float(limit), "act" if worst == "act" else "watch")


def column_day_heatmap(frame: "DataFrame", *, value: str, unit: str, top: float, selected: str | None = None) -> "Figure":
    """Column × day as colours; a click gives `customdata[0]`, the column, and `customdata[1]`, the day.

    frame: subject, day (timestamps), value, n; subjects are drawn in the order of their first row. top: the value of the strongest colour.
    A click on a heatmap gives no event, so transparent squares lie over it and carry hover and click.
    """
    import pandas as pd
    import plotly.graph_objects as go

    subjects = list(dict.fromkeys(frame["subject"]))[:MOST_CELLS]
    days = sorted(frame["day"].unique())
    known = {(subject, day): (score, n) for subject, day, score, n in frame[["subject", "day", "value", "n"]].to_numpy().tolist()}
    grid = [[known.get((subject, day), (None, 0))[0] for day in days] for subject in subjects]
    figure = go.Figure()
    figure.add_heatmap(
        x=days,
        y=list(range(len(subjects))),
        z=grid,
        zmin=0,
        zmax=top,
        colorscale=theme.SEQUENTIAL,
        xgap=1,
        ygap=1,
        hoverinfo="skip",
        colorbar={**theme.colorbar(value), "tickformat": ",.0%" if unit == "share" else ",.2~g"},
    )
    cells = [(x, y, subject, *known[subject, x]) for y, subject in enumerate(subjects) for x in days if (subject, x) in known]
    figure.add_scatter(
        x=[cell[0] for cell in cells],
        y=[cell[1] for cell in cells],
        mode="markers",
        opacity=0,
        marker={"symbol": "square", "size": 18},
        customdata=[
            [
                subject,
                str(x)[:10],
                f"{theme.inert_label(subject, 60)}<br>{value} {formatting.format_value(score, unit)}, {int(n):,} predictions",
            ]
            for x, _, subject, score, n in cells
        ],
        hovertemplate="%{x|%a %e %b %Y}<br>%{customdata[2]}<extra></extra>",
        showlegend=False,
        unselected={"marker": {"opacity": 0}},
        selected={"marker": {"opacity": 0}},
    )
    theme.themed(figure, height=max(150, 24 * len(subjects) + 60))
    layout.name_rows(figure, subjects, selected=selected)
    figure.update_yaxes(range=[len(subjects) - 0.5, -0.5])
    if days:
        half = pd.Timedelta(hours=12)
        figure.update_xaxes(range=[days[0] - half, days[-1] + half])
    figure.update_layout(hovermode="closest", hoverdistance=-1)  # a cell is wider than its square
    return figure
