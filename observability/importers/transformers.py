"""Reads the trainer_state.json of Transformers' Trainer as run and step records.

The file has no times. The end of a run is the given time, else the time at which the file was written. Its start is the end minus the
training time, if the file has that time. The times of steps lie between start and end, in proportion to their number. A run that is already
in the store keeps its start, so that a copied file adds nothing.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from observability.client.encode import format_time
from observability.core.errors import UsageError
from observability.importers.source_records import (
    CarriedRecord,
    ReadOptions,
    RefusedEntries,
    SourceItem,
    SourceReading,
    error_line,
    require_source,
)

NAME = "trainer_state.json"
SETTINGS = ("num_train_epochs", "max_steps", "train_batch_size", "logging_steps", "eval_steps", "save_steps")
RESULTS = ("best_metric", "best_global_step", "best_model_checkpoint", "total_flos", "num_input_tokens_seen")


def open_transformers(path: Path, options: ReadOptions) -> SourceReading:
    """The runs of a trainer_state.json, or of a folder with such files. Raises UsageError if there is no such file.

    In an output folder, only the file of the latest step is read, because the file of each checkpoint repeats the earlier ones.
    """
    require_source(path)
    files = [path] if path.is_file() else sorted(path.rglob(NAME))
    if not files:
        raise UsageError(f"no {NAME} is there", got=str(path), expected=f"a {NAME}, or the Trainer's output folder")
    newest: dict[Path, tuple[Path, dict[str, Any]]] = {}
    for file in files:
        state = _read_state(file)
        folder = file.absolute().parent
        folder = folder.parent if folder.name.startswith("checkpoint-") else folder
        if folder not in newest or _progress(state) > _progress(newest[folder][1]):
            newest[folder] = (file, state)
    return SourceReading(
        "Transformers' trainer state", [item for file, state in newest.values() for item in _run_items(file, state, options)]
    )


def _read_state(file: Path) -> dict[str, Any]:
    """The content of a file. Raises UsageError if it is not a trainer state."""
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UsageError(f"this is not a {NAME}", where=file.name, got=error_line(error)) from None
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list) or not isinstance(state.get("global_step"), int):
        raise UsageError(f"this is not a {NAME}", where=file.name, expected="an object with global_step and log_history")
    return state


def _progress(state: dict[str, Any]) -> tuple[int, int]:
    """A key to compare the progress of states of the same run."""
    return state["global_step"], len(state["log_history"])


def _run_items(file: Path, state: dict[str, Any], options: ReadOptions) -> Iterator[SourceItem]:
    """The records of a run."""
    history = [entry for entry in state["log_history"] if isinstance(entry, dict) and isinstance(entry.get("step"), int)]
    if unreadable := len(state["log_history"]) - len(history):
        yield RefusedEntries("log entries", "missing_field", "a log entry has no step", unreadable)
    if not history:
        yield RefusedEntries("runs", "nothing_logged", f"{file.name} has no log entry")
        return
    digest = hashlib.sha256(json.dumps(history[0], sort_keys=True).encode()).hexdigest()[:12]
    run = f"transformers-{digest}"
    summary = next((entry for entry in reversed(history) if "train_runtime" in entry), None)
    seconds = float(summary["train_runtime"]) if summary else 0.0
    end = options.at or datetime.fromtimestamp(file.stat().st_mtime, UTC)
    start = options.known_start(run) or end - timedelta(seconds=seconds)
    about = {name: state[name] for name in RESULTS if state.get(name) not in (None, 0)}
    params = {name: state[name] for name in SETTINGS if state.get(name) is not None}
    time_of = {"time_of": "training time in proportion to the step" if summary else "time of the file"}
    yield CarriedRecord(
        {"kind": "run", "run": run, "at": format_time(start), "event": "start", "params": params, "source": "transformers"}, {"runs": 1}
    )
    last = max(entry["step"] for entry in history) or 1
    for entry in history:
        if entry is summary:
            continue
        at = start + timedelta(seconds=seconds * entry["step"] / last)
        record = {"kind": "step", "run": run, "at": format_time(at), "step": entry["step"], "metrics": _numbers(entry), **time_of}
        yield CarriedRecord(record, {"log entries": 1})
    if summary is not None:
        ended = {"kind": "run", "run": run, "at": format_time(start + timedelta(seconds=seconds)), "event": "end", "status": "finished"}
        yield CarriedRecord(ended | {"metrics": _numbers(summary)} | about, {"log entries": 1})


def _numbers(entry: dict[str, Any]) -> dict[str, float]:
    """The numbers of a log entry, without its step."""
    numbers = {name: value for name, value in entry.items() if name != "step" and isinstance(value, int | float)}
    return {name: value for name, value in numbers.items() if not isinstance(value, bool) and not (math.isnan(value) and name == "epoch")}
