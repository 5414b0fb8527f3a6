"""Dense tables with status, sentences, sparklines, bars, intervals and links.

An HTML table (observability/dashboard/assets/ledger.js) whose texts are set as text, so names and values from logs cannot become markup. A
cell is a small dict: `t` text, `sub` a second line, `s` a severity's icon, `mark` a badge, `changed` in colour, `title` a tooltip, `spark`,
`bar`, `interval`, and the parts of `links.link`.
"""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from observability.dashboard import links

ASSETS = Path(__file__).parent / "assets"
Cell = dict[str, Any]


@cache
def _ledger() -> Callable[..., Any]:
    """The registered component; once a process."""
    return st.components.v2.component(
        "ledger",
        html='<div id="ledger"></div>',
        css=(ASSETS / "ledger.css").read_text(encoding="utf-8"),
        js=(ASSETS / "ledger.js").read_text(encoding="utf-8"),
    )


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
) -> dict[str, Any]:
    """One column: align "" or "right"; help is the tooltip of its title; width a CSS length or share; strong for names of things;
    wide for sentences, which a narrow screen shows without their title; short for a few words that stay on one line.
    """
    return {"key": key, "label": label, "align": align, "help": help, "width": width, "strong": strong, "wide": wide, "short": short}


def table_row(cells: dict[str, Cell], note: Cell | None = None, *, selected: bool = False) -> dict[str, Any]:
    """One row: its cells by column, and a second line across the table."""
    return {"cells": cells, "note": note, "selected": selected}


def draw_table(
    key: str, caption: str, columns: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]], *, compact: bool = False, large: bool = False
) -> None:
    """Draw a table.

    caption: its name for screen readers; key: unique on the page; large: to be read from a distance. Its links need no reload.
    """

    def follow() -> None:
        target = st.session_state[key].go
        if target:
            links.follow_link(target)

    data = {"caption": caption, "columns": list(columns), "rows": list(rows), "size": "large" if large else "compact" if compact else ""}
    _ledger()(key=key, data=data, on_go_change=follow)


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
    """A sparkline. label is its text for screen readers; None values are gaps; zero keeps zero on the axis."""
    return {
        "y": rounded(values),
        "low": rounded(low) if low is not None else None,
        "high": rounded(high) if high is not None else None,
        "limit": limit,
        "bars": bars,
        "zero": zero or bars,
        "width": width,
        "height": height,
        "label": label,
    }


def rounded(values: Sequence[float | None]) -> list[float | None]:
    """Values for JSON: six significant digits, None for missing ones."""
    return [None if value is None or value != value else float(f"{value:.6g}") for value in values]
