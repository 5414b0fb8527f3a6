"""A shared folder or bucket (the place). Collectors leave segments (files of records) there, and the owner (the process that owns the
store) leaves its configuration for them.

config.json        what collectors need of the home (server/collector_config.py)
owner.json         when the owner was last there: it is written again every minute
segments/NAME      whole segments, each written before its records are acknowledged
taken/NAME         segments that the store has, kept for a week
"""

import json
import re
from contextlib import suppress
from pathlib import Path

from observability.core.errors import StoreBrokenError
from observability.lake.addresses import checked_address
from observability.lake.file_place import FilePlace, open_file_place
from observability.records.private_file import replace_private_file

SEGMENTS, TAKEN, CONFIG, OWNER = "segments", "taken", "config.json", "owner.json"
PLACES = "collected-places.json"
"""The file in the home that lists the places where the configuration was left."""
NAME = re.compile(r"\d{8}T\d{6}-c[0-9a-f]{16}-\d{10}\.jsonl")
"""A segment's name: the time at which it was written (UTC), the number of the collector, and the number of the segment."""


def open_segment_place(text: str) -> FilePlace:
    """The place at an address of a bucket, or in a folder, which is created if it is missing. Raises UsageError, StoreBrokenError."""
    return open_file_place(text, "segments are")


def segment_names(place: FilePlace, folder: str) -> list[str]:
    """The names of the segments in a folder of the place, sorted. Other files are left out."""
    names = (name.removeprefix(f"{folder}/") for name in place.list_names(folder))
    return [name for name in names if NAME.fullmatch(name)]


def require_mounted(place: FilePlace, *names: str, attempt: str = "Mount it") -> None:
    """Raise StoreBrokenError if a folder has none of these files. A shared place always has at least one of them, so without them the
    folder is an empty mount point. A bucket is not checked, because a request to it succeeds or fails.
    """
    if place.folder is not None and not any((place.folder / name).is_file() for name in names):
        raise StoreBrokenError("the shared place is not there", where=place.address, expected=" or ".join(names), attempt=attempt)


def _noted_places(home: Path) -> list[str]:
    with suppress(OSError, ValueError):
        return list(map(str, json.loads((home / PLACES).read_text(encoding="utf-8"))))
    return []


def note_collected_place(home: Path, place: FilePlace) -> None:
    """Note a place in the home before the configuration is left there for the first time."""
    if place.address not in (noted := _noted_places(home)):
        replace_private_file(home / PLACES, json.dumps([*noted, place.address]))


def require_collected_place(home: Path, place: FilePlace) -> None:
    """Raise StoreBrokenError for a folder in which the configuration was left, if it now has neither the configuration nor the owner's
    heartbeat file.
    """
    if place.address in _noted_places(home):
        attempt = f"Mount it; if it was emptied on purpose, remove {PLACES} of the home"
        require_mounted(place, CONFIG, OWNER, attempt=attempt)


def open_collected_place(home: Path, address: str) -> FilePlace:
    """The place of the collectors at an address. A new folder is created. Raises UsageError, or StoreBrokenError if the place cannot be
    reached.
    """
    path = checked_address(address).path
    if path is not None and not path.is_dir() and str(path) in _noted_places(home):
        raise StoreBrokenError("the place of collectors is not there", where=str(path), attempt="Mount it")
    place = open_segment_place(address)
    require_collected_place(home, place)
    return place
