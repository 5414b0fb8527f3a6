"""Load the sample fleet into an empty store, in the same way as any other data are registered and loaded.

sample_data/fleet.toml lists the files, and how each is registered or loaded.
"""

import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from observability.core.errors import UsageError
from observability.core.settings import read_settings
from observability.store.engine import Store
from observability.store.types.loading import LoadDefaults, LoadReport
from observability.store.types.registration import RegistrationRequest

Say = Callable[[str], object]
MARK = "sample_loading"
"""Name of a file in the home that exists while the sample is loaded; it remains if the load was stopped."""
_loading = threading.Lock()


@contextmanager
def sample_loading(store: Store) -> Iterator[None]:
    """Mark the home while the sample is loaded. If the process dies inside the block, or an error ends the block, the mark remains (see
    `remove_half_sample`).

    Raises UsageError if this process is already loading the sample.
    """
    if not _loading.acquire(blocking=False):
        raise UsageError("the sample is being loaded already", attempt="Wait until the load has ended")
    try:
        (store.home / MARK).touch()
        yield
        (store.home / MARK).unlink(missing_ok=True)
    finally:
        _loading.release()


def remove_half_sample(store: Store, say: Say) -> bool:
    """Remove the records of a stopped load of the sample, unless the store also holds other models. Returns whether records were
    removed.
    """
    models = store.catalog().models
    if _loading.locked() or not (store.home / MARK).exists() or any(not model.sample for model in models):
        return False
    say("an earlier load of the sample was stopped: removing its records")
    store.remove_sample(progress=lambda *_: None)
    (store.home / MARK).unlink(missing_ok=True)
    return True


def load_fleet(store: Store, listing: Path, say: Say) -> list[str]:
    """Register and load all entries of the list. Returns a sentence for each model and a sentence about the records.

    Raises UsageError if the list or one of its files is missing or wrong. Data that were loaded before the error remain (`remove` deletes
    them).
    """
    began = time.perf_counter()
    fleet = read_fleet(listing)
    lines = []
    for entry in fleet["model"]:
        say(f"registering {entry['name']}")
        done = store.register(request_of(entry, listing.parent), progress=step_of(entry["name"], say))
        lines.append(f"{done.model} version {done.version}: {done.rows:,} held-out reference rows.")
    report = LoadReport()
    for entry in fleet["file"]:
        path = listing.parent / entry["path"]
        report += store.load_files([path], defaults_of(entry), progress=progress_of(path.name, say))
    apply_settings(store, fleet, listing.parent)
    counts = f"{report.stored:,} records stored, {report.duplicates:,} duplicates, {report.rejected:,} rejected"
    return [*lines, f"{counts} in {time.perf_counter() - began:.0f} s."]


def apply_settings(store: Store, fleet: dict[str, Any], folder: Path) -> None:
    """Apply the [[settings]] entries of the list, for models that are not registered; an entry is skipped if the store does not have the
    model.
    """
    known = {model.name: model.settings for model in store.catalog().models}
    for entry in fleet.get("settings", ()):
        if entry["model"] in known:
            store.update_settings(entry["model"], read_settings(folder / entry["settings"], known[entry["model"]]))


def read_fleet(listing: Path) -> dict[str, Any]:
    """The list of the sample fleet. Raises UsageError if it is missing."""
    try:
        return tomllib.loads(listing.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("the sample fleet is missing", got=listing.name, attempt="Run python sample_data/make.py") from None


def step_of(name: str, say: Say) -> Say:
    """A progress callback for the registration of one model."""
    return lambda text: say(f"{name}: {text}")


def progress_of(name: str, say: Say) -> Callable[[int, int, int], object]:
    """A progress callback for the load of one file."""
    return lambda done, total, lines: say(f"{name}: {100 * done / max(total, 1):.0f} %, {lines:,} lines")


def request_of(entry: dict[str, Any], folder: Path) -> RegistrationRequest:
    """The request to register one model of the list."""
    return RegistrationRequest(
        model=entry["name"],
        version=entry["version"],
        reference=folder / entry["reference"],
        task=entry["task"],
        label=entry["label"],
        score=(entry["score"],) if isinstance(entry["score"], str) else tuple(entry["score"]),
        at=entry.get("at"),
        sensitive=tuple(entry.get("sensitive", ())),
        features=tuple(entry["features"]) if "features" in entry else None,
        artifact=folder / entry["artifact"] if "artifact" in entry else None,
        settings=folder / entry["settings"] if "settings" in entry else None,
        sample=True,
    )


def defaults_of(entry: dict[str, Any]) -> LoadDefaults:
    """The options with which one file of the list is loaded."""
    features = tuple(entry["features"]) if "features" in entry else None
    return LoadDefaults(kind=entry.get("kind"), model=entry.get("model"), version=entry.get("version"), features=features, sample=True)
