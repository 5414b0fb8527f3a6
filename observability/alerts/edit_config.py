"""How are the settings of alerts changed without losing what somebody else wrote into the file?

Only lines whose value changes are replaced, so comments and order stay; what the file says then is read back and must be what was wanted, else the
file is written anew as a whole and the old one kept beside it. Writing is one rename. A file that changed since it was read is not touched.
"""

import hashlib
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from observability.alerts.config import FILE, Config, checked
from observability.core.errors import ObservabilityError, StoreBrokenError, UsageError

Body = dict[str, dict[str, Any]]
TABLES = ("channels", "routes", "alerts")
KEPT = ".before"
HEADER = re.compile(r"\s*\[\s*([A-Za-z0-9_-]+)\s*\]\s*(#.*)?")
KEY = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)\s*=""")
BARE = re.compile(r"[A-Za-z0-9_-]+")


class ChangedError(ObservabilityError):
    """The file is another than the one that was read."""


def stamp(home: Path) -> str:
    """Which content the file has; empty where there is none."""
    try:
        return hashlib.sha256((home / FILE).read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def body_of(home: Path) -> Body:
    """The file as its three tables, each empty where it is not there. Raises UsageError where it cannot be read."""
    try:
        found = tomllib.loads((home / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        found = {}
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the alert settings cannot be read", where=FILE, got=str(error)) from None
    checked(found)
    return {name: dict(found.get(name, {})) for name in TABLES}


def save(home: Path, wanted: Body, read: str) -> Config:
    """Write the tables and give what they mean. read: the `stamp` of the file that the change was made from.

    Raises UsageError where they say what cannot be, ChangedError where the file was changed meanwhile; the file then stays as it is.
    """
    config = checked(wanted)
    path = home / FILE
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if stamp(home) != read:
        raise ChangedError(
            "the alert settings were changed meanwhile", where=FILE, attempt="Look at them as they are now, and change them again"
        )
    new = patched(old, wanted)
    if new is None:
        if old:
            replaced(path.with_name(FILE + KEPT), old)
        new = written(wanted)
    replaced(path, new)
    return config


def patched(old: str, wanted: Body) -> str | None:
    """The old text with only what changes replaced; None where that cannot be done safely (values over several lines, dotted keys)."""
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
                line = entry(name, value)  # noqa: PLW2901 - the line as it is from now on
        lines.append(line)
        if where and line.strip():
            last[where] = len(lines)
    for table in sorted(TABLES, key=lambda each: last.get(each, len(lines) + 1), reverse=True):
        fresh = [entry(name, value) for name, value in wanted.get(table, {}).items() if (table, name) not in seen]
        if fresh and table in last:
            lines[last[table] : last[table]] = fresh
        elif fresh:
            lines += ["", f"[{table}]", *fresh] if lines else [f"[{table}]", *fresh]
    text = "\n".join(lines) + "\n"
    try:
        return text if same(tomllib.loads(text), wanted) else None
    except tomllib.TOMLDecodeError:
        return None


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two files say the same; an empty table says nothing."""
    return {name: table for name, table in one.items() if table} == {name: table for name, table in other.items() if table}


def written(wanted: Body) -> str:
    """The tables as a whole file."""
    parts = [
        "\n".join([f"[{table}]", *(entry(name, value) for name, value in wanted[table].items())]) for table in TABLES if wanted.get(table)
    ]
    return "\n\n".join(parts) + "\n"


def entry(name: str, value: Any) -> str:
    """One line of TOML: a text or a list of texts (JSON writes both as TOML reads them)."""
    return f"{name if BARE.fullmatch(name) else text(name)} = {text(value) if isinstance(value, str) else '[' + ', '.join(map(text, value)) + ']'}"


def text(value: str) -> str:
    """A text as TOML reads it."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def replaced(path: Path, content: str) -> None:
    """Puts a file in the place of another in one step, readable by its owner only: it holds secrets. Raises StoreBrokenError where the disk refuses."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{FILE}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        Path(draft).unlink(missing_ok=True)
        raise StoreBrokenError("the alert settings cannot be written", where=FILE, got=str(error)) from error


def masked(address: str) -> str:
    """An address without what may be a secret: its kind alone."""
    return f"{address.partition(':')[0]}://…" if address else ""
