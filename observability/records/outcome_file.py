"""Keep the last outcome of each scheduled task, by name, in one private JSON file per schedule."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from observability.records.private_file import make_private_folder, replace_private_file


def read_outcomes(path: Path) -> dict[str, dict[str, Any]]:
    """The outcomes that a file holds, by name. Empty if the file is missing or holds no outcomes."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: entry for name, entry in known.items() if isinstance(entry, dict)} if isinstance(known, dict) else {}


def merge_outcome(path: Path, name: str, outcome: Mapping[str, Any]) -> None:
    """Save some fields of one outcome; its other fields and all other outcomes are unchanged.

    The file is replaced atomically. Raises OSError.
    """
    known = read_outcomes(path)
    make_private_folder(path.parent)
    replace_private_file(path, json.dumps({**known, name: {**known.get(name, {}), **outcome}}, indent=1))
