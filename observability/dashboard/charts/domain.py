"""Figures of multivariate drift: AUC of the domain classifier, permutation importance, changes of correlations."""

import pandas as pd
import plotly.graph_objects as go

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

MAX_BARS = 10


def domain_auc_scale(frame: pd.DataFrame, *, null_low: float, null_high: float, limits: dict[str, float]) -> go.Figure:
    """The AUC with its interval on a scale that ends at 1, with the band of the null distribution and the limits.

    frame: name, auc, low, high (NaN if there is no interval), n, severity; from top to bottom. limits: by severity, "watch" and "act".
    """
    rows = layout.bottom_up(frame, len(frame))
    figure = go.Figure()
    figure.add_vrect(x0=null_low, x1=null_high, fillcolor=theme.NEUTRAL, opacity=0.25, line_width=0, layer="below")
    for severity, limit in limits.items():
        layout.limit_line(figure, limit, severity)
    hover = [
        f"{theme.inert_label(row['name'], 60)}<br>AUC {formatting.value_with_interval(row['auc'], row['low'], row['high'])}"
        f"<br>{int(row['n']):,} predictions"
        for row in rows.to_dict("records")
    ]
    sure = rows["low"].notna()
    for part, symbol in ((rows[sure], "circle"), (rows[~sure], "diamond-open")):
        marker = {"size": 11, "color": [theme.TONES[severity] for severity in part["severity"]], "symbol": symbol}
        bars = theme.error_bars(part["auc"], part["low"], part["high"], thickness=1.5, width=4) if symbol == "circle" else None
        layout.add_marks(figure, part["auc"], part.index, [hover[place] for place in part.index], marker=marker, error_x=bars)
    least = min(0.45, *(rows["low"].fillna(rows["auc"]) - 0.01), null_low - 0.01)
    names, x = layout.row_names(list(rows["name"]), longest=40), "AUC on held-out rows; band: null distribution (95 %)"
    return layout.row_chart(figure, names, x, height=90 + 34 * max(len(rows), 1), top=30, range=[least, 1.01], tickformat=".2~f")


def permutation_importance_bars(frame: pd.DataFrame, *, selected: str | None = None) -> go.Figure:
    """Bars of the permutation importance of each input, largest first; a click gives `customdata[0]`, its name.

    frame: subject, loss (the loss of AUC if the feature's held-out values are shuffled); its first MAX_BARS rows are drawn.
    """
    rows = layout.bottom_up(frame, MAX_BARS)
    figure = go.Figure()
    texts = [
        [subject, f"AUC {formatting.format_number(loss)} lower with its values shuffled"]
        for subject, loss in zip(rows["subject"], rows["loss"])
    ]
    layout.add_row_bars(figure, rows["loss"], texts, hover="%{customdata[1]}", color=theme.PRIMARY)
    names, height = layout.row_names(list(rows["subject"]), selected=selected), max(120, 26 * len(rows) + 60)
    return layout.row_chart(figure, names, "permutation importance (loss of AUC)", height=height, **theme.ROUNDED)


def correlation_change_dots(frame: pd.DataFrame) -> go.Figure:
    """The rank correlation of each pair of numeric features in the reference (ring) and now (dot), the most significant changes first.

    frame: pair, reference, value (rank correlations), low, high, n, severity.
    """
    rows = layout.bottom_up(frame, MAX_BARS)
    figure = go.Figure()
    for row in rows.itertuples():
        figure.add_scatter(
            x=[row.reference, row.value], y=[row.Index, row.Index], mode="lines", line={"color": theme.QUIET, "width": 2}, hoverinfo="skip"
        )
    pairs, ring = theme.inert_labels(list(rows["pair"]), 80), {"size": 11, "color": theme.NEUTRAL, "symbol": "circle-open"}
    layout.add_marks(figure, rows["reference"], rows.index, pairs, hover="%{customdata}<br>reference %{x:.2f}", marker=ring)
    texts = [[pair, n] for pair, n in zip(pairs, rows["n"])]
    dot = {"size": 11, "color": [theme.TONES[severity] for severity in rows["severity"]]}
    hover = "%{customdata[0]}<br>now %{x:.2f} over %{customdata[1]:,} sampled predictions"
    layout.add_marks(figure, rows["value"], rows.index, texts, hover=hover, marker=dot)
    names, x = [theme.label_of_two_lines(pair, 26) for pair in rows["pair"]], "Rank correlation (ring: reference, dot: now)"
    return layout.row_chart(figure, names, x, height=90 + 32 * max(len(rows), 1), range=[-1.05, 1.05], tickvals=[-1, 0, 1])
