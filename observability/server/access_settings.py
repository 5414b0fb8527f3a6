"""Settings of sign-in: the method, the addresses under which the dashboard is opened, and who has which role.

The settings are in `HOME/access.toml`; a change takes effect with the next request. Without this file and without accounts there is no
sign-in: the dashboard is available on this machine only, and whoever opens it may do everything. Local sign-in begins as soon as the first
account exists.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from observability.core.errors import StoreBrokenError, UsageError

Role = Literal["viewer", "analyst", "administrator"]
"""Roles, each with all rights of the roles before it."""
Method = Literal["none", "accounts", "oidc"]
FILE = "access.toml"
ACCOUNTS_FILE = "accounts.json"
URL_VARIABLE = "OBSERVABILITY_URL"
SECRET_VARIABLE = "OBSERVABILITY_OIDC_SECRET"  # noqa: S105 - the name of a variable
NO_ROLE = "none"
"""In lists of roles, it stands for no access to the model."""
TABLES: dict[str, dict[str, type | tuple[type, ...]]] = {
    "": {
        "url": (str, list),
        "logger_origins": (str, list),
        "frame_origins": (str, list),
        "session_hours": (int, float),
        "oidc": dict,
        "roles": dict,
        "models": dict,
    },
    "oidc": dict.fromkeys(("server_metadata_url", "client_id", "client_secret", "groups_claim", "name_claim", "scope", "prompt"), str),
    "roles": {"default": str, "people": dict, "groups": dict},
}
"""The keys that the file may have, by table, with their types."""


@dataclass(frozen=True)
class RoleLists:
    """Roles by name or e-mail address, and by group; a value may be NO_ROLE. default: role of all other people, None for no access."""

    default: str | None = None
    people: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OidcSettings:
    """The OpenID Connect provider, and the claims that hold the groups and the name. prompt: the provider's `prompt` parameter, such as
    `login` or `select_account`; if it is empty, the provider's default applies. Some providers refuse values that they do not know.
    """

    server_metadata_url: str
    client_id: str
    client_secret: str
    groups_claim: str = "groups"
    name_claim: str = "email"
    scope: str = "openid email profile"
    prompt: str = ""


@dataclass(frozen=True)
class AccessSettings:
    """All settings. urls: addresses of the dashboard; the first one is the public address. models: role lists of single models.

    logger_origins: sites whose pages may send records, with a token. frame_origins: sites whose pages may show a single figure in a frame.
    """

    method: Method = "none"
    urls: tuple[str, ...] = ()
    session_hours: float = 12.0
    oidc: OidcSettings | None = None
    roles: RoleLists = field(default_factory=RoleLists)
    models: Mapping[str, RoleLists] = field(default_factory=dict)
    logger_origins: tuple[str, ...] = ()
    frame_origins: tuple[str, ...] = ()

    @property
    def secure(self) -> bool:
        """Whether the public address is HTTPS. Cookies are then sent over HTTPS only."""
        return bool(self.urls) and self.urls[0].startswith("https://")


def require_auth_packages(settings: AccessSettings) -> None:
    """Raise UsageError if the sign-in of the settings needs packages that are not installed."""
    needed = {"none": (), "accounts": ("argon2",), "oidc": ("authlib", "httpx")}[settings.method]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        attempt = "Run: pip install 'observability-dashboard[auth]'"
        raise UsageError("the sign-in needs packages that are not installed", got=f"no {', '.join(missing)}", attempt=attempt)


_known: dict[Path, tuple[tuple[object, ...], AccessSettings]] = {}
_never_open: set[Path] = set()


def keep_sign_in(home: Path) -> None:
    """From now on, refuse everybody if the home's settings ask for no sign-in. The home is a copy of the owner's, so its sign-in settings
    must then have been lost.
    """
    _never_open.add(home)


def read_access_settings(home: Path) -> AccessSettings:
    """The settings of a home. Raises UsageError if the file or a variable is wrong. Raises StoreBrokenError if the file cannot be read, or
    if the sign-in settings are missing although `keep_sign_in` was called. After an error, everybody is refused.
    """
    settings_file, accounts_file = _file_names(home)
    marks = (
        _file_mark(settings_file),
        _file_mark(accounts_file) is not None,
        os.environ.get(URL_VARIABLE),
        os.environ.get(SECRET_VARIABLE),
    )
    known = _known.get(home)
    if known is None or known[0] != marks:
        known = _known[home] = (marks, _parsed(home, has_accounts=bool(marks[1])))
    if known[1].method == "none" and home in _never_open:
        raise StoreBrokenError("the settings of sign-in are lost", where=str(home), attempt="Start this process again")
    return known[1]


def sign_in_method(folder: Path) -> Method:
    """The sign-in method that the settings in a folder ask for, read again from the files. Raises UsageError, StoreBrokenError, like
    `read_access_settings`.
    """
    return _parsed(folder, has_accounts=(folder / ACCOUNTS_FILE).exists()).method


@lru_cache(maxsize=16)
def _file_names(home: Path) -> tuple[str, str]:
    """The paths of the two files as texts, cached. Both files are checked whenever the store is used, and creating a path would cost more
    than the check.
    """
    return str(home / FILE), str(home / ACCOUNTS_FILE)


def _file_mark(path: str) -> tuple[int, int, int] | None:
    """A value that changes whenever the file changes; None if there is no file."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _parsed(home: Path, *, has_accounts: bool) -> AccessSettings:
    body = _toml_body(home / FILE)
    _check_table("", body)
    urls = _address_list(body.get("url"), FILE) + _address_list(os.environ.get(URL_VARIABLE), URL_VARIABLE)
    logger_origins = _address_list(body.get("logger_origins"), f"{FILE}, logger_origins")
    frame_origins = _address_list(body.get("frame_origins"), f"{FILE}, frame_origins")
    hours = body.get("session_hours", 12.0)
    if not 0 < hours <= 24 * 30:
        raise UsageError("session_hours is out of range", where=FILE, got=hours, expected="more than 0, at most 720")
    oidc = _oidc_settings(home, body["oidc"]) if "oidc" in body else None
    if oidc is not None and not urls:
        raise UsageError("sign-in through a provider needs the address of the dashboard", where=FILE, attempt='Add url = "https://…"')
    models = body.get("models", {})
    lists = {name: _role_lists(f"models.{name}", table) for name, table in models.items()}
    method: Method = "oidc" if oidc else "accounts" if has_accounts else "none"
    roles = _role_lists("roles", body.get("roles", {}))
    return AccessSettings(method, urls, float(hours), oidc, roles, lists, logger_origins, frame_origins)


def _toml_body(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreBrokenError("the settings of sign-in cannot be read", where=str(path), got=error) from error
    except ValueError as error:
        raise UsageError("the settings of sign-in cannot be read", where=FILE, got=error, expected="TOML, see docs/security.md") from None


def _check_table(name: str, table: Mapping[str, Any]) -> None:
    """Raise UsageError if a key is unknown, or a value has the wrong type."""
    where, known = f"{FILE}{f', table [{name}]' if name else ''}", TABLES["roles" if name.startswith("models.") else name]
    if not isinstance(table, Mapping):
        raise UsageError("a table is expected", where=where, got=repr(table))
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"unknown key {key!r}", where=where, expected=", ".join(known))
        if not isinstance(value, known[key]) or isinstance(value, bool):
            raise UsageError(f"wrong value of {key}", where=where, got=repr(value))


def _role_lists(name: str, table: Mapping[str, Any]) -> RoleLists:
    _check_table(name, table)
    for where, role in [("default", table.get("default", NO_ROLE)), *table.get("people", {}).items(), *table.get("groups", {}).items()]:
        if role not in (*get_args(Role), NO_ROLE):
            expected = ", ".join((*get_args(Role), NO_ROLE))
            raise UsageError(f"unknown role of {where!r}", where=f"{FILE}, table [{name}]", got=repr(role), expected=expected)
    people = {person.casefold(): role for person, role in table.get("people", {}).items()}
    return RoleLists(table.get("default"), people, dict(table.get("groups", {})))


def _oidc_settings(home: Path, table: Mapping[str, Any]) -> OidcSettings:
    _check_table("oidc", table)
    secret = os.environ.get(SECRET_VARIABLE) or table.get("client_secret")
    given = {**table, "client_secret": secret}
    for key in ("server_metadata_url", "client_id", "client_secret"):
        if not given.get(key):
            hint = f"Add it, or set {SECRET_VARIABLE}" if key == "client_secret" else "Add it"
            raise UsageError(f"the key {key} is missing", where=f"{FILE}, table [oidc]", attempt=hint)
    if "client_secret" in table and stat.S_IMODE((home / FILE).stat().st_mode) & 0o077 and os.name == "posix":
        attempt = f"chmod 600 {FILE}, or move the secret to {SECRET_VARIABLE}"
        raise UsageError("the client's secret can be read by others", where=FILE, attempt=attempt)
    return OidcSettings(**given)


def _address_list(value: object, where: str) -> tuple[str, ...]:
    """Addresses as scheme://host[:port], from a list or a text with commas. Raises UsageError."""
    from urllib.parse import urlsplit

    texts = value if isinstance(value, list) else str(value or "").split(",")
    found = []
    for text in (str(each).strip() for each in texts):
        if not text:
            continue
        try:
            parts = urlsplit(text)
            right = parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.query or parts.fragment or parts.username)
            _ = parts.port
        except ValueError:
            right = False
        if not right or parts.path not in ("", "/"):
            raise UsageError(
                "the address of the dashboard is wrong", where=where, got=repr(text), expected="https://host or http://localhost:port"
            )
        found.append(f"{parts.scheme}://{parts.netloc.lower()}")
    return tuple(found)
