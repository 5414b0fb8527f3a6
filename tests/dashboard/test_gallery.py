"""Every figure, in every state, is drawn in the theme's colours, with readable labels, and holds the values that it was given."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.dashboard import links, theme
from observability.dashboard.charts import gallery
from observability.dashboard.charts.gallery import GalleryFigure

DRAWN = [(name, state) for name in gallery.FIGURES for state in gallery.STATES if (name, state) not in gallery.WITHOUT]
SLOTS = {
    *(theme.PRIMARY, theme.ACT, theme.OK, theme.WATCH, theme.PURPLE, theme.SKY, theme.NEUTRAL, theme.QUIET, theme.SURFACE, theme.STRONG),
    *(colour for scale in (theme.SEQUENTIAL, theme.DIVERGING) for _, colour in scale),
}
LONGEST = 45
"""Characters of a label beside an axis."""


@pytest.fixture(scope="module")
def figures() -> dict[tuple[str, str], GalleryFigure]:
    """Every figure of the gallery by its name and state."""
    return {(drawn.name, drawn.state): drawn for drawn in gallery.gallery_figures()}


@pytest.fixture
def drawn(request: pytest.FixtureRequest, figures: dict[tuple[str, str], GalleryFigure]) -> GalleryFigure:
    """The figure that a test is about."""
    return figures[request.param]


def test_every_figure_is_looked_at(figures: dict[tuple[str, str], GalleryFigure]) -> None:
    assert list(figures) == DRAWN


def labels(drawn: GalleryFigure) -> list[str]:
    """Texts beside the axes and in the figure."""
    layout = drawn.figure.layout
    ticks = [str(text) for axis in (layout.xaxis, layout.yaxis) for text in (axis.ticktext or ())]
    names = [value for trace in drawn.figure.data for side in ("x", "y") for value in sequence(trace, side) if isinstance(value, str)]
    return [*ticks, *names, *(note.text or "" for note in layout.annotations)]


def sequence(trace: Any, name: str) -> list[Any]:
    found = getattr(trace, name, None)
    return [] if found is None else list(found)


@pytest.mark.parametrize("drawn", DRAWN, ids=", ".join, indirect=True)
def test_a_figure_uses_the_colours_of_the_theme_only(drawn: GalleryFigure) -> None:
    """So that it follows the light and the dark theme."""
    text = drawn.figure.update_layout(template=None).to_json()
    assert text is not None and set(re.findall(r'"(#[0-9a-fA-F]{3,8}|rgba?\([^"]*\))"', text)) <= SLOTS


@pytest.mark.parametrize("drawn", DRAWN, ids=", ".join, indirect=True)
def test_labels_are_short_and_hold_no_missing_value(drawn: GalleryFigure) -> None:
    assert 100 <= drawn.figure.layout.height <= 700
    found = labels(drawn)
    assert not [text for text in found if re.search(r"\b(nan|None|inf|NaT)\b", text)]
    assert max((len(text) for text in found if "<br>" not in text), default=0) <= LONGEST


@pytest.mark.parametrize("state", gallery.STATES)
def test_a_line_holds_the_values_that_it_was_given(state: str) -> None:
    given = gallery.state_values(state)
    held = [np.array(sequence(trace, "y"), float) for trace in gallery.FIGURES["Metric over time"](state).data if trace.name == "Accuracy"]
    assert any(len(values) == len(given) and np.allclose(values, given, equal_nan=True) for values in held)


@pytest.mark.parametrize("state", gallery.STATES)
def test_a_map_marks_each_prediction_once(state: str) -> None:
    """By outcome, the wrong ones on top; by a number, those without one in grey."""
    frame = gallery.map_frame(state)
    wrong, unknown = int((frame["outcome"] == "Wrong").sum()), int(frame["value"].isna().sum())
    for name, *counts in (("Map by outcome", "Wrong", wrong), ("Map by score", "Unknown", unknown)):
        *marks, case = gallery.FIGURES[name](state).data or [None]
        assert sorted(float(x) for trace in marks for x in trace.x) == sorted(frame["x"])
        assert [len(trace.x) for trace in marks if trace.name.startswith(counts[0])] == [counts[1]] * bool(counts[1])
        assert case is None or case.name == "This case"
    outcomes = [trace.name.split(" (")[0] for trace in gallery.FIGURES["Map by outcome"](state).data]
    assert outcomes == [
        name for name in ("No label", "Right", "Wrong", "This case") if name in {*frame["outcome"], *["This case"] * bool(len(frame))}
    ]


def test_an_interval_is_drawn_where_it_is_known_only() -> None:
    """A band filled the days without a value between two days that have one."""
    figure = gallery.FIGURES["Metric over time"]("missing values")
    known = gallery.state_frame("missing values").dropna(subset=["value"])
    band, strokes = (trace for trace in figure.data if trace.name == "95 % interval")
    assert band.fill == "toself" and sorted(set(band.x)) == list(known["period"].iloc[1:3]), "two days that follow each other"
    assert [each for each in strokes.x if each is not None] == [known["period"].iloc[place] for place in (0, 0, 3, 3)]


def test_the_axis_of_one_period_shows_days() -> None:
    start, end = gallery.FIGURES["Metric over time"]("one point").layout.xaxis.range
    assert end - start == pd.Timedelta(days=2)
    assert gallery.FIGURES["Metric over time"]("empty").layout.xaxis.showticklabels is False
    left, right = gallery.FIGURES["Column by day"]("one point").data[0].x
    assert right - left == pd.Timedelta(days=1), "a cell without a width is not seen"


def test_the_gallery_is_there_for_developers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    read = links.page_files.__wrapped__
    monkeypatch.delenv("OBSERVABILITY_DEVELOPER", raising=False)
    assert "gallery" not in read()
    monkeypatch.setenv("OBSERVABILITY_DEVELOPER", "1")
    assert "gallery" in read()
