"""Which store a lake belongs to. A store replaces and removes files only in a lake that it wrote last.

The manifest has the id of the store that wrote it. The home has its id and, by address, the number of the last state that it wrote, noted
before that is written. A lake whose state has the id of another store, or a greater number (the home was restored from an older backup), is
another's: an export that would take rows from it is refused.
"""

import json
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from observability.core.errors import UsageError
from observability.core.formatting import plural
from observability.lake.file_place import FilePlace
from observability.records.private_file import replace_private_file
from observability.store.lake.manifest import LakeFile, LakeManifest, write_manifest

LAKES = "lakes.json"
"""In the home: {store: its id, lakes: {address: number of the last state}}; before 0.30 a list of addresses."""


def known_lakes(home: Path) -> dict[str, int | None]:
    """The addresses of lakes that rows of this home were written to, with the number of the last state; None where it was not noted."""
    with suppress(OSError, ValueError):
        body = json.loads((home / LAKES).read_text(encoding="utf-8"))
        return dict.fromkeys(map(str, body)) if isinstance(body, list) else dict(body["lakes"])
    return {}


def lake_writer(home: Path) -> str:
    """The id of the store of a home in its lakes; empty before its first export."""
    with suppress(OSError, ValueError):
        body = json.loads((home / LAKES).read_text(encoding="utf-8"))
        return "" if isinstance(body, list) else str(body["store"])
    return ""


def note_lake(home: Path, address: str, number: int) -> None:
    """Note an address that rows are written to, before the first of them is, and the number of the state that is about to be written."""
    known = known_lakes(home)
    if known.get(address) != number or not lake_writer(home):
        body = {"store": lake_writer(home) or secrets.token_hex(8), "lakes": {**known, address: number}}
        replace_private_file(home / LAKES, json.dumps(body))


def is_own_lake(home: Path, address: str, state: LakeManifest) -> bool:
    """Whether this store wrote the present state of a lake, or nothing stands there yet."""
    if not state.number:
        return True
    if not state.store:  # written before manifests had it
        return address in known_lakes(home)
    return state.store == lake_writer(home) and state.number <= (known_lakes(home).get(address) or 0)


def require_own_lake(home: Path, place: FilePlace, state: LakeManifest, lost: Iterable[LakeFile] = ()) -> None:
    """Refuse to take files from a lake that another store wrote, or this one in a state that it has not. lost: what it would lose."""
    if is_own_lake(home, place.address, state):
        return
    files, held = list(lost), list[str]()
    if files:
        days, models = sorted({file.day for file in files}), sorted({file.model for file in files})
        held = [f"{plural(len(files), 'file')} of {', '.join(models[:3])}, {days[0]} to {days[-1]}"]
    writer = "a later state of this store" if state.store == lake_writer(home) else "another store"
    raise UsageError(
        "the lake has rows that this store would take from it" if files else "the lake is not of this store",
        where=place.address,
        got="; ".join([*held, f"written by {writer}, {state.at[:16]}"]),
        expected="a folder of its own, or a lake that this store wrote last",
        attempt=f"Name another folder; or make the lake what this store is: observability export-lake {place.address} --replace",
    )


def write_own_state(home: Path, place: FilePlace, before: LakeManifest, files: Iterable[LakeFile], scratch: Path) -> LakeManifest:
    """Write the state that follows another one as this store's."""
    note_lake(home, place.address, before.number + 1)
    return write_manifest(place, before, files, scratch, lake_writer(home))
