"""Check addresses of sources: which addresses are allowed, and which part of an address may be stored and shown.

An administrator sets the address, on the command line or in lake.toml. If lake.toml has `allow`, the address must begin with one of its
entries. Credentials come from the environment of the process that loads; an address that contains credentials is refused. The query of an
https address may contain a signature: it is used for the request, but neither stored nor shown.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from observability.core.errors import UsageError

BUCKETS = ("s3", "s3a", "gs", "az", "abfs", "abfss")
SCHEMES = ("s3", "gs", "az", "https", "iceberg")
"""Words for the kinds of addresses; s3a, abfs and abfss are other names of s3 and az."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT")
"""Environment variables that name another server for buckets."""
ALLOW_HTTP = "AWS_ALLOW_HTTP"


@dataclass(frozen=True)
class LakeAddress:
    """An address that may be read. text: the address as it is stored and shown; request: the address with its query; path: the path, if it
    is a local folder or file.
    """

    text: str
    scheme: str
    request: str
    path: Path | None = None


def is_lake_address(text: str) -> bool:
    """Whether a text is an address with a scheme, not a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text) is not None


def checked_address(text: str, allow: Sequence[str] | None = None) -> LakeAddress:
    """The address, checked to be one that may be read. allow: the beginnings of addresses that are allowed, None for all. Raises
    UsageError.
    """
    if not is_lake_address(text):
        path = Path(text).expanduser().absolute()
        return LakeAddress(str(path), "", str(path), path)
    scheme = text.partition("://")[0].lower()
    shown = text.partition("?")[0].partition("#")[0].rstrip("/")
    if "@" in shown.partition("://")[2].partition("/")[0] and scheme not in ("abfs", "abfss"):
        raise UsageError(
            "an address holds no credentials", got=f"{scheme}://…@{shown.rpartition('@')[2]}", attempt="Give them in the environment"
        )
    if scheme not in (*BUCKETS, "https", "http", "iceberg"):
        raise UsageError("addresses of this kind are not read", got=f"{scheme}://", expected=", ".join(f"{each}://" for each in SCHEMES))
    parts = urlsplit(shown)
    if not parts.hostname and scheme != "iceberg":
        raise UsageError("the address names no bucket or host", got=shown, expected=f"{scheme}://NAME/…")
    if any(part == ".." for part in parts.path.split("/")):
        raise UsageError("an address holds no ..", got=shown)
    if scheme == "http" and parts.hostname not in LOOPBACK:
        raise UsageError("the address is not HTTPS", got=shown, expected="https://…", attempt="HTTP is read from this machine only")
    if scheme in BUCKETS and "?" in text:
        raise UsageError("an address of a bucket has no query", got=shown)
    _require_allowed(shown, allow)
    return LakeAddress(shown, scheme, text.partition("#")[0])


def _require_allowed(shown: str, allow: Sequence[str] | None) -> None:
    """Raise UsageError unless an address is one of the allowed addresses, or below one of them."""
    if allow is None or any(shown == (start := entry.rstrip("/")) or shown.startswith(f"{start}/") for entry in allow):
        return
    raise UsageError(
        "the address is not allowed", got=shown, expected=f"one below {', '.join(allow) or 'none'}", attempt="See allow in lake.toml"
    )


def plain_http_is_needed(environment: Mapping[str, str]) -> bool:
    """Whether buckets are on a server without TLS, on this machine. Raises UsageError if such a server is on another machine."""
    if environment.get(ALLOW_HTTP, "").lower() == "true":
        return True
    needed = False
    for name in ENDPOINTS:
        parts = urlsplit(environment.get(name, ""))
        if parts.scheme != "http":
            continue
        if parts.hostname not in LOOPBACK:
            attempt = f"Use HTTPS, or set {ALLOW_HTTP}=true where the network is trusted"
            raise UsageError(
                "the server of the bucket is not reached over HTTPS", where=name, got=f"http://{parts.hostname}", attempt=attempt
            )
        needed = True
    return needed
