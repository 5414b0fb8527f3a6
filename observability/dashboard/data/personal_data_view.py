"""The page of personal data: which columns hold which kinds, and how each column is protected before it is stored."""

from collections.abc import Sequence

from observability.core.catalog import Model
from observability.core.finding import Finding
from observability.core.numerals import percent
from observability.dashboard.cells import severity_cell
from observability.dashboard.table import Cell, column, draw_table, number_columns, table_row

COLUMNS = (
    column("column", "Column", strong=True),
    column("state", "State", short=True),
    column("kind", "Found"),
    *number_columns(texts="Texts", searched="Searched"),
    column("share", "Share", align="right", help="Of the searched texts of the column"),
    column("protection", "Protection", help="Under [protect] in the settings, applied before anything is written", phone=False),
)


def personal_columns_table(model: Model, found: Sequence[Finding]) -> None:
    """Draw a row for each column and kind of personal data; nothing where none was found."""
    lines = []
    for finding in found:
        kinds = dict(finding.evidence.get("kinds", {}))
        searched = int(finding.evidence.get("texts", 0))
        for kind, count in kinds.items():
            cells: dict[str, Cell] = {
                "column": {"t": finding.subject},
                "state": severity_cell(finding.severity),
                "kind": {"t": kind},
                "texts": {"t": f"{count:,}"},
                "searched": {"t": f"{searched:,}"},
                "share": {"t": percent(count / searched)},
                "protection": {"t": protection_words(model, finding.subject)},
            }
            lines.append(table_row(cells))
    if lines:
        draw_table("personal-data", "Columns with personal data", COLUMNS, lines, compact=True)


def protection_words(model: Model, name: str) -> str:
    """How a field is protected before it is stored."""
    rule = model.settings.protect.get(name)
    return "none" if rule is None else rule if isinstance(rule, str) else "buckets"
