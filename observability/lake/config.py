"""`HOME/lake.toml`: the sources of a home that are loaded on a schedule, and the addresses that may be read.

[lake]
allow = ["s3://ml-logs"]            # addresses must begin with one of these; by default any address may be read
[collectors]
place = "s3://ml-logs/collected"    # where collectors leave segments; or an absolute path of a folder
[sources.loans]
address = "s3://ml-logs/loans"      # or a local folder
every_hours = 1
kind = "prediction"                 # these as the options of `load`
model = "loan"
version = "3"
features = ["income", "age"]
map = { score_v3 = "score" }
score = ["a=p_a", "b=p_b"]          # multiclass, one column per class
timezone = "Europe/Paris"
decimal = "."
allow_rejected = 0.01
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from observability.core.errors import UsageError
from observability.lake.addresses import checked_address, is_lake_address
from observability.store.types.loading import LoadDefaults

FILE = "lake.toml"
TEXTS = ("address", "kind", "model", "version", "timezone", "decimal")
KEYS = (*TEXTS, "every_hours", "features", "map", "score", "allow_rejected")
MIN_HOURS, MAX_HOURS = 0.05, 24 * 31


@dataclass(frozen=True)
class ScheduledSource:
    """A source that is loaded at a fixed interval in hours. allow_rejected: share of rejected rows from which a load counts as failed."""

    name: str
    address: str
    defaults: LoadDefaults
    every_hours: float = 24.0
    allow_rejected: float | None = None


@dataclass(frozen=True)
class LakeConfig:
    """allow: beginnings of addresses that may be read, None for any. sources: by name. place: the shared folder or bucket of the
    collectors; None without collectors.
    """

    allow: tuple[str, ...] | None = None
    place: str | None = None
    sources: Mapping[str, ScheduledSource] = field(default_factory=dict)


def read_lake_config(home: Path) -> LakeConfig:
    """The sources of a home; no sources if the file does not exist. Raises UsageError if the file is invalid."""
    try:
        body = tomllib.loads((home / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return LakeConfig()
    except (OSError, ValueError) as error:
        raise UsageError("the sources cannot be read", where=FILE, got=error) from None
    return checked_lake_config(body)


def checked_lake_config(body: Mapping[str, Any]) -> LakeConfig:
    """The configuration in a parsed file. Raises UsageError if it is invalid."""
    _require_names(body, ("lake", "sources", "collectors"), "table", FILE)
    lake = _require_table(body.get("lake", {}), f"{FILE} [lake]")
    _require_names(lake, ("allow",), "key", f"{FILE} [lake]")
    allow = lake.get("allow")
    if allow is not None and not (isinstance(allow, list) and all(isinstance(entry, str) and is_lake_address(entry) for entry in allow)):
        raise UsageError("allow is a list of addresses", where=f"{FILE} [lake]", got=repr(allow)[:80], expected='["s3://BUCKET"]')
    allowed = None if allow is None else tuple(allow)
    tables = _require_table(body.get("sources", {}), f"{FILE} [sources]")
    collectors = _require_table(body.get("collectors", {}), f"{FILE} [collectors]")
    _require_names(collectors, ("place",), "key", f"{FILE} [collectors]")
    place = collectors.get("place")
    if place is not None:
        if not isinstance(place, str) or not (is_lake_address(place) or Path(place).is_absolute()):
            raise UsageError("place is an address or an absolute path", where=f"{FILE} [collectors]", got=repr(place)[:80])
        checked_address(place)
    return LakeConfig(allowed, place, {name: _scheduled_source(name, table, allowed) for name, table in tables.items()})


def _scheduled_source(name: str, found: Any, allow: tuple[str, ...] | None) -> ScheduledSource:
    where = f"{FILE} [sources.{name}]"
    table = _require_table(found, where)
    _require_names(table, KEYS, "key", where)
    for key in TEXTS:
        if key in table and not (isinstance(table[key], str) and table[key]):
            raise UsageError(f"the key {key} is a text", where=where, got=repr(table[key])[:80])
    if "address" not in table:
        raise UsageError("a key is missing", where=where, expected="address")
    address = str(table["address"])
    if not is_lake_address(address) and not Path(address).is_absolute():
        raise UsageError("the address is neither an address nor an absolute path", where=where, got=address)
    if "?" in address:
        raise UsageError(
            "a scheduled address has no query", where=where, attempt="A signed address ends; give credentials in the environment"
        )
    checked_address(address, allow)
    if table.get("decimal", ".") not in (",", "."):
        raise UsageError("decimal is , or .", where=where, got=repr(table["decimal"]))
    features, renames, scores = table.get("features"), table.get("map", {}), table.get("score", [])
    scores = [scores] if isinstance(scores, str) else scores
    if not isinstance(scores, list) or not all(isinstance(each, str) for each in scores):
        raise UsageError("score is a list of columns", where=where, got=repr(scores)[:80], expected='["class=COLUMN"]')
    if features is not None and not (isinstance(features, list) and all(isinstance(each, str) for each in features)):
        raise UsageError("features is a list of columns", where=where, got=repr(features)[:80])
    if not isinstance(renames, dict) or not all(isinstance(ours, str) for ours in renames.values()):
        raise UsageError("map is a table of names", where=where, got=repr(renames)[:80], expected='{ theirs = "ours" }')
    defaults = LoadDefaults(
        kind=table.get("kind"),
        model=table.get("model"),
        version=table.get("version"),
        features=None if features is None else tuple(features),
        renames=renames,
        scores=tuple(scores),
        timezone=table.get("timezone"),
        decimal=table.get("decimal"),
    )
    hours = _number_between(table.get("every_hours", 24), MIN_HOURS, MAX_HOURS, f"{where} every_hours")
    share = _number_between(table["allow_rejected"], 0, 1, f"{where} allow_rejected") if "allow_rejected" in table else None
    return ScheduledSource(name, address, defaults, hours, share)


def _require_table(found: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise UsageError("a table was expected", where=where, got=repr(found)[:80])
    return found


def _require_names(body: Mapping[str, Any], known: tuple[str, ...], what: str, where: str) -> None:
    if unknown := sorted(set(body) - set(known)):
        raise UsageError(f"unknown {what}", where=where, got=", ".join(unknown), expected=", ".join(known))


def _number_between(value: Any, least: float, most: float, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UsageError("the number cannot be used", where=where, got=repr(value), expected=f"{least:g} to {most:g}")
    return float(value)
