"""A site of another origin, whose page calls the API of the app."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "front_end.html"
HOSTS = ("localhost", "127.0.0.1")  # to our pages, which are on localhost: same-site, cross-site


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing, so that the output of pytest stays readable."""


@contextmanager
def front_end() -> Iterator[list[str]]:
    """Serve the other site, and yield its origins: one for each name in `HOSTS`."""
    folder = Path(__file__).parent
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield [f"http://{host}:{server.server_port}" for host in HOSTS]
        server.shutdown()
        thread.join()
