"""A server for the API in a process of its own, for callers that need a URL."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
START = 60.0  # seconds


class Server(NamedTuple):
    """A running server.

    Attributes:
        url: its URL without a path.
        folder: the folder of its database `otp.db` and of its log `server.log`.
    """

    url: str
    folder: Path


@contextmanager
def served(folder: Path, port: int) -> Iterator[Server]:
    """Run the app of `attacked` in a process of its own."""
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{folder}/otp.db",
        "PORT": str(port),
        "HTTP_POSTS_PER_SECOND": "0",  # all callers have one address
        "HTTP_READS_PER_SECOND": "0",
        "CHANNELS": "sms,voice,whatsapp",  # all channels in the OpenAPI document
        "PYTHONPATH": os.curdir,
    }
    command = (BIN / "granian", "--interface", "asgi", "--factory", "--host", "127.0.0.1")
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "tests.backend.api.attacked:app"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(port, process)
            yield Server(f"http://127.0.0.1:{port}", folder)
        finally:
            process.terminate()
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START
    while process.poll() is None and time.monotonic() < give_up:
        with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            try:
                connection.request("GET", "/health")
                connection.getresponse()
            except OSError:
                time.sleep(0.05)
            else:
                return
    raise RuntimeError("The server did not start")
