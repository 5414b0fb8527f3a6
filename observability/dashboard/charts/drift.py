"""Figures of drift: which columns moved most, and on which days."""

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.core.finding import SEVERITIES
from observability.dashboard import theme
from observability.dashboard.charts import layout

MAX_BARS = 25
RING = "Last days, where they drifted further"
COLOUR_WORDS = {"unknown": "Cannot be judged"}
"""Words for colours in the legend of the bars that differ from the usual words of the states."""
MAX_CELLS = 40
CELL_NAME = 14
"""If a column's name beside the heat map is longer than this many characters, it takes two lines, so that a phone has room for the days."""
NAME_LINE, LONG_NAME = 16, 38
"""Height in pixels of one line of a limit's name; and number of characters above which a name takes two lines."""


def drift_bars(frame: pd.DataFrame, *, selected: str | None = None) -> go.Figure:
    """Horizontal bars of PSI with intervals, in the order of the frame, coloured by the state of their findings; the findings' limits are
    marked.

    The two limits that most findings share are lines across the chart, and their names say who set them; any other limit is a stroke on its
    own bar. A bar that is so long that all others would look flat is cut at the edge, and its value is written on it.

    frame: subject, value, low, high, limit, limit_of (whose limit it is, in words), severity, n, worst_look (such as `on the last day`, if
    the column moved so far only then; drawn as a ring) and value_there; its first MAX_BARS rows are drawn. A click gives `customdata[0]`,
    the subject.
    """
    rows = layout.bottom_up(frame, MAX_BARS)
    rows["color"] = [theme.TONES[severity] for severity in rows["severity"]]
    edge = bar_cap(rows)
    figure = go.Figure()
    texts = [
        [
            row["subject"],
            f"PSI {formatting.value_with_interval(row['value'], row['low'], row['high'])}"
            f"<br>{row['n']:,} predictions, {formatting.STATUS_WORDS[row['severity']]}"
            + ("" if row["limit"] != row["limit"] else f"<br>limit {formatting.format_number(row['limit'])}, {row['limit_of']}"),
        ]
        for row in rows.to_dict("records")
    ]
    drawn, cut = rows["value"].clip(upper=edge), rows["value"] > edge
    errors = theme.error_bars(drawn, rows["low"].where(~cut), rows["high"].clip(upper=edge).where(~cut))
    words = [f"{formatting.format_number(value)} ▸" if over else "" for value, over in zip(rows["value"], cut)]
    written = {
        "text": words,
        "textposition": "inside",
        "insidetextanchor": "end",
        "textfont": {"color": theme.SURFACE},
        "constraintext": "none",
    }
    layout.add_row_bars(figure, drawn, texts, hover="%{customdata[1]}", color=rows["color"], error_x=errors, showlegend=False, **written)
    recent = rows[rows["value_there"].notna()]
    if len(recent):
        values = recent["value_there"]
        texts = [
            [subject, f"{days}: PSI {formatting.format_number(value)}"]
            for subject, days, value in zip(recent["subject"], recent["worst_look"], values)
        ]
        symbols = ["triangle-right-open" if value > edge else "circle-open" for value in values]
        ring = {"symbol": symbols, "size": 9, "color": recent["color"], "line": {"width": 2}}
        layout.add_marks(figure, values.clip(upper=edge), recent.index, texts, hover="%{customdata[1]}", marker=ring, name=RING)
        for place, value in zip(recent.index, values):
            if value > edge:  # the days are named in the hover text, because on a phone they would cover the bar
                layout.add_note(figure, formatting.format_number(value), color=theme.NEUTRAL, x=edge, xanchor="right", xshift=-8, y=place)
    lines = _add_limits(figure, rows, edge)
    for severity in sorted(set(rows["severity"]), key=SEVERITIES.index):  # an empty bar for each colour, for the legend
        word = COLOUR_WORDS.get(severity, formatting.STATUS_WORDS[severity])
        figure.add_bar(x=[None], y=[None], orientation="h", marker_color=theme.TONES[severity], name=word, hoverinfo="skip")
    names, x = layout.row_names(list(rows["subject"]), selected=selected), "population stability index (nats)"
    figure = layout.row_chart(
        figure,
        names,
        x,
        height=max(140, 26 * len(rows) + 82 + NAME_LINE * lines),
        legend=True,
        top=14 + NAME_LINE * lines,
        tickformat=",.3~g",
    )
    below = {"yref": "container", "y": 0, "yanchor": "bottom", "itemclick": False, "itemdoubleclick": False}
    return figure.update_xaxes(range=[0, edge * 1.02]).update_layout(legend=below, margin_b=24, barmode="overlay")


def bar_cap(rows: pd.DataFrame) -> float:
    """The value at which the bars of `drift_bars` end: a little above the largest value. If a few bars are more than twice as long as all
    others and as the limits, they are cut a little above the others.
    """
    ends = rows[["value", "high", "value_there", "limit"]].max(axis=1).fillna(0.0)
    usual = max(float(ends.quantile(0.75)), 1.5 * shared_limits(rows).index.max() if len(shared_limits(rows)) else 0.0)
    largest, near = float(ends.max()), ends[ends <= 2 * usual]
    return 1.1 * (max(float(near.max()), usual) if len(near) and largest > 4 * usual else largest) or 1.0


def shared_limits(rows: pd.DataFrame) -> "pd.Series[int]":
    """The two limits that most findings share, with the number of findings that have each."""
    known = rows["limit"].dropna()
    counts = known.value_counts()
    return counts[counts > (1 if len(known) > 3 else 0)].head(2)


def _add_limits(figure: go.Figure, rows: pd.DataFrame, edge: float) -> int:
    """Add the findings' limits up to the edge, and return the number of text lines that their names take, but at least two.

    A line is named Critical if a critical finding exceeds it, else Warning. The names of two lines are placed one above the other, so that
    they never overlap. They are placed to the left, where the names of the columns leave room on a phone; long names are broken.
    """
    known = rows[rows["limit"].notna()]
    shared = shared_limits(rows)
    own = known[~known["limit"].isin(shared.index) & (known["limit"] <= edge)]
    if len(own):
        stroke = {"symbol": "line-ns-open", "size": 14, "color": theme.STRONG, "line": {"width": 2}}
        texts = [f"limit {formatting.format_number(limit)}, {of}" for limit, of in zip(own["limit"], own["limit_of"])]
        layout.add_marks(figure, own["limit"], own.index, texts, marker=stroke, showlegend=False)
    lines = 0
    for limit in sorted(float(limit) for limit in shared.index if limit <= edge):
        same = known[known["limit"] == limit]
        word = formatting.STATUS_WORDS["act" if min(same["severity"], key=SEVERITIES.index) == "act" else "watch"]
        figure.add_vline(x=limit, line={"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"})
        side = "center" if limit < 0.5 * edge else "right"
        value, whose = f"{word} from {formatting.format_number(limit, 2)},", str(same["limit_of"].mode()[0])
        broken = len(value) + len(whose) + 1 > LONG_NAME
        words = f"{value}{'<br>' if broken else ' '}{whose}"
        layout.add_note(figure, words, x=limit, y=1, yref="paper", yanchor="bottom", xanchor=side, yshift=NAME_LINE * lines)
        lines += 1 + broken
    return max(lines, 2)


def column_day_heatmap(frame: pd.DataFrame, *, value: str, unit: str, top: float, selected: str | None = None) -> go.Figure:
    """A heat map of columns by day; a click gives `customdata[0]`, the column, and `customdata[1]`, the day.

    frame: subject, day (timestamps), value, n; subjects are drawn in the order of their first row. top: the value that gets the strongest
    colour. A click on a heat map gives no event, so transparent squares over it provide hover text and clicks.
    """
    subjects = list(dict.fromkeys(frame["subject"]))[:MAX_CELLS]
    days = sorted(frame["day"].unique())
    known = {(subject, day): (score, n) for subject, day, score, n in frame[["subject", "day", "value", "n"]].to_numpy().tolist()}
    grid = [[known.get((subject, day), (None, 0))[0] for day in days] for subject in subjects]
    figure = go.Figure()
    bar = {**theme.colorbar(value), "tickformat": theme.PERCENT if unit == "share" else ",.2~g"}
    style = {"colorscale": theme.SEQUENTIAL, "colorbar": bar, "xgap": layout.gap_between_days(len(days)), "ygap": 1, "hoverinfo": "skip"}
    half = pd.Timedelta(hours=12)
    edges = [days[0] - half, days[0] + half] if len(days) == 1 else days  # otherwise a single day would have no width
    figure.add_heatmap(x=edges, y=list(range(len(subjects))), z=grid, zmin=0, zmax=top, **style)
    cells = [(x, y, subject, *known[subject, x]) for y, subject in enumerate(subjects) for x in days if (subject, x) in known]
    texts = [
        [
            subject,
            str(x)[:10],
            f"{theme.inert_label(subject, 60)}<br>{value} {formatting.format_value(score, unit)}, {int(n):,} predictions",
        ]
        for x, _, subject, score, n in cells
    ]
    x, y, hover = [cell[0] for cell in cells], [cell[1] for cell in cells], "%{x|%a %-d %b %Y}<br>%{customdata[2]}"
    layout.add_click_squares(figure, x, y, texts, size=18, hover=hover)
    names = layout.row_names(subjects, selected=selected, line=CELL_NAME)
    theme.themed(figure, height=max(150, (29 if any("<br>" in name for name in names) else 24) * len(subjects) + 60))
    layout.set_row_ticks(figure, names)
    figure.update_yaxes(range=[len(subjects) - 0.5, -0.5])
    if days:
        figure.update_xaxes(range=[days[0] - half, days[-1] + half])
    return figure.update_layout(hovermode="closest", hoverdistance=-1)  # so that the whole cell reacts, not only the square in its middle
