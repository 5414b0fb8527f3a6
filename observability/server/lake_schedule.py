"""Load the sources in the home's `lake.toml` (lake/config.py) on a schedule, in this process."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.core.errors import ObservabilityError, UsageError
from observability.core.switches import is_disabled
from observability.lake.config import ScheduledSource, read_lake_config
from observability.lake.open_source import open_data_source
from observability.lake.schedule_state import note_source_state, source_states
from observability.server.collected_segments import CollectedState, run_segment_intake

if TYPE_CHECKING:
    from observability.store.engine import Store
    from observability.store.types.sources import SourceReport

LOG = logging.getLogger(__name__)
SWITCH = "OBSERVABILITY_SOURCES"
"""Environment variable: `off` disables the thread."""
LOOK_EVERY = 30.0
"""Seconds between two looks at the schedule."""
AFTER_FAILURE = timedelta(minutes=15)
"""Longest wait until the next load after one that failed."""


class _StoppedError(Exception):
    """Raised because the process is ending. Rows that were committed stay, and the next load continues from there."""


def lake_work(store: "Store", stopping: threading.Event) -> tuple[CollectedState, dict[str, Callable[[], object]]]:
    """The state of the segments that collectors sent, and the functions that the process that owns the store runs in threads of their own,
    by the thread's name. The schedule of sources is left out if the environment disables it.
    """
    state = CollectedState()
    works: dict[str, Callable[[], object]] = {"collecting": lambda: run_segment_intake(store, state, stopping)}
    if not is_disabled(SWITCH):
        works["sources"] = lambda: run_source_schedule(store, stopping)
    return state, works


def run_source_schedule(store: "Store", stopping: threading.Event) -> None:
    """Load the sources that are due, again and again until `stopping` is set. A failure is logged and noted in the state, and the load is
    tried again.
    """
    while not stopping.wait(LOOK_EVERY):
        try:
            load_due_sources(store, datetime.now(UTC), stopping)
        except UsageError as error:
            LOG.warning("the sources are not loaded: %s", error)
        except Exception:
            LOG.exception("the schedule of sources failed")


def load_due_sources(store: "Store", now: datetime, stopping: threading.Event) -> list[str]:
    """Load every source that is due. Returns the names of the sources that were loaded without a failure. Raises UsageError if lake.toml is
    invalid.
    """
    config, done = read_lake_config(store.home), []
    for name, source in config.sources.items():
        entry = source_states(store.home).get(name, {})
        if stopping.is_set() or not source_is_due(entry, source.every_hours, now):
            continue
        outcome = _loaded_source(store, source, config.allow, now, stopping)
        if outcome is None:
            break
        note_source_state(store.home, name, outcome)
        done += [] if outcome["failure"] else [name]
    return done


def _loaded_source(
    store: "Store", source: ScheduledSource, allow: tuple[str, ...] | None, now: datetime, stopping: threading.Event
) -> dict[str, Any] | None:
    """Load one source. Returns the result that the state stores; None if the process is ending."""
    entry: dict[str, Any] = {"address": source.address, "ran": now.isoformat(timespec="seconds"), "failure": None}

    def progress(*_counts: int) -> None:
        if stopping.is_set():
            raise _StoppedError

    try:
        versions = [each.name for model in store.catalog().models if model.name == source.defaults.model for each in model.versions]
        only = versions[0] if len(versions) == 1 else None  # as `load` does
        defaults = replace(source.defaults, version=source.defaults.version or only, versions=tuple(versions))
        with store.in_background():
            report = store.load_source(open_data_source(source.address, allow), defaults, progress)
        entry |= {
            "report": {**report.to_json(), "failures": dict(list(report.failures.items())[:10])},
            "failure": source_failure(source, report),
        }
    except _StoppedError:
        return None
    except ModuleNotFoundError as error:
        entry["failure"] = f"{error.name} is not installed"
    except ObservabilityError as error:
        entry["failure"] = str(error)
    except Exception as error:
        LOG.exception("the source %s could not be loaded", source.name)
        entry["failure"] = f"{type(error).__name__}: {error}"
    if entry["failure"]:
        LOG.warning("the source %s was not loaded whole: %s", source.name, entry["failure"])
    else:
        entry["succeeded"] = entry["ran"]
    return entry


def source_failure(source: ScheduledSource, report: "SourceReport") -> str | None:
    """Why a load of a source counts as failed: a file could not be read, or too many rows were rejected. None if it does not count as
    failed.
    """
    if report.failures:
        name, why = next(iter(report.failures.items()))
        return f"{len(report.failures):,} of {report.files:,} files could not be read, the first is {name}: {why}"
    loaded = report.loaded
    if source.allow_rejected is not None and loaded.rejected > source.allow_rejected * loaded.lines:
        return f"{loaded.rejected:,} of {loaded.lines:,} rows were rejected, more than allow_rejected allows"
    if loaded.rejected and loaded.rejected == loaded.lines:
        return f"all of {loaded.lines:,} rows were rejected"
    return None


def source_is_due(entry: Mapping[str, Any], every_hours: float, now: datetime) -> bool:
    """Whether a source is due: `every_hours` after its last load, or sooner after a load that failed."""
    try:
        ran = datetime.fromisoformat(str(entry.get("ran")))
    except ValueError:
        return True
    wait = timedelta(hours=every_hours)
    return now - ran >= (min(wait, AFTER_FAILURE) if entry.get("failure") else wait)
