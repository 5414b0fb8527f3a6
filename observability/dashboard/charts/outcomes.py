"""Figures of errors: the confusion matrix of a classifier, the error distribution of a regression."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts.overlay import clickable_steps, step_outlines

MAX_CLASSES = 20


def confusion_heatmap(counts: Sequence[Sequence[float]], classes: Sequence[str]) -> go.Figure:
    """Draw a confusion matrix with labels as rows and decisions as columns. The colour is the share of each label's rows; the text is the
    share and the count.

    counts: K × K counts, one row for each label. At most MAX_CLASSES classes are drawn.
    """
    size = min(len(classes), MAX_CLASSES)
    shares = [[row[j] / max(sum(row), 1.0) for j in range(size)] for row in counts[:size]]
    names = theme.inert_labels(classes[:size], 16)
    place = list(range(size))
    figure = go.Figure()
    figure.add_heatmap(
        z=shares, x=place, y=place, zmin=0, zmax=1, colorscale=theme.SEQUENTIAL, showscale=False, xgap=2, ygap=2, hoverinfo="skip"
    )
    if size <= 8:
        for i in place:
            for j in place:
                words = f"<b>{formatting.format_share(shares[i][j])}</b><br>{formatting.format_count(counts[i][j])}"
                style = {"font": {"size": 12, "color": theme.STRONG}, "bgcolor": theme.SURFACE, "opacity": 0.86, "borderpad": 3}
                figure.add_annotation(x=j, y=i, text=words, showarrow=False, **style)
    texts = [
        f"label {names[i]}, decided {names[j]}<br>{formatting.format_count(counts[i][j])} predictions, "
        f"{formatting.format_share(shares[i][j])} of this label"
        for i in place
        for j in place
    ]
    layout.add_click_squares(figure, place * size, [i for i in place for _ in place], texts, size=40)
    theme.themed(figure, height=max(240, 46 * size + 110), x="decision", y="label")
    figure.update_xaxes(tickmode="array", tickvals=place, ticktext=names, side="top", range=[-0.5, size - 0.5])
    return figure.update_yaxes(tickmode="array", tickvals=place, ticktext=names, range=[size - 0.5, -0.5], showgrid=False)


def error_histogram(frame: pd.DataFrame, unit: str | None = None) -> go.Figure:
    """Draw the share of labelled predictions by error, in steps, and mark zero. unit: the unit of the label.

    frame: low and high (the ends of each step as drawn, in the unit of the label), step (in words), current, and reference if there is one
    (both shares).
    """
    figure, sides = go.Figure(), [side for side in ("reference", "current") if side in frame]
    if len(frame):
        step_outlines(figure, frame)
        shares = [", ".join(f"{side} {formatting.format_share(row[side])}" for side in sides) for row in frame.to_dict("records")]
        top = max(float(frame[side].max()) for side in sides)
        clickable_steps(figure, frame, [f"{step}<br>{words}" for step, words in zip(frame["step"], shares)], top)
        figure.add_vline(x=0, line={"color": theme.STRONG, "width": 1})
    titles = {"x": f"prediction minus label{f' ({unit})' if unit else ''}", "y": "share of labelled predictions"}
    return theme.themed(figure, height=300, **titles, legend=len(sides) > 1, rangemode="tozero", tickformat=theme.PERCENT)
