"""Every kind of figure in the states in which pages can draw it: empty, one point, small samples, huge and negative values, long names.
Figures with a row for each column are also drawn with a thousand columns.

The page Gallery (developer mode) shows these figures; tests read them as objects. The values are invented and about no real model.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from observability.dashboard import theme
from observability.dashboard.charts import drift, energy, fairness, overlay, prediction_map, slices, time, waterfall
from observability.dashboard.charts.gallery_models import MODEL_FIGURES
from observability.dashboard.charts.gallery_pages import PAGE_FIGURES
from observability.dashboard.charts.gallery_states import COUNTS, LONG, MANY, START, STATES, state_frame, state_names, state_values


@dataclass(frozen=True)
class GalleryFigure:
    """One figure drawn in one state."""

    name: str
    state: str
    figure: go.Figure


def _lines(state: str) -> go.Figure:
    return time.metric_lines(state_frame(state), name="Accuracy", unit="", limit=0.5, severity="act", baseline=0.6)


def _compact(state: str) -> go.Figure:
    return time.compact_line(state_frame(state), name="PSI of a column", unit="", limit=0.5, severity="act")


def _traffic(state: str) -> go.Figure:
    frame = state_frame(state)
    return time.traffic_bars(frame.assign(n=frame["value"].abs().fillna(0)).drop(columns=["low", "high"]))


def _drift(state: str) -> go.Figure:
    frame = state_frame(state, limit=0.5, limit_of="the default", severity="watch", worst_look=None, value_there=np.nan)
    return drift.drift_bars(frame.rename(columns={"name": "subject"}).sort_values("value", ascending=False))


def _heatmap(state: str) -> go.Figure:
    frame = state_frame(state).rename(columns={"name": "subject", "period": "day"})
    if state == MANY:  # otherwise the days would extend over years
        frame["day"] = [START + pd.Timedelta(days=place % 7) for place in range(len(frame))]
    return drift.column_day_heatmap(frame, value="PSI", unit="", top=1.0)


def _groups(state: str) -> go.Figure:
    frame = state_frame(state, what="labelled positives", enough=state != "small samples", reference=0.6)
    return fairness.group_dots(frame.rename(columns={"name": "group"}), name="True positive rate", unit="", overall=0.6)


def _slices(state: str) -> go.Figure:
    return slices.slice_dots(
        state_frame(state, before=0.6, rest=0.61, coverage=0.1, sure=state != "small samples"), name="Accuracy", unit=""
    )


def _waterfall(state: str) -> go.Figure:
    frame = state_frame(state, whole=False, sure=True).rename(columns={"name": "step"})
    ends = frame["value"].fillna(0).cumsum()
    return waterfall.change_waterfall(frame.assign(start=ends.shift(fill_value=0.0), end=ends), name="Mean absolute error", unit="")


def _consumption(state: str) -> go.Figure:
    return energy.consumption_bars(
        state_frame(state), name="Wh per 1,000", say=lambda value: f"{value:.3g} Wh", source="measured", baseline=0.6
    )


def _levels(state: str) -> go.Figure:
    frame = state_frame(state).rename(columns={"name": "level"})
    share = frame["value"].abs()
    return overlay.overlay_levels(
        frame.assign(reference=share, current=share * 1.1, n_reference=frame["n"], n_current=frame["n"]), name="carrier"
    )


def map_frame(state: str) -> pd.DataFrame:
    """Predictions in the plane of two principal components, in two groups, for one state: x, y, outcome, text, value."""
    n = COUNTS.get(state, 6 if state == "small samples" else 90)
    random = np.random.default_rng(0)
    spread, group = 1e9 if state == "huge" else 1.0, np.arange(n) % 3 == 0
    values = np.resize(state_values(state), n)
    known = np.where(random.random(n) < np.where(group, 0.5, 0.08), "Wrong", "Right")
    return pd.DataFrame(
        {
            "x": spread * (random.normal(size=n) + np.where(group, 2.5, -1.5)),
            "y": spread * (random.normal(size=n) + np.where(group, 1.0, -0.5)),
            "outcome": np.where(np.isnan(values), "No label", known),
            "text": np.resize(state_names(state), n),
            "value": values,
        }
    )


def _map(state: str, number: str | None = None) -> go.Figure:
    frame = map_frame(state)
    name = theme.inert_label(LONG if state == "long names" else "distance", 20)
    titles = [f"{share} % of the variance<br>{name} {share} %" for share in (31, 17)]
    case = (float(frame["x"].iloc[0]), float(frame["y"].iloc[0])) if len(frame) else None
    return prediction_map.scattered_predictions(frame, titles=titles, number=number, case=case)


SHARED_FIGURES: dict[str, Callable[[str], go.Figure]] = {
    "Metric over time": _lines,
    "Compact line": _compact,
    "Traffic": _traffic,
    "Ranked drift": _drift,
    "Column by day": _heatmap,
    "Groups": _groups,
    "Slices": _slices,
    "Waterfall": _waterfall,
    "Consumption": _consumption,
    "Levels, reference and current": _levels,
    "Map by outcome": _map,
    "Map by score": partial(_map, number="score"),
}
"""The figures that several pages share or that hold the largest numbers; their pictures are stored for comparison."""
FIGURES = SHARED_FIGURES | PAGE_FIGURES | MODEL_FIGURES


WITHOUT = (("Waterfall", "long names"), ("Planted fault", "long names"))
"""Combinations that are not drawn: the parts of a waterfall have fixed names, and the rows of a planted fault are named by the claims of
analyzers.
"""
OF_COLUMNS = ("Ranked drift", "Column by day")
"""Figures with a row for each column of a model; a model may have thousands of columns."""


def figure_states(name: str) -> list[str]:
    """The states in which a figure is drawn."""
    return [state for state in (*STATES, *([MANY] if name in OF_COLUMNS else [])) if (name, state) not in WITHOUT]


def gallery_figures(of: str | None = None) -> Iterator[GalleryFigure]:
    """Every figure in every state. of: the name of the only figure to return."""
    for name, draw in FIGURES.items() if of is None else [(of, FIGURES[of])]:
        for state in figure_states(name):
            yield GalleryFigure(name, state, draw(state))
