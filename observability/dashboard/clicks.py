"""What does a click on a mark of a chart lead to? To the page Cases, with the predictions that the mark stands for: their time, slice and conditions.

    frame.chart(figure, days, key="over-time", …, on_select=clicks.leads("over-time", lambda point: clicks.period(here, point, days["period"], "outcome = wrong")))

A mark that stands for no rows (a reference, a limit, an event) leads nowhere.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core.time import aware_utc
from observability.core.window import Slice
from observability.dashboard import links
from observability.dashboard.frame import Here
from observability.dashboard.scope import Scope
from observability.store.query.search import OWN

if TYPE_CHECKING:
    from pandas import Series

EVERY = "id != null"
"""The condition that every prediction meets."""
LARGEST, NEWEST, SLOWEST = "largest loss first", "newest first", "slowest first"
"""Orders of the page Cases."""
Point = Mapping[str, Any]


@dataclass(frozen=True)
class Cases:
    """The predictions behind a mark. scope: model, version, time and slice; q: conditions as the page Cases takes them; order: as its buttons say."""

    scope: Scope
    q: str
    order: str = NEWEST


@dataclass(frozen=True)
class Around:
    """A time that a chart is about where it is not the page's window."""

    scope: Scope
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Leads:
    """What a click on the chart `key` does: go to the predictions that `of` says the first mark that was clicked stands for. hint: says so beside the chart."""

    key: str
    of: Callable[[Point], Cases | None]
    hint: str = "Click a mark for its predictions"

    def __call__(self) -> None:
        """Called by Streamlit after the click."""
        chosen = st.session_state.get(self.key) or {}
        for point in chosen.get("selection", {}).get("points", []):
            if found := self.of(point):
                links.go(links.link("", "cases", found.scope, q=found.q, order=found.order)["go"])
                return


def leads(key: str, of: Callable[[Point], Cases | None]) -> Leads:
    """What `frame.chart` takes as `on_select` of the chart `key`."""
    return Leads(key, of)


def period(here: Here | Around, point: Point, periods: "Series[Any]", q: str | None, order: str = LARGEST) -> Cases | None:
    """The rows of the period that a mark over time stands on, as far as the page's window goes; None where no period begins there."""
    import pandas as pd

    known = pd.DatetimeIndex(periods).unique().sort_values()
    try:
        at = pd.Timestamp(str(point.get("x")))
    except ValueError:
        return None
    if q is None or at not in known:
        return None
    steps = known[1:] - known[:-1]
    step = steps.min().to_pytimedelta() if len(steps) else timedelta(days=1)
    start = aware_utc(at.to_pydatetime())
    return within(here, start, start + step, q, order)


def within(here: Here | Around, start: datetime, end: datetime, q: str, order: str = LARGEST) -> Cases | None:
    """Rows of a part of the page's window."""
    whole = here.window if isinstance(here, Here) else here
    first, last = max(start, whole.start), min(end, whole.end)
    return Cases(here.scope.at(first, last), q, order) if first < last else None


def inside(here: Here, conditions: Sequence[tuple[str, str]], q: str | None, order: str = LARGEST) -> Cases | None:
    """Rows of the page's window that a slice holds; the page's own slice holds too."""
    if q is None or not conditions:
        return None
    own = here.scope.slice.conditions if here.scope.slice else ()
    return Cases(replace(here.scope, slice=Slice(tuple(dict((*own, *conditions)).items()))), q, order)


def place(point: Point, axis: str, count: int) -> int | None:
    """Which of `count` rows a mark stands on, where an axis has their numbers; None where it stands on none."""
    value = point.get(axis)
    number = round(value) if isinstance(value, int | float) and value == value else -1
    return number if 0 <= number < count and abs(number - float(value or 0)) < 0.5 else None


def errors(here: Here) -> str:
    """The condition that a labelled prediction was wrong, of a regression that it has an error at all: the largest come first."""
    return errors_of(here.model.task)


def errors_of(task: str | None, metric: str | None = None) -> str:
    """The same of a task; of the rate of failed requests that a request failed."""
    if metric == "error_rate" and task != "regression":
        return "status != ok"
    return "absolute_error > 0" if task == "regression" else "outcome = wrong"


def between(column: str, low: float | None, high: float | None) -> str | None:
    """Conditions of a number: from low to below high, each end open where it is None. column: a column reference, or a name of OWN."""
    name = named(column)
    ends = [(">=", low), ("<", high)]
    parts = [f"{name} {sign} {float(end)!r}" for sign, end in ends if end is not None]
    return " and ".join(parts) if name and parts else None


def equals(column: str, level: str) -> str | None:
    """The condition that a column has a level; None where one of the two cannot be written between double quotes."""
    name = named(column)
    return f'{name} = "{level}"' if name and '"' not in level else None


def missing(column: str) -> str | None:
    """The condition that a column has no value."""
    name = named(column)
    return f"{name} = null" if name else None


def named(column: str) -> str | None:
    """A column as a condition names it: a feature by its name, one that is called as a field is by its reference."""
    own = column.partition(".")[2] or column
    name = column if own in OWN and own != column else own
    return None if '"' in name or not name.strip() else f'"{name}"'
