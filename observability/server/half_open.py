"""Close connections that send no complete header of a request in time, or too long a one.

uvicorn waits for ever for the header of a request and keeps all of it, so connections that never complete one would hold its sockets and
its memory. It has no setting for it, so its protocol is told here when to look at a connection.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from observability.core.limits import IntakeLimits

_LIMITS: list[Callable[[], IntakeLimits]] = []
"""How long a header may take and be; empty until the protocol was changed."""
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def close_half_open_connections(limits: Callable[[], IntakeLimits]) -> None:
    """Let every connection of this process's HTTP servers be closed that sends no complete header within `header_seconds`, or one that is
    not complete after `header_bytes`.

    limits: asked for each connection. The time runs from the opening of the connection, or from the first byte after a response.
    """
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    changed = bool(_LIMITS)
    _LIMITS[:] = [limits]
    if changed:
        return
    protocol: Any = AutoHTTPProtocol
    connected, received = protocol.connection_made, protocol.data_received

    def connection_made(self: Any, transport: asyncio.Transport) -> None:
        connected(self, transport)
        _watch(self)

    def data_received(self: Any, data: bytes) -> None:
        received(self, data)
        _watch(self)
        _bound(self, len(data))

    protocol.connection_made, protocol.data_received = connection_made, data_received


def _watch(protocol: Any) -> None:
    """Look at a connection later where it waits for a header and nobody looks already."""
    if _waits_for_header(protocol) and not getattr(protocol, "watched_header", False):
        protocol.watched_header = True
        protocol.loop.call_later(_LIMITS[0]().header_seconds, _close_if_still_waiting, protocol, protocol.cycle)


def _bound(protocol: Any, size: int) -> None:
    """Refuse a header that is not complete after `header_bytes`. size: of the bytes that came now."""
    cycle = protocol.cycle
    if not _waits_for_header(protocol) or (cycle is not None and cycle.more_body):  # bytes of a body that nobody reads are not kept
        protocol.header_size = 0
        return
    protocol.header_size = getattr(protocol, "header_size", 0) + size
    transport = protocol.transport
    if protocol.header_size > _LIMITS[0]().header_bytes and not transport.is_closing() and transport.get_protocol() is protocol:
        transport.write(TOO_LARGE)
        transport.close()


def _close_if_still_waiting(protocol: Any, last: object) -> None:
    """Close the connection where no header was completed since; else go on looking. last: the last request at that time."""
    protocol.watched_header = False
    transport = protocol.transport
    if transport.is_closing() or transport.get_protocol() is not protocol:  # closed, or a WebSocket by now
        return
    if _waits_for_header(protocol) and protocol.cycle is last:
        transport.abort()
    else:
        _watch(protocol)


def _waits_for_header(protocol: Any) -> bool:
    """Whether no request of a connection is being answered."""
    return protocol.cycle is None or protocol.cycle.response_complete
