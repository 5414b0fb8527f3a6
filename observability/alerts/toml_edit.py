"""Change values of a TOML file. Its comments, its order and all other values stay."""

from collections.abc import Mapping, MutableMapping
from typing import Any


def edited_toml(old: str, tables: Mapping[str, Any]) -> str:
    """The text of a file whose named tables hold exactly the wanted values.

    Other tables stay as they are; a table without values is removed. `old` is the present text, empty for a new file. Raises ValueError if
    the text is not TOML.
    """
    import tomlkit

    document = tomlkit.parse(old)
    for name, wanted in tables.items():
        held = document.get(name)
        if not wanted:
            document.pop(name, None)
        elif isinstance(held, MutableMapping):
            _set_values(held, wanted)
        else:
            document[name] = wanted
    return tomlkit.dumps(document)


def _set_values(table: MutableMapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Make a table hold exactly these values. Lines whose value does not change stay as they are."""
    for name in [name for name in table if name not in wanted]:
        del table[name]
    for name, value in wanted.items():
        held = table.get(name)
        if isinstance(held, MutableMapping) and isinstance(value, Mapping):
            _set_values(held, value)
        elif name not in table or held != value:
            table[name] = value
