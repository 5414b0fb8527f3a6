"""Where a home keeps its published states, and how they are removed.

`HOME/published/<number>/` is a copy of the store, and `HOME/published/newest.json` names the newest one that is complete.
"""

import json
import shutil
from contextlib import suppress
from pathlib import Path

from observability.records.private_file import sync_folder

FOLDER, POINTER, STATE = "published", "newest.json", "state.json"
"""The folder in a home, the file in it that names the newest state, and the description in the folder of each state."""
SETTINGS = ("accounts.json", "keeping.toml", "limits.toml", "access.toml")
"""The settings of a home that are published with each state because its readers need them. A reader takes the file that sets the sign-in
last, so that the accounts exist before sign-in needs them.
"""
DRAFT = ".partial"
"""The end of the name of a state that is still being written."""


def numbered_states(folder: Path) -> list[Path]:
    """The folders of complete states, oldest first."""
    return sorted(path for path in folder.glob("[0-9]*") if path.suffix != DRAFT)


def withdraw_states(home: Path, spared: int | None = None) -> None:
    """Remove the published states of a home; the file that names the newest state is removed first. spared: states whose copy has this
    number of rewrites are kept. Raises OSError.
    """
    folder = home / FOLDER
    if not folder.exists():
        return
    gone = [path for path in folder.glob("[0-9]*") if spared is None or _rewrites(path) != spared]
    if spared is None or len(gone) == len([*folder.glob("[0-9]*")]):
        (folder / POINTER).unlink(missing_ok=True)
        sync_folder(folder)
    for path in gone:
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


def _rewrites(state: Path) -> int | None:
    """The number of rewrites of a state; None if it is not known."""
    try:
        return int(json.loads((state / STATE).read_text(encoding="utf-8"))["rewrites"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
