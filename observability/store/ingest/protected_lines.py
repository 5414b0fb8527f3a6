"""Applies the rules of protected features to lines before they are parsed, so that no original value of such a feature reaches the
store.
"""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from observability.core.catalog import Model
from observability.core.errors import StoreBrokenError
from observability.records.keyed_hash import home_key, key_path
from observability.records.private_file import replace_private_file
from observability.records.protection import FILE, Rules, protected_line, protected_value
from observability.store.ingest.parse_types import LineBlock, RefusedLine
from observability.store.types.loading import LoadDefaults

UNREADABLE = "the line is no JSON object, or repeats a key; its text is not kept, since it may hold a protected value"
ESCAPE = b"\\u00"
"""Start of an escaped character: with escapes, a name can be written in other ways."""


def protection_rules(models: tuple[Model, ...]) -> Rules:
    """The rules of every model that has any."""
    return {model.name: model.settings.protect for model in models if model.settings.protect}


def publish_rules(home: Path, models: tuple[Model, ...]) -> None:
    """Write the rules for the SDK and HTTP, if they changed, and make the key. Raises StoreBrokenError."""
    rules = protection_rules(models)
    text = json.dumps(rules, sort_keys=True)
    try:
        path = home / FILE
        if rules:
            _key(home)
        if (path.read_text(encoding="utf-8") if path.exists() else "{}") != text:
            replace_private_file(path, text)
    except OSError as error:
        raise StoreBrokenError("the rules of protected features cannot be written", where=str(home / FILE), got=error.strerror) from error


def with_protection(block: LineBlock, home: Path, models: tuple[Model, ...], defaults: LoadDefaults) -> LineBlock:
    """The block with the protected values of its lines changed by the rules. A line that cannot be read and may hold such a value is
    refused, without its text.
    """
    rules = protection_rules(models)
    if not rules:
        return block
    key = _key(home)
    is_bytes = isinstance(block.raw, bytes)
    if isinstance(block.raw, bytes):
        lines = block.raw.split(b"\n")
    else:
        lines = [(text or "").encode("utf-8", "surrogatepass") for text in block.raw.to_pylist()]
    renames, protected = defaults.renames, {name for own in rules.values() for name in own}
    protected |= {theirs for theirs, ours in renames.items() if ours in protected}
    unreadable = [ESCAPE, *(json.dumps(name)[1:-1].encode() for name in protected)]
    needles = (
        [b""]
        if defaults.model in rules
        else [*unreadable, *(form for name in rules for form in {name.encode(), json.dumps(name)[1:-1].encode()})]
    )
    refused = [
        replace(line, raw="")
        if not protected.isdisjoint(line.columns) or _holds(line.raw.encode("utf-8", "surrogatepass"), unreadable)
        else line
        for line in block.refused
    ]
    for place, line in enumerate(lines):
        if not line.strip() or not _holds(line, needles):
            continue
        changed = protected_line(line, rules, key, defaults.model, renames, defaults.features or ())
        if changed is None and _holds(line, unreadable):
            refused.append(RefusedLine(block.first_line + place, "", "not_json", UNREADABLE))
            changed = b""
        lines[place] = line if changed is None else changed
    raw = b"\n".join(lines) if is_bytes else b"".join(line + b"\n" for line in lines)
    return replace(block, raw=raw, refused=tuple(refused))


def _holds(line: bytes, needles: list[bytes]) -> bool:
    return any(needle in line for needle in needles)


def protected_table(table: pa.Table, names: dict[str, str], rules: dict[str, object], home: Path) -> pa.Table:
    """A reference with its protected columns changed or dropped. names: the name of the feature for each column that has another name."""
    if not rules:
        return table
    key = _key(home)
    for column in table.column_names:
        rule = rules.get(names.get(column, column), "keep")
        if rule == "drop":
            table = table.drop_columns([column])
        elif rule != "keep":
            kind = pa.string() if rule == "hash" else pa.float64()
            values = [protected_value(rule, value, key) for value in table[column].to_pylist()]
            table = table.set_column(table.column_names.index(column), column, pa.array(values, kind))
    return table


def _key(home: Path) -> bytes:
    try:
        return home_key(home)
    except (OSError, ValueError) as error:
        raise StoreBrokenError(
            "the key of protected features cannot be read, so nothing is loaded", where=str(key_path(home)), got=error
        ) from error
