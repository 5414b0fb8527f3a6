"""Make keyed hashes (HMAC-SHA-256) of values that must not be kept: subjects that were erased, and features that are hashed before they are
written.

The key is in a file of its own: `HOME/secret.key`, or the file that OBSERVABILITY_KEY_FILE names. It is never part of the database, of a
backup or of a record. Without the key, a hash reveals nothing about the value.
"""

import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from observability.records.private_file import sync_folder

KEY_FILE, KEY_VARIABLE = "secret.key", "OBSERVABILITY_KEY_FILE"
KEY_BYTES = 32


def key_path(home: Path) -> Path:
    """The path of the file that holds the key of a home."""
    return Path(os.environ.get(KEY_VARIABLE) or home / KEY_FILE)


def stored_key(home: Path) -> bytes | None:
    """The key of a home; None if there is none yet. Raises OSError if the file cannot be read, ValueError if it holds no valid key."""
    try:
        key = bytes.fromhex(key_path(home).read_text(encoding="ascii").strip())
    except FileNotFoundError:
        return None
    if len(key) < KEY_BYTES:
        raise ValueError(f"the file {key_path(home)} holds no key of {KEY_BYTES} bytes in hexadecimal digits")
    return key


def home_key(home: Path) -> bytes:
    """The key of a home; it is created if there is none. Processes that create it at the same time get the same key. Raises OSError,
    ValueError.
    """
    if (key := stored_key(home)) is not None:
        return key
    path = key_path(home)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
        sync_folder(path.parent)
    finally:
        Path(draft).unlink(missing_ok=True)
    key = stored_key(home)
    assert key is not None
    return key


def keyed_hash(key: bytes, text: str) -> str:
    """The HMAC of a text as 32 hexadecimal digits (128 bits)."""
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()[:32]


def key_name(key: bytes) -> str:
    """A name of the key that does not reveal the key: 12 hexadecimal digits."""
    return keyed_hash(key, "name of this key")[:12]
