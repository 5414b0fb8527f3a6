"""Every kind of figure in the states that pages can draw it in: empty, one point, small samples, huge and negative values, long
names; those with a row for each column also with a thousand columns.

The page Gallery (developer mode) shows them; tests read them as objects. The values are made up and say nothing about any model.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from observability.dashboard import theme
from observability.dashboard.charts import drift, energy, fairness, overlay, prediction_map, slices, time, waterfall

STATES = ("usual", "empty", "one point", "small samples", "huge", "negative", "missing values", "long names")
LONG = "a_feature_whose_name_somebody_made_out_of_every_table_that_it_was_joined_from"
START = pd.Timestamp("2026-03-02")
MANY = "many columns"
"""The state of the figures of columns (OF_COLUMNS) in which they are given more rows than they draw."""
COUNTS = {"empty": 0, "one point": 1, MANY: 1_000}
"""Rows of a state; the others have six."""


@dataclass(frozen=True)
class GalleryFigure:
    """One figure in one state."""

    name: str
    state: str
    figure: go.Figure


def state_values(state: str) -> np.ndarray:
    """Values for the rows of a state."""
    values = np.resize([0.62, 0.55, 0.71, 0.48, 0.66, 0.59], COUNTS.get(state, 6))
    if state == "huge":
        values = values * np.array([1e12, 1e3, 1.0, 1e9, 1e6, 1e11])
    if state == "negative":
        values = -values
    if state == "missing values":
        values[[1, 4]] = np.nan
    return values


def state_names(state: str) -> list[str]:
    """Names for the rows of a state."""
    return [f"{LONG}_{place}" if state == "long names" else f"column {place}" for place in range(COUNTS.get(state, 6))]


def state_frame(state: str, **columns: object) -> pd.DataFrame:
    """A frame of a state: period, name, value with its interval, counts; and further columns."""
    values = state_values(state)
    rows = 3 if state == "small samples" else 1200
    spread = np.abs(values) * (0.9 if state == "small samples" else 0.05)
    return pd.DataFrame(
        {
            "period": pd.date_range(START, periods=len(values), freq="D"),
            "name": state_names(state),
            "value": values,
            "low": values - spread,
            "high": values + spread,
            "n": np.full(len(values), rows),
            "labelled": np.full(len(values), rows),
            "served": np.full(len(values), rows),
            **{name: [value] * len(values) for name, value in columns.items()},
        }
    )


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
    if state == MANY:  # the days go on for years else
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
    """Predictions of a state on the plane of two principal components, in two groups: x, y, outcome, text, value."""
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


FIGURES: dict[str, Callable[[str], go.Figure]] = {
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


WITHOUT = (("Waterfall", "long names"),)
"""States that do not occur: the parts of a waterfall have fixed names."""
OF_COLUMNS = ("Ranked drift", "Column by day")
"""Figures with a row for each column of a model, of which there may be thousands."""


def figure_states(name: str) -> list[str]:
    """The states in which a figure is drawn."""
    return [state for state in (*STATES, *([MANY] if name in OF_COLUMNS else [])) if (name, state) not in WITHOUT]


def gallery_figures() -> Iterator[GalleryFigure]:
    """Every figure in every state."""
    for name, draw in FIGURES.items():
        for state in figure_states(name):
            yield GalleryFigure(name, state, draw(state))
