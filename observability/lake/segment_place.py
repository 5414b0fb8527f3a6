"""A shared folder or bucket in which collectors leave segments, and the owner of a store its configuration for them.

config.json        what collectors need of the home (server/collector_config.py)
owner.json         when the owner was last there: it is written again every minute
segments/NAME      whole segments, each written before its records are acknowledged
taken/NAME         segments that the store has, kept for a week
"""

import re

from observability.core.errors import StoreBrokenError
from observability.lake.file_place import FilePlace, open_file_place

SEGMENTS, TAKEN, CONFIG, OWNER = "segments", "taken", "config.json", "owner.json"
NAME = re.compile(r"\d{8}T\d{6}-c[0-9a-f]{16}-\d{10}\.jsonl")
"""When it was written (UTC), the collector's number, and the number of its segment."""


def open_segment_place(text: str) -> FilePlace:
    """The place at an address of a bucket, or in a folder, which is made. Raises UsageError, StoreBrokenError."""
    return open_file_place(text, "segments are")


def segment_names(place: FilePlace, folder: str) -> list[str]:
    """The names of the segments of a folder of the place, sorted; anything else is left out."""
    names = (name.removeprefix(f"{folder}/") for name in place.list_names(folder))
    return [name for name in names if NAME.fullmatch(name)]


def require_mounted(place: FilePlace, *names: str, attempt: str = "Mount it") -> None:
    """Raise StoreBrokenError where a folder has none of these files, one of which stands in the shared place: it is an empty mount point.
    A bucket is there, or refuses.
    """
    if place.folder is not None and not any((place.folder / name).is_file() for name in names):
        raise StoreBrokenError("the shared place is not there", where=place.address, expected=" or ".join(names), attempt=attempt)
