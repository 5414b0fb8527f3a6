"""What a home keeps, and for how long: `HOME/keeping.toml`.

[retention]                # days, for every model; what is absent is kept for ever
rows = 400                 # predictions with their labels; their counts stay
explanations = 90          # explanations, expected errors and answers of the model
rejected = 30              # rejected lines
[retention.models.loan]    # other days for one model
rows = 90
[retention.kinds]          # records of other kinds
step = 180
[backup]
folder = "/mnt/backups"    # a backup is made every night; or an address as s3://BUCKET/FOLDER
keep = 14                  # number of newest backups to keep; by default all
[lake_export]
folder = "/mnt/lake"       # raw rows are written there as Parquet every night, before any are removed; or an address
[metric_tables]
folder = "/mnt/metrics"    # findings, daily counts and decisions are written there as `export` does every night; or an address
[publish]
every = 15                 # seconds after which a changed store is published for processes that only read (docs/deploying.md)
"""

import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from observability.core.errors import UsageError
from observability.records.kinds import KINDS
from observability.records.private_file import replace_private_file

FILE, DONE = "keeping.toml", "keeping.json"
"""The settings, and the last maintenance: {backup, verified_restore, retention, night: {at, …}}."""
OF_MODELS = ("rows", "explanations")
KEPT_FOREVER = ("prediction", "label", "price")
"""Kinds that have no days in `[retention.kinds]`: predictions and labels are kept as `rows`, and a price holds until the next price."""


@dataclass(frozen=True)
class Keeping:
    """The settings of keeping.toml: the days for which each kind of data is kept, for every model, for single models and for other kinds
    of records; the folder and number of nightly backups; the places of the lake and of the metric tables; and the seconds between two
    published states (None if none are published).
    """

    days: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    kinds: Mapping[str, int] = field(default_factory=dict)
    backup_folder: Path | str | None = None
    backups_kept: int | None = None
    lake: str | None = None
    metric_tables: str | None = None
    publish_every: int | None = None

    def of_model(self, what: str, model: str) -> int | None:
        """Days for which `rows` or `explanations` of a model are kept; None for ever."""
        return self.models.get(model, {}).get(what, self.days.get(what))


def read_keeping(home: Path) -> Keeping:
    """The settings of a home. Without a file, nothing is removed. Raises UsageError for an invalid file."""
    try:
        body = tomllib.loads((home / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Keeping()
    except (OSError, ValueError) as error:
        raise UsageError("the settings of what is kept cannot be read", where=FILE, got=error) from None
    return checked_keeping(body)


def checked_keeping(body: Mapping[str, Any]) -> Keeping:
    """A parsed file as settings, or UsageError."""
    _require_known("table", body, ("retention", "backup", "lake_export", "metric_tables", "publish"), "")
    retention, own = _table(body, "retention"), _table(body, "backup")
    models, kinds = _table(retention, "models"), _table(retention, "kinds")
    _require_known("setting", retention, (*OF_MODELS, "rejected", "models", "kinds"), "[retention]")
    _require_known("kind", kinds, [kind for kind in KINDS if kind not in KEPT_FOREVER], "[retention.kinds]")
    _require_known("setting", own, ("folder", "keep"), "[backup]")
    lake, tables = _table(body, "lake_export"), _table(body, "metric_tables")
    _require_known("setting", lake, ("folder",), "[lake_export]")
    _require_known("setting", tables, ("folder",), "[metric_tables]")
    _require_known("setting", publish := _table(body, "publish"), ("every",), "[publish]")
    for name in models:
        _require_known("setting", _table(models, name), OF_MODELS, f"[retention.models.{name}]")
    folder = own.get("folder")
    for where, what, place in (
        ("backup", "backups", folder),
        ("lake_export", "the lake", lake.get("folder")),
        ("metric_tables", "metric tables", tables.get("folder")),
    ):
        if place is not None and not (isinstance(place, str) and ("://" in place or Path(place).is_absolute())):
            raise UsageError(f"the folder of {what} must be an absolute path or an address", where=f"{FILE} [{where}]", got=repr(place))
    return Keeping(
        days={name: _days(name, retention[name]) for name in (*OF_MODELS, "rejected") if name in retention},
        models={name: {what: _days(what, days) for what, days in _table(models, name).items()} for name in models},
        kinds={kind: _days(kind, days) for kind, days in kinds.items()},
        backup_folder=(folder if "://" in folder else Path(folder)) if folder else None,
        backups_kept=_days("keep", own["keep"], "a whole number of backups") if "keep" in own else None,
        lake=lake.get("folder"),
        metric_tables=tables.get("folder"),
        publish_every=_days("every", publish["every"], "a whole number of seconds") if "every" in publish else None,
    )


def _table(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name, {})
    if not isinstance(found, Mapping):
        raise UsageError("a table was expected", where=FILE, got=f"{name} = {found!r}", expected=f"[{name}]")
    return found


def _require_known(what: str, body: Mapping[str, Any], known: Any, where: str) -> None:
    if unknown := sorted(set(body) - set(known)):
        raise UsageError(f"unknown {what}", where=f"{FILE} {where}".strip(), got=", ".join(unknown), expected=", ".join(known))


def _days(name: str, value: Any, expected: str = "a whole number of days") -> int:
    if type(value) is not int or value < 1:
        raise UsageError("the number cannot be used", where=f"{FILE} {name}", got=repr(value), expected=f"{expected}, at least 1")
    return value


def note_done(home: Path, what: str, body: Mapping[str, Any]) -> None:
    """Note that something was done now: `backup`, `verified_restore`, `retention`, `night`. A failed write of this note is ignored."""
    done = {**last_done(home), what: {"at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"), **body}}
    with suppress(OSError):
        replace_private_file(home / DONE, json.dumps(done))


def last_done(home: Path) -> dict[str, Any]:
    """The last maintenance of each kind, by name, with its time `at` (RFC 3339, UTC); empty if there was none."""
    with suppress(OSError, ValueError):
        body = json.loads((home / DONE).read_text(encoding="utf-8"))
        return body if isinstance(body, dict) else {}
    return {}


def keeping_problems(home: Path) -> list[str]:
    """Problems as sentences: settings that cannot be read, and work that failed last night."""
    try:
        read_keeping(home)
    except UsageError as error:
        return [str(error)]
    return [f"Last night: {sentence}" for sentence in last_done(home).get("night", {}).get("failures", ())]
