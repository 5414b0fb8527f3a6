"""Clicks on charts lead to the page Cases with the predictions behind the clicked mark.

    on_select=clicks.cases_on_click("over-time", lambda point: clicks.cases_of_period(here, point, days["period"], "outcome = wrong"))

A mark without rows (a reference, a limit, an event) leads nowhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from observability.core.time import aware_utc
from observability.core.window import Slice
from observability.dashboard import box_select, links, time_zone
from observability.dashboard.frame import ModelPage
from observability.dashboard.scope import Scope
from observability.store.types.search_terms import SEARCH_NAMES

EVERY = "id != null"
"""A condition that every prediction meets."""
LARGEST, NEWEST, SLOWEST = "largest loss first", "newest first", "slowest first"
"""Orders of the page Cases."""
Point = Mapping[str, Any]


@dataclass(frozen=True)
class CaseQuery:
    """The query for the predictions behind a mark. scope: model, version, time and slice. q: conditions of the page Cases. order: one of
    its orders.
    """

    scope: Scope
    q: str
    order: str = NEWEST


@dataclass(frozen=True)
class ChartPeriod:
    """The period of a chart, if it differs from the window of the page."""

    scope: Scope
    start: datetime
    end: datetime


@dataclass(frozen=True)
class ClickTarget:
    """A callback for clicks on the chart `key`, which opens the predictions that `of` gives for the first clicked mark.

    periods: for a chart over time, the start of each mark's period. A drag along the chart then chooses dates (dashboard/box_select.py).
    """

    key: str
    of: Callable[[Point], CaseQuery | None]
    periods: "pd.Series[Any] | None" = None

    @property
    def hint(self) -> str:
        """The sentence beside the chart that says what a click or a drag does."""
        return "Click a mark for its predictions" + (", or drag across dates" if self.periods is not None else "")

    @property
    def drawn(self) -> str:
        """The key under which the chart is drawn now."""
        return box_select.drawn_key(self.key)

    def __call__(self) -> None:
        """Handle a click or a drag; Streamlit calls this after it."""
        selection = chart_selection(self.drawn)
        if self.periods is not None and (dates := box_select.dragged_dates(selection, self.periods)):
            box_select.choose_dragged_dates(self.key, dates)
            return
        for point in () if selection.get("box") else selection.get("points", ()):
            if found := self.of(point):
                links.follow_link(links.link_cell("", "cases", found.scope, q=found.q, order=found.order)["go"])
                return


@dataclass(frozen=True)
class DateSelection:
    """A callback for a drag along the chart `key`, which chooses dates. Marks of this chart do not lead to predictions. periods: the start
    of each mark's period. then: a function that is called after a click on a mark, with the key under which the chart is drawn.
    """

    key: str
    periods: "pd.Series[Any]"
    then: Callable[[str], None] | None = None

    @property
    def hint(self) -> str:
        """The sentence beside the chart that says what a drag does."""
        return "Click a mark to choose it, or drag across dates" if self.then else "Drag across dates"

    @property
    def drawn(self) -> str:
        """The key under which the chart is drawn now."""
        return box_select.drawn_key(self.key)

    def __call__(self) -> None:
        """Handle a drag or a click; Streamlit calls this after it."""
        selection = chart_selection(self.drawn)
        if dates := box_select.dragged_dates(selection, self.periods):
            box_select.choose_dragged_dates(self.key, dates)
        elif self.then is not None and not selection.get("box"):
            self.then(self.drawn)


@dataclass(frozen=True)
class AreaSelection:
    """A callback for marks on the chart `key` that are chosen by lasso, box or click. The page reads them with `clicked_points`."""

    key: str
    areas: bool = True
    hint: str = "Lasso or box-select points"

    def __call__(self) -> None:
        """Do nothing; Streamlit calls this after the choice, and the page reads the choice when it is drawn next."""


def chart_selection(key: str) -> Mapping[str, Any]:
    """The selection on the chart that is drawn under `key`: points and boxes."""
    return time_zone.utc_selection(key, (st.session_state.get(key) or {}).get("selection", {}))


def clicked_points(key: str) -> list[Point]:
    """The clicked marks of the chart `key`."""
    return list(chart_selection(key).get("points", []))


def cases_on_click(key: str, of: Callable[[Point], CaseQuery | None], periods: "pd.Series[Any] | None" = None) -> ClickTarget:
    """Return the `on_select` of the chart `key` (frame.chart_with_table). periods: the periods of a chart over the window of the page."""
    return ClickTarget(key, of, periods)


def cases_of_period(
    here: ModelPage | ChartPeriod, point: Point, periods: "pd.Series[Any]", q: str | None, order: str = LARGEST
) -> CaseQuery | None:
    """Return the query for the rows of the period at a clicked mark, within the window of the page; None if no period begins there."""
    known = pd.DatetimeIndex(periods).unique().sort_values()
    try:
        at = pd.Timestamp(str(point.get("x")))
    except ValueError:
        return None
    if q is None or at not in known:
        return None
    start = aware_utc(at.to_pydatetime())
    return cases_in_range(here, start, start + box_select.shortest_step(known), q, order)


def periods_on_click(key: str, here: ModelPage, periods: "pd.Series[Any]", q: str = EVERY, order: str = NEWEST) -> ClickTarget:
    """Return the `on_select` of a chart over time: a click leads to the rows of the clicked period."""
    return ClickTarget(key, lambda point: cases_of_period(here, point, periods, q, order), periods)


def cases_in_range(here: ModelPage | ChartPeriod, start: datetime, end: datetime, q: str, order: str = LARGEST) -> CaseQuery | None:
    """Return the query for the rows of a part of the page's window; None if the part lies outside it."""
    whole = here.window if isinstance(here, ModelPage) else here
    first, last = max(start, whole.start), min(end, whole.end)
    return CaseQuery(here.scope.at(first, last), q, order) if first < last else None


def cases_of_slice(here: ModelPage, conditions: Sequence[tuple[str, str]], q: str | None, order: str = LARGEST) -> CaseQuery | None:
    """Return the query for the rows of a slice in the window of the page, within the page's own slice."""
    if q is None or not conditions:
        return None
    own = here.scope.slice.conditions if here.scope.slice else ()
    return CaseQuery(replace(here.scope, slice=Slice(tuple(dict((*own, *conditions)).items()))), q, order)


def row_of_mark(point: Point, axis: str, count: int) -> int | None:
    """Return the number of the row at a mark, out of `count` rows along an axis; None if there is no row."""
    value = point.get(axis)
    number = round(value) if isinstance(value, int | float) and value == value else -1
    return number if 0 <= number < count and abs(number - float(value or 0)) < 0.5 else None


def wrong_outcome_condition(here: ModelPage) -> str:
    """Return the condition that a labelled prediction is wrong, or for regression that it has an error."""
    return error_condition(here.model.task)


def error_condition(task: str | None, metric: str | None = None) -> str:
    """Return the condition of a wrong prediction for a task; for the metric `error_rate`, that of a failed request."""
    if metric == "error_rate" and task != "regression":
        return "status != ok"
    return "absolute_error > 0" if task == "regression" else "outcome = wrong"


def range_condition(column: str, low: float | None, high: float | None) -> str | None:
    """Return the condition low ≤ column < high, where None is an open end. column: a column reference, or a name in OWN."""
    name = quoted_column(column)
    ends = [(">=", low), ("<", high)]
    parts = [f"{name} {sign} {float(end)!r}" for sign, end in ends if end is not None]
    return " and ".join(parts) if name and parts else None


def equality_condition(column: str, level: str) -> str | None:
    """Return the condition that a column has a level; None if the column or the level contains double quotes."""
    name = quoted_column(column)
    return f'{name} = "{level}"' if name and '"' not in level else None


def missing_condition(column: str) -> str | None:
    """The condition that a column has no value."""
    name = quoted_column(column)
    return f"{name} = null" if name else None


def quoted_column(column: str) -> str | None:
    """Return a column in the form that conditions use: a feature by its name, or by its reference if a field has the same name."""
    own = column.partition(".")[2] or column
    name = column if own in SEARCH_NAMES and own != column else own
    return None if '"' in name or not name.strip() else f'"{name}"'
