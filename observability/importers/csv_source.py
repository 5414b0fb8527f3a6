"""Reads the first lines of another tool's CSV file, and checks that it has the columns that a reader needs."""

import csv
from collections.abc import Sequence
from pathlib import Path

from observability.core.errors import UsageError
from observability.importers.source_records import error_line, require_source


def csv_head(file: Path, needed: Sequence[str], title: str) -> tuple[list[str], dict[str, str] | None]:
    """The column names of a CSV file and its first row; None instead of the row if there is none.

    title: the expected kind of file, in words. Raises UsageError if the file is missing, is not CSV, or lacks a needed column.
    """
    require_source(file)
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            names = list(reader.fieldnames or ())
            missing = [name for name in needed if name not in names]
            first = None if missing else next(reader, None)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"this is not {title}", where=file.name, got=error_line(error)) from None
    if missing:
        raise UsageError(f"this is not {title}", where=file.name, got=f"no column {missing[0]}", expected=f"columns {', '.join(needed)}")
    return names, first
