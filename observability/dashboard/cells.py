"""Cells that the tables of several pages share."""

from collections.abc import Iterable, Sequence
from typing import Any

from observability.core import formatting
from observability.core.finding import SEVERITIES, Finding
from observability.dashboard.table import Cell

UNKNOWN_CELL: Cell = {"t": formatting.DASH}


def severity_cell(severity: str | None, word: str | None = None) -> Cell:
    """Icon and word of a severity; a dash if there is none."""
    return {"s": severity, "t": word or formatting.STATUS_WORDS[severity]} if severity else dict(UNKNOWN_CELL)


def share_cell(value: float | None, low: float | None = None, high: float | None = None, under: str | None = None) -> Cell:
    """A cell with a share; below it, its interval and what it is a share of; a dash if it is unknown."""
    if value is None or value != value:
        return dict(UNKNOWN_CELL)
    interval = None if low is None else formatting.format_interval(low, high, "share")
    return {"t": formatting.format_share(value), "sub": "\n".join(filter(None, (interval, under))) or None}


def count_and_share_cell(count: float, total: float) -> Cell:
    """A cell with a number of rows and, below it, its share of the total."""
    return {"t": f"{count:,.0f}", "sub": formatting.format_share(count / total) if total else None}


def frozen_interval_words(figure: dict[str, Any]) -> str | None:
    """The interval of a frozen figure with `low`, `high` and `unit`, as `0.12 to 0.19`; None if an end is unknown."""
    if figure["low"] is None or figure["high"] is None:
        return None
    return formatting.format_interval(figure["low"], figure["high"], figure["unit"])


def filled_columns(columns: Iterable[dict[str, Any]], rows: Sequence[dict[str, Any]], always: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The columns in which at least one row has a value, and those that are always shown."""
    filled = {key for row in rows for key, cell in row["cells"].items() if cell["t"] != formatting.DASH}
    return [column for column in columns if column["key"] in (filled | set(always))]


def first_finding(findings: Iterable[Finding]) -> Finding | None:
    """The most urgent finding: by severity, then by rank."""
    return min(findings, key=lambda finding: (SEVERITIES.index(finding.severity), -finding.rank), default=None)


def severity_order(finding: Finding | None) -> int:
    """A sort key: the most severe first, no finding last."""
    return SEVERITIES.index(finding.severity) if finding else len(SEVERITIES)


def attention_note(finding: Finding | None, target: Cell, *, selected: bool) -> Cell | None:
    """The line under a row of a table: the finding that needs attention, as a link; None if there is none.

    selected: whether the row's findings are drawn below the table. Such a row has no line, so that nothing is shown twice.
    """
    if selected or finding is None or not finding.needs_action:
        return None
    return {**target, "t": finding.because.replace("`", ""), "s": finding.shown_severity}


def interval_cell(value: float | None, low: float | None, high: float | None, unit: str, of_label: str | None = None) -> Cell:
    """A cell with a value in its unit and, below it, its interval if both ends are known. of_label: the unit of the model's label."""
    known = low is not None and high is not None and low == low and high == high
    return {"t": formatting.format_value(value, unit, of_label), "sub": formatting.format_interval(low, high, unit) if known else None}
