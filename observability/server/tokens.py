"""Tokens for the HTTP interface, each with a scope. The home stores only their hashes.

A token is `obs_<id>_<secret>`. The secret has 256 random bits, so a plain SHA-256 is safe. `HOME/tokens.json` (0600, replaced by rename)
holds id, name, scope, time of creation and hash. The scope `read` permits queries, `write` permits sending records. Neither includes the
other, because a service that logs need not read.
"""

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, cast, get_args

from observability.core.errors import NotFoundError, StoreBrokenError, UsageError
from observability.records.private_file import replace_private_file
from observability.server.access import HERE, Person
from observability.server.access_settings import Role, read_access_settings

Scope = Literal["read", "write"]
FILE = "tokens.json"
TOKEN = re.compile(r"obs_([0-9a-f]{8})_([A-Za-z0-9_-]{43})", re.ASCII)
_writing = threading.Lock()


@dataclass(frozen=True)
class Token:
    """A stored token. created_at: RFC 3339, UTC. sha256: hash of the whole token. role: None for the default role of its scope (see
    `token_person`). models: the only models that it may read, or whose records it may send; empty for all models.
    """

    id: str
    scope: Scope
    name: str
    created_at: str
    sha256: str
    role: Role | None = None
    models: tuple[str, ...] = ()


def create_token(home: Path, scope: str, name: str = "", role: str | None = None, models: Iterable[str] = ()) -> tuple[Token, str]:
    """Create a token. Returns its stored form and the token itself, which is not stored. Raises UsageError for an unknown scope or role."""
    if role is not None and role not in get_args(Role):
        raise UsageError("unknown role", got=repr(role), expected=", ".join(get_args(Role)))
    if scope not in get_args(Scope):
        raise UsageError("unknown scope", got=repr(scope), expected=" or ".join(get_args(Scope)))
    text = f"obs_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
    made = Token(
        text.split("_")[1],
        "read" if scope == "read" else "write",
        name[:200],
        f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        token_hash(text),
        cast("Role | None", role),
        tuple(models),
    )
    with _writing:
        write_tokens(home, [*read_tokens(home), made])
    return made, text


def revoke_token(home: Path, token_id: str) -> Token:
    """Delete a token, given by its id or by the token itself. Raises NotFoundError if the id is unknown."""
    wanted = found[1] if (found := TOKEN.fullmatch(token_id)) else token_id
    with _writing:
        kept = read_tokens(home)
        gone = next((token for token in kept if token.id == wanted), None)
        if gone is None:
            known = ", ".join(token.id for token in kept) or "none"
            raise NotFoundError(f"unknown token {wanted[:40]!r}", attempt=f"Known tokens: {known}")
        write_tokens(home, [token for token in kept if token is not gone])
    return gone


def read_tokens(home: Path) -> list[Token]:
    """The tokens of a home, oldest first. Raises StoreBrokenError if the file cannot be read; no request is authorized then."""
    try:
        body = json.loads((home / FILE).read_text(encoding="utf-8"))
        return [Token(**{**fields, "models": tuple(fields.get("models", ()))}) for fields in body["tokens"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        attempt = "Move the file away and create the tokens again"
        raise StoreBrokenError("the token file cannot be read", where=FILE, got=type(error).__name__, attempt=attempt) from None


def write_tokens(home: Path, tokens: list[Token]) -> None:
    """Replace the token file. Raises StoreBrokenError if the disk refuses."""
    try:
        replace_private_file(home / FILE, json.dumps({"tokens": [asdict(token) for token in tokens]}, indent=1))
    except OSError as error:
        raise StoreBrokenError("the tokens could not be written", where=FILE, got=error.strerror, attempt="Free some disk space") from error


def token_holder(home: Path, text: str) -> Token | None:
    """The stored token that matches a text, or None. The text is compared with every stored hash, each time in constant time."""
    digest = token_hash(text)
    found = None
    for token in read_tokens(home):
        if hmac.compare_digest(token.sha256, digest):
            found = token
    return found


def token_hash(text: str) -> str:
    """The SHA-256 hash of a token in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def token_person(home: Path, token: Token) -> Person:
    """The person for whom a token stands. Without sign-in, and if the token names neither role nor models: HERE.

    If a token names no role: with the scope `read` it has the role viewer; with the scope `write` it sends records of services. It can send
    entries by people only with the role analyst.
    """
    if token.role is None and not token.models and read_access_settings(home).method == "none":
        return HERE
    role: Role | None = token.role or ("viewer" if token.scope == "read" else None)
    name = f"token {token.name or token.id}"
    if token.models:
        return Person(name, None, tuple((model, role or "none") for model in token.models), "token")
    return Person(name, role, (), "token")
