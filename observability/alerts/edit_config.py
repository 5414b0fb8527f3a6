"""Edit `alerts.toml` without losing comments or concurrent changes.

Only lines whose value changes are replaced, so comments and order stay. The result is parsed and compared with the wanted
tables; where it differs, the whole file is written anew and the old one kept beside it. Writing is one rename. A file that
changed since it was read is not touched.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from observability.alerts.config import FILE, AlertConfig, checked_config
from observability.core.errors import ObservabilityError, StoreBrokenError, UsageError
from observability.core.private_file import replace_private_file

Body = dict[str, dict[str, Any]]
TABLES = ("channels", "routes", "alerts")
KEPT = ".before"
HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]\s*(#.*)?")
KEY = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)\s*=""")
BARE = re.compile(r"[A-Za-z0-9_-]+")


class ChangedError(ObservabilityError):
    """The file changed since it was read."""


def config_stamp(home: Path) -> str:
    """SHA-256 of the file's content; empty without a file."""
    try:
        return hashlib.sha256((home / FILE).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def alert_tables(home: Path) -> Body:
    """The three tables of the file, each empty where it is missing. Raises UsageError where the file cannot be read."""
    try:
        found = tomllib.loads((home / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the alert settings cannot be read", where=FILE, got=str(error)) from None
    checked_config(found)
    return {name: dict(found.get(name, {})) for name in TABLES}


def save_alert_tables(home: Path, wanted: Body, read: str) -> AlertConfig:
    """Write the tables, and return the configuration that they hold. read: `config_stamp` of the file that was edited.

    Raises UsageError for invalid tables, ChangedError where the file changed meanwhile; the file then stays as it is.
    """
    config = checked_config(wanted)
    path = home / FILE
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if config_stamp(home) != read:
        raise ChangedError("the alert settings were changed meanwhile", where=FILE, attempt="Reload them and repeat the change")
    new = patched(old, wanted)
    if new is None:
        if old:
            replaced(path.with_name(FILE + KEPT), old)
        new = written(wanted)
    replaced(path, new)
    return config


def patched(old: str, wanted: Body) -> str | None:
    """The old text with only the changed lines replaced; None where that is unsafe (values over several lines, dotted keys)."""
    try:
        before = tomllib.loads(old)
    except tomllib.TOMLDecodeError:
        return None
    lines, where, seen, last = [], None, set(), dict[str, int]()
    for line in old.splitlines():
        if header := HEADER.fullmatch(line):
            where = header[1]
        elif where and (key := KEY.match(line)):
            name = next(iter(tomllib.loads(f"{key[1]} = 1")))
            seen.add((where, name))
            value = wanted.get(where, {}).get(name)
            if value is None:
                continue
            if value != before.get(where, {}).get(name):
                line = entry(name, value)  # noqa: PLW2901 - the new line
        lines.append(line)
        if where and line.strip():
            last[where] = len(lines)
    for table in sorted(TABLES, key=lambda name: last.get(name, len(lines) + 1), reverse=True):
        fresh = [entry(name, value) for name, value in wanted.get(table, {}).items() if (table, name) not in seen]
        if fresh and table in last:
            lines[last[table] : last[table]] = fresh
        elif fresh:
            lines += ["", f"[{table}]", *fresh] if lines else [f"[{table}]", *fresh]
    text = "\n".join(lines) + "\n"
    try:
        return text if same_tables(tomllib.loads(text), wanted) else None
    except tomllib.TOMLDecodeError:
        return None


def same_tables(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two files hold the same values; an empty table counts as missing."""
    return {name: table for name, table in one.items() if table} == {name: table for name, table in other.items() if table}


def written(wanted: Body) -> str:
    """The tables as the text of a file."""
    parts = [
        "\n".join([f"[{table}]", *(entry(name, value) for name, value in wanted[table].items())]) for table in TABLES if wanted.get(table)
    ]
    return "\n\n".join(parts) + "\n"


def entry(name: str, value: Any) -> str:
    """One line of TOML: a text or a list of texts."""
    right = text(value) if isinstance(value, str) else f"[{', '.join(map(text, value))}]"
    return f"{name if BARE.fullmatch(name) else text(name)} = {right}"


def text(value: str) -> str:
    """A TOML string. JSON escapes as TOML does, except U+007F."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def replaced(path: Path, content: str) -> None:
    """Replace the file, readable by its owner only: it holds secrets. Raises StoreBrokenError where the disk refuses."""
    try:
        replace_private_file(path, content)
    except OSError as error:
        raise StoreBrokenError("the alert settings cannot be written", where=FILE, got=str(error)) from error


def masked(address: str) -> str:
    """An address reduced to its kind: the rest may be secret."""
    return f"{address.partition(':')[0]}://…" if address else ""
