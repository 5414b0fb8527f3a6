"""Facts about a store that are kept outside of it, because the store itself may be damaged or missing.

`HOME/repairs.jsonl` is the log of repairs, one JSON object per line: the damage or loss, the repair, and what may be missing.
`HOME/store.json` notes that the home holds a store, and its models, so that a missing store can be distinguished from a new home.
"""

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from observability.records.private_file import replace_private_file, sync_folder

REPAIRS = "repairs.jsonl"
KNOWN = "store.json"


def note_repair(home: Path, what: str, missing: str, files: Iterable[Path] = ()) -> None:
    """Add a repair: what happened and was done, what may be missing, and the files that were set aside. Raises OSError.

    A repair with the same words as the last one is not added while nobody has read the last one, because it is another attempt of the same
    repair.
    """
    last = next(reversed(repairs(home)), None)
    if last is not None and (last["what"], last.get("seen_at")) == (what, None):
        return
    entry = {"at": _now(), "what": what, "missing": missing, "set_aside": [path.name for path in files], "seen_at": None}
    fd = os.open(home / REPAIRS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_folder(home)


def repairs(home: Path) -> list[dict[str, Any]]:
    """Every repair of a home, oldest first: {at, what, missing, set_aside, seen_at}. Read-only. A line that cannot be read is left out."""
    found = []
    with suppress(OSError):
        for line in (home / REPAIRS).read_text(encoding="utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and {"at", "what", "missing"} <= entry.keys():
                    found.append(entry)
    return found


def mark_repairs_seen(home: Path) -> None:
    """Note that a person has read the repairs, so that pages no longer show them. Raises OSError."""
    known = [{**entry, "seen_at": entry.get("seen_at") or _now()} for entry in repairs(home)]
    if known:
        replace_private_file(home / REPAIRS, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in known))


def note_known_store(home: Path, models: Sequence[str]) -> None:
    """Note that this home holds a store with these models. If the disk refuses the write, this is ignored."""
    body = {"models": sorted(models)}
    with suppress(OSError):
        if known_store(home) != body:
            replace_private_file(home / KNOWN, json.dumps(body))


def known_store(home: Path) -> dict[str, Any] | None:
    """The notes about the store of this home; None if it never held a store. Raises OSError if the disk refuses."""
    try:
        body = json.loads((home / KNOWN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"models": []}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
