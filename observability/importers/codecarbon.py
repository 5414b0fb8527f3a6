"""Reads CodeCarbon's emissions.csv as resource records, with the energy of processor, memory and accelerators.

A row has the sums since the start of its run. If a run has several rows, the records of each row cover only the increase since the previous
row.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from observability.importers.csv_source import csv_head
from observability.importers.source_records import (
    CarriedRecord,
    ReadOptions,
    RefusedEntries,
    SourceItem,
    SourceReading,
    require_source,
    utc_time_text,
)

NEEDED = ("timestamp", "run_id", "duration", "cpu_energy", "ram_energy")
DEVICES = {"cpu": "cpu", "memory": "ram", "gpu": "gpu"}
"""For each device of the records, the prefix of its columns."""
JOULES_PER_KWH = 3.6e6
ABOUT_RUN = ("project_name", "experiment_id", "country_iso_code", "region", "cloud_provider", "cloud_region", "tracking_mode", "pue")
UNCHANGED_SECONDS = 1e-6


def open_codecarbon(path: Path, options: ReadOptions) -> SourceReading:
    """The rows of an emissions.csv. path: this file, or its folder. Raises UsageError if it is not such a file, or if its times need a time
    zone.
    """
    require_source(path)
    file = path / "emissions.csv" if path.is_dir() else path
    _, first = csv_head(file, NEEDED, "CodeCarbon's emissions.csv")
    if first is not None:
        utc_time_text(first["timestamp"] or "", options.timezone, file.name)
    return SourceReading("CodeCarbon emissions", _row_items(file, options))


def _row_items(file: Path, options: ReadOptions) -> Iterator[SourceItem]:
    """The records of each row, in order."""
    before: dict[str, Mapping[str, float]] = {}
    with file.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines), 2):
            try:
                yield from _one_row(row, before, options, file.name)
            except ValueError as error:
                yield RefusedEntries("rows", "bad_value", f"line {number}: {error}")


def _one_row(row: Mapping[str, Any], before: dict[str, Mapping[str, float]], options: ReadOptions, where: str) -> list[SourceItem]:
    """The records of a row, one for each device; an accelerator gets one only if it used energy. Raises ValueError if a value cannot be
    read.
    """
    run = row["run_id"] or ""
    at = utc_time_text(row["timestamp"] or "", options.timezone, where)
    totals = {device: _number(row.get(f"{prefix}_energy")) for device, prefix in DEVICES.items()} | {
        "seconds": _number(row["duration"]),
        "kg": _number(row.get("emissions")),
    }
    last = before.get(run, {})
    added = {name: value - last.get(name, 0.0) for name, value in totals.items()}
    if fallen := [name for name, value in added.items() if value < 0]:
        raise ValueError(f"the {fallen[0]} of run {run} falls from {last[fallen[0]]:g} to {totals[fallen[0]]:g}")
    before[run] = totals
    if added["seconds"] <= UNCHANGED_SECONDS:
        return [RefusedEntries("rows", "nothing_added", f"a row of run {run} covers no time beyond the row before")]
    about = {name: row[name] for name in ABOUT_RUN if row.get(name)} | {"emissions_kg": added["kg"]}
    found: list[SourceItem] = []
    for device, prefix in DEVICES.items():
        if not totals[device] and device == "gpu":
            continue
        record = {
            "kind": "resource",
            "at": at,
            "device": device,
            "run": run,
            "watts": added[device] * JOULES_PER_KWH / added["seconds"],
            "energy_j": added[device] * JOULES_PER_KWH,
            "seconds": added["seconds"],
            "source": "estimated",
            "hardware": row.get(f"{prefix}_model") or None,
        }
        found.append(CarriedRecord(record if found else record | about, {} if found else {"rows": 1}))
    return found


def _number(text: str | None) -> float:
    """The number in a cell; 0 for an empty cell. Raises ValueError if it is not a number."""
    if not text:
        return 0.0
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a number") from None
