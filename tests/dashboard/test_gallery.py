"""Every figure, in every state, is drawn in the theme's colours, with readable labels, and contains the values that it was given."""

import importlib
import pkgutil
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from observability.dashboard import charts, links, menu, theme
from observability.dashboard.charts import drift, gallery
from observability.dashboard.charts.gallery import GalleryFigure
from observability.store.db.database import Database
from tests.house_report import ROOT
from tests.support.dashboard_pages import opened

DRAWN = [(name, state) for name in gallery.FIGURES for state in gallery.figure_states(name)]
COLOURED = [(name, state) for name, state in DRAWN if name in gallery.SHARED_FIGURES or state in ("usual", "one point")]
"""Figures whose colours are checked. Figures of a single page are checked in only two states, because the colours are the same in the
others.
"""
SLOTS = {
    *(theme.PRIMARY, theme.ACT, theme.OK, theme.WATCH, theme.PURPLE, theme.SKY, theme.NEUTRAL, theme.QUIET, theme.SURFACE, theme.STRONG),
    *(colour for scale in (theme.SEQUENTIAL, theme.DIVERGING) for _, colour in scale),
}
NOT_IN_GALLERY = (
    (
        "parts of other figures: axes, rows and marks, or the form of a distribution that the page chooses by its kind",
        ("layout.row_chart", "layout.value_axis", "time.add_event_marks", "overlay.distribution_overlay", "overlay.overlay_histogram"),
    ),
)
"""Figures that the gallery does not draw, with the reason for each group."""
LONGEST = 45
"""Maximum number of characters of a label next to an axis."""


@pytest.fixture(scope="module")
def figures() -> dict[tuple[str, str], GalleryFigure]:
    """Every figure of the gallery by its name and state."""
    return {(drawn.name, drawn.state): drawn for drawn in gallery.gallery_figures()}


@pytest.fixture
def drawn(request: pytest.FixtureRequest, figures: dict[tuple[str, str], GalleryFigure]) -> GalleryFigure:
    """The figure that a test is about."""
    return figures[request.param]


def test_every_drawn_figure_is_covered_by_the_checks(figures: dict[tuple[str, str], GalleryFigure]) -> None:
    assert list(figures) == DRAWN


def test_each_function_that_returns_a_figure_is_in_the_gallery_or_named_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    every: set[str] = set()
    drawn: set[str] = set()
    for part in pkgutil.iter_modules(charts.__path__):
        module = importlib.import_module(f"{charts.__name__}.{part.name}")
        own = [(name, found) for name, found in vars(module).items() if getattr(found, "__module__", None) == module.__name__]
        for name, function in own:
            if name.startswith("_") or getattr(function, "__annotations__", {}).get("return") is not go.Figure:
                continue
            every.add(f"{part.name}.{name}")
            monkeypatch.setattr(module, name, recorded(function, f"{part.name}.{name}", drawn))
    for draw in gallery.FIGURES.values():
        draw("usual")
    missing = [name for _, names in NOT_IN_GALLERY for name in names]
    parts = set(NOT_IN_GALLERY[0][1])
    assert len(missing) == len(set(missing))
    unknown, stale = every - drawn - set(missing), set(missing) - (every - drawn) - parts
    assert not unknown, (
        f"put {sorted(unknown)} into gallery.SHARED_FIGURES, gallery_pages.PAGE_FIGURES or gallery_models.MODEL_FIGURES, or name it here with the reason"
    )
    assert not stale, f"take {sorted(stale)} out of NOT_IN_GALLERY: the gallery draws it, or it is gone"
    listed = re.findall(r"\| `(\w+\.\w+)` \|", (ROOT / "docs" / "charts.md").read_text(encoding="utf-8"))
    assert len(listed) == len(set(listed))
    assert set(listed) == drawn - parts, (
        f"docs/charts.md: add {sorted(drawn - parts - set(listed))}, take out {sorted(set(listed) - drawn)}"
    )


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda drawn: "-".join(map(str, drawn)), indirect=True)
def test_the_ticks_of_a_share_keep_their_decimals(drawn: GalleryFigure) -> None:
    """Regression: an axis from 2 % to 4 % had the ticks 2%, 2%, 3%, 3% and 4%."""
    formats = [axis.tickformat or "" for axis in (*drawn.figure.select_xaxes(), *drawn.figure.select_yaxes())]
    assert all(each == theme.PERCENT for each in formats if each.endswith("%")), formats


def recorded(function: Callable[..., go.Figure], name: str, calls: set[str]) -> Callable[..., go.Figure]:
    """A function that notes its name when it is called."""

    def called(*given: Any, **options: Any) -> go.Figure:
        calls.add(name)
        return function(*given, **options)

    return called


def test_only_a_bounded_number_of_many_columns_is_drawn(figures: dict[tuple[str, str], GalleryFigure]) -> None:
    given = len(gallery.state_names(gallery.MANY))
    bars = figures["Ranked drift", gallery.MANY].figure
    assert given > 10 * drift.MAX_CELLS and len(bars.data[0].y) == len(bars.layout.yaxis.ticktext) == drift.MAX_BARS
    heat = figures["Column by day", gallery.MANY].figure
    assert len(heat.data[0].z) == len(heat.layout.yaxis.ticktext) == drift.MAX_CELLS
    assert len(heat.data[1].x) == drift.MAX_CELLS, "one square for each cell with a value"
    assert bars.data[0].x.max() == gallery.state_values(gallery.MANY).max(), "the largest values are drawn"


def labels(drawn: GalleryFigure) -> list[str]:
    """The texts next to the axes and inside the figure."""
    layout = drawn.figure.layout
    ticks = [str(text) for axis in (layout.xaxis, layout.yaxis) for text in (axis.ticktext or ())]
    names = [value for trace in drawn.figure.data for side in ("x", "y") for value in sequence(trace, side) if isinstance(value, str)]
    return [*ticks, *names, *(note.text or "" for note in layout.annotations)]


def sequence(trace: Any, name: str) -> list[Any]:
    found = getattr(trace, name, None)
    return [] if found is None else list(found)


@pytest.mark.parametrize("drawn", COLOURED, ids=", ".join, indirect=True)
def test_a_figure_uses_the_colours_of_the_theme_only(drawn: GalleryFigure) -> None:
    """Only such a figure can follow the light and the dark theme. Transparent parts have no colour."""
    text = drawn.figure.update_layout(template=None).to_json()
    assert text is not None and set(re.findall(r'"(#[0-9a-fA-F]{3,8}|rgba?\([^"]*\))"', text)) <= SLOTS | {"rgba(0,0,0,0)"}


@pytest.mark.parametrize("drawn", DRAWN, ids=", ".join, indirect=True)
def test_labels_are_short_and_hold_no_missing_value(drawn: GalleryFigure) -> None:
    assert 100 <= drawn.figure.layout.height <= (1_100 if drawn.state == gallery.MANY else 700)
    found = labels(drawn)
    assert not [text for text in found if re.search(r"\b(nan|None|inf|NaT)\b", text)]
    assert max((len(text) for text in found if "<br>" not in text), default=0) <= LONGEST


def test_line_labels_do_not_lie_under_the_figures_buttons(figures: dict[tuple[str, str], GalleryFigure]) -> None:
    """Regression: plotly's buttons, which appear at the upper right on hover, covered "Critical limit" and "onset"."""
    for place, drawn in figures.items():
        for note in drawn.figure.layout.annotations:
            at_right = note.xref == "paper" and note.x == 1 and note.xanchor == "right"
            inside_at_top = note.yref == "paper" and note.y == 1 and note.yanchor == "top"
            assert not at_right and not (inside_at_top and note.xref != "paper"), (place, note.text)


@pytest.mark.parametrize("state", gallery.STATES)
def test_a_drawn_line_has_the_given_values(state: str) -> None:
    given = gallery.state_values(state)
    held = [np.array(sequence(trace, "y"), float) for trace in gallery.FIGURES["Metric over time"](state).data if trace.name == "Accuracy"]
    assert any(len(values) == len(given) and np.allclose(values, given, equal_nan=True) for values in held)


@pytest.mark.parametrize("state", gallery.STATES)
def test_a_map_marks_each_prediction_once(state: str) -> None:
    """Coloured by outcome, wrong predictions are drawn on top. Coloured by a number, predictions without a number are grey."""
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


def test_an_interval_is_drawn_only_where_it_is_known() -> None:
    """Regression: between two days with a value, a band also filled the days without one."""
    figure = gallery.FIGURES["Metric over time"]("missing values")
    known = gallery.state_frame("missing values").dropna(subset=["value"])
    band, strokes = (trace for trace in figure.data if trace.name == "95 % interval")
    assert band.fill == "toself" and sorted(set(band.x)) == list(known["period"].iloc[1:3]), "the band covers two consecutive days"
    assert [each for each in strokes.x if each is not None] == [known["period"].iloc[place] for place in (0, 0, 3, 3)]


def test_the_axis_of_one_period_shows_days() -> None:
    start, end = gallery.FIGURES["Metric over time"]("one point").layout.xaxis.range
    assert end - start == pd.Timedelta(days=2)
    assert gallery.FIGURES["Metric over time"]("empty").layout.xaxis.showticklabels is False
    for name in ("Column by day", "Devices by day"):
        left, right = gallery.FIGURES[name]("one point").data[0].x
        assert right - left == pd.Timedelta(days=1), "a cell must have a width to be visible"
    day = pd.Timedelta(days=1) / pd.Timedelta(milliseconds=1)
    bars = [trace.width for name in ("Consumption", "Who steered") for trace in gallery.FIGURES[name]("one point").data]
    assert bars and set(bars) == {day}, "a single bar must be a day wide; otherwise plotly draws it as thin as a hairline"


def test_the_legend_names_the_range_and_the_limit_of_an_incident() -> None:
    """Regression: the names overlapped each other, the curve and the onset."""
    figure = gallery.FIGURES["Incident"]("usual")
    named = [shape.name for shape in figure.layout.shapes if shape.showlegend]
    assert figure.layout.showlegend and {"range of its own past", "Critical limit"} <= set(named)
    assert not {note.text for note in figure.layout.annotations} & set(named)
    assert {trace.showlegend for trace in figure.data} == {False}, "the axis names the curve"


def test_the_gallery_is_there_for_developers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    read = links.page_files.__wrapped__
    monkeypatch.delenv("OBSERVABILITY_DEVELOPER", raising=False)
    assert "gallery" not in read()
    monkeypatch.setenv("OBSERVABILITY_DEVELOPER", "1")
    assert "gallery" in read()


def test_the_gallery_page_draws_every_state_of_the_chosen_figure(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSERVABILITY_DEVELOPER", "1")
    forget_pages()
    try:
        app = opened("gallery")
        box = app.selectbox(key="gallery-figure")
        assert list(box.options) == list(gallery.FIGURES)
        app = box.set_value("Ranked drift").run()
        shown = [each.value for each in app.subheader]
        wanted = [state.capitalize() for state in gallery.figure_states("Ranked drift")]
        assert not app.exception and sorted(shown) == sorted(wanted), "the page shows all wanted figures in two columns"
        assert len(app.get("plotly_chart")) == len(shown)
    finally:
        forget_pages()


def forget_pages() -> None:
    """Let the pages be searched again, as in a new process, because the environment decides whether pages for developers are included."""
    links.page_files.cache_clear()
    menu.entry_tabs.cache_clear()
