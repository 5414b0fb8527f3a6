"""Read columns whose values are in the paths of files, as in folders named `day=2026-03-02`."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

from observability.store.types.sources import PartitionValue

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
WHOLE_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})")


def partition_texts(name: str) -> dict[str, str | None]:
    """The columns that the folder names of a path hold, with their texts; None for a missing value."""
    found = {}
    for part in name.split("/")[:-1]:
        column, equal, text = part.partition("=")
        if equal and column:
            value = unquote(text)
            found[unquote(column)] = None if value == NULL_PARTITION else value
    return found


def partition_values(names: Sequence[str]) -> list[Mapping[str, PartitionValue]]:
    """The columns that the folder names of some paths hold. A column holds numbers if each of its values is a whole number without leading
    zeros, otherwise texts.
    """
    texts = [partition_texts(name) for name in names]
    columns: dict[str, bool] = {}
    for each in texts:
        for column, text in each.items():
            columns[column] = columns.get(column, True) and (text is None or WHOLE_NUMBER.fullmatch(text) is not None)
    return [{column: int(text) if text is not None and columns[column] else text for column, text in each.items()} for each in texts]
