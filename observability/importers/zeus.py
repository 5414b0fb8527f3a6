"""Reads the log file of Zeus' ZeusMonitor as resource records. They have the energy of accelerators in each measurement window.

The file has a row for each window that ended: its start, name and length, and the joules of each accelerator. Windows may be nested. The
energy of an outer window includes that of its inner windows, so inner windows do not become records. The file does not name its run; see
`zeus_run_name`. Zeus writes window names without quotes, so a name may contain commas.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from observability.core.errors import UsageError
from observability.importers.csv_source import csv_head
from observability.importers.source_records import (
    CarriedRecord,
    ReadOptions,
    RefusedEntries,
    SourceItem,
    SourceReading,
    epoch_time_text,
)

TITLE = "the log file of a ZeusMonitor (Zeus)"
NEEDED = ("start_time", "window_name", "elapsed_time")
ENERGY = "_energy"
GENERIC = re.compile(r"(zeus|monitor|energy|power|gpus?|logs?|files?|out|outputs?|results?|data|te?mp|measurements?|[\W_])+", re.IGNORECASE)
"""Generic names of files and folders, which do not identify a run."""


@dataclass(frozen=True)
class ZeusWindow:
    """A measurement window. start: seconds since 1970. joules: the joules of each accelerator, in the order of the columns."""

    name: str
    start: float
    seconds: float
    joules: tuple[float, ...]

    @property
    def end(self) -> float:
        """The end of the window in seconds since 1970."""
        return self.start + self.seconds


def open_zeus(path: Path, options: ReadOptions) -> SourceReading:
    """The windows of a ZeusMonitor's log file. Raises UsageError if it is not a file of Zeus, or if no accelerator was measured."""
    names, _ = csv_head(path, NEEDED, TITLE)
    measured = names[len(NEEDED) :]
    if tuple(names[: len(NEEDED)]) != NEEDED or not measured or not all(name.endswith(ENERGY) for name in measured):
        expected = f"columns {', '.join(NEEDED)} and one per accelerator, such as gpu0{ENERGY}"
        raise UsageError("this log of Zeus holds no energy", where=path.name, got=", ".join(names)[:100], expected=expected)
    run = options.run or zeus_run_name(path)
    title = f"Zeus measurements of run {run}"
    return SourceReading(title, _window_items(path, [name.removesuffix(ENERGY) for name in measured], run))


def zeus_run_name(file: Path) -> str:
    """The name of the run of a log file: `night-7` for `night-7.csv` and for `night-7/zeus.csv`.

    It is the first name that is not generic, of the file or of the two folders around it. If all are generic, it is the name of the file.
    """
    places = (file.stem, *(folder.name for folder in file.absolute().parents[:2]))
    return next((name for name in places if not GENERIC.fullmatch(name or "_")), file.stem)


def _window_items(file: Path, devices: Sequence[str], run: str) -> Iterator[SourceItem]:
    """The records of windows that are not inside another window."""
    windows = []
    with file.open(encoding="utf-8") as lines:
        next(lines, None)
        for number, line in enumerate(lines, 2):
            try:
                windows.append(_measured_window(line, len(devices)))
            except ValueError as error:
                yield RefusedEntries("windows", "bad_value", f"line {number}: {error}")
    outer: ZeusWindow | None = None
    for window in sorted(windows, key=lambda window: (window.start, -window.end)):
        if outer is not None and window.end <= outer.end:
            yield RefusedEntries("windows", "inside_another", f"the energy of {window.name!r} is part of that of {outer.name!r}")
            continue
        outer = window
        yield from _window_records(window, devices, run)


def _measured_window(line: str, devices: int) -> ZeusWindow:
    """The window of a line. Raises ValueError if a value is missing, negative or not a number."""
    cells = line.rstrip("\r\n").split(",")
    if len(cells) < len(NEEDED) + devices:
        raise ValueError(f"{len(cells)} values where {len(NEEDED) + devices} are expected")
    start, *numbers = (_number(cell) for cell in (cells[0], *cells[-1 - devices :]))
    if numbers[0] == 0:
        raise ValueError("the window has no length")
    return ZeusWindow(",".join(cells[1 : -1 - devices]), start, numbers[0], tuple(numbers[1:]))


def _window_records(window: ZeusWindow, devices: Sequence[str], run: str) -> Iterator[CarriedRecord]:
    """One record for each accelerator. The first record carries the window as its source entry."""
    for place, (device, joules) in enumerate(zip(devices, window.joules, strict=True)):
        record = {
            "kind": "resource",
            "at": epoch_time_text(window.end),
            "device": device,
            "run": run,
            "phase": window.name,
            "watts": joules / window.seconds,
            "energy_j": joules,
            "seconds": window.seconds,
            "source": "measured",
        }
        yield CarriedRecord(record, {} if place else {"windows": 1})


def _number(text: str) -> float:
    """The number in a cell. Raises ValueError if it is not a number, is negative, or is infinite."""
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is not a number") from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"{text[:40]!r} is no amount")
    return number
