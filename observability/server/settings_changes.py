"""Apply a change of a model's settings that a read-only process sent (store/published_store.py).

For each setting, a change holds the value that the person saw (`before`) and the new value (`after`). If a setting is a table, only the
entries that differ are included.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from observability.core.errors import UsageError
from observability.core.settings import ModelSettings, parse_settings, setting_names

TABLES = {"importance": "importance", "limits": "limits", "protect": "protect", "column_tags": "columns"}
"""Settings that are tables of their own in a settings file, with the name of the table."""


def settings_with_changes(stored: ModelSettings, changed: Mapping[str, Mapping[str, Any]]) -> ModelSettings:
    """The stored settings after a change, checked like a settings file. A setting that has the new value already stays unchanged.

    Raises UsageError if a value is invalid, or if a setting no longer has the value that the person saw.
    """
    values, kept, body = dict[str, Any](), ModelSettings(), dict[str, Any]({"settings": {}})
    for key, change in changed.items():
        if key not in setting_names():
            raise UsageError(f"unknown setting {key!r}", expected=", ".join(setting_names()))
        held, before, after = _plain(getattr(stored, key)), change["before"], change["after"]
        if isinstance(held, dict):
            names = {*before, *after}
            others, held = {name: held[name] for name in held if name not in names}, {name: held[name] for name in held if name in names}
        else:
            others = None
        if held not in (before, after):
            raise UsageError(
                f"the setting {key.replace('_', ' ')} changed meanwhile", got=held, attempt="Reload the page, look, and save again"
            )
        value = after if others is None else {**others, **after}
        if value == _plain(getattr(kept, key)):
            values[key] = getattr(kept, key)
        elif key in TABLES:
            body[TABLES[key]] = value
        else:
            body["settings"][key] = value
    parsed = parse_settings(body, stored)
    return replace(stored, **{key: values.get(key, getattr(parsed, key)) for key in changed})


def _plain(value: Any) -> Any:
    """A value in the form in which JSON holds it."""
    return json.loads(json.dumps(value))
