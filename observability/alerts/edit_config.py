"""Edit `alerts.toml` without losing comments or concurrent changes.

Only values that change are replaced, so comments and order stay. Writing is one rename. A file that changed since it was read is not
touched.
"""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

from observability.alerts.config import FILE, AlertConfig, checked_config
from observability.alerts.toml_edit import edited_toml
from observability.core.errors import ObservabilityError, StoreBrokenError, UsageError
from observability.records.private_file import replace_private_file

Body = dict[str, dict[str, Any]]
TABLES = ("channels", "routes", "alerts")


class ChangedError(ObservabilityError):
    """The file changed since it was read."""


def config_stamp(home: Path) -> str:
    """SHA-256 of the file's content; empty without a file."""
    try:
        return hashlib.sha256((home / FILE).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def alert_tables(home: Path) -> Body:
    """The three tables of the file, each empty if it is missing. Raises UsageError if the file cannot be read."""
    try:
        found = tomllib.loads((home / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the alert settings cannot be read", where=FILE, got=str(error)) from None
    checked_config(found)
    return {name: dict(found.get(name, {})) for name in TABLES}


def save_alert_tables(home: Path, wanted: Body, read: str) -> AlertConfig:
    """Write the tables, and return the resulting configuration. read: `config_stamp` of the file that was edited.

    Raises UsageError for invalid tables, and ChangedError if the file changed meanwhile; in both cases the file is not changed.
    """
    path = home / FILE
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    config = checked_config({**other_tables(old), **wanted})
    if config_stamp(home) != read:
        raise ChangedError("the alert settings were changed meanwhile", where=FILE, attempt="Reload them and repeat the change")
    replace_alert_settings(path, edited_toml(old, {name: wanted.get(name, {}) for name in TABLES}))
    return config


def other_tables(text: str) -> dict[str, Any]:
    """The tables of the file that can be edited only by hand: issue trackers, and the channels of the weekly pre-read and of dashboards."""
    try:
        return {name: table for name, table in tomllib.loads(text).items() if name not in TABLES}
    except tomllib.TOMLDecodeError as error:
        raise UsageError("the alert settings cannot be read", where=FILE, got=str(error)) from None


def replace_alert_settings(path: Path, content: str) -> None:
    """Replace the file. Only the file's owner can read it, because it holds secrets. Raises StoreBrokenError if it cannot be written."""
    try:
        replace_private_file(path, content)
    except OSError as error:
        raise StoreBrokenError("the alert settings cannot be written", where=FILE, got=str(error)) from error


def masked_address(address: str) -> str:
    """An address reduced to its kind, because the rest may be secret."""
    return f"{address.partition(':')[0]}://…" if address else ""
