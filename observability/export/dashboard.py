"""Writes a dashboard as one self-contained HTML file with texts, and figures with their sentences and tables. The file requests nothing.

The script in the file draws the figures. Without scripts, and on paper, readers see the sentences and tables.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from observability.export.review import template_environment

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_ROWS = 200
"""Maximum number of rows of a figure's table in the file."""


@dataclass(frozen=True, eq=False)
class ExportedItem:
    """A figure or a text. paragraphs: the paragraphs of a text. scope: the scope in words. sentence: the sentence of the figure, or the
    reason why the figure is missing. figure: JSON for plotly, None if it is missing. titles: the titles of the table's columns. wide:
    whether the item takes the whole width.
    """

    title: str
    wide: bool
    paragraphs: tuple[str, ...] = ()
    scope: str = ""
    sentence: str = ""
    figure: str | None = None
    table: "DataFrame | None" = None
    titles: dict[str, str] = field(default_factory=dict)


def dashboard_html(name: str, scope: str, items: Sequence[ExportedItem], script: str, made_at: datetime) -> str:
    """The HTML file of a dashboard. scope: its scope in words. script: the source of plotly.js."""
    draw = template_environment().get_template("dashboard.js").render()
    scripts = [script, draw]
    return (
        template_environment()
        .get_template("dashboard.html")
        .render(
            name=name,
            scope=scope,
            items_=[(item, *exported_rows(item)) for item in items],
            made_at=made_at.isoformat(),
            scripts=scripts,
            hashes=[script_hash(text) for text in scripts],
            most=MAX_ROWS,
        )
    )


def script_hash(script: str) -> str:
    """The hash with which a content security policy allows a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def exported_rows(item: ExportedItem) -> tuple[list[str], list[list[str]]]:
    """The titles and the first rows of a figure's table, as texts."""
    if item.table is None:
        return [], []
    titles = [item.titles.get(str(name), str(name).replace("_", " ").capitalize()) for name in item.table.columns]
    return titles, [[exported_cell(value) for value in row] for row in item.table.head(MAX_ROWS).itertuples(index=False)]


def exported_cell(value: object) -> str:
    """A value of a table as text; empty if it is missing."""
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
