"""The notes of a home about the lakes to which its rows were written: the store's id in them, and for each address the states that this
store wrote.

The notes are outside of the database, because the database may be damaged or older than the lake.
"""

import json
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from observability.records.private_file import replace_private_file

LAKES = "lakes.json"
"""In the home: {store: its id, lakes: {address: [there, own]}}; before 0.30 a list of addresses."""


class NotedLake(NamedTuple):
    """there: number of the last state that was certainly written; 0 before the first. own: states up to this number were written by this
    store.
    """

    there: int
    own: int


OLD = NotedLake(1, sys.maxsize)
"""The note for a lake that was written before numbers were noted."""


def known_lakes(home: Path) -> dict[str, NotedLake]:
    """The notes of a home about the lakes to which its rows were written, by address."""
    with suppress(OSError, ValueError):
        body = json.loads((home / LAKES).read_text(encoding="utf-8"))
        if isinstance(body, list):
            return dict.fromkeys(map(str, body), OLD)
        return {address: _noted(numbers) for address, numbers in body["lakes"].items()}
    return {}


def _noted(numbers: list[int] | int | None) -> NotedLake:
    """The numbers of a lake; an older home noted only the state that was about to be written, or None."""
    if isinstance(numbers, list):
        return NotedLake(*numbers)
    return OLD if numbers is None else NotedLake(max(numbers - 1, 0), numbers)


def lake_writer(home: Path) -> str:
    """The id of the store of a home in its lakes; empty before its first export."""
    with suppress(OSError, ValueError):
        body = json.loads((home / LAKES).read_text(encoding="utf-8"))
        return "" if isinstance(body, list) else str(body["store"])
    return ""


def note_lake(home: Path, address: str, there: int, own: int) -> None:
    """Note an address and its numbers before the first row is written there."""
    known = known_lakes(home)
    if known.get(address) != (there, own) or not lake_writer(home):
        _note_lakes(home, {**known, address: NotedLake(there, own)})


def disown_lakes(home: Path, before: Mapping[str, NotedLake] | None = None) -> None:
    """Note that the store no longer matches any state of a lake, because its database was repaired or replaced. before: the earlier notes
    of this home.

    Raises OSError.
    """
    known, found = known_lakes(home), dict(before or {})
    for address, noted in known.items():
        found[address] = max(noted, found.get(address, noted))
    found = {address: NotedLake(noted.there, 0) for address, noted in found.items()}
    if found != known:
        _note_lakes(home, found)


def _note_lakes(home: Path, lakes: dict[str, NotedLake]) -> None:
    replace_private_file(home / LAKES, json.dumps({"store": lake_writer(home) or secrets.token_hex(8), "lakes": lakes}))
