"""Find out which store a lake belongs to, and whether the lake is there. A store replaces and removes files only in a lake whose last state
it wrote.

The manifest has the id of the store that wrote it. The home has the id of its store and, by address, two numbers: the number of the last
state that was certainly written there, and the number of the last state of this store, noted before it is written. A lake belongs to
another store if its state has another id, or a greater number (the home was restored from an older backup). An export that would remove
rows from such a lake is refused. The same holds for every state once the database was mended or restored. A state with a smaller number
than the last known one means that the lake is not mounted, or is an old copy.
"""

from collections.abc import Iterable
from pathlib import Path

from observability.core.errors import StoreBrokenError, UsageError
from observability.core.formatting import plural
from observability.lake.addresses import checked_address
from observability.lake.file_place import FilePlace, open_file_place
from observability.store.db.noted_lakes import NotedLake, known_lakes, lake_writer, note_lake
from observability.store.lake.manifest import TABLES, LakeFile, LakeManifest, manifest_numbers, write_manifest


def lake_address(text: str) -> str:
    """The address by which a lake is noted; the lake is not opened. Raises UsageError."""
    address = checked_address(text)
    return address.text if address.path is None else str(address.path)


def open_known_lake(home: Path, text: str, *, replace: bool = False) -> FilePlace:
    """The place of a lake. Its folder is made only if the home never wrote a state there. replace: accept whatever is there, or an empty
    place.

    Raises UsageError for files without a manifest that are not of this home, StoreBrokenError if the state that the home wrote is not
    there.
    """
    address = lake_address(text)
    noted, path = known_lakes(home).get(address), checked_address(text).path
    there = 0 if noted is None else noted.there
    attempt = f"Mount it or bring back a copy; or write it anew from the store alone: observability export-lake {address} --replace"
    missing = StoreBrokenError(f"the lake is not there, or is older than the state {there} of this home", where=address, attempt=attempt)
    if there and not replace and path is not None and not path.is_dir():
        raise missing
    place = open_file_place(text)
    number = max(manifest_numbers(place), default=0)
    if replace or number >= max(there, 1):
        return place
    if number < there:
        raise missing
    if noted is None and (files := [name for table in TABLES for name in place.list_names(table)]):
        raise UsageError(
            "the lake has files and no manifest",
            where=address,
            got=plural(len(files), "file"),
            expected="an empty folder, or a lake with its folder _manifest",
            attempt=f"Bring the manifest back from a copy; or remove these files: observability export-lake {address} --replace",
        )
    return place


def open_written_lake(home: Path, text: str) -> FilePlace:
    """The place of an existing lake, for reading; nothing is created. Raises UsageError or StoreBrokenError if there is none."""
    path = checked_address(text).path
    if path is not None and not path.is_dir():
        raise StoreBrokenError("the lake is not there", where=str(path), attempt="Mount it, or write it: observability export-lake")
    place = open_known_lake(home, text)
    if not manifest_numbers(place):
        raise StoreBrokenError("the folder has no lake", where=place.address, attempt="Write it first: observability export-lake")
    return place


def is_written_here(home: Path, address: str, state: LakeManifest) -> bool:
    """Whether the store of a home wrote a state of a lake, even one that its database does not know."""
    noted = known_lakes(home).get(address, NotedLake(0, 0))
    return state.store == lake_writer(home) if state.store else noted.there > 0  # manifests before 0.30 do not have the id of the store


def is_own_lake(home: Path, address: str, state: LakeManifest) -> bool:
    """Whether this store wrote the present state of a lake, or the lake is still empty."""
    own = known_lakes(home).get(address, NotedLake(0, 0)).own
    return not state.number or (is_written_here(home, address, state) and state.number <= own)


def require_own_lake(home: Path, place: FilePlace, state: LakeManifest, lost: Iterable[LakeFile] = ()) -> None:
    """Refuse to remove files from a lake that another store wrote, or that this store wrote in a state that it no longer has. lost: the
    files that would be lost.
    """
    if is_own_lake(home, place.address, state):
        return
    files, held = list(lost), list[str]()
    if files:
        days, models = sorted({file.day for file in files}), sorted({file.model for file in files})
        held = [f"{plural(len(files), 'file')} of {', '.join(models[:3])}, {days[0]} to {days[-1]}"]
    writer = "a later state of this store" if is_written_here(home, place.address, state) else "another store"
    raise UsageError(
        "the lake has rows that this store would take from it" if files else "the lake is not of this store",
        where=place.address,
        got="; ".join([*held, f"written by {writer}, {state.at[:16]}"]),
        expected="a folder of its own, or a lake that this store wrote last",
        attempt=f"Name another folder; or make the lake what this store is: observability export-lake {place.address} --replace",
    )


def write_own_state(home: Path, place: FilePlace, before: LakeManifest, files: Iterable[LakeFile], scratch: Path) -> LakeManifest:
    """Write the state that follows `before`, and note it as a state of this store."""
    note_lake(home, place.address, before.number, before.number + 1)
    state = write_manifest(place, before, files, scratch, lake_writer(home))
    note_lake(home, place.address, state.number, state.number)
    return state
