"""A team's backend on the loopback interface: it takes events, or fails as it is told."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from threading import Condition
from typing import TYPE_CHECKING, Any, Self

from standardwebhooks import Webhook

from tests.emulator.server import Server
from tests.emulator.wire import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.emulator.wire import Fault

TAKEN = Answer(200, {"taken": True})


def new_secret(size: int = 32) -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(size)).decode()


@dataclass(frozen=True)
class Post:
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON of the body. The official library raises if *secret* did not sign it."""
        return Webhook(secret).verify(self.body, dict(self.headers))


class Backend:
    """Listens within a `with`; its answers are 200 but for *faults*, each of which comes once."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = [*faults]
        self.posts: list[Post] = []
        self._came = Condition()

    def __enter__(self) -> Self:
        self._server = Server(0, self._receive)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/events?from=otp"

    def wait_for(self, count: int) -> None:
        """Until so many posts have come; for another thread than the event loop's."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.posts) >= count, timeout=10)

    def _receive(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Fault, Answer]:
        with self._came:
            self.posts.append(Post(method, path, headers, body))
            self._came.notify_all()
            fault = self.faults.pop(0) if self.faults else TAKEN
        return fault, TAKEN
