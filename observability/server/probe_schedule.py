"""Ask the questions of the scheduled probe sets, in this process. The sets are TOML files in the folder `probes` of the home."""

import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.errors import NotFoundError, ObservabilityError
from observability.enrichment.encoded_answers import ask_and_encode
from observability.probing.probe_file import ProbeSet, read_probe_set
from observability.records.outcome_file import merge_outcome, read_outcomes
from observability.records.private_file import replace_private_file

if TYPE_CHECKING:
    from observability.store.engine import Store

LOG = logging.getLogger(__name__)
SWITCH = "OBSERVABILITY_PROBES"
"""Environment variable: `off` disables the thread."""
FOLDER, STATE = "probes", "state.json"
LOOK_EVERY = 60.0
"""Seconds between two looks at the schedule."""
AFTER_FAILURE = timedelta(hours=1)
"""How long to wait after a set could not be asked."""


def run_probes(store: "Store", stopping: threading.Event) -> None:
    """Ask the sets that are due, every minute until `stopping` is set. A failure is logged and kept in the state, and the set is asked
    again.
    """
    while not stopping.wait(LOOK_EVERY):
        try:
            ask_due_sets(store, datetime.now(UTC), stopping)
        except Exception:
            LOG.exception("the probe schedule failed")


def scheduled_files(home: Path) -> list[Path]:
    """The scheduled probe files, sorted by name."""
    return sorted((home / FOLDER).glob("*.toml"))


def scheduled_sets(home: Path, model: str) -> list[tuple[Path, ProbeSet]]:
    """The scheduled sets of a model. Raises NotFoundError if there is none."""
    found = [(path, probe) for path in scheduled_files(home) if (probe := read_probe_set(path)).model == model]
    if not found:
        raise NotFoundError(f"no probe set of {model!r} is scheduled", attempt="Name its file, and add --schedule to keep it")
    return found


def schedule_file(home: Path, path: Path) -> Path:
    """Copy a probe file into the schedule; it replaces a file with the same model and set. Returns the copy. Raises UsageError if the file
    is invalid.
    """
    probe = read_probe_set(path)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", f"{probe.model}-{probe.set}").strip(".")
    target = home / FOLDER / f"{name}.toml"
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_private_file(target, path.read_text(encoding="utf-8"))
    return target


def schedule_state(home: Path) -> dict[str, dict[str, Any]]:
    """By file: when it was last asked (`asked`), last failed (`failed`) and why (`error`). Empty if nothing is known."""
    return read_outcomes(home / FOLDER / STATE)


def is_due(entry: Mapping[str, Any], every_hours: float, now: datetime) -> bool:
    """Whether a set is due: `every_hours` after it was asked, or an hour after an attempt that failed."""
    asked, failed = (_instant(entry.get(name)) for name in ("asked", "failed"))
    if failed is not None and (asked is None or failed > asked):
        return now - failed >= AFTER_FAILURE
    return asked is None or now - asked >= timedelta(hours=every_hours)


def _instant(text: Any) -> datetime | None:
    """A time in the state; None for anything else."""
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def ask_due_sets(store: "Store", now: datetime, stopping: threading.Event) -> list[str]:
    """Ask every set that is due and keep its answers; returns the names of the files that were asked."""
    state = schedule_state(store.home)
    asked = []
    for path, outcome in _outcomes(store, state, now, stopping):
        merge_outcome(store.home / FOLDER / STATE, path.name, outcome)
        asked += [path.name] if "asked" in outcome else []
    return asked


def _outcomes(
    store: "Store", state: Mapping[str, Mapping[str, Any]], now: datetime, stopping: threading.Event
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The outcome of each set that is due."""
    for path in scheduled_files(store.home):
        if stopping.is_set():
            return
        try:
            probe = read_probe_set(path)
            if not is_due(state.get(path.name, {}), probe.every_hours, now):
                continue
            found = ask_and_encode(probe, os.environ, stopped=stopping.is_set)
            if found.asked.records:
                store.write_records(found.asked.records)
            yield path, {"asked": now.isoformat(), "error": found.failure or None}
        except ObservabilityError as error:
            if is_due(state.get(path.name, {}), 0.0, now):
                LOG.warning("the probe set %s was not asked: %s", path.name, error)
                yield path, {"failed": now.isoformat(), "error": str(error)}
