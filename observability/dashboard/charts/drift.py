"""Figures of drift: which columns moved most, and on which days."""

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.core.finding import SEVERITIES
from observability.dashboard import theme
from observability.dashboard.charts import layout

MOST_BARS = 25
MOST_CELLS = 40


def drift_bars(frame: pd.DataFrame, *, selected: str | None = None) -> go.Figure:
    """Horizontal bars of PSI with intervals, largest first, coloured by the severity of their findings, with the findings' limits.

    The two limits that most findings share are lines across the chart; any other limit is a stroke on its own bar.

    frame: subject, value, low, high, limit, severity, n, worst_look (`on the last day`, where only then it moved so far; a ring) and
    value_there; its first MOST_BARS rows are drawn. A click gives `customdata[0]`, the subject.
    """
    rows = layout.bottom_up(frame, MOST_BARS)
    rows["color"] = [theme.TONES[severity] for severity in rows["severity"]]
    figure = go.Figure()
    texts = [
        [
            row["subject"],
            f"PSI {formatting.value_with_interval(row['value'], row['low'], row['high'])}"
            f"<br>{row['n']:,} predictions, {formatting.STATUS_WORDS[row['severity']]}",
        ]
        for row in rows.to_dict("records")
    ]
    errors = theme.error_bars(rows["value"], rows["low"], rows["high"])
    layout.add_row_bars(figure, rows["value"], texts, hover="%{customdata[1]}", color=rows["color"], error_x=errors)
    recent = rows[rows["value_there"].notna()]
    if len(recent):
        values = recent["value_there"]
        texts = [
            [subject, f"{days}: PSI {formatting.format_number(value)}"]
            for subject, days, value in zip(recent["subject"], recent["worst_look"], values)
        ]
        ring = {"symbol": "circle-open", "size": 9, "color": recent["color"], "line": {"width": 2}}
        layout.add_marks(figure, values, recent.index, texts, hover="%{customdata[1]}", marker=ring, showlegend=False)
    _add_limits(figure, rows)
    names, x = layout.row_names(list(rows["subject"]), selected=selected), "population stability index (nats)"
    return layout.row_chart(figure, names, x, height=max(140, 26 * len(rows) + 70), top=30, rangemode="tozero", tickformat=",.3~g")


def _add_limits(figure: go.Figure, rows: pd.DataFrame) -> None:
    """Add the findings' limits. A line is coloured as Critical where a critical finding passed it, else as Warning."""
    known = rows[rows["limit"].notna()]
    counts = known["limit"].value_counts()
    shared = counts[counts > (1 if len(known) > 3 else 0)].index[:2]
    own = known[~known["limit"].isin(shared)]
    if len(own):
        stroke = {"symbol": "line-ns-open", "size": 14, "color": theme.NEUTRAL, "line": {"width": 2}}
        layout.add_marks(figure, own["limit"], own.index, hover="limit %{x:.2~g}, from the variation of its own days", marker=stroke)
    for limit in shared:
        worst = min(known.loc[known["limit"] == limit, "severity"], key=SEVERITIES.index)
        layout.limit_line(figure, float(limit), "act" if worst == "act" else "watch")


def column_day_heatmap(frame: pd.DataFrame, *, value: str, unit: str, top: float, selected: str | None = None) -> go.Figure:
    """Column × day as colours; a click gives `customdata[0]`, the column, and `customdata[1]`, the day.

    frame: subject, day (timestamps), value, n; subjects are drawn in the order of their first row. top: the value of the strongest colour.
    A click on a heatmap gives no event, so transparent squares lie over it and carry hover and click.
    """
    subjects = list(dict.fromkeys(frame["subject"]))[:MOST_CELLS]
    days = sorted(frame["day"].unique())
    known = {(subject, day): (score, n) for subject, day, score, n in frame[["subject", "day", "value", "n"]].to_numpy().tolist()}
    grid = [[known.get((subject, day), (None, 0))[0] for day in days] for subject in subjects]
    figure = go.Figure()
    bar = {**theme.colorbar(value), "tickformat": ",.0%" if unit == "share" else ",.2~g"}
    style = {"colorscale": theme.SEQUENTIAL, "colorbar": bar, "xgap": 1, "ygap": 1, "hoverinfo": "skip"}
    figure.add_heatmap(x=days, y=list(range(len(subjects))), z=grid, zmin=0, zmax=top, **style)
    cells = [(x, y, subject, *known[subject, x]) for y, subject in enumerate(subjects) for x in days if (subject, x) in known]
    texts = [
        [
            subject,
            str(x)[:10],
            f"{theme.inert_label(subject, 60)}<br>{value} {formatting.format_value(score, unit)}, {int(n):,} predictions",
        ]
        for x, _, subject, score, n in cells
    ]
    x, y, hover = [cell[0] for cell in cells], [cell[1] for cell in cells], "%{x|%a %e %b %Y}<br>%{customdata[2]}"
    layout.add_click_squares(figure, x, y, texts, size=18, hover=hover)
    theme.themed(figure, height=max(150, 24 * len(subjects) + 60))
    layout.set_row_ticks(figure, layout.row_names(subjects, selected=selected))
    figure.update_yaxes(range=[len(subjects) - 0.5, -0.5])
    if days:
        half = pd.Timedelta(hours=12)
        figure.update_xaxes(range=[days[0] - half, days[-1] + half])
    return figure.update_layout(hovermode="closest", hoverdistance=-1)  # a cell is wider than its square
