"""Check the Host and Origin of requests, and which network interfaces may be bound.

A page of another site can let one of its own names point at this machine (DNS rebinding), or open a WebSocket to it. Therefore Host and
Origin are compared with a list, including the port: this machine's names with the dashboard's own port, and the addresses in `url` of
access.toml and in OBSERVABILITY_URL. Pages of the web sites in `logger_origins` of access.toml may send records, with a token, and read the
response (CORS); they can reach nothing else.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.core.errors import ObservabilityError, UsageError
from observability.server.access_settings import URL_VARIABLE, AccessSettings, read_access_settings
from observability.server.api import error_response
from observability.server.process_lock import home_folder

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
PROBES = ("/readyz",)
"""Paths that respond to any Host: a probe uses the address of its container, and the response is not secret."""
LOGGER_PATHS = ("/api/v1/records", "/api/v1/labels")
"""Paths to which pages of other web sites may send."""
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class AllowedAddresses:
    """Values of the headers Host and Origin for which requests are served, in lower case."""

    hosts: frozenset[str]
    origins: frozenset[str]


@lru_cache(maxsize=8)
def allowed_addresses(port: int, urls: tuple[str, ...]) -> AllowedAddresses:
    """The addresses under which a dashboard on a port is served: the addresses of this machine and the addresses in the settings."""
    own = [f"{scheme}://{name}:{port}" for name in LOOPBACK_NAMES for scheme in DEFAULT_PORTS]
    origins = {spelling for url in (*own, *urls) for spelling in _spellings(url)}
    return AllowedAddresses(frozenset(origin.partition("://")[2] for origin in origins), frozenset(origins))


def _spellings(url: str) -> set[str]:
    """The address with and without the default port of its scheme."""
    scheme, _, netloc = url.partition("://")
    port = f":{DEFAULT_PORTS[scheme]}"
    if netloc.endswith(port):
        return {url, f"{scheme}://{netloc.removesuffix(port)}"}
    has_port = ":" in netloc.rpartition("]")[2]
    return {url} if has_port else {url, url + port}


def is_loopback(address: str | None) -> bool:
    """Whether an interface or a peer is this machine itself. Of names, only localhost counts."""
    text = (address or "").strip("[]").lower()
    if text == "localhost":
        return True
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def require_safe_binding(address: str | None, settings: AccessSettings) -> None:
    """Raise UsageError if an interface other than loopback would be bound without sign-in, or if people would sign in over plain HTTP."""
    if is_loopback(address):
        return
    got = repr(address) if address else "every interface"
    if settings.method == "none":
        attempt = (
            "Add an administrator with: python -m observability account add NAME --role administrator; "
            "or keep --host 127.0.0.1 and reach it through SSH"
        )
        raise UsageError("other interfaces are served with sign-in only", where="--host", got=got, attempt=attempt)
    if not settings.secure:
        attempt = 'Set url = "https://…" in access.toml, the address of the proxy that ends TLS (docs/security.md)'
        raise UsageError(
            "other interfaces need the HTTPS address under which people open the dashboard", where="--host", got=got, attempt=attempt
        )


def _arrived_inside(scope: Scope) -> bool:
    """Whether a request arrived at a loopback interface, or at a Unix socket (which has no port)."""
    address, port = scope.get("server") or (None, 0)
    return port is None or is_loopback(address)


def logger_origin(scope: Scope) -> str | None:
    """The Origin of a request with which a page of a web site in `logger_origins` sends records; None for every other request.

    Raises ObservabilityError if access.toml is wrong.
    """
    if scope["type"] != "http" or scope["path"] not in LOGGER_PATHS or scope["method"] not in ("POST", "OPTIONS"):
        return None
    origin = Headers(scope=scope).get("origin")
    known = read_access_settings(home_folder()).logger_origins if origin is not None else ()
    return origin if origin is not None and any(origin.lower() in _spellings(url) for url in known) else None


def cross_origin_headers(origin: str) -> dict[str, str]:
    """The headers that let a browser allow a page of that origin to send records and to read the response."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": "Authorization, Content-Type",
        "Access-Control-Expose-Headers": "Retry-After",
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }


def with_headers(send: Send, headers: dict[str, str]) -> Send:
    """A send function that adds headers to the response."""

    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return add


def undecodable_address(scope: Scope) -> tuple[int, str, str] | None:
    """Status, error and advice, if the query is not percent-encoded UTF-8 text, which later layers could not decode; else None."""
    try:
        scope["query_string"].decode()
    except UnicodeDecodeError:
        return 400, "the query of the address is not UTF-8", "Percent-encode its values"
    return None


class RequestOriginCheck:
    """ASGI middleware that refuses requests whose Host or Origin is not allowed. Without sign-in, it also refuses requests from other
    interfaces.

    port: a function that returns the port of the dashboard, which is known once it listens.
    """

    def __init__(self, app: ASGIApp, port: Callable[[], int]) -> None:
        self.app, self.port = app, port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an allowed request on. Respond to any other request with 403 or 421, and to a browser's preflight request for a page that
        may send records with 204.
        """
        refusal = None if scope["type"] == "lifespan" else undecodable_address(scope) or self._refusal(scope)
        if refusal is None and (origin := logger_origin(scope)) is not None:
            if scope["method"] == "OPTIONS":
                await Response(status_code=204, headers=cross_origin_headers(origin))(scope, receive, send)
            else:
                await self.app(scope, receive, with_headers(send, cross_origin_headers(origin)))
        elif refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal[1]})
        else:
            await error_response(*refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Status, error and advice; None if the request is allowed."""
        if scope["type"] == "http" and scope["path"] in PROBES:
            return None
        try:
            settings = read_access_settings(home_folder())
            allowed = allowed_addresses(self.port(), settings.urls)
        except ObservabilityError as error:
            return 503, error.what, error.attempt or "Correct access.toml"
        hint = f"Open http://localhost:{self.port()}, or name the address in {URL_VARIABLE} or in access.toml (docs/security.md)"
        headers = Headers(scope=scope)
        if headers.get("host", "").lower() not in allowed.hosts:
            return 421, "the Host of the request is not an address of this dashboard", hint
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in allowed.origins and logger_origin(scope) is None:
            return 403, "the Origin of the request is not an address of this dashboard", hint
        if settings.method == "none" and not _arrived_inside(scope):
            return 403, "other interfaces are served with sign-in only", "See docs/security.md"
        return None
