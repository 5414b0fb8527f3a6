"""Ports of this machine for the servers that tests start."""

import contextlib
import itertools
import os
import socket

FIRST, LAST = 11_000, 32_000
"""Below the ports that Linux gives to connections and to whoever asks for any: none of those takes a port before its server does."""
_places = itertools.count(os.getpid() * 101)


def free_port() -> int:
    """A port of loopback that nobody listens on, each time another one. Other processes begin elsewhere."""
    while True:
        port = FIRST + next(_places) % (LAST - FIRST)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port that was just released is free
            probe.bind(("127.0.0.1", port))
            return port
