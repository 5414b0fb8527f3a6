"""Rebuilds a folder as a loss of power leaves it, from the recorded calls of processes (power_shim.c).

An entry of the record: call (1 byte), inode, place, size (8 bytes each), lengths of two byte strings (4 bytes each), the byte strings.
Calls: C a file was created, D a folder was created, W bytes were written at a place, Z bytes became zero, T the file was cut or extended to
a size, S a file or folder was synced (place: length of the record before the call began), R renamed, L linked, U a file and X a folder
removed.

The disk has the bytes that a file had at its last sync, and the names that a folder had at the folder's last sync. A rename is one step for
both folders, as in file systems with a journal. All other changes may be lost: either all of them, or each of them at random.
"""

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.faults import compiled_shim

SHIM = Path(__file__).with_name("power_shim.c")
HEAD = struct.Struct("<BQQQII")
SECTOR = 512


@dataclass(frozen=True)
class Call:
    """One entry of the record. end: the record's length after this entry."""

    call: str
    inode: int
    at: int
    size: int
    first: bytes
    second: bytes
    end: int


def recording(folder: Path, below: Path, record: Path) -> dict[str, str]:
    """The environment variables with which a process's calls on files below a folder are recorded. Skips the test if there is no C
    compiler.
    """
    return {"LD_PRELOAD": str(compiled_shim(folder, SHIM)), "POWER_FOLDER": str(below), "POWER_RECORD": str(record)}


def calls(record: bytes) -> Iterator[Call]:
    """The complete entries of a record. An incomplete one at the end is left out."""
    place = 0
    while place + HEAD.size <= len(record):
        call, inode, at, size, first, second = HEAD.unpack_from(record, place)
        start, end = place + HEAD.size, place + HEAD.size + first + second
        if end > len(record):
            return
        yield Call(chr(call), inode, at, size, record[start : start + first], record[start + first : end], end)
        place = end


@dataclass
class File:
    """A file: its bytes on disk, and its changes since then: (end of the entry, place, bytes), or (end, size, None) if it was cut or
    extended.
    """

    synced: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, int, bytes | None]] = field(default_factory=list)

    def sync(self, before: int) -> None:
        """Write every change to disk that ended before the sync began."""
        for _, place, data in (change for change in self.since if change[0] <= before):
            change_bytes(self.synced, place, data)
        self.since = [change for change in self.since if change[0] > before]

    def whole(self) -> bytes:
        """The file's bytes as processes see them."""
        content = bytearray(self.synced)
        for _, place, data in self.since:
            change_bytes(content, place, data)
        return bytes(content)

    def after_loss(self, pick: random.Random | None) -> bytes:
        """The file's bytes after a loss of power: the synced ones. If `pick` is given, some of the later changes survive, whole or
        in part.
        """
        if pick is None:
            return bytes(self.synced)
        content = bytearray(self.synced)
        for _, place, data in self.since:
            if pick.random() < 0.5:
                torn = data is not None and len(data) > SECTOR and pick.random() < 0.3
                change_bytes(content, place, data[: SECTOR * pick.randrange(1, len(data) // SECTOR + 1)] if torn and data else data)
        return bytes(content)


def change_bytes(content: bytearray, place: int, data: bytes | None) -> None:
    """Write bytes at a place of a file; zeros fill the gap if the file was shorter. If the bytes are None, the file is cut or extended to
    `place` bytes.
    """
    end = place if data is None else place + len(data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if data is None:
        del content[place:]
    else:
        content[place:end] = data


Folder = dict[str, "File | int"]
"""The entries of a folder by name; the value is a file, or the number of a folder."""


@dataclass(frozen=True, eq=False)
class Renamed:
    """A change of names: the folder and name that it removes, and the folder and name that it adds; either may be None."""

    end: int
    what: "File | int"
    gone: tuple[int, str] | None
    new: tuple[int, str] | None

    def apply(self, folders: dict[int, Folder]) -> None:
        """Make this change in the folders."""
        if self.gone is not None and folders.setdefault(self.gone[0], {}).get(self.gone[1]) is self.what:
            del folders[self.gone[0]][self.gone[1]]
        if self.new is not None:
            folders.setdefault(self.new[0], {})[self.new[1]] = self.what

    def touches(self, folder: int) -> bool:
        """Whether this change adds or removes a name in a folder."""
        return folder in {place[0] for place in (self.gone, self.new) if place}


class Disk:
    """The contents of a folder from the start of the record on: as processes see them (`seen`), and as they are on disk (`synced`)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.numbers: dict[str, int] = {str(root): 0}
        self.seen: dict[int, Folder] = {0: {}}
        self.synced: dict[int, Folder] = {0: {}}
        self.pending: list[Renamed] = []
        self.inodes: dict[int, File] = {}
        self.folders: dict[int, int] = {root.stat().st_ino: 0}

    def _place(self, path: bytes) -> tuple[int, str]:
        parent, name = os.path.split(os.fsdecode(path))
        return self.numbers[parent], name

    def _change(self, change: Renamed) -> None:
        change.apply(self.seen)
        self.pending.append(change)

    def apply(self, call: Call) -> None:
        """Apply one entry of the record."""
        match call.call:
            case "C":
                self.folders.pop(call.inode, None)  # the system may reuse the number of a removed folder for a new file
                self.inodes[call.inode] = File()
                self._change(Renamed(call.end, self.inodes[call.inode], None, self._place(call.first)))
            case "D":
                self.inodes.pop(call.inode, None)
                number = len(self.seen)
                place = self._place(call.first)
                self.numbers[os.fsdecode(call.first)] = self.folders[call.inode] = number
                self.seen[number] = {}
                self._change(Renamed(call.end, number, None, place))
            case "W" | "Z" | "T":
                data = call.first if call.call == "W" else bytes(call.size) if call.call == "Z" else None
                if (file := self.inodes.get(call.inode)) is not None:
                    file.since.append((call.end, call.size if data is None else call.at, data))
            case "S" if call.inode in self.folders:
                self._sync_folder(self.folders[call.inode], call.at)
            case "S":
                if (file := self.inodes.get(call.inode)) is not None:
                    file.sync(call.at)
            case "R":
                gone = self._place(call.first)
                if (what := self.seen[gone[0]].get(gone[1])) is not None:
                    self._change(Renamed(call.end, what, gone, self._place(call.second)))
                    if isinstance(what, int):
                        self._rename_paths(os.fsdecode(call.first), os.fsdecode(call.second))
            case "L":
                self._change(Renamed(call.end, self.inodes[call.inode], None, self._place(call.first)))
            case "U" | "X":
                gone = self._place(call.first)
                if (what := self.seen[gone[0]].get(gone[1])) is not None:
                    self._change(Renamed(call.end, what, gone, None))

    def _rename_paths(self, old: str, new: str) -> None:
        for path in [path for path in self.numbers if path == old or path.startswith(f"{old}/")]:
            self.numbers[new + path.removeprefix(old)] = self.numbers.pop(path)

    def _sync_folder(self, folder: int, before: int) -> None:
        """Write a folder's names to disk as they were before the sync, and also earlier changes of the names of the same files and
        folders.
        """
        early = [change for change in self.pending if change.end <= before]
        concerned = {id(change.what): change.end for change in early if change.touches(folder)}  # the last change of each file or folder
        done = [change for change in early if change.touches(folder) or change.end < concerned.get(id(change.what), 0)]
        for change in done:
            change.apply(self.synced)
        self.pending = [change for change in self.pending if change not in done]

    def file(self, *names: str) -> bytes:
        """The bytes of a file as processes see them; empty if the file does not exist."""
        found: File | int | None = 0
        for name in names:
            found = self.seen.get(found, {}).get(name) if isinstance(found, int) else None
        return found.whole() if isinstance(found, File) else b""

    def write_after_loss(self, target: Path, pick: random.Random | None, *names: str) -> None:
        """Write into a new folder what survives of the folder with these names. pick: None if all unsynced data are lost; otherwise it
        decides at random for each part, and chooses how many of the latest changes of names are lost.
        """
        folders = {number: dict(entries) for number, entries in self.synced.items()}
        for change in self.pending[: pick.randrange(len(self.pending) + 1)] if pick else []:
            change.apply(folders)
        number: File | int | None = 0
        for name in names:
            number = folders.get(number, {}).get(name) if isinstance(number, int) else None
        if isinstance(number, int):
            _write_folder(folders, number, target, pick)


def _write_folder(folders: dict[int, Folder], number: int, target: Path, pick: random.Random | None) -> None:
    target.mkdir(mode=0o700, parents=True)
    for name, what in folders.get(number, {}).items():
        if isinstance(what, int):
            _write_folder(folders, what, target / name, pick)
        else:
            (target / name).write_bytes(what.after_loss(pick))
            (target / name).chmod(0o600)
