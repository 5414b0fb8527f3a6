"""What has the owner of a model decided: threshold, costs, limits, criteria?"""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from observability.core.errors import UsageError
from observability.core.window import Slice

CRITERIA = ("demographic_parity", "equalized_odds", "equal_opportunity", "predictive_parity")


@dataclass(frozen=True)
class ModelSettings:
    """Decisions about one model; every field has a default that says "not decided".

    threshold: score from which the decision is the positive class. cost_*: money for one error. immutable: features nobody can change.
    importance: share of each feature, adding up to 1, where known. service_level_*: share of ok answers, and milliseconds at p99.
    limits: {"analyzer/metric": number} overrides of the limits that the analyzers state.
    budget_*: money for a calendar month. projects: labelling projects whose annotations are the model's. slices: parts of the rows that are watched, as
    `carrier=AA&origin=EWR`. region: whose prices and carbon
    intensity hold. pue, carbon_g_per_kwh, watts_per_core: where no price record or reading says.
    explanations_per_day: how many predictions of a day are explained (the sample that attributions are drawn from).
    """

    threshold: float = 0.5
    cost_false_positive: float | None = None
    cost_false_negative: float | None = None
    cost_currency: str | None = None
    immutable: tuple[str, ...] = ()
    owner: str | None = None
    description: str | None = None
    fairness_criterion: str | None = None
    service_level_availability: float | None = None
    service_level_latency_ms: float | None = None
    explanations_per_day: float = 100.0
    budget_per_month: float | None = None
    budget_currency: str | None = None
    projects: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    region: str | None = None
    pue: float | None = None
    carbon_g_per_kwh: float | None = None
    watts_per_core: float | None = None
    importance: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)


def read_settings(path: Path, base: ModelSettings | None = None) -> ModelSettings:
    """Settings from a TOML file with the tables [settings], [importance] and [limits]; what the file leaves out keeps `base`'s value.

    Raises UsageError that names the key, what was got and what was expected.
    """
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("the settings file is not there", got=path, attempt="Check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the settings file is not TOML", where=path.name, got=error) from None
    return settings_from(body, base, where=path.name)


def settings_from(body: dict[str, Any], base: ModelSettings | None = None, where: str | None = None) -> ModelSettings:
    """The same from a parsed body."""
    base = base or ModelSettings()
    unknown = set(body) - {"settings", "importance", "limits"}
    if unknown:
        raise UsageError("unknown table", where=where, got=", ".join(sorted(unknown)), expected="[settings], [importance] or [limits]")
    values = {name: getattr(base, name) for name in names()}
    for name, value in dict(body.get("settings", {})).items():
        values[name] = checked(name, value, where)
    for table in ("importance", "limits"):
        if table in body:
            values[table] = {str(key): number(f"{table}.{key}", value, where) for key, value in body[table].items()}
    total = sum(values["importance"].values())
    if total > 0:
        values["importance"] = {name: share / total for name, share in values["importance"].items()}
    return ModelSettings(**values)


def names() -> list[str]:
    """Names of the settings."""
    return [each.name for each in fields(ModelSettings)]


def checked(name: str, value: Any, where: str | None) -> Any:
    """The value of one setting in its type, or UsageError."""
    if name not in names() or name in ("importance", "limits"):
        raise UsageError(f"unknown setting {name!r}", where=where, expected=", ".join(names()))
    if name in ("immutable", "projects", "slices"):
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise UsageError(f"{name} is a list of {'feature names' if name == 'immutable' else 'texts'}", where=where, got=repr(value))
        if name == "slices":
            return tuple(str(Slice.parse(each)) for each in value if each)
        return tuple(value)
    if name in ("owner", "description", "cost_currency", "fairness_criterion", "budget_currency", "region"):
        if not isinstance(value, str):
            raise UsageError(f"{name} is a text", where=where, got=repr(value))
        if name == "fairness_criterion" and value not in CRITERIA:
            raise UsageError("unknown fairness criterion", where=where, got=value, expected=" or ".join(CRITERIA))
        return value
    found = number(name, value, where)
    if name == "service_level_availability" and not 0 < found < 1:
        raise UsageError(f"{name} is a share between 0 and 1", where=where, got=repr(value), expected="as 0.999 for 99.9 %")
    return found


def number(name: str, value: Any, where: str | None) -> float:
    """A finite number that is not negative, or UsageError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise UsageError(f"{name} is a number that is not negative", where=where, got=repr(value))
    return float(value)
