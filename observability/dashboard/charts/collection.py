"""Figures of data collection: a heat map of devices by day, and a flow of the rows that rules keep and drop."""

import textwrap

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.core.numerals import format_figure
from observability.dashboard import theme
from observability.dashboard.charts import layout

TOPS = {"share": 0.05, "standard deviations": 6.0, "factor": 2.0}
"""Lower bound of the value that gets the strongest colour, by unit, so that small differences do not look large."""

FLOW_LABEL = 22
"""Maximum number of characters in a line of a flow's label, so that two labels side by side fit on a phone."""


def measure_words(value: float, unit: str) -> str:
    """A value of a measure with its unit."""
    if unit == "share":
        return formatting.format_share(value)
    return f"{format_figure(value, 3)} standard deviations" if unit == "standard deviations" else format_figure(value, 3)


def device_day_heatmap(frame: pd.DataFrame, *, name: str, unit: str, selected: str | None) -> go.Figure:
    """A heat map of devices by day; a click gives `customdata[0]`, the device's subject.

    frame: subject, label, day (timestamps), value, column (None if the value is about whole batches), n (batches); devices are drawn in the
    order of their first row.
    """
    subjects = list(dict.fromkeys(frame["subject"]))
    labels = dict(zip(frame["subject"], frame["label"], strict=True))
    days = list(pd.date_range(frame["day"].min(), frame["day"].max(), freq="D")) if len(frame) else []
    grid = frame.pivot_table(index="subject", columns="day", values="value", sort=False).reindex(index=subjects, columns=days)
    figure = go.Figure()
    top = max(TOPS[unit], float(frame["value"].quantile(0.99))) if len(frame) else TOPS[unit]
    bar = {**theme.colorbar(name if unit == "share" else unit), "nticks": 3, "tickformat": theme.PERCENT if unit == "share" else ",.2~g"}
    style = {"colorscale": theme.SEQUENTIAL, "colorbar": bar, "xgap": layout.gap_between_days(len(days)), "ygap": 1, "hoverinfo": "skip"}
    half = pd.Timedelta(hours=12)
    edges = [*(day - half for day in days), *(day + half for day in days[-1:])]  # so that a single day has a width too
    figure.add_heatmap(x=edges, y=list(range(len(subjects))), z=grid.to_numpy(float), zmin=0, zmax=top, **style)
    rows = {subject: place for place, subject in enumerate(subjects)}
    texts = [
        [
            subject,
            f"{theme.inert_label(label, 60)}{f', {theme.inert_label(column)}' if isinstance(column, str) else ''}<br>"
            f"{name}: {measure_words(value, unit)}<br>{formatting.plural(int(n), 'batch', 'batches')}",
        ]
        for subject, label, column, value, n in frame[["subject", "label", "column", "value", "n"]].itertuples(index=False)
    ]
    hover = "%{x|%a %-d %b %Y}<br>%{customdata[1]}"
    layout.add_click_squares(figure, frame["day"], frame["subject"].map(rows), texts, size=18, hover=hover)
    theme.themed(figure, height=max(150, 24 * len(subjects) + 60))
    shown = labels.get(selected) if selected else None
    layout.set_row_ticks(figure, layout.row_names([labels[each] for each in subjects], selected=shown))
    figure.update_yaxes(range=[len(subjects) - 0.5, -0.5])
    if days:
        figure.update_xaxes(range=[edges[0], edges[-1]])
    return figure.update_layout(hovermode="closest", hoverdistance=-1)  # so that the whole cell reacts, not only the square in its middle


def cleaning_flow(frame: pd.DataFrame) -> go.Figure:
    """A Sankey diagram of rows, from their groups to their outcomes. Labels are wrapped, so that both sides fit on a phone.

    frame: group, outcome ("kept", or the rule that dropped the rows), rows.
    """
    groups, outcomes = list(dict.fromkeys(frame["group"])), list(dict.fromkeys(frame["outcome"]))
    outcomes.sort(key=lambda outcome: outcome != "kept")
    totals = [*frame.groupby("group", sort=False)["rows"].sum()[groups], *frame.groupby("outcome")["rows"].sum()[outcomes]]
    names = [formatting.truncate(str(name), 64) for name in (*groups, *outcomes)]
    lines = [textwrap.wrap(f"{name} ({n:,})", FLOW_LABEL) for name, n in zip(names, totals, strict=True)]
    labels = ["<br>".join(theme.inert_label(line) for line in parts) for parts in lines]
    pad = 6 + 12 * max(map(len, lines), default=1)
    places = {group: place for place, group in enumerate(groups)}
    ends = {outcome: len(groups) + place for place, outcome in enumerate(outcomes)}
    colours = [*[theme.NEUTRAL] * len(groups), *[theme.PRIMARY if outcome == "kept" else theme.PURPLE for outcome in outcomes]]
    figure = go.Figure()
    figure.add_sankey(
        node={"label": labels, "color": colours, "pad": pad, "thickness": 14, "hovertemplate": "%{label}<extra></extra>"},
        link={
            "source": [places[group] for group in frame["group"]],
            "target": [ends[outcome] for outcome in frame["outcome"]],
            "value": frame["rows"],
            "color": theme.QUIET,
            "hovertemplate": "%{source.label} → %{target.label}: %{value:,} rows<extra></extra>",
        },
        arrangement="snap",
        textfont={"size": 11, "color": theme.STRONG},
    )
    return theme.themed(figure, height=max(220, (pad + 16) * max(len(groups), len(outcomes)) + 60))
