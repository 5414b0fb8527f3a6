"""A published state opened for reading: the store of a process that owns none.

Its settings are copied into a folder of its own, so that they stay while the state's folder may go. What a person writes goes to the owner;
what only the owner can do is refused.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from observability.client.encode import format_time, utc_now_text
from observability.core.errors import StoreBrokenError, UsageError
from observability.core.finding import KEPT_FILE
from observability.records.private_file import make_private_folder
from observability.store.db.database import DATABASE
from observability.store.db.published_files import STATE
from observability.store.db.results import Cursor
from observability.store.duck_store import DuckStore
from observability.store.migrations import STEPS
from observability.store.registry import artifacts

if TYPE_CHECKING:
    from observability.core.catalog import Version
    from observability.core.settings import ModelSettings
    from observability.store.types.published_state import PublishedState

MEMORY = "2GB"
OWN = ("tmp",)
"""What the folder of a reader holds beside the settings of the owner."""
AT_OWNER = (
    "load_landing", "retry_set_aside", "load_files", "load_source", "register", "mark_repairs_seen", "remove_model", "remove_sample",
    "apply_retention", "forget", "backup", "verify_backup", "publish", "export_lake", "nightly", "write_attributions",
    "restart_attributions", "write_estimates", "restart_estimates",
)  # fmt: skip
"""What a reader refuses, because only the owner of the store can do it."""


class SendsToOwner(Protocol):
    """Sends what a person writes to the owner of the store. address: of the owner's dashboard."""

    address: str

    def send(self, method: str, **arguments: object) -> Any:
        """The answer of the owner to a call of its store. Raises ObservabilityError where it refuses or does not answer."""
        ...


class PublishedStore(DuckStore):
    """A published state as a `Store`, read-only. owner: takes what is written. earlier: a number below those of its commits, so that
    numbers of several runs of the owner grow all the same.
    """

    read_only = True

    def __init__(self, state: "PublishedState", home: Path, owner: SendsToOwner, earlier: int = 0) -> None:
        self.state, self.owner = state, owner
        super().__init__(home, MEMORY, None)
        self.generation, self.rewrites = earlier + state.generation, earlier + state.rewrites
        self.generations = {name: earlier + number for name, number in state.generations.items()}

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
        """Refused: nothing is written here. What is only cached is computed again the next time."""
        del aside
        self.refuse()
        yield  # for the type alone

    def refuse(self, *_: object, **__: object) -> NoReturn:
        """Raise UsageError with the address where it can be done."""
        raise UsageError("this process only reads; it is done at the owner of the store", attempt=f"Open {self.owner.address}")

    def write_records(self, records: Sequence[Mapping[str, object]]) -> None:
        """Let the owner store some records; they can be read here in a later state. What is sent twice is stored once."""
        dated = [{"at": utc_now_text(), **{name: format_time(value, name) for name, value in each.items()}} for each in records]
        self.owner.send("write_records", records=dated)

    def update_settings(self, name: str, settings: "ModelSettings") -> list[str]:
        """Let the owner set those settings of a model that differ from the ones shown here."""
        before, after = asdict(self.catalog().model(name).settings), asdict(settings)
        changed = {key: value for key, value in after.items() if value != before[key]}
        return [str(note) for note in self.owner.send("update_settings", name=name, changed=changed)]


for _name in AT_OWNER:
    setattr(PublishedStore, _name, PublishedStore.refuse)


def open_published(state: "PublishedState", home: Path, owner: SendsToOwner, earlier: int = 0) -> PublishedStore:
    """Open a published state, and bring its settings into the folder of this process.

    Raises StoreBrokenError where it is of another version of this software or cannot be read.
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
    try:
        copy_settings(state.folder, home)
    except OSError as error:
        raise StoreBrokenError("the settings of the published state cannot be copied", where=str(home), got=error) from error
    return PublishedStore(state, home, owner, earlier)


def copy_settings(folder: Path, home: Path) -> None:
    """Bring the settings of a state into a folder: what changed is replaced in one step, what is gone is removed. Raises OSError."""
    make_private_folder(home)
    make_private_folder(home / "tmp")
    wanted = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    wanted = {name for path in folder.rglob("*") if path.is_file() and _is_setting(name := path.relative_to(folder))}
    for name in sorted(wanted):
        source, target = folder / name, home / name
        if target.exists() and _mark(target) == _mark(source):
            continue
        make_private_folder(target.parent)
        draft = target.with_name(f".{target.name}.draft")
        shutil.copy2(source, draft)
        draft.replace(target)
    for path in [each for each in home.rglob("*") if each.is_file()]:
        name = path.relative_to(home)
        if name not in wanted and name.parts[0] not in OWN:
            path.unlink(missing_ok=True)


def _is_setting(name: Path) -> bool:
    """Whether a file of a state is one of the owner's settings, not of the state itself."""
    return name.parts[0] != artifacts.FOLDER and not name.name.startswith(DATABASE) and name.name not in (STATE, KEPT_FILE)


def _mark(path: Path) -> tuple[int, int]:
    """Time and size of a file."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size
