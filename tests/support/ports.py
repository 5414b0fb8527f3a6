"""Free ports of this machine, for the servers that tests start."""

import contextlib
import itertools
import os
import socket

FIRST, LAST = 11_000, 32_000
"""The range of ports lies below those that Linux assigns automatically, so no outgoing connection takes a port before the server that
should use it.
"""
_places = itertools.count(os.getpid() * 101)


def free_port() -> int:
    """A loopback port on which nothing listens. Every call returns another one; other processes begin elsewhere in the range."""
    while True:
        port = FIRST + next(_places) % (LAST - FIRST)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, which can use a port that was just released
            probe.bind(("127.0.0.1", port))
            return port
