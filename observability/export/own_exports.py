"""Files that this product makes are exports too: an event for each, with its recipient, columns and rows."""

import contextlib
import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from observability.core.errors import ObservabilityError
from observability.metrics.exports import OWN_SOURCE

if TYPE_CHECKING:
    from observability.store.engine import Store

MOST_COLUMNS = 200


def own_export(
    name: str, recipient: str, *, model: str | None = None, rows: int | None = None, columns: Sequence[str] = ()
) -> dict[str, object]:
    """The record of a file that this product made. name: of the file, without ids of predictions; recipient: who asked for it."""
    record: dict[str, object] = {"kind": "event", "what": "export", "text": name, "recipient": recipient, "source": OWN_SOURCE}
    record |= {"model": model, "rows": rows}
    return record | ({"columns": {column: {} for column in columns[:MOST_COLUMNS]}} if columns else {})


def csv_shape(text: str) -> tuple[int, list[str]]:
    """Rows and columns of a CSV file."""
    lines = csv.reader(io.StringIO(text))
    head = next(lines, [])
    return sum(1 for _ in lines), head


def note_own_exports(store: "Store", records: Sequence[Mapping[str, object]]) -> None:
    """Store the records. Where the store refuses, the file is given all the same: a full disk must not keep people from their data."""
    with contextlib.suppress(ObservabilityError):
        store.write_records(records)
