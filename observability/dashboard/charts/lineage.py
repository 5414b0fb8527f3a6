"""The figure of a lineage: an indented list with links, in which upstream things are above the centre and downstream things below it."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from observability.dashboard import theme

SYMBOLS = {
    "annotator": ("circle-open", theme.PURPLE),
    "project": ("circle", theme.PURPLE),
    "device": ("square-open", theme.NEUTRAL),
    "source": ("square", theme.NEUTRAL),
    "batch": ("square", theme.SKY),
    "rule": ("triangle-down", theme.NEUTRAL),
    "dataset": ("diamond", theme.PURPLE),
    "run": ("triangle-right", theme.PRIMARY),
    "version": ("hexagon", theme.PRIMARY),
    "predictions": ("circle", theme.SKY),
    "prediction": ("circle", theme.STRONG),
}
"""Marker and colour by kind of thing; the label also names the kind."""
LABEL = 36
"""Number of characters above which a label takes two lines, so that it fits a phone. The table has the parts that are cut off."""
ROOM = 0.32
"""Share of the width that the marks take; the rest is for the labels."""


def hover_lines(lines: Sequence[str]) -> list[str]:
    """Return the lines of a hover box in the form that Plotly reads, without empty ones."""
    return [theme.inert_label(line, 90) for line in lines if line]


def lineage_tree(frame: pd.DataFrame, others: pd.DataFrame) -> go.Figure:
    """Draw the things as marks with their labels, each under the thing that it is linked to. A click gives `customdata[0]`, the address of
    the thing.

    frame: address, kind, label, hover, distance (0 of the centre), place (row number from the top; the centre lies between upstream and
    downstream), above (place of the linked thing; missing for the centre), hidden (0, or the number of things that the row stands for).
    others: from, to (the places of further links).
    """
    figure = go.Figure()
    depth = frame["distance"].abs()
    spots = dict(zip(frame["place"], depth, strict=True))
    x: list[float | None] = []
    y: list[float | None] = []
    for place, above in frame.loc[frame["above"].notna(), ["place", "above"]].itertuples(index=False):
        x += [spots[above], spots[above], spots[place], None]
        y += [above, place, place, None]
    line = {"color": theme.QUIET, "width": 1.5}
    figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False)
    x, y = [], []
    for begin, end in others[["from", "to"]].itertuples(index=False):
        x += [spots[begin], spots[end], None]
        y += [begin, end, None]
    figure.add_scatter(x=x, y=y, mode="lines", line={**line, "width": 1, "dash": "dot"}, hoverinfo="skip", showlegend=False)
    marks = [
        ("circle-open", theme.NEUTRAL) if hidden else SYMBOLS[kind] for kind, hidden in zip(frame["kind"], frame["hidden"], strict=True)
    ]
    labels = [
        f"<b>{label}</b>" if not distance else label
        for label, distance in zip((theme.label_of_two_lines(label, LABEL) for label in frame["label"]), depth, strict=True)
    ]
    row = 36 if any("<br>" in label for label in labels) else 26
    figure.add_scatter(
        x=depth,
        y=frame["place"],
        mode="markers+text",
        marker={"symbol": [mark for mark, _ in marks], "color": [colour for _, colour in marks], "size": 11, "opacity": 1},
        text=[f" {label.replace('<br>', '<br> ')}" for label in labels],
        textposition="middle right",
        textfont={"size": 12, "color": theme.STRONG},
        customdata=frame[["address", "hover"]],
        hovertemplate="%{customdata[1]}<extra></extra>",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        showlegend=False,
        cliponaxis=False,
    )
    theme.themed(figure, height=max(120, row * len(frame) + 30))
    figure.update_xaxes(visible=False, range=[-0.25, max(2.0, float(depth.max())) / ROOM], fixedrange=True)
    figure.update_yaxes(visible=False, range=[len(frame) - 0.4, -0.6], fixedrange=True)
    return figure.update_layout(margin={"l": 4, "r": 4, "t": 4, "b": 4}, hovermode="closest")
