"""Figures of what training can save: results by carbon, carbon by start hour, energy and time by power cap."""

import pandas as pd
import plotly.graph_objects as go

from observability.core.numerals import format_figure, with_si_prefix
from observability.dashboard import theme
from observability.dashboard.charts import layout
from observability.dashboard.charts import time as charts_time
from observability.detection.run_claims import duration_words


def results_against_carbon_marks(rows: pd.DataFrame, metric: str) -> go.Figure:
    """One mark per run: its result by its carbon (logarithmic). A line joins the runs that no other run beats in both.

    rows: run, value, grams, best, least carbon first.
    """
    figure, front = go.Figure(), rows[rows["best"]]
    texts = [
        f"{theme.inert_label(run, 60)}<br>{format_figure(value)}<br>{with_si_prefix(grams, 'gCO₂e')}"
        for run, value, grams in zip(rows["run"], rows["value"], rows["grams"], strict=True)
    ]
    shown = rows.assign(text=texts)
    other = shown[~shown["best"]]
    marker = {"size": 8, "color": theme.NEUTRAL, "symbol": "circle-open", "line": {"width": 1.4}}
    layout.add_marks(figure, other["grams"], other["value"], list(other["text"]), name="other runs", marker=marker)
    marked = {"size": 10, "symbol": "diamond"}
    texts = list(shown.loc[front.index, "text"])
    layout.add_curve(
        figure, front["grams"], front["value"], name="Pareto front", texts=texts, mode="lines+markers", marker=marked, line_shape="hv"
    )
    theme.themed(figure, height=300, x="gCO₂e of the run", y=theme.inert_label(metric), legend=True)
    known = rows.loc[rows["grams"] > 0, "grams"]
    wide = len(known) and known.max() >= 100 * known.min()  # powers of ten alone would leave a narrower range with a tick or none
    return figure.update_xaxes(type="log", dtick=1 if wide else "D2", tickformat=",.3~g", ticksuffix=" g")


def start_hour_bars(rows: pd.DataFrame, *, usual: float, best: int) -> go.Figure:
    """Carbon of the runs by start hour, with the best hour in another colour and their usual carbon as a line. rows: hour, grams.

    rows: hour, grams.
    """
    figure = go.Figure()
    colours = [theme.PRIMARY if hour == best else theme.SKY for hour in rows["hour"]]
    texts = [f"{hour:02d}:00 UTC<br>{with_si_prefix(grams, 'gCO₂e')}" for hour, grams in zip(rows["hour"], rows["grams"], strict=True)]
    pattern = {"shape": "/", "size": 5, "solidity": 0.25}
    layout.add_bars(figure, rows["hour"], rows["grams"], texts, color=colours, marker_pattern=pattern, showlegend=False)
    charts_time.legend_line(figure, usual, "as started")
    theme.themed(figure, height=260, x="hour of the start, UTC", y="gCO₂e", legend=True, rangemode="tozero", tickformat=".3~s")
    return figure.update_xaxes(tickvals=list(range(0, 24, 6)), ticktext=[f"{hour:02d}:00" for hour in range(0, 24, 6)])


def power_cap_curve(rows: pd.DataFrame, *, knee: float | None, source: str) -> go.Figure:
    """Energy saved and time added relative to the highest cap, in percent with intervals: one mark per cap, the knee in another colour.

    rows: watts, runs, wh, seconds, saved and slower with the ends of their intervals; the highest cap first.
    """
    figure = go.Figure()
    shown = rows.assign(**{name: 100 * rows[name].astype(float) for name in SHARES})
    x, y = (theme.error_bars(shown[name], shown[f"{name}_low"], shown[f"{name}_high"]) for name in ("slower", "saved"))
    texts = [
        f"{watts:g} W, {runs} runs<br>{with_si_prefix(wh, 'Wh')} ({source}), {duration_words(seconds)}"
        for watts, runs, wh, seconds in rows[["watts", "runs", "wh", "seconds"]].itertuples(index=False)
    ]
    colours = [theme.PURPLE if watts == knee else theme.PRIMARY for watts in rows["watts"]]
    marker = {"size": 11, "color": colours}
    layout.add_curve(
        figure, shown["slower"], shown["saved"], texts=texts, mode="lines+markers", marker=marker, error_x=x, error_y=y, width=1.2
    )
    layout.add_names(figure, [f"{watts:g} W" for watts in rows["watts"]], list(shown["slower"]), list(shown["saved"]))
    figure.add_hline(y=0, line={"color": theme.NEUTRAL, "width": 1.2, "dash": "dash"}, layer="below")
    theme.themed(figure, height=300, x="more time, %", y="less energy, %")
    return layout.value_axis(figure)


SHARES = tuple(f"{part}{end}" for part in ("saved", "slower") for end in ("", "_low", "_high"))
