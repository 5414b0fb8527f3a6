"""The settings of a home that collectors need, as one file in the shared folder or bucket. It holds hashes of tokens, limits, protected
features, and the catalog against which records are validated. It holds no secrets: tokens only as hashes, and not the key for protected
features.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core import limits
from observability.core.catalog import Catalog, Column, Model, Version
from observability.core.errors import StoreBrokenError
from observability.records import protection
from observability.records.private_file import replace_private_file
from observability.server import tokens
from observability.server.access_settings import ACCOUNTS_FILE, read_access_settings

if TYPE_CHECKING:
    from observability.store.engine import Store

FORMAT = 1


@dataclass(frozen=True)
class CollectorConfig:
    """A configuration as read. digest: digest of its content. protects: whether features are protected before anything is written."""

    digest: str
    catalog: Catalog
    protects: bool


def config_content(store: "Store") -> bytes:
    """The configuration of a home as bytes. Equal configurations give equal bytes. Raises ObservabilityError if a file of the home cannot
    be read.
    """
    home = store.home
    body = {
        "format": FORMAT,
        "signed_in": read_access_settings(home).method != "none",
        "tokens": [asdict(token) for token in tokens.read_tokens(home)],
        "limits": _text_of(home / limits.FILE),
        "protect": _text_of(home / protection.FILE),
        "models": [_model_body(model) for model in store.catalog().models],
    }
    return json.dumps(body, sort_keys=True, ensure_ascii=False).encode()


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StoreBrokenError("a file of the home cannot be read", where=path.name, got=str(error)) from None


def _model_body(model: Model) -> dict[str, Any]:
    """The facts about a model that validation needs."""
    versions = [
        {"name": each.name, "registered": each.registered_at and each.registered_at.isoformat(), "features": each.features}
        for each in model.versions
    ]
    columns = [asdict(column) for column in model.columns]
    return {"key": model.key, "name": model.name, "task": model.task, "classes": model.classes, "columns": columns, "versions": versions}


def apply_config(content: bytes, home: Path) -> CollectorConfig:
    """Write the files in a configuration to the folder of a collector, and return the rest of the configuration. Raises StoreBrokenError if
    it is invalid.
    """
    try:
        body = json.loads(content)
        if body["format"] != FORMAT:
            raise StoreBrokenError("the configuration is of another version", got=body["format"], attempt="Run the same version everywhere")
        catalog = Catalog(tuple(_model_of(each) for each in body["models"]))
        replace_private_file(home / tokens.FILE, json.dumps({"tokens": body["tokens"]}))
        for name, text in (
            (limits.FILE, body["limits"]),
            (protection.FILE, body["protect"]),
            (ACCOUNTS_FILE, '{"accounts": []}' if body["signed_in"] else None),
        ):
            if text is None:
                (home / name).unlink(missing_ok=True)
            else:
                replace_private_file(home / name, text)
        rules: Mapping[str, Any] = json.loads(body["protect"] or "{}")
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StoreBrokenError("the configuration of the collectors cannot be read", got=f"{type(error).__name__}: {error}") from None
    return CollectorConfig(hashlib.sha256(content).hexdigest(), catalog, any(rules.values()))


def _model_of(body: Mapping[str, Any]) -> Model:
    versions = tuple(
        Version(each["name"], datetime.fromisoformat(each["registered"]) if each["registered"] else None, tuple(each["features"]))
        for each in body["versions"]
    )
    columns = tuple(Column(**column) for column in body["columns"])
    return Model(body["key"], body["name"], body["task"], tuple(body["classes"]), columns, versions)
