"""Reads TensorBoard log folders as run and step records.

As in TensorBoard, a folder with event files is a run. Sibling folders with names such as train and validation are one run, and their
metrics have the folder's name in front. Event files do not record the end of a training. A run without an event for an hour gets an end
without a status, unless the hparams plugin recorded its end.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from observability.core.errors import UsageError
from observability.importers.source_records import (
    CarriedRecord,
    ReadOptions,
    RefusedEntries,
    SourceItem,
    SourceReading,
    epoch_time_text,
    require_source,
    steps_of_values,
)
from observability.importers.tensorboard_events import EventFile, is_event_file, read_event_file

PARTS = frozenset(("train", "training", "validation", "valid", "val", "eval", "test"))
"""Names of folders that hold a part of a run."""
QUIET_SECONDS = 3600.0


def open_tensorboard(path: Path, options: ReadOptions) -> SourceReading:
    """The runs of a log folder, or of a single event file. Raises UsageError if there is no event file."""
    require_source(path)
    named = [path] if path.is_file() else sorted(found for found in path.rglob("*tfevents*") if found.is_file() and found.stat().st_size)
    files = [found for found in named if is_event_file(found)]
    if not files:
        raise UsageError(
            "no TensorBoard event file is there",
            got=str(path),
            expected="a log folder with files called events.out.tfevents…, or one of them",
        )
    runs: dict[Path, list[Path]] = {}
    for file in files:
        folder = file.absolute().parent
        runs.setdefault(folder.parent if folder.name.lower() in PARTS else folder, []).append(file.absolute())
    damaged = [found for found in named if found not in files]
    return SourceReading(f"TensorBoard log with {len(runs)} run{'s' if len(runs) > 1 else ''}", _run_items(runs, damaged, options))


def _run_items(runs: dict[Path, list[Path]], damaged: list[Path], options: ReadOptions) -> Iterator[SourceItem]:
    """The records of all runs."""
    for path in damaged:
        yield RefusedEntries("event files", "damaged", f"{path.name} does not begin as an event file")
    for folder, paths in runs.items():
        yield from _one_run(folder, sorted(paths, key=lambda path: (path.name, str(path))), options)


def _one_run(folder: Path, paths: list[Path], options: ReadOptions) -> Iterator[SourceItem]:
    """The records of one run: its start, its steps, and its end if it ended or had no event for an hour."""
    run = f"{folder.name}-{hashlib.sha256(paths[0].name.encode()).hexdigest()[:8]}"
    files = []
    for path in paths:
        found = read_event_file(path)
        files.append(found)
        if found.damage:
            yield RefusedEntries("event files", "damaged", f"{path.name} was read up to the damage: {found.damage}")
    prefixes = [f"{path.parent.name}/" if path.parent != folder else "" for path in paths]
    for found in files:
        for sort, count in found.other.items():
            yield RefusedEntries(sort, "no_field", f"{sort} have no field in a run's records", count)
    first = min((found.first for found in files if found.first is not None), default=None)
    last = max((found.last for found in files if found.last is not None), default=None)
    if first is None or last is None:
        return
    params = {name: value for found in files for name, value in found.hparams.items()}
    start = {"kind": "run", "run": run, "at": epoch_time_text(first), "event": "start", "params": params, "source": "tensorboard"}
    yield CarriedRecord(start, {"runs": 1, "hyperparameters": len(params)})
    values = [(prefix + tag, value, time, step) for prefix, found in zip(prefixes, files) for tag, value, time, step in found.scalars]
    for step, time, metrics in steps_of_values(values):
        record = {"kind": "step", "run": run, "at": epoch_time_text(time), "step": step, "metrics": metrics}
        yield CarriedRecord(record, {"scalars": len(metrics)})
    yield from _end_of_run(run, files, last, options)


def _end_of_run(run: str, files: list[EventFile], last: float, options: ReadOptions) -> Iterator[SourceItem]:
    """The record of a run's end, if the end is known or the run had no event for an hour."""
    status = next((found.status for found in files if found.status), None)
    ended = next((found.ended for found in files if found.ended), None)
    if status is None and options.now.timestamp() - last < QUIET_SECONDS:
        return
    end = {"kind": "run", "run": run, "at": epoch_time_text(max(ended or last, last)), "event": "end", "status": status}
    yield CarriedRecord(end if status else end | {"end_assumed": "event files do not record an end"})
