"""Figures of multivariate drift: the domain classifier's AUC, permutation importance, changes of correlations."""

from typing import TYPE_CHECKING

from observability.core import formatting
from observability.dashboard import theme
from observability.dashboard.charts import layout

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

MOST_BARS = 10


def domain_auc_scale(frame: "DataFrame", *, null_low: float, null_high: float, limits: dict[str, float]) -> "Figure":
    """The AUC with its interval on a scale up to 1, with the band of the null distribution and the limits.

    frame: name, auc, low, high (NaN where there is no interval), n, severity; from top to bottom. limits: by "watch" and "act".
    """
    import plotly.graph_objects as go

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
        figure.add_scatter(
            x=part["auc"],
            y=part.index,
            mode="markers",
            marker={"size": 11, "color": [theme.TONES[severity] for severity in part["severity"]], "symbol": symbol},
            error_x=theme.error_bars(part["auc"], part["low"], part["high"], thickness=1.5, width=4) if symbol == "circle" else None,
            customdata=[hover[place] for place in part.index],
            hovertemplate=layout.HOVER,
        )
    theme.themed(figure, height=90 + 34 * len(rows), x="AUC on held-out rows; band: null distribution (95 %)")
    least = min(0.45, *(rows["low"].fillna(rows["auc"]) - 0.01), null_low - 0.01)
    layout.name_rows(figure, list(rows["name"]), longest=40)
    layout.value_axis(figure, range=[least, 1.01], tickformat=".2~f")
    figure.update_layout(margin={"t": 30})
    return figure


def permutation_importance_bars(frame: "DataFrame", *, selected: str | None = None) -> "Figure":
    """Bars of the permutation importance of each input, largest first; a click gives `customdata[0]`, its name.

    frame: subject, loss (of AUC, when its held-out values are shuffled); its first MOST_BARS rows are drawn.
    """
    import plotly.graph_objects as go

    rows = layout.bottom_up(frame, MOST_BARS)
    figure = go.Figure()
    figure.add_bar(
        x=rows["loss"],
        y=list(range(len(rows))),
        orientation="h",
        marker={"color": theme.PRIMARY},
        width=0.62,
        customdata=[
            [subject, f"AUC {formatting.format_number(loss)} lower with its values shuffled"]
            for subject, loss in zip(rows["subject"], rows["loss"])
        ],
        hovertemplate="%{customdata[1]}<extra></extra>",
        unselected={"marker": {"opacity": 1}},
    )
    theme.themed(figure, height=max(120, 26 * len(rows) + 60), x="permutation importance (loss of AUC)")
    layout.name_rows(figure, list(rows["subject"]), selected=selected)
    layout.value_axis(figure, tickformat=",.2~g")
    return figure


def correlation_change_dots(frame: "DataFrame") -> "Figure":
    """The rank correlation of each pair of numbers in the reference (a ring) and now (a dot), the most significant changes first.

    frame: pair, reference, value (rank correlations), low, high, n, severity.
    """
    import plotly.graph_objects as go

    rows = layout.bottom_up(frame, MOST_BARS)
    figure = go.Figure()
    for row in rows.itertuples():
        figure.add_scatter(
            x=[row.reference, row.value], y=[row.Index, row.Index], mode="lines", line={"color": theme.QUIET, "width": 2}, hoverinfo="skip"
        )
    figure.add_scatter(
        x=rows["reference"],
        y=rows.index,
        mode="markers",
        marker={"size": 11, "color": theme.NEUTRAL, "symbol": "circle-open"},
        customdata=theme.inert_labels(list(rows["pair"]), 80),
        hovertemplate="%{customdata}<br>reference %{x:.2f}<extra></extra>",
    )
    figure.add_scatter(
        x=rows["value"],
        y=rows.index,
        mode="markers",
        marker={"size": 11, "color": [theme.TONES[severity] for severity in rows["severity"]]},
        customdata=[[theme.inert_label(pair, 80), f"{n:,}"] for pair, n in zip(rows["pair"], rows["n"])],
        hovertemplate="%{customdata[0]}<br>now %{x:.2f} over %{customdata[1]} sampled predictions<extra></extra>",
    )
    theme.themed(figure, height=90 + 28 * len(rows), x="Rank correlation (ring: reference, dot: now)")
    layout.name_rows(figure, list(rows["pair"]), longest=40)
    layout.value_axis(figure, range=[-1.05, 1.05], tickformat=".2~f")
    return figure
