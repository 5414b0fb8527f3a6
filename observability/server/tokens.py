"""Who may use the HTTP interface? Tokens with a scope, of which the home keeps only a hash.

A token is `obs_<id>_<secret>`; the secret has 256 random bits, so a plain SHA-256 of it cannot be guessed back. `HOME/tokens.json` (0600, replaced by
rename) holds id, name, scope, time of making and the hash. A token of the scope `read` may ask, one of the scope `write` may send records, and neither
may do what the other does: what logs on many machines need not be able to read what was logged.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from observability.core.errors import NotFoundError, StoreBrokenError, UsageError

Scope = Literal["read", "write"]
FILE = "tokens.json"
TOKEN = re.compile(r"obs_([0-9a-f]{8})_([A-Za-z0-9_-]{43})", re.ASCII)
_writing = threading.Lock()


@dataclass(frozen=True)
class Token:
    """What is kept of a token. created_at: RFC 3339, UTC. sha256: of the whole token."""

    id: str
    scope: Scope
    name: str
    created_at: str
    sha256: str


def create(home: Path, scope: str, name: str = "") -> tuple[Token, str]:
    """Makes a token; gives what is kept and the token itself, which is never seen again. Raises UsageError for another scope."""
    if scope not in get_args(Scope):
        raise UsageError("unknown scope", got=repr(scope), expected=" or ".join(get_args(Scope)))
    text = f"obs_{secrets.token_hex(4)}_{secrets.token_urlsafe(32)}"
    made = Token(
        text.split("_")[1], "read" if scope == "read" else "write", name[:200], f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", hashed(text)
    )
    with _writing:
        write(home, [*read(home), made])
    return made, text


def revoke(home: Path, token_id: str) -> Token:
    """Forgets a token, by its id or the token itself. Raises NotFoundError where there is none of that id."""
    wanted = found[1] if (found := TOKEN.fullmatch(token_id)) else token_id
    with _writing:
        kept = read(home)
        gone = next((each for each in kept if each.id == wanted), None)
        if gone is None:
            known = ", ".join(each.id for each in kept) or "no token"
            raise NotFoundError(f"token {wanted[:40]!r} is not there", attempt=f"There is {known}")
        write(home, [each for each in kept if each is not gone])
    return gone


def read(home: Path) -> list[Token]:
    """The tokens of a home, oldest first. Raises StoreBrokenError where the file cannot be read, so that nobody is let in by accident."""
    try:
        body = json.loads((home / FILE).read_text(encoding="utf-8"))
        return [Token(**each) for each in body["tokens"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreBrokenError(
            "the file of tokens cannot be read", where=FILE, got=type(error).__name__, attempt="Move it aside and make the tokens anew"
        ) from None


def write(home: Path, tokens: list[Token]) -> None:
    """Replaces the file, readable by this user only."""
    draft = home / f".tokens-{os.getpid()}-{secrets.token_hex(4)}.json"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({"tokens": [asdict(each) for each in tokens]}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(home / FILE)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StoreBrokenError("the tokens could not be written", where=FILE, got=error.strerror, attempt="Free some disk space") from error


def holder(home: Path, text: str) -> Token | None:
    """The token behind what a request sent, None where it is none that holds. Every kept hash is compared, each in constant time."""
    digest = hashed(text)
    found = None
    for each in read(home):
        if hmac.compare_digest(each.sha256, digest):
            found = each
    return found


def hashed(text: str) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
