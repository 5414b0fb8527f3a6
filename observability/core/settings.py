"""Settings of a model, decided by its owner: threshold, costs, limits, criteria and others."""

import tomllib
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from observability.core.errors import UsageError
from observability.core.limit_units import checked_limit
from observability.core.window import Slice

PRIMARY_METRICS = ("accuracy", "roc_auc", "pr_auc", "precision", "recall", "f1", "log_loss", "brier", "mae", "rmse", "r2")
COLUMN_TAGS = ("personal", "sensitive", "quasi")
AUDITS = ("robustness", "membership", "explanations", "fairness", "leakage", "precision")
"""Kinds of audits that this program can run."""
TOKEN_PRICES = ("input_price_per_million", "output_price_per_million", "cached_input_price_per_million", "token_currency")
"""Settings that state the prices of tokens."""
KINDS = ("api",)
"""Kinds of models other than one's own; a model of kind `api` is served by a third party."""
CRITERIA = ("demographic_parity", "equalized_odds", "equal_opportunity", "predictive_parity")


@dataclass(frozen=True)
class ModelSettings:
    """Settings of one model; the defaults mean "not decided".

    threshold: score from which the decision is the positive class. primary_metric: the metric that decides whether the model performs.
    cost_*: cost of one error. immutable: features that cannot change. importance: share of each feature, if known, adding up to 1.
    service_level_*: share of ok answers, and milliseconds at p99. limits: {"analyzer/metric": number}, overrides of the analyzers' limits.
    budget_*: budget of a calendar month. projects: labelling projects of the model. slices: watched slices, such as
    `carrier=AA&origin=EWR`. team, tags: the first page groups models by these. region: the region of prices and carbon intensity. pue,
    carbon_g_per_kwh, watts_per_core: used if no record states them; carbon_by_hour: 24 intensities of a typical day, from 00:00 UTC on,
    used in place of carbon_g_per_kwh; watts_per_core_error: relative error of watts_per_core, if a calibration stated it; idle_watts: power
    of the machine that serves the model while it has no work. batch_key: if set, the model serves in batches, and this names the key of a
    row: `id`, `subject` or a feature. batch_rows: rows that a batch should have. batch_due_hours: a batch is due this many hours after
    midnight UTC of its day; an `expected_batch` record overrides both. explanations_per_day: number of predictions of a day that are
    explained (the sample from which attributions are computed). unit: for regression, the unit of score and label, such as `minutes`.
    class_names: words for classes, such as {"1": "late"}. runbooks: what to do about an incident, in words, by its leading analyzer, such
    as "serving/drift", by its suspected source (input, label, model, system), or "all". attack_costs: what a change of a feature costs an
    attacker, per standard deviation or per change to another level (1 if it is not stated). attack_directions: `up` or `down` for numbers
    and booleans that an attacker can only raise (false to true) or lower. audit_days: days after which an audit expires. audit_schedule:
    for each kind of audit, when the dashboard runs it: `30 days` after the last, `new version` or `expired`. protect: for each feature (or
    `subject`), keep, hash, drop, the width of buckets or their ends; applied before anything is written (records/protection.py).
    kill_switch: for a model with which the product steers itself (`explanation-scheduler`); true leaves its decisions to the old rule.
    *_price_per_million: price of a million tokens of a language model's calls that carry no cost, in token_currency; without a price for
    cached input tokens, they cost the same as other input tokens. kind: `api` for a model that a third party serves; vendor: this third
    party. column_tags: for each column, personal, sensitive or quasi (quasi-identifying), in the table [columns]. risk_owners: who may
    accept a risk of the model by a signature; if empty, anybody may.
    """

    threshold: float = 0.5
    cost_false_positive: float | None = None
    cost_false_negative: float | None = None
    cost_currency: str | None = None
    immutable: tuple[str, ...] = ()
    owner: str | None = None
    risk_owners: tuple[str, ...] = ()
    team: str | None = None
    tags: tuple[str, ...] = ()
    description: str | None = None
    fairness_criterion: str | None = None
    primary_metric: str | None = None
    service_level_availability: float | None = None
    service_level_latency_ms: float | None = None
    explanations_per_day: float = 100.0
    budget_per_month: float | None = None
    budget_currency: str | None = None
    input_price_per_million: float | None = None
    output_price_per_million: float | None = None
    cached_input_price_per_million: float | None = None
    token_currency: str | None = None
    kind: str | None = None
    vendor: str | None = None
    projects: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    region: str | None = None
    pue: float | None = None
    carbon_g_per_kwh: float | None = None
    carbon_by_hour: tuple[float, ...] = ()
    watts_per_core: float | None = None
    watts_per_core_error: float | None = None
    idle_watts: float | None = None
    unit: str | None = None
    batch_key: str | None = None
    batch_rows: float | None = None
    batch_due_hours: float | None = None
    class_names: dict[str, str] = field(default_factory=dict)
    runbooks: dict[str, str] = field(default_factory=dict)
    attack_costs: dict[str, float] = field(default_factory=dict)
    attack_directions: dict[str, str] = field(default_factory=dict)
    audit_days: float = 90.0
    audit_schedule: dict[str, str] = field(default_factory=dict)
    kill_switch: bool = False
    importance: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    protect: dict[str, Any] = field(default_factory=dict)
    column_tags: dict[str, str] = field(default_factory=dict)

    def may_sign(self, name: str) -> bool:
        """Whether a person may accept a risk of the model. Anybody may if no risk owner is stated. Case and spaces do not matter."""
        return not self.risk_owners or plain_name(name) in map(plain_name, self.risk_owners)


def plain_name(name: str) -> str:
    """The name of a person in a form for comparison: single spaces, lower case."""
    return " ".join(name.split()).casefold()


def read_settings(path: Path, base: ModelSettings | None = None) -> ModelSettings:
    """Settings from a TOML file with the tables [settings], [importance], [limits], [protect], [columns]; missing keys keep their value in
    `base`.

    Raises UsageError, which names the key, the value and the expected value.
    """
    try:
        body = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError("the settings file does not exist", got=path, attempt="Check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("the settings file is not TOML", where=path.name, got=error) from None
    return parse_settings(body, base, where=path.name)


def parse_settings(body: dict[str, Any], base: ModelSettings | None = None, where: str | None = None) -> ModelSettings:
    """Settings from a parsed TOML body."""
    base = base or ModelSettings()
    expected = "[settings], [importance], [limits], [protect] or [columns]"
    if unknown := sorted(set(body) - {"settings", "importance", "limits", "protect", "columns"}):
        attempt = "Write it below a line [settings]" if set(unknown) <= set(setting_names()) else None
        raise UsageError("unknown table", where=where, got=", ".join(unknown), expected=expected, attempt=attempt)
    for name, table in body.items():
        if not isinstance(table, dict):
            raise UsageError("a table was expected", where=where, got=f"{name} = {table!r}"[:200], expected=f"[{name}]")
    values = {name: getattr(base, name) for name in setting_names()}
    for name, value in dict(body.get("settings", {})).items():
        values[name] = checked_setting(name, value, where)
    for table in ("importance", "limits"):
        if table in body:
            values[table] = {str(key): nonnegative_number(f"{table}.{key}", value, where) for key, value in body[table].items()}
    if "limits" in body:
        values["limits"] = {name: checked_limit(name, limit, where) for name, limit in values["limits"].items()}
    if "protect" in body:
        values["protect"] = {str(name): protection_rule(f"protect.{name}", rule, where) for name, rule in body["protect"].items()}
    if "columns" in body:
        values["column_tags"] = {str(name): column_tag(f"columns.{name}", tag, where) for name, tag in body["columns"].items()}
    total = sum(values["importance"].values())
    if total > 0:
        values["importance"] = {name: share / total for name, share in values["importance"].items()}
    return ModelSettings(**values)


def setting_names() -> list[str]:
    """The names of all settings of a model."""
    return [setting.name for setting in fields(ModelSettings)]


def checked_setting(name: str, value: Any, where: str | None) -> Any:
    """The checked value of one setting in its type. Raises UsageError if it is wrong."""
    if name not in setting_names() or name in ("importance", "limits", "protect", "column_tags"):
        raise UsageError(f"unknown setting {name!r}", where=where, expected=", ".join(setting_names()))
    if name in ("immutable", "projects", "slices", "tags", "risk_owners"):
        if not isinstance(value, list) or not all(isinstance(member, str) for member in value):
            raise UsageError(
                f"the setting {name} is a list of {'feature names' if name == 'immutable' else 'texts'}", where=where, got=repr(value)
            )
        if name == "slices":
            return tuple(str(Slice.parse(text)) for text in value if text)
        return tuple(value)
    if name == "carbon_by_hour":
        if not isinstance(value, list) or len(value) not in (0, 24):
            raise UsageError(f"the setting {name} is a list of 24 numbers, from 00:00 UTC on", where=where, got=repr(value)[:200])
        return tuple(nonnegative_number(name, each, where) for each in value)
    if name in ("class_names", "runbooks"):
        if not isinstance(value, dict) or not all(isinstance(words, str) and words for words in value.values()):
            example = 'class_names = { "1" = "late" }' if name == "class_names" else 'runbooks = { input = "Call the weather desk." }'
            raise UsageError(f"the setting {name} is a table of words", where=where, got=repr(value), expected=f"as {example}")
        return {str(key): words for key, words in value.items()}
    if name == "attack_costs":
        if not isinstance(value, dict):
            raise UsageError(
                f"the setting {name} is a table of numbers", where=where, got=repr(value), expected="as attack_costs = { income = 2.0 }"
            )
        return {str(key): nonnegative_number(f"{name}.{key}", cost, where) for key, cost in value.items()}
    if name == "attack_directions":
        if not isinstance(value, dict) or not set(map(str, value.values())) <= {"up", "down"}:
            expected = 'as attack_directions = { age = "up" }'
            raise UsageError(f"the setting {name} is a table of `up` and `down`", where=where, got=repr(value), expected=expected)
        return {str(key): str(direction) for key, direction in value.items()}
    if name == "audit_schedule":
        return checked_audit_schedule(name, value, where)
    if name in (
        "owner",
        "team",
        "description",
        "cost_currency",
        "fairness_criterion",
        "primary_metric",
        "budget_currency",
        "region",
        "unit",
        "batch_key",
        "token_currency",
        "kind",
        "vendor",
    ):
        if not isinstance(value, str):
            raise UsageError(f"the setting {name} is a text", where=where, got=repr(value))
        if name == "token_currency" and not value.strip():
            raise UsageError("token_currency is empty", where=where, got=repr(value), expected='as token_currency = "USD"')
        if name == "fairness_criterion" and value not in CRITERIA:
            raise UsageError("unknown fairness criterion", where=where, got=value, expected=" or ".join(CRITERIA))
        if name == "kind" and value not in KINDS:
            raise UsageError("unknown kind of model", where=where, got=value, expected=" or ".join(KINDS))
        if name == "primary_metric" and value not in PRIMARY_METRICS:
            raise UsageError("unknown primary metric", where=where, got=value, expected=" or ".join(PRIMARY_METRICS))
        return value
    if name == "kill_switch":
        if not isinstance(value, bool):
            raise UsageError(f"the setting {name} is true or false", where=where, got=repr(value))
        return value
    number = nonnegative_number(name, value, where)
    if name == "audit_days" and number <= 0:
        raise UsageError(f"the setting {name} is a number of days above 0", where=where, got=repr(value))
    if name == "service_level_availability" and not 0 < number < 1:
        raise UsageError(f"the setting {name} is a share between 0 and 1", where=where, got=repr(value), expected="as 0.999 for 99.9 %")
    return number


def checked_audit_schedule(name: str, value: Any, where: str | None) -> dict[str, str]:
    """The schedule by kind of audit. Raises UsageError if it is wrong."""
    if not isinstance(value, dict) or not set(map(str, value)) <= set(AUDITS):
        raise UsageError(f"the setting {name} is a table by kind of audit", where=where, got=repr(value), expected=" or ".join(AUDITS))
    for when in map(str, value.values()):
        days = when.removesuffix(" days").removesuffix(" day")
        if when not in ("new version", "expired") and (days == when or not days.isdigit() or int(days) == 0):
            raise UsageError(
                f"the setting {name} is not understood", where=where, got=repr(when), expected="`30 days`, `new version` or `expired`"
            )
    return {str(kind): str(when) for kind, when in value.items()}


def column_tag(name: str, value: Any, where: str | None) -> str:
    """A tag of a column. Raises UsageError if it is unknown."""
    if value not in COLUMN_TAGS:
        raise UsageError(f"the setting {name} is no tag", where=where, got=repr(value), expected=" or ".join(COLUMN_TAGS))
    return str(value)


def protection_rule(name: str, value: Any, where: str | None) -> Any:
    """The rule for a protected feature: keep, hash, drop, a width above 0, or increasing ends of buckets. Raises UsageError for anything
    else.
    """
    if value in ("keep", "hash", "drop") or (_is_number(value) and value > 0):
        return value
    if isinstance(value, list) and len(value) > 1 and all(map(_is_number, value)) and sorted(set(value)) == value:
        return value
    expected = '"keep", "hash", "drop", the width of buckets (a number above 0), or their ends in rising order'
    raise UsageError(f"the setting {name} is no rule", where=where, got=repr(value), expected=expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def nonnegative_number(name: str, value: Any, where: str | None) -> float:
    """A finite number that is not negative. Raises UsageError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise UsageError(f"the setting {name} is a number that is not negative", where=where, got=repr(value))
    return float(value)


@dataclass(frozen=True)
class DatedSettings:
    """Settings of a model at a point in time. since: when they came into force; known: whether they had been recorded by then."""

    settings: ModelSettings
    since: datetime
    known: bool
