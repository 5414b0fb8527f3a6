"""Close connections that do not send the header of a request in time, or whose header is too long.

uvicorn waits forever for the header of a request and keeps all of it. Connections that never complete a header would therefore hold its
sockets and its memory. uvicorn has no setting for this, so this module patches its protocol class to check connections.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from observability.core.limits import IntakeLimits

_LIMITS: list[Callable[[], IntakeLimits]] = []
"""A function that returns the longest time and the largest size of a header; empty until the protocol class is patched."""
END = b"\r\n\r\n"


def close_half_open_connections(limits: Callable[[], IntakeLimits]) -> None:
    """From now on, close each connection to the HTTP servers of this process that sends no complete header within `header_seconds`, or a
    header of more than `header_bytes`.

    limits: called for each connection. The time runs from the opening of the connection, or from the first byte after a response.
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
        if not _refuses(self, data):
            received(self, data)
            _watch(self)

    protocol.connection_made, protocol.data_received = connection_made, data_received


def _watch(protocol: Any) -> None:
    """Schedule a check of a connection if it waits for a header and no check is scheduled yet."""
    if _waits_for_header(protocol) and not getattr(protocol, "watched_header", False):
        protocol.watched_header = True
        protocol.loop.call_later(_LIMITS[0]().header_seconds, _close_if_still_waiting, protocol, protocol.cycle)


def _refuses(protocol: Any, data: bytes) -> bool:
    """Whether the header to which these bytes belong has more than `header_bytes`. An error response is then sent, and none of the bytes is
    kept.
    """
    cycle, before = protocol.cycle, getattr(protocol, "header_so_far", (0, b""))
    protocol.header_so_far = 0, b""
    if not _waits_for_header(protocol) or (cycle is not None and cycle.more_body):  # bytes of a body that nobody reads are not kept
        return False
    size, last = before
    end = (last + data).find(END)
    size += len(data) if end < 0 else end + len(END) - len(last)
    if size > (most := _LIMITS[0]().header_bytes):
        body = json.dumps({"error": f"the headers exceed {most:,} bytes", "try": "Send fewer or shorter headers"})
        head = "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Type: application/json\r\n"
        protocol.transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        protocol.transport.close()
        return True
    if end < 0:
        protocol.header_so_far = size, (last + data)[1 - len(END) :]
    return protocol.transport.is_closing()


def _close_if_still_waiting(protocol: Any, last: object) -> None:
    """Close the connection if no header was completed since the last check; otherwise schedule another check. last: the last request at the
    time of that check.
    """
    protocol.watched_header = False
    transport = protocol.transport
    if transport.is_closing() or transport.get_protocol() is not protocol:  # it is closed, or has become a WebSocket
        return
    if _waits_for_header(protocol) and protocol.cycle is last:
        transport.abort()
    else:
        _watch(protocol)


def _waits_for_header(protocol: Any) -> bool:
    """Whether the connection has no request to which a response is still being sent."""
    return protocol.cycle is None or protocol.cycle.response_complete
