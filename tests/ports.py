"""Ports for servers that cannot choose one themselves, because others have to know it before."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

# Below those that systems give to who asks for any: nobody gets one between two starts of a server.
_PORTS = range(20_000, 30_000)
_TRIES = 100

_reserved: list[socket.socket] = []


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that is this process's until it ends.

    The UDP port of the same number is what keeps it from the tests of other processes.
    """
    for port in random.SystemRandom().sample(_PORTS, _TRIES):
        with suppress(OSError):
            _try_to_listen(port)
            _reserved.append(_lock(port))
            return port
    raise RuntimeError(f"None of {_TRIES} ports is free.")


def _try_to_listen(port: int) -> None:
    """Raises OSError: somebody does already."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        listener.bind(("127.0.0.1", port))
        listener.listen()


def _lock(port: int) -> socket.socket:
    """Raises OSError: another process has it."""
    lock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        lock.bind(("127.0.0.1", port))
    except OSError:
        lock.close()
        raise
    return lock
