"""The processor time of a call to a provider: `python -m bench.provider_calls [CALLS]`.

The adapters and the SDKs are real. Another process responds, so its time does not count.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from otp_app.phone import PhoneNumber
from otp_app.providers.twilio.provider import TwilioProvider
from otp_app.providers.vonage.provider import VonageProvider
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otp_app.verification.ports import Provider

CALLS = 3200
RUNS = 3  # of which the best counts
CALLERS = (1, 16)
SECRET = "not-a-real-secret"  # the server does not read it

PHONE = PhoneNumber("+14155552671")
ACCOUNT, SERVICE, SID = (prefix + "0" * 32 for prefix in ("AC", "VA", "VE"))
REQUEST_ID = "00000000-0000-4000-8000-000000000000"
DATES = {"date_created": "2026-01-01T00:00:00Z", "date_updated": "2026-01-01T00:00:00Z"}
VERIFICATION = {"sid": SID, "service_sid": SERVICE, "to": PHONE.e164, "channel": "sms", **DATES}
RESPONSES = {
    "/Verifications": VERIFICATION | {"status": "pending", "send_code_attempts": []},
    "/VerificationCheck": VERIFICATION | {"status": "approved"},
    f"/v2/Services/{SERVICE}": {"sid": SERVICE, "code_length": 6},
    f"/v2/verify/{REQUEST_ID}": {"request_id": REQUEST_ID, "status": "completed"},
    "/v2/verify": {"request_id": REQUEST_ID},
}


async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond to each request on a connection as the provider does on success."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            target = head.split(b" ", 2)[1].decode()
            body = json.dumps(next(RESPONSES[end] for end in RESPONSES if target.endswith(end)))
            fields = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
            writer.write(f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}".encode())
    writer.close()


async def serve() -> None:
    """Listen on a free port, print it, and serve until the process is killed."""
    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


async def microseconds(call: Callable[[], Awaitable[object]], callers: int, calls: int) -> float:
    """Return the processor time of one *call*, the best of `RUNS`."""

    async def caller() -> None:
        for _ in range(calls // callers):
            await call()

    times = []
    for _ in range(RUNS):
        began = time.process_time()
        await asyncio.gather(*(caller() for _ in range(callers)))
        times.append(time.process_time() - began)
    return 1e6 * min(times) / (calls // callers * callers)


async def measure(url: str, calls: int) -> None:
    """Print a row for each provider, action and number of callers."""
    providers: list[Provider] = [
        TwilioProvider(ACCOUNT, "token", SERVICE, url, "en-US"),
        VonageProvider("otp_app", url, "en-US", api_key=ACCOUNT, api_secret=SECRET),
    ]
    for provider in providers:
        await provider.open()
        reference = await provider.start(PHONE, Channel.SMS)
        actions: dict[str, Callable[[], Awaitable[object]]] = {
            "start": lambda one=provider: one.start(PHONE, Channel.SMS),  # type: ignore[misc]
            "check": lambda one=provider, of=reference: one.check(of, PHONE, "123456"),  # type: ignore[misc]
        }
        for action, call in actions.items():
            for callers in CALLERS:
                cost = await microseconds(call, callers, calls)
                sys.stdout.write(f"{provider.name} {action}, callers {callers}: {cost:.0f} µs\n")
        await provider.aclose()


def main() -> None:
    """Start the server in another process, and measure."""
    command = [sys.executable, "-m", "bench.provider_calls", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
        asyncio.run(measure(f"http://127.0.0.1:{port}", calls))
        server.kill()


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
    else:
        main()
