"""Read and write the manifest of a lake, which lists the files of each state.

    TABLE/model=NAME/day=DAY/CONTENT.parquet   rows of one model and day, sorted by the hash of the id
    _manifest/NUMBER.json                      the files of a state; the one with the greatest number is the present one

The manifest of a state is written last and as a whole, so a killed writer leaves the previous state. The next export removes files that no
state names. Files that only the previous state names stay until then, for readers that began with it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from observability.core.errors import StoreBrokenError
from observability.lake.file_place import FilePlace

LakeTable = Literal["predictions", "labels"]
TABLES: tuple[LakeTable, ...] = ("predictions", "labels")
FOLDER, NAME = "_manifest", re.compile(r"_manifest/(\d{10})\.json")
REFERENCE = "reference"
"""Stands in place of a day for the rows of references, which have no times."""
COUNTED_BY = "counted_by"
"""Column of labels in the lake: the round that counted a label which came after its prediction was removed (late_labels.py)."""
FORMAT = 1


@dataclass(frozen=True)
class LakeFile:
    """One file of a lake. day: in UTC, from the times of its rows, or REFERENCE. content: the fingerprint of the rows that it holds."""

    model: str
    table: LakeTable
    day: str
    content: str
    rows: int
    bytes: int

    @property
    def name(self) -> str:
        """The name of the file, relative to the lake."""
        return f"{self.table}/model={quote(self.model, safe='')}/day={self.day}/{self.content}.parquet"


@dataclass(frozen=True)
class LakeManifest:
    """A state of a lake: its number (0: nothing was written yet), when it was written, its files, and the id of the store that wrote it."""

    number: int = 0
    at: str = ""
    files: tuple[LakeFile, ...] = ()
    store: str = ""

    def of_model(self, model: str, table: LakeTable) -> list[LakeFile]:
        """The files of a model's table, oldest day first."""
        return self._by_table.get((model, table), [])[:]

    @cached_property
    def _by_table(self) -> dict[tuple[str, str], list[LakeFile]]:
        """The files by model and table, oldest day first."""
        found: dict[tuple[str, str], list[LakeFile]] = {}
        for file in sorted(self.files, key=lambda file: file.day):
            found.setdefault((file.model, file.table), []).append(file)
        return found


def read_manifest(place: FilePlace) -> LakeManifest:
    """The present state of a lake. Raises StoreBrokenError if it cannot be read."""
    numbers = manifest_numbers(place)
    if not numbers:
        return LakeManifest()
    name = manifest_name(numbers[-1])
    try:
        body = json.loads(place.read(name))
        if body["format"] != FORMAT:
            raise ValueError(f"format {body['format']}")
        return LakeManifest(body["number"], body["at"], tuple(LakeFile(**file) for file in body["files"]), body.get("store", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreBrokenError("the manifest of the lake cannot be read", where=f"{place.address}/{name}", got=error) from None


def manifest_name(number: int) -> str:
    """The name of the manifest of a state, relative to the lake."""
    return f"{FOLDER}/{number:010d}.json"


def manifest_numbers(place: FilePlace) -> list[int]:
    """The numbers of the states that are there, in order."""
    return sorted(int(found[1]) for name in place.list_names(FOLDER) if (found := NAME.fullmatch(name)))


def write_manifest(place: FilePlace, before: LakeManifest, files: Iterable[LakeFile], scratch: Path, store: str) -> LakeManifest:
    """Write the state that follows another one. scratch: a folder on the same disk as the store. store: the id of the store that writes."""
    state = LakeManifest(before.number + 1, datetime.now(UTC).isoformat(timespec="seconds"), tuple(files), store)
    body = {"format": FORMAT, "number": state.number, "at": state.at, "store": store, "files": [asdict(file) for file in state.files]}
    path = scratch / "manifest.json"
    path.write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    place.publish(path, manifest_name(state.number))
    return state


def remove_unnamed(place: FilePlace, states: Iterable[LakeManifest]) -> int:
    """Remove the files of rows and the manifests that none of these states names, and the remains of killed writers. Return how many files
    of rows were removed.
    """
    held = list(states)
    for folder in (FOLDER, *TABLES):
        place.remove_unfinished(folder)
    named = {file.name for state in held for file in state.files}
    gone = [name for table in TABLES for name in place.list_names(table) if name not in named]
    for name in gone:
        place.delete(name)
    for number in set(manifest_numbers(place)) - {state.number for state in held}:
        place.delete(manifest_name(number))
    return len(gone)
