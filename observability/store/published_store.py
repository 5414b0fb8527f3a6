"""Open a published state for reading. It serves as the store of a process that owns no store.

The settings are copied into a folder of this process, so that they stay when the state's folder is removed. Entries of people are sent to
the owner. Actions that only the owner can do are refused.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import duckdb

from observability.client.encode import format_time, utc_now_text
from observability.core.errors import StoreBrokenError, UsageError
from observability.records.kinds import is_own_export
from observability.records.private_file import make_private_folder, replace_private_file
from observability.store.db.connection import DATABASE
from observability.store.db.kept_counts import read_counts
from observability.store.db.published_files import SETTINGS
from observability.store.db.results import Cursor
from observability.store.duck_store import DuckStore
from observability.store.erased_images import FOLDER as IMAGES
from observability.store.migrations import STEPS
from observability.store.registry import artifacts

if TYPE_CHECKING:
    from observability.core.catalog import Version
    from observability.core.settings import ModelSettings
    from observability.store.types.published_state import PublishedState

MEMORY = "2GB"
MARKER = "replica.json"
"""The file that marks a folder as a reader's own, and lists the settings that were copied into it."""
AT_OWNER = (
    "load_landing", "retry_set_aside", "load_files", "load_source", "register", "mark_repairs_seen", "remove_model", "remove_sample",
    "apply_retention", "forget", "backup", "verify_backup", "publish", "export_lake", "compute_lake_rollups", "nightly",
    "write_attributions",
    "restart_attributions", "write_estimates", "restart_estimates",
)  # fmt: skip
"""Methods that a reader refuses, because only the owner of the store can do them."""


class SendsToOwner(Protocol):
    """Sends the entries of people to the owner of the store. address: address of the owner's dashboard."""

    address: str

    def send(self, method: str, **arguments: object) -> Any:
        """The answer of the owner to a call of its store. Raises ObservabilityError if it refuses or does not answer."""
        ...


class PublishedStore(DuckStore):
    """A published state as a `Store`, read-only. owner: receives the entries. earlier: a number that is added to the numbers of its
    commits, so that they keep growing when the owner restarts.
    """

    read_only = True

    def __init__(self, state: "PublishedState", home: Path, owner: SendsToOwner, earlier: int = 0) -> None:
        self.state, self.owner = state, owner
        super().__init__(home, MEMORY, None)
        self.published_as_of = state.as_of
        self.generation, self.rewrites = earlier + state.generation, earlier + state.rewrites
        self.generations = {name: earlier + number for name, number in state.generations.items()}
        self.counted_models = {key: (earlier + number, count) for key, (number, count) in read_counts(state.folder).items()}

    @property
    def path(self) -> Path:
        """The database file of the state."""
        return self.state.folder / DATABASE

    def artifact(self, version: "Version") -> Path | None:
        """The model file of a version, in the state's folder."""
        stored = artifacts.stored_artifact(version.artifact)
        return stored.file(self.state.folder) if stored is not None and artifacts.is_intact(self.state.folder, stored) else None

    @contextmanager
    def write(self, *, aside: bool = False) -> Iterator[Cursor]:
        """Refused, because nothing is written here. Values that would only be cached are computed again the next time."""
        del aside
        self.refuse()
        yield  # never reached: it only makes the type right

    def refuse(self, *_: object, **__: object) -> NoReturn:
        """Raise UsageError with the address of the owner, where the action can be done."""
        raise UsageError("this process only reads; it is done at the owner of the store", attempt=f"Open {self.owner.address}")

    def problems(self) -> list[str]:
        """An empty list: problems of the store are shown at its owner. Each page says why no newer state has arrived."""
        return []

    def write_records(self, records: Sequence[Mapping[str, object]]) -> None:
        """Let the owner store some records; they can be read here in a later state. A record that is sent twice is stored once."""
        dated = [{"at": utc_now_text(), **{name: format_time(value, name) for name, value in each.items()}} for each in records]
        self.owner.send("note_exports" if dated and all(map(is_own_export, dated)) else "write_records", records=dated)

    def update_settings(self, name: str, settings: "ModelSettings") -> list[str]:
        """Let the owner set those settings of a model that differ from the ones shown here, unless they changed there meanwhile."""
        before, after = asdict(self.catalog().model(name).settings), asdict(settings)
        changed = {key: _changed_entries(before[key], value) for key, value in after.items() if value != before[key]}
        return [str(note) for note in self.owner.send("update_settings", name=name, changed=changed)]


for _name in AT_OWNER:
    setattr(PublishedStore, _name, PublishedStore.refuse)


def _changed_entries(before: Any, after: Any) -> dict[str, Any]:
    """A setting before and after a change. Of a table, only the entries that differ."""
    if isinstance(before, dict):
        names = [name for name in {*before, *after} if before.get(name) != after.get(name)]
        before, after = ({name: table[name] for name in names if name in table} for table in (before, after))
    return {"before": before, "after": after}


def open_published(state: "PublishedState", home: Path, owner: SendsToOwner, earlier: int = 0) -> PublishedStore:
    """Open a published state, and bring its settings into the folder of this process.

    Raises StoreBrokenError if another version of this software wrote it, or if it cannot be read.
    """
    if state.schema != len(STEPS):
        attempt = "Start the same version of this software as the owner's"
        raise StoreBrokenError(
            "the published state is of another version of this software",
            where=str(state.folder),
            got=f"schema {state.schema}",
            expected=f"schema {len(STEPS)}",
            attempt=attempt,
        )
    require_whole_database(state)
    copy_settings(state, home)
    try:
        return PublishedStore(state, home, owner, earlier)
    except duckdb.Error as error:
        got, attempt = str(error), "Wait for the next state; where it stays so, look at the owner's disk"
        raise StoreBrokenError("the published state cannot be read", where=str(state.folder), got=got, attempt=attempt) from error


def require_whole_database(state: "PublishedState") -> None:
    """Raise StoreBrokenError if the database of a state is missing or incomplete, as may happen if states are copied by other means."""
    try:
        size = (state.folder / DATABASE).stat().st_size
    except OSError as error:
        raise StoreBrokenError("the published database cannot be read", where=str(state.folder), got=error.strerror) from error
    if state.size and size != state.size:  # an owner of 0.29 states no size
        raise StoreBrokenError(
            "the published database is not whole",
            where=str(state.folder / DATABASE),
            got=f"{size:,} bytes",
            expected=f"{state.size:,} bytes",
            attempt="Wait for the next state; where states are copied by other means, copy newest.json last",
        )


def take_home(home: Path) -> None:
    """Mark a folder as one of this process. Settings of states are copied and removed only in such a folder. Raises OSError."""
    make_private_folder(home)
    make_private_folder(home / "tmp")
    _note_copied(home, ())


def copy_settings(state: "PublishedState", home: Path) -> None:
    """Bring the settings of a state into the folder of this process. All settings are read before anything changes there, and only earlier
    copies are removed.

    Raises StoreBrokenError if a setting of the state is missing, or if the folder was not marked by this process.
    """
    if not (home / MARKER).exists() or any((home / name).exists() for name in (DATABASE, "owner.lock")):
        attempt = "Start it with: observability serve --replica FOLDER, which makes a folder of its own"
        raise StoreBrokenError(
            "settings of a published state are copied only into a folder made for them", where=str(home), attempt=attempt
        )
    try:
        wanted = {name: (state.folder / name).read_bytes() for name in SETTINGS if name in state.files}
        copied = tuple(json.loads((home / MARKER).read_text(encoding="utf-8"))["files"])
        _note_copied(home, {*copied, *wanted})
        for name, content in wanted.items():
            if not (home / name).exists() or (home / name).read_bytes() != content:
                _replace(home / name, content)
        _link_images(state.folder, home)
        for name in set(copied) - set(wanted):
            (home / name).unlink(missing_ok=True)
        _note_copied(home, wanted)
    except (OSError, ValueError, KeyError) as error:
        raise StoreBrokenError("the settings of the published state cannot be copied", where=str(home), got=error) from error


def _note_copied(home: Path, names: Iterable[str]) -> None:
    """Note the settings that were copied, and the process whose folder it is. Raises OSError."""
    replace_private_file(home / MARKER, json.dumps({"process": os.getpid(), "files": sorted(names)}))


def _replace(path: Path, content: bytes) -> None:
    """Replace a file in one step, readable by its owner only. Raises OSError."""
    draft = path.with_name(f".{path.name}.draft")
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    draft.replace(path)


def _link_images(folder: Path, home: Path) -> None:
    """Use the folder of a state as the folder of images, because the files of the state lie there. Raises OSError."""
    draft = home / f".{IMAGES}.draft"
    draft.unlink(missing_ok=True)
    draft.symlink_to(folder / IMAGES)
    draft.replace(home / IMAGES)
