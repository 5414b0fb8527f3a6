"""`lake.json` in the home: the results of the sources that are loaded on a schedule, written by the process that loads them."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from observability.core.errors import UsageError
from observability.core.formatting import with_full_stop
from observability.lake.config import read_lake_config
from observability.records.outcome_file import merge_outcome, read_outcomes

STATE = "lake.json"


def source_states(home: Path) -> dict[str, dict[str, Any]]:
    """The last result of each source, by name: address, ran and succeeded (the last times), failure, report. Empty if nothing is known."""
    return read_outcomes(home / STATE)


def note_source_state(home: Path, name: str, outcome: Mapping[str, Any]) -> None:
    """Store the result of the last load of a source. Raises OSError."""
    merge_outcome(home / STATE, name, outcome)


def source_rows(home: Path, taken: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each source. name and every_hours: of a scheduled source, None for others; address, kind, model, version; ran, succeeded
    and failure of the schedule; files, lines, stored, duplicates, rejected and last (when a row was taken) over all loads.

    taken: what loads read, by source, kind, model and version. If lake.toml is invalid, the schedule is left out.
    """
    try:
        sources = read_lake_config(home).sources
    except UsageError:
        sources = {}
    states, left = source_states(home), [dict(each) for each in taken]
    nothing = {"files": 0, "lines": 0, "stored": 0, "duplicates": 0, "rejected": 0, "last": None}
    rows = []
    for name, source in sources.items():
        given = source.defaults
        wanted = (source.address.rstrip("/"), given.kind or "", given.model or "")
        own = [
            each for each in left if (each["address"], each["kind"], each["model"]) == wanted and given.version in (None, each["version"])
        ]
        left = [each for each in left if each not in own]
        entry = states.get(name, {})
        schedule = {"name": name, "every_hours": source.every_hours, **{key: entry.get(key) for key in ("ran", "succeeded", "failure")}}
        own = own or [{"address": wanted[0], "kind": wanted[1], "model": wanted[2], "version": given.version or "", **nothing}]
        rows += [{**schedule, **each} for each in own]
    schedule = {"name": None, "every_hours": None, "ran": None, "succeeded": None, "failure": None}
    return rows + [{**schedule, **each} for each in left]


def source_problems(home: Path) -> list[str]:
    """Problems as sentences: a file that cannot be read, and sources whose last load failed."""
    try:
        sources = read_lake_config(home).sources
    except UsageError as error:
        return [f"The sources are not loaded: {error}"]
    states = source_states(home)
    failures = {name: states.get(name, {}).get("failure") for name in sources}
    return [f"The source {name} was not loaded whole: {with_full_stop(why)}" for name, why in failures.items() if why]
