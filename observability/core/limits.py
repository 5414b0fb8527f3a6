"""Limits on what may arrive from one service, in one request or in one hour, read from `limits.toml` in the home folder.

[limits]
unregistered_models = 200          # names as in `IntakeLimits`

[tokens.1a2b3c4d]                  # one token, by its id, with a quota of its own
records_per_minute = 60000
requests_per_minute = 600
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from observability.core.errors import ObservabilityError, UsageError

FILE = "limits.toml"
QUOTAS = ("records_per_minute", "requests_per_minute")


@dataclass(frozen=True)
class IntakeLimits:
    """The limits of a home.

    unregistered_models: maximum number of models without a registered version that the store accepts; records of further such models are
    rejected. The other limits apply over HTTP: new_models_per_request; new_models_per_hour of one token; new_models_of_all_per_hour;
    new_columns_per_hour of one token, over all models; features_per_line; value_characters of one text; body_bytes as sent; expanded_bytes
    after decompression; header_bytes; header_seconds and body_seconds until a header or a body has arrived; records_per_minute,
    requests_per_minute of one token. tokens: quotas of single tokens by id.
    """

    unregistered_models: int = 200
    new_models_per_request: int = 20
    new_models_per_hour: int = 50
    new_models_of_all_per_hour: int = 100
    new_columns_per_hour: int = 2_000
    features_per_line: int = 1_000
    value_characters: int = 10_000
    body_bytes: int = 1_000_000
    expanded_bytes: int = 8_000_000
    header_bytes: int = 16_384
    header_seconds: int = 10
    body_seconds: int = 30
    records_per_minute: int = 1_200_000
    requests_per_minute: int = 12_000
    tokens: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def of_token(self, token: str) -> "IntakeLimits":
        """The limits with the quotas of one token."""
        quotas: dict[str, Any] = {**self.tokens.get(token, {})}  # their names were checked when the file was read
        return replace(self, **quotas)


@dataclass(frozen=True)
class LimitsInForce:
    """The limits in force. problem: why the file of limits is not in force; None if it is. If the file is invalid, the earlier limits stay
    in force.
    """

    limits: IntakeLimits = field(default_factory=IntakeLimits)
    problem: str | None = None


_read: dict[Path, tuple[tuple[int, int] | None, LimitsInForce]] = {}


def limits_in_force(home: Path) -> LimitsInForce:
    """The limits of a home; the defaults if there is no file. The file is read again when it changes. Never raises for a wrong file."""
    path = home / FILE
    try:
        state = path.stat()
        stamp = (state.st_mtime_ns, state.st_size)
    except OSError:
        stamp = None
    before = _read.get(home)
    if before is not None and before[0] == stamp:
        return before[1]
    try:
        found = LimitsInForce(IntakeLimits() if stamp is None else checked_limits(tomllib.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, ObservabilityError) as error:
        why = str(error) if isinstance(error, ObservabilityError) else f"{FILE} cannot be read: {error}."
        found = LimitsInForce(before[1].limits if before else IntakeLimits(), f"{why} The earlier limits stay in force.")
    _read[home] = (stamp, found)
    return found


def checked_limits(body: Mapping[str, Any]) -> IntakeLimits:
    """A parsed file as limits. Raises UsageError for an unknown name, or for a value that is not a whole number above zero."""
    if unknown := set(body) - {"limits", "tokens"}:
        raise UsageError("unknown table", where=FILE, got=", ".join(sorted(unknown)), expected="[limits] or [tokens.ID]")
    names = tuple(item.name for item in fields(IntakeLimits) if item.name != "tokens")
    own = _whole_numbers(body.get("limits", {}), "[limits]", names)
    given = body.get("tokens", {})
    if not isinstance(given, dict):
        raise UsageError("tokens are tables", where=FILE, got=repr(given)[:60], expected="[tokens.ID]")
    tokens = {str(token): _whole_numbers(quotas, f"[tokens.{token}]", QUOTAS) for token, quotas in given.items()}
    return IntakeLimits(**own, tokens=tokens)


def _whole_numbers(table: Any, where: str, names: tuple[str, ...]) -> dict[str, int]:
    """The table as limits by name. Raises UsageError unless every name is known and every value is a whole number above zero."""
    if not isinstance(table, dict):
        raise UsageError("not a table", where=f"{FILE} {where}", got=repr(table)[:60], expected="name = whole number")
    for name, value in table.items():
        if name not in names:
            raise UsageError("unknown limit", where=f"{FILE} {where}", got=name, expected=", ".join(names))
        if type(value) is not int or value < 1:
            raise UsageError("a limit is a whole number above zero", where=f"{FILE} {where} {name}", got=repr(value)[:60])
    return dict(table)
