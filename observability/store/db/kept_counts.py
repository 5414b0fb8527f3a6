"""The counts of each model (`Database.counted_models`), kept in a file beside the store, so that the next process can use them.

A count is kept with the number of the last commit about its model, which the store holds too. So a new process counts only the models that
changed since the last process counted them. The file holds names and numbers of rows. It is deleted when a removal must leave no trace.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from observability.core.program_digest import program_digest
from observability.records.private_file import replace_private_file

COUNTS_FILE = "counts.json"
Counts = Mapping[tuple[str, str], tuple[int, Any]]
"""By the name of the count and the model: a commit number, and the count, which is valid while the commit number stays the same."""


def write_counts(folder: Path, counts: Counts, models: Iterable[str]) -> None:
    """Write the counts of these models. If the folder cannot be written, nothing happens."""
    names = set(models)
    body = [[what, name, number, count] for (what, name), (number, count) in counts.items() if name in names]
    with suppress(OSError):
        replace_private_file(folder / COUNTS_FILE, json.dumps({"program": program_digest(), "counts": body}))


def read_counts(folder: Path) -> dict[tuple[str, str], tuple[int, Any]]:
    """The counts that `write_counts` of the same program wrote; empty if there is no such file."""
    try:
        body = json.loads((folder / COUNTS_FILE).read_text(encoding="utf-8"))
        if body["program"] != program_digest():
            return {}
        return {(what, name): (int(number), count) for what, name, number, count in body["counts"]}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
