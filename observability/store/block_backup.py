"""Backups at an address such as `s3://bucket/folder`, as blocks: a backup sends only the blocks that no earlier one sent.

`ADDRESS/blocks/SHA256` holds a block, `ADDRESS/backup-TIME.json` the list of a backup: its files with their checksums and blocks. The list
is written last, so a backup that was interrupted has none. Addresses are those of pyarrow's file systems; credentials come from their usual
environment and are never stored.
"""

import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from observability.core.errors import NotFoundError, StoreBrokenError, StoreDamagedError, UsageError
from observability.store.db.failures import error_summary

ADDRESS = re.compile(r"[a-z][a-z0-9+]*://.+")
BLOCK_BYTES = 1 << 20
BLOCKS, LISTS = "blocks", re.compile(r"backup-[0-9TZa-z-]+\.json")
BACKUP_LIST = "backup.json"
"""The list in the folder of a backup."""
_CHANGING = threading.Lock()
"""Held while blocks are written or removed, so that no block is removed that an unfinished backup needs."""

Progress = Callable[[str, int, int, str], object]
"""Called with the current work, the amount done, the whole amount, and the unit: bytes, rows or models (`WorkProgress` of the engine)."""


def byte_counter(progress: Progress | None, doing: str, total: int) -> Callable[[int], None]:
    """A function that takes the number of bytes that were just done, and reports the total done up to now."""
    done = 0

    def add(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(doing, done, total, "bytes")

    return add


@dataclass(frozen=True)
class BackupPlace:
    """Where backups are: a file system of pyarrow and the path in it."""

    address: str
    files: fs.FileSystem
    path: str

    def read(self, name: str) -> bytes:
        """The content of a file below the place. Raises OSError."""
        with self.files.open_input_stream(f"{self.path}/{name}") as stream:
            return bytes(stream.read())

    def write(self, name: str, content: bytes) -> None:
        """Write a file below the place. Raises OSError."""
        if self.files.type_name == "local":
            self.files.create_dir(f"{self.path}/{name}".rpartition("/")[0], recursive=True)
        with self.files.open_output_stream(f"{self.path}/{name}") as stream:
            stream.write(content)

    def names(self, folder: str = "") -> list[str]:
        """The names of the files of a folder, sorted. Raises OSError."""
        path = f"{self.path}/{folder}".rstrip("/")
        found = self.files.get_file_info(fs.FileSelector(path, allow_not_found=True))
        return sorted(info.base_name for info in found if info.type == fs.FileType.File)

    def remove(self, name: str) -> None:
        """Remove a file below the place. Raises OSError."""
        self.files.delete_file(f"{self.path}/{name}")


def is_backup_address(text: object) -> bool:
    """Whether a text is an address and not a folder."""
    return isinstance(text, str) and ADDRESS.fullmatch(text) is not None


def send_backup(folder: Path, address: str, progress: Progress | None = None) -> dict[str, int]:
    """Send the folder of a complete backup: {sent_bytes, sent_blocks, blocks}. Raises UsageError, StoreBrokenError."""
    with _CHANGING, opened_place(address) as place:
        known = set(place.names(BLOCKS))
        body = json.loads((folder / BACKUP_LIST).read_text(encoding="utf-8"))
        total = sent = size = 0
        body["blocks"] = {}
        add = byte_counter(progress, "sending blocks", sum(file["bytes"] for file in body["files"].values()))
        for name in body["files"]:
            body["blocks"][name] = []
            with (folder / name).open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    digest = hashlib.sha256(block).hexdigest()
                    body["blocks"][name].append(digest)
                    total += 1
                    if digest not in known:
                        place.write(f"{BLOCKS}/{digest}", block)
                        known.add(digest)
                        sent, size = sent + 1, size + len(block)
                    add(len(block))
        place.write(f"{folder.name}.json", json.dumps(body).encode())
        return {"sent_bytes": size, "sent_blocks": sent, "blocks": total}


def sent_backups(address: str) -> list[str]:
    """The names of the backups at an address, oldest first. Raises NotFoundError if there is none, UsageError, StoreBrokenError."""
    with opened_place(address) as place:
        found = [name.removesuffix(".json") for name in place.names() if LISTS.fullmatch(name)]
    if not found:
        raise NotFoundError("there is no backup", where=address, attempt="Name an address that `backup` wrote to")
    return found


def fetch_backup(address: str, folder: Path, name: str | None = None, progress: Progress | None = None) -> Path:
    """Download a backup into its own folder below `folder`; returns the path of that folder. Without a name, this is the newest backup.

    Raises NotFoundError if there is none, StoreDamagedError if a block is missing or differs, UsageError, StoreBrokenError.
    """
    name = name or sent_backups(address)[-1]
    target = folder / name
    with opened_place(address) as place:
        body = json.loads(place.read(f"{name}.json"))
        blocks: Mapping[str, list[str]] = body.pop("blocks")
        add = byte_counter(progress, "fetching blocks", sum(file["bytes"] for file in body["files"].values()))
        for file_name, digests in blocks.items():
            path = target / file_name
            if not path.resolve().is_relative_to(target.resolve()):
                raise StoreDamagedError("the backup is damaged", where=f"{address}/{name}.json", got=file_name[:80])
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("wb") as file:
                path.chmod(0o600)
                for digest in digests:
                    add(file.write(_checked_block(place, digest)))
        (target / BACKUP_LIST).write_text(json.dumps(body), encoding="utf-8")
    return target


def _checked_block(place: BackupPlace, digest: str) -> bytes:
    """A block, after a check that its content has the hash in its name. Raises StoreDamagedError."""
    where, attempt = f"{place.address}/{BLOCKS}/{digest[:64]}", "Restore an older backup"
    try:
        block = place.read(f"{BLOCKS}/{digest}")
    except FileNotFoundError:
        raise StoreDamagedError("a block of the backup is missing", where=where, attempt=attempt) from None
    if hashlib.sha256(block).hexdigest() != digest:
        raise StoreDamagedError("the backup is damaged", where=where, got="another checksum", attempt=attempt)
    return block


def remove_sent_backups(address: str, names: list[str]) -> None:
    """Remove backups and the blocks that no other backup needs. Raises UsageError, StoreBrokenError."""
    with _CHANGING, opened_place(address) as place:
        for name in names:
            place.remove(f"{name}.json")
        kept = {
            digest
            for name in place.names()
            if LISTS.fullmatch(name)
            for digests in json.loads(place.read(name))["blocks"].values()
            for digest in digests
        }
        for digest in place.names(BLOCKS):
            if digest not in kept:
                place.remove(f"{BLOCKS}/{digest}")


@contextmanager
def opened_place(address: str) -> Iterator[BackupPlace]:
    """The place at an address. Raises UsageError if the address is not valid, StoreBrokenError if the place cannot be reached, read or
    written.
    """
    if re.match(r"[a-z0-9+]+://[^/?]*@", address):
        raise UsageError("an address holds no credentials", got=address.partition("@")[2], attempt="Give them in the environment")
    try:
        files, path = fs.FileSystem.from_uri(address)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise UsageError("the address cannot be used", got=f"{address}: {error_summary(error)}", expected="s3://BUCKET/FOLDER") from None
    try:
        yield BackupPlace(address, files, path.rstrip("/"))
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        attempt = "Check the address, the network and the credentials in the environment"
        raise StoreBrokenError("the backup's place cannot be used", where=address, got=error_summary(error), attempt=attempt) from error


@contextmanager
def fetched_backup(address: str, home: Path, name: str | None = None, progress: Progress | None = None) -> Iterator[Path]:
    """A backup in a temporary folder of a home, removed at the end. Raises what `fetch_backup` does."""
    folder = home / "tmp" / "fetched"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700, parents=True)
        yield fetch_backup(address, folder, name, progress)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
