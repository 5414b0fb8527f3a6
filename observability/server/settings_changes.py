"""Apply a change of a model's settings that was sent by a read-only process (store/published_store.py).

For each setting, a change holds the value that the person saw (`before`) and the new value (`after`). For a table, it holds only the
entries that differ.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from observability.core.errors import UsageError
from observability.core.settings import ModelSettings, parse_settings, setting_names

TABLES = {"importance": "importance", "limits": "limits", "protect": "protect", "column_tags": "columns"}
"""Settings that have a table of their own in a file of settings, with its name."""


def settings_with_changes(stored: ModelSettings, changed: Mapping[str, Mapping[str, Any]]) -> ModelSettings:
    """The stored settings with a change, checked like a file of settings. Settings that have the new value already are not changed.

    Raises UsageError for a wrong value, or if a setting is no longer what the person saw.
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
            raise UsageError(f"{key.replace('_', ' ')} changed meanwhile", got=held, attempt="Reload the page, look, and save again")
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
    """A value as JSON has it."""
    return json.loads(json.dumps(value))
