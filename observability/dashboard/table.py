"""Dense tables with status, sentences, sparklines, bars, intervals and links.

Each table is an HTML table (observability/dashboard/assets/ledger.js) whose contents are set as text, so names and values from logs cannot
become markup. A cell is a small dict with the parts of `links.link_cell` and any of these keys:

* `t`: its text.
* `sub`: a second line.
* `phone`: a line shown on a phone in place of the columns that are left out there.
* `s`: a severity, shown as its icon.
* `dot`: a word that chooses the colour of a dot before the text.
* `mark`: a badge.
* `changed`: whether the text is coloured as changed.
* `title`: a tooltip.
* `spark`, `bar`, `interval`: a small figure.
* `marks`: marks on a line.
* `act`: what its button acts on.
* `plain`: whether a link has the colour of the text.
* `more`: a link under `sub`, or several.
* `week`: the state that fills a week of a calendar.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import figure_capture, links, time_zone
from observability.dashboard.components import page_component
from observability.dashboard.page_skeleton import remove_page_block
from observability.dashboard.table_height import least_table_height

Cell = dict[str, Any]
MAX_POINTS = 40
"""Maximum number of points of a sparkline; if there are more values, means of groups are drawn."""


def column(
    key: str,
    label: str,
    *,
    align: str = "",
    help: str | None = None,  # noqa: A002 - the name that Streamlit's own columns use
    width: str | None = None,
    strong: bool = False,
    wide: bool = False,
    short: bool = False,
    phone: bool = True,
    min_width: str | None = None,
) -> dict[str, Any]:
    """One column. align: "" or "right". help: the tooltip of its title. width: a CSS length or share. min_width: the minimum width on a
    phone. strong: for names of things. wide: for sentences, which a narrow screen shows without the column's title. short: for a few words
    that stay on one line. phone: whether a phone shows the column before the reader asks for all columns.
    """
    shape = {"align": align, "width": width, "min_width": min_width, "strong": strong, "wide": wide, "short": short, "phone": phone}
    return {"key": key, "label": label, "help": help, **shape}


def plain_columns(**labels: str) -> list[dict[str, Any]]:
    """Columns of plain text. labels: the title of each column, by its key."""
    return [column(key, label) for key, label in labels.items()]


def number_columns(**labels: str) -> list[dict[str, Any]]:
    """Right-aligned columns of numbers. labels: the title of each column, by its key."""
    return [column(key, label, align="right") for key, label in labels.items()]


def columns_on_phone(keys: str, *columns: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The columns, of which a phone shows only those with these keys until the reader asks for all. keys: separated by spaces."""
    names = keys.split()
    return tuple({**each, "phone": each["key"] in names} for each in columns)


def table_row(
    cells: Mapping[str, Cell | str | None] | None = None, note: Cell | None = None, /, *, selected: bool = False, **more: Cell | str | None
) -> dict[str, Any]:
    """One row. cells: by column, as a mapping or as keywords; a text becomes a cell, None becomes a dash. note: a second line across the
    table.

    Consecutive rows with the same text in the cell `group` are listed under that text.
    """
    cells = {**(cells or {}), **more}
    return {"cells": {key: text_cell(cell) for key, cell in cells.items()}, "note": note, "selected": selected}


def text_cell(cell: Cell | str | None) -> Cell:
    """The cell unchanged if it is one; a text becomes a cell of plain text, and None becomes a dash."""
    return cell if isinstance(cell, dict) else {"t": formatting.DASH if cell is None else cell}


def draw_table(
    key: str,
    caption: str,
    columns: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
    *,
    compact: bool = False,
    large: bool = False,
    sort: bool = False,
    paged: bool = False,
    on_act: Callable[[Sequence[str], str], None] | None = None,
    keys: Mapping[str, str] | None = None,
    bulk: Mapping[str, str] | None = None,
    remembers: str | None = None,
) -> None:
    """Draw a table. Its links change the page without a reload. Until its script has come, it has the height that its rows take at least.

    key: unique on the page. caption: the table's name for screen readers. large: in large print, to be read from a distance. sort: a click
    on a column's title sorts the rows, by the value `k` of the cells if they have one; a table of more than five rows gets a filter box.
    paged: the rows are one page of many, and the page filters them itself, so there is no filter box. on_act: called with the names of the
    rows and the action that was asked for; a button gives both in its cell's `act`. keys: action by keyboard key; the key acts on the
    chosen row. j and k choose the next and the previous row, Enter opens the row. bulk: titles of actions on the selected rows, by action;
    `merge` needs two rows. remembers: the name under which the browser stores the columns that the reader hid; without it no column can be
    hidden.
    """
    if figure_capture.COLLECTOR.get() is not None:
        return  # the page is not shown in a browser here

    def follow() -> None:
        target = st.session_state[key].go
        if target:
            links.follow_link(target)

    def act() -> None:
        asked = st.session_state[key].act
        if asked and on_act:
            on_act([str(name) for name in asked["on"]], str(asked["does"]))

    data = {
        "caption": caption,
        "columns": time_zone.zone_titles(columns),
        "rows": list(rows),
        "size": "large" if large else "compact" if compact else "",
        "sort": sort,
        "paged": paged,
        "keys": dict(keys or {}) if on_act else None,
        "bulk": dict(bulk) if bulk and on_act else None,
        "remembers": remembers,
    }
    remove_page_block()
    page_component("ledger")(key=key, data=data, height=least_table_height(data), on_go_change=follow, on_act_change=act)


def sparkline(
    values: Sequence[float | None],
    label: str,
    *,
    low: Sequence[float | None] | None = None,
    high: Sequence[float | None] | None = None,
    limit: float | None = None,
    bars: bool = False,
    zero: bool = False,
    width: int = 120,
    height: int = 28,
) -> dict[str, Any]:
    """A sparkline. label is its text for screen readers; None values are gaps; zero includes zero in the axis.

    Intervals that are far wider than usual are cut, so that one day with few labels does not flatten the line. If there are more than
    MAX_POINTS values, means of groups are drawn, and the label says so.
    """
    if low is not None and high is not None:
        low, high = usual_ends(values, low, high)
    if (size := math.ceil(len(values) / MAX_POINTS)) > 1:
        low, high = (each and means_of_groups(each, size) for each in (low, high))
        values = means_of_groups(values, size)
        label = f"{label}, means of {size}"
    ends = {name: rounded_for_json(end) if end is not None else None for name, end in (("low", low), ("high", high))}
    style = {"bars": bars, "zero": zero or bars, "width": width, "height": height}
    return {"y": rounded_for_json(values), **ends, "limit": limit, **style, "label": label}


def means_of_groups(values: Sequence[float | None], size: int) -> list[float | None]:
    """The means of groups of `size` consecutive values. Unknown values are left out; the mean of a group without known values is None."""
    groups = ([each for each in values[start : start + size] if each == each and each is not None] for start in range(0, len(values), size))
    return [fmean(group) if group else None for group in groups]


def usual_ends(
    values: Sequence[float | None], low: Sequence[float | None], high: Sequence[float | None]
) -> tuple[list[float | None], list[float | None]]:
    """The ends of intervals, cut where they are further outside the range of the values than twice the median width of an interval."""
    widths = [top - end for end, top in zip(low, high, strict=True) if end is not None and top is not None]
    known = [value for value in values if value is not None]
    if not widths or not known:
        return list(low), list(high)
    room = 2 * median(widths)
    least, most = min(known) - room, max(known) + room
    return [end if end is None else max(end, least) for end in low], [end if end is None else min(end, most) for end in high]


def rounded_for_json(values: Sequence[float | None]) -> list[float | None]:
    """Values for JSON: rounded to six significant digits; None for a missing value."""
    return [None if value is None or value != value else float(f"{value:.6g}") for value in values]
