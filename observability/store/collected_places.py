"""The segments of collectors that an erasure or a removal rewrites: those that wait for loading and those that are kept for a week."""

from collections.abc import Callable, Iterator
from pathlib import Path

from observability.core.errors import StoreBrokenError, UsageError
from observability.lake.addresses import checked_address
from observability.lake.config import FILE, read_lake_config
from observability.lake.file_place import FilePlace
from observability.lake.segment_place import SEGMENTS, TAKEN, open_collected_place, segment_names

WRITTEN_WITHIN = 60.0
"""Seconds after which a segment without a final name counts as left behind by a killed collector; its lines were not acknowledged."""


def collected_segments(home: Path) -> Iterator[bytes]:
    """The contents of the segments that wait in the collectors' place (a shared folder or bucket); none if no place is configured or it
    cannot be used.
    """
    try:
        for place, name in _segments_of(home, SEGMENTS):
            yield place.get(name) or b""
    except (StoreBrokenError, UsageError, ModuleNotFoundError):
        return


def rewrite_collected(home: Path, change: Callable[[bytes], bytes]) -> dict[str, list[str]]:
    """Rewrite the segments that `change` changes, and remove the files that killed collectors left behind; returns {rewritten: [name],
    unreachable: [place]}.
    """
    found: dict[str, list[str]] = {"rewritten": [], "unreachable": []}
    try:
        if (place := _present_place(home)) is not None:
            for folder in (SEGMENTS, TAKEN):
                place.remove_unfinished(folder, WRITTEN_WITHIN)
        for place, name in _segments_of(home, SEGMENTS, TAKEN):  # a segment that is moved to TAKEN meanwhile is found there
            before = place.get(name)
            if before is not None and (after := change(before)) != before:
                place.put(name, after)
                found["rewritten"].append(name)
    except StoreBrokenError as error:
        found["unreachable"].append(error.where or FILE)
    except (UsageError, ModuleNotFoundError):
        found["unreachable"].append(FILE)
    return found


def _present_place(home: Path) -> FilePlace | None:
    """The collectors' place that the settings of a home name; None if they name none. Raises StoreBrokenError if its folder does not exist;
    the folder is not created, because it may only be unmounted.
    """
    if (address := read_lake_config(home).place) is None:
        return None
    path = checked_address(address).path
    if path is not None and not path.is_dir():
        raise StoreBrokenError("the place of collectors is not there", where=str(path), attempt="Mount it")
    return open_collected_place(home, address)


def _segments_of(home: Path, *folders: str) -> Iterator[tuple[FilePlace, str]]:
    """The segments in some folders of the collectors' place of a home, in order, each with the place."""
    if (place := _present_place(home)) is not None:
        for folder in folders:
            yield from ((place, f"{folder}/{name}") for name in segment_names(place, folder))
