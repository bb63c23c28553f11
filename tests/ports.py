"""Free ports for servers whose port has to be known before they start."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

# This range is below the ephemeral ports, so the system gives none of them to another program
# between two starts of a server.
_PORTS = range(20_000, 30_000)
_TRIES = 100

_reserved: list[socket.socket] = []


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1, reserved for this process until the process ends.

    The process binds the UDP port of the same number, which other test processes try first.
    """
    for port in random.SystemRandom().sample(_PORTS, _TRIES):
        with suppress(OSError):
            _try_to_listen(port)
            _reserved.append(_lock(port))
            return port
    raise RuntimeError(f"None of {_TRIES} ports is free.")


def _try_to_listen(port: int) -> None:
    """Listen on *port* for a moment.

    Raises:
        OSError: another program listens on the port.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # servers set it too
        listener.bind(("127.0.0.1", port))
        listener.listen()


def _lock(port: int) -> socket.socket:
    """Bind the UDP port *port*, and return the socket.

    Raises:
        OSError: another process has reserved the port.
    """
    lock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        lock.bind(("127.0.0.1", port))
    except OSError:
        lock.close()
        raise
    return lock
