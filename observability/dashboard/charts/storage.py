"""The figure of the forms in which a dataset can be stored: their size in bytes and the change in a model's answers."""

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.core.numerals import format_figure
from observability.dashboard import theme


def storage_forms_chart(frame: pd.DataFrame, *, change: str) -> go.Figure:
    """Draw a mark for each form: its size and the largest change. Names are written only beside the less exact forms; the table names all
    forms.

    frame: form, bytes, change (0 for lossless forms, missing if no model was asked), lossless. change: title of the vertical axis.
    """
    figure, top = go.Figure(), float(frame["change"].max(skipna=True) or 0.0)
    for lossless, colour, symbol in ((True, theme.PRIMARY, "circle"), (False, theme.PURPLE, "diamond")):
        part = frame[(frame["lossless"] == lossless) & frame["change"].notna()]
        texts = [
            f"{theme.inert_label(form)}<br>{formatting.format_bytes(size)}<br>{change}: {format_figure(value)}"
            for form, size, value in zip(part["form"], part["bytes"].astype(float), part["change"].astype(float), strict=True)
        ]
        figure.add_scatter(
            x=part["bytes"],
            y=part["change"],
            mode="markers" if lossless else "markers+text",
            name="exact" if lossless else "less exact, zstd",
            text=[f" {theme.inert_label(form)} " for form in part["form"]],
            textposition=[_label_place(value, top, place) for place, value in enumerate(part["change"].astype(float))],
            textfont={"size": 11, "color": theme.STRONG},
            marker={"size": 10, "color": colour, "symbol": symbol},
            customdata=texts,
            hovertemplate="%{customdata}<extra></extra>",
            cliponaxis=False,
        )
    theme.themed(figure, height=300, x="bytes", y=change, legend=True)
    figure.update_yaxes(range=[-0.06 * top if top else -0.5, top * 1.25 if top else 1.0])
    return figure.update_xaxes(range=[0, float(frame["bytes"].max()) * 1.12])


def _label_place(change: float, top: float, place: int) -> str:
    """Return the position of a form's name: above the mark if the form changes nothing or hardly anything; else alternately left
    and right.
    """
    return "top center" if change <= 0.05 * top else ("middle left", "middle right")[place % 2]


def used_by_day(frame: pd.DataFrame) -> go.Figure:
    """Draw the gigabytes that a place holds by day, and its capacity. frame: day, used, room."""
    figure = go.Figure()
    figure.add_scatter(
        x=frame["day"],
        y=frame["used"],
        name="used",
        mode="lines",
        line={"color": theme.PRIMARY, "width": 2},
        hovertemplate="%{x|%a %-d %b %Y}<br>%{y:,.0f} GB used<extra></extra>",
    )
    known = frame[frame["room"].notna()]
    if len(known):
        figure.add_scatter(
            x=known["day"],
            y=known["room"],
            name="capacity",
            mode="lines",
            line={"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"},
            hovertemplate="%{y:,.0f} GB of room<extra></extra>",
        )
    return theme.themed(figure, height=260, y="GB", legend=True)
