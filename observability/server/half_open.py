"""Close connections that send no complete header of a request in time.

uvicorn waits for ever for the header of a request, so connections that never complete one would hold its sockets. It has no setting for
it, so its protocol is told here when to look at a connection.
"""

import asyncio
from collections.abc import Callable
from typing import Any

_SECONDS: list[Callable[[], float]] = []
"""The time that a header may take; empty until the protocol was changed."""


def close_half_open_connections(seconds: Callable[[], float]) -> None:
    """Let every connection of this process's HTTP servers be closed that sends no complete header within so many seconds.

    seconds: asked for each connection. The time runs from the opening of the connection, or from the first byte after a response.
    """
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    changed = bool(_SECONDS)
    _SECONDS[:] = [seconds]
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

    protocol.connection_made, protocol.data_received = connection_made, data_received


def _watch(protocol: Any) -> None:
    """Look at a connection later where it waits for a header and nobody looks already."""
    if _waits_for_header(protocol) and not getattr(protocol, "watched_header", False):
        protocol.watched_header = True
        protocol.loop.call_later(_SECONDS[0](), _close_if_still_waiting, protocol, protocol.cycle)


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
