"""Configuration as code: one TOML file states the models, settings, alerts, limits and retention of a home.

[[model]]                          # registered where this version is not registered yet; names as the options of `register`
name = "loan"
version = "3"
task = "binary"
reference = "loan.parquet"         # paths are relative to this file
label = "defaulted"
score = "probability"
[models.loan.settings]             # as in the file of `settings`; also .importance, .limits, .protect
owner = "credit risk"
[channels] [routes] [alerts]       # each replaces that table of HOME/alerts.toml
[limits] [tokens.ID]               # … of HOME/limits.toml
[retention] [backup] [lake_export] [metric_tables] [publish] # … of HOME/keeping.toml
[lake] [sources.NAME] [collectors] # … of HOME/lake.toml

Everything that the file does not name stays unchanged.
"""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from observability.alerts import alarm_rules, edit_config
from observability.alerts import config as alert_config
from observability.alerts.toml_edit import edited_toml
from observability.core import limits
from observability.core.catalog import Task
from observability.core.errors import StoreBrokenError, UsageError
from observability.core.settings import ModelSettings, parse_settings
from observability.lake import config as lake_config
from observability.records.private_file import replace_private_file
from observability.store.db import keeping
from observability.store.engine import Store
from observability.store.types.registration import RegistrationRequest

TABLES: dict[str, tuple[str, ...]] = {
    alert_config.FILE: edit_config.TABLES,
    limits.FILE: ("limits", "tokens"),
    keeping.FILE: ("retention", "backup", "lake_export", "metric_tables", "publish"),
    lake_config.FILE: ("lake", "sources", "collectors"),
}
"""The tables that each file of the home contains."""
EDITED = "The file was not written. Check its changes, then run apply again, which plans from the current file"
REGISTER_KEYS = ("task", "reference", "label", "score")
OPTIONAL_KEYS = ("prediction", "at", "sensitive", "features", "map", "timezone", "positive", "decimal", "in_sample", "artifact")


@dataclass(frozen=True)
class Step:
    """One change that the configuration asks for. text: the change in one line; run: makes the change, and reports progress."""

    text: str
    run: Callable[[Callable[[str], object]], object]


def read_configuration(path: Path) -> dict[str, Any]:
    """The tables of the file. Raises UsageError if the file is missing, is not TOML, or contains an unknown table."""
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("the configuration does not exist", got=path, attempt="Check the path") from None
    except (OSError, ValueError) as error:
        raise UsageError("the configuration is not TOML", where=path.name, got=error) from None
    known = ("model", "models", *(table for tables in TABLES.values() for table in tables))
    if unknown := sorted(set(body) - set(known)):
        raise UsageError("unknown table", where=path.name, got=", ".join(unknown), expected=", ".join(known))
    return body


def planned_steps(store: Store, path: Path, *, author: str) -> list[Step]:
    """The changes that make the home match the file, in the order of execution; empty if it matches already.

    Nothing is changed. Raises UsageError for the first invalid value.
    """
    body = read_configuration(path)
    present = {model.name: model for model in store.catalog().models}
    steps, coming = [], set[str]()
    requests = [_request(entry, path) for entry in _entries(body, path)]
    named = Counter((request.model, request.version) for request in requests)
    if twice := next((each for each, count in named.items() if count > 1), None):
        raise UsageError("a version is named twice", where=f"{path.name} [[model]]", got=" ".join(twice), attempt="Name it once")
    for request in requests:
        known = present.get(request.model)
        version = known.version(request.version) if known else None
        if version is None or not version.registered:
            coming.add(request.model)
            steps.append(Step(f"model {request.model}: register version {request.version}", _registering(store, request)))
    for name, tables in _subtables(body, "models", path):
        if name not in present and name not in coming and not tables.get("protect"):
            raise UsageError("the model is not registered", where=f"{path.name} [models.{name}]", got=name, attempt="Add it as [[model]]")
        before = present[name].settings if name in present else ModelSettings()
        wanted = parse_settings(dict(tables), before, where=f"{path.name} [models.{name}]")
        if text := _settings_text(before, wanted):
            steps.append(Step(f"model {name}: {text}", _setting(store, name, dict(tables), author)))
    return [*steps, *_file_steps(store.home, body, path)]


def _entries(body: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    found = body.get("model", [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise UsageError("a list of tables was expected", where=path.name, got=f"model = {found!r}"[:80], expected="[[model]]")
    return found


def _subtables(body: Mapping[str, Any], name: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    found = body.get(name, {})
    if not isinstance(found, dict) or not all(isinstance(table, dict) for table in found.values()):
        raise UsageError("tables were expected", where=path.name, got=f"{name} = {found!r}"[:80], expected=f"[{name}.NAME.settings]")
    yield from found.items()


def _request(entry: Mapping[str, Any], path: Path) -> RegistrationRequest:
    """The registration that a [[model]] entry asks for. Raises UsageError if a key is missing, unknown, or of the wrong type."""
    where = f"{path.name} [[model]] {entry.get('name', '')}".strip()
    needed = ("name", "version", *REGISTER_KEYS)
    if missing := [key for key in needed if key not in entry]:
        raise UsageError("a key is missing", where=where, got=", ".join(entry), expected=", ".join(missing))
    if unknown := sorted(set(entry) - {*needed, *OPTIONAL_KEYS}):
        raise UsageError("unknown key", where=where, got=", ".join(unknown), expected=", ".join((*needed, *OPTIONAL_KEYS)))
    texts = ("name", "version", "task", "reference", "label", "prediction", "at", "timezone", "positive", "decimal", "artifact")
    for key in texts:
        if key in entry and not isinstance(entry[key], str):
            raise UsageError(f"the key {key} is a text", where=where, got=repr(entry[key]))
    if entry["task"] not in get_args(Task):
        raise UsageError("unknown task", where=where, got=repr(entry["task"]), expected=", ".join(get_args(Task)))
    if not isinstance(entry.get("in_sample", False), bool):
        raise UsageError("in_sample is true or false", where=where, got=repr(entry["in_sample"])[:80])
    renames = entry.get("map", {})
    if not isinstance(renames, dict) or not all(isinstance(ours, str) for ours in renames.values()):
        raise UsageError("map is a table of names", where=where, got=repr(renames)[:80], expected='map = { theirs = "ours" }')
    reference = path.parent / entry["reference"]
    artifact = path.parent / entry["artifact"] if "artifact" in entry else None
    for file in filter(None, (reference, artifact)):
        if not file.is_file():
            raise UsageError("the file does not exist", where=where, got=file, attempt="Paths are relative to the configuration")
    kept = ("version", "task", "label", "prediction", "at", "timezone", "positive", "decimal")
    same: dict[str, Any] = {key: entry.get(key) for key in kept}
    return RegistrationRequest(
        model=entry["name"],
        **same,
        reference=reference,
        score=_names(entry, "score", where),
        sensitive=_names(entry, "sensitive", where),
        features=_names(entry, "features", where) or None,
        renames=renames,
        artifact=artifact,
        in_sample=entry.get("in_sample", False),
    )


def _names(entry: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"the key {key} is a list of columns", where=where, got=repr(value)[:80])
    return tuple(names)


def _registering(store: Store, request: RegistrationRequest) -> Callable[[Callable[[str], object]], object]:
    def run(say: Callable[[str], object]) -> object:
        from observability.worker.score_reference import register_and_compare

        return register_and_compare(store, request, lambda text: say(f"{request.model}: {text}"))

    return run


def _settings_text(before: ModelSettings, wanted: ModelSettings) -> str:
    """The settings that change, such as `owner: not set → credit risk; threshold: 0.5 → 0.4`; empty if none changes."""
    old, new = asdict(before), asdict(wanted)
    return "; ".join(alarm_rules.setting_change_text(name, old[name], new[name]) for name in new if old[name] != new[name])


def _setting(store: Store, name: str, tables: dict[str, Any], author: str) -> Callable[[Callable[[str], object]], object]:
    def run(say: Callable[[str], object]) -> object:
        del say
        known = store.catalog().by_name.get(name)
        before = ModelSettings() if known is None else known.settings
        return alarm_rules.save_settings(store, name, parse_settings(tables, before), author=author)

    return run


def _file_steps(home: Path, body: Mapping[str, Any], path: Path) -> Iterator[Step]:
    """A step for each file of the home whose tables change. The whole new file is checked before any step runs."""
    checks: dict[str, Callable[[Mapping[str, Any]], object]] = {
        alert_config.FILE: alert_config.checked_config,
        limits.FILE: limits.checked_limits,
        keeping.FILE: keeping.checked_keeping,
        lake_config.FILE: lake_config.checked_lake_config,
    }
    for file, tables in TABLES.items():
        wanted = {table: body[table] for table in tables if table in body}
        for table, value in wanted.items():
            if not isinstance(value, dict):
                raise UsageError("a table was expected", where=path.name, got=f"{table} = {value!r}"[:80], expected=f"[{table}]")
        if not wanted:
            continue
        try:
            old = (home / file).read_text(encoding="utf-8") if (home / file).exists() else ""
            new = edited_toml(old, wanted)
            before, after = tomllib.loads(old), tomllib.loads(new)
        except (OSError, ValueError) as error:
            raise UsageError(
                "a file of the home cannot be read", where=file, got=error, attempt="Correct the file, or move it away"
            ) from None
        checks[file](after)
        if before != after:
            masked = file == alert_config.FILE
            yield Step(f"{file}: {'; '.join(_value_changes(before, after, masked=masked))}", _writing(home / file, old, new))


def _writing(path: Path, planned: str, content: str) -> Callable[[Callable[[str], object]], object]:
    """Write a file of the home. planned: its text when the plan was made; if the file was edited since, it is not written."""

    def run(say: Callable[[str], object]) -> None:
        del say
        try:
            if (path.read_text(encoding="utf-8") if path.exists() else "") != planned:
                raise UsageError("the file was edited since the plan was made", where=path.name, attempt=EDITED)
            replace_private_file(path, content)
        except (OSError, ValueError) as error:
            raise StoreBrokenError("the file cannot be written", where=path.name, got=str(error)) from error

    return run


def _value_changes(before: Mapping[str, Any], after: Mapping[str, Any], name: str = "", *, masked: bool) -> Iterator[str]:
    """A text such as `limits.body_bytes: not set → 500000` for each value that changes. masked: of the addresses of channels, only the kind
    is shown.
    """
    for key in dict.fromkeys((*before, *after)):
        old, new, full = before.get(key), after.get(key), f"{name}.{key}" if name else key
        if old == new:
            continue
        if isinstance(old or {}, Mapping) and isinstance(new or {}, Mapping) and (isinstance(old, Mapping) or isinstance(new, Mapping)):
            yield from _value_changes(old or {}, new or {}, full, masked=masked)
        else:
            secret = masked and full.startswith("channels.")
            yield f"{full}: {_shown(old, secret=secret)} → {_shown(new, secret=secret)}"


def _shown(value: Any, *, secret: bool) -> str:
    if isinstance(value, str) and secret:
        return edit_config.masked_address(value)
    return alarm_rules.setting_text(tuple(value) if isinstance(value, list) else value)
