"""The four calls of Twilio and Vonage that a flow makes, in one process with the load generator.

`tests/emulator` checks every request against the vendors' documentation, so it is slower than the
servers that `bench` measures. This server only responds. The code is the end of the number.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from uuid import uuid4

from bench.load import Connection
from tests.emulator.twilio_resources import Verification, service_resource

if TYPE_CHECKING:
    from collections.abc import Callable

CODE_LENGTH = 6

Response = tuple[int, dict[str, object]]


class Vendor:
    """Both vendors' services on one port of this machine.

    Attributes:
        latency: seconds between a request and its response.
        port: the port, after `start`.
    """

    def __init__(self) -> None:
        self.latency = 0.0
        self.port = 0
        self._pending: dict[str, Verification] = {}

    async def start(self) -> None:
        """Listen on a free port."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _ServerConnection(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """The URL of the services."""
        return f"http://127.0.0.1:{self.port}"

    def respond(self, target: str, body: bytes) -> Response:
        """Return status and body of the response to a request for the path *target*."""
        fields = _fields(body.decode())
        match target.rpartition("/")[2]:
            case "Verifications":
                return self._twilio_start(fields)
            case "VerificationCheck":
                return self._twilio_check(fields)
            case _ if target == "/verify/json":
                return self._vonage_start(fields)
            case _ if target == "/verify/check/json":
                return self._vonage_check(fields)
            case _ if target.startswith("/v2/Services/"):
                return 200, service_resource("bench", CODE_LENGTH, None, datetime.now(UTC))
            case _:
                return 404, {"code": 20404, "status": 404, "message": "Not found"}

    def _twilio_start(self, fields: dict[str, str]) -> Response:
        verification = self._new(fields["To"])
        verification.sent(fields["Channel"], verification.created)
        self._pending[verification.sid] = verification
        return 201, verification.resource()

    def _twilio_check(self, fields: dict[str, str]) -> Response:
        verification = self._pending[fields["VerificationSid"]]
        if fields["Code"] == verification.code:
            verification.status = "approved"
            del self._pending[verification.sid]
        return 200, verification.check_resource()

    def _vonage_start(self, fields: dict[str, str]) -> Response:
        verification = self._new(fields["number"])
        request_id = uuid4().hex
        self._pending[request_id] = verification
        return 200, {"request_id": request_id, "status": "0"}

    def _vonage_check(self, fields: dict[str, str]) -> Response:
        """Respond as Vonage's first Verify API: a wrong code has the HTTP status 200, too."""
        request_id = fields["request_id"]
        if fields["code"] != self._pending[request_id].code:
            return 200, {"request_id": request_id, "status": "16", "error_text": "Wrong code"}
        del self._pending[request_id]
        return 200, {
            "request_id": request_id,
            "event_id": uuid4().hex,
            "status": "0",
            "price": "0.05",
            "currency": "EUR",
        }

    def _new(self, phone: str) -> Verification:
        now = datetime.now(UTC)
        return Verification(phone, phone[-CODE_LENGTH:], created=now, updated=now)


def _fields(body: str) -> dict[str, str]:
    """Return the fields of a body: JSON from Vonage's SDK, a form from Twilio's."""
    if body.startswith("{"):
        fields: dict[str, str] = json.loads(body)
        return fields
    return {name: values[0] for name, values in parse_qs(body).items()}


class _ServerConnection(Connection):
    def __init__(self, vendor: Vendor) -> None:
        super().__init__()
        self._vendor = vendor

    def received(self, head: bytes, body: bytes) -> None:
        target = head.split(b" ", 2)[1].decode().partition("?")[0]
        status, content = self._vendor.respond(target, body)
        payload = json.dumps(content)
        response = (
            f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(payload)}\r\n\r\n{payload}"
        ).encode()
        self._after(self._vendor.latency, lambda: self.transport.write(response))

    @staticmethod
    def _after(seconds: float, act: Callable[[], None]) -> None:
        if seconds:
            asyncio.get_running_loop().call_later(seconds, act)
        else:
            act()
