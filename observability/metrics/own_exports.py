"""The record of a file or message that this product made. It is an event of kind export, listed separately from other exports."""

from collections.abc import Sequence

from observability.records.kinds import OWN_SOURCE

MAX_COLUMNS = 200


def own_export(
    name: str, recipient: str, *, model: str | None = None, rows: int | None = None, columns: Sequence[str] = ()
) -> dict[str, object]:
    """The record of a file that this product made. name: name of the file, without ids of predictions; recipient: the person who requested
    it.
    """
    record: dict[str, object] = {"kind": "event", "what": "export", "text": name, "recipient": recipient, "source": OWN_SOURCE}
    record |= {"model": model, "rows": rows}
    return record | ({"columns": {column: {} for column in columns[:MAX_COLUMNS]}} if columns else {})
