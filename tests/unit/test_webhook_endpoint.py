"""Events as signed posts to a real server, which verifies them by the official library."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import WebhookVerificationError

from otp_app.phone import PhoneNumber
from otp_app.verification.models import Channel, Status
from otp_app.verification.outbox import WebhookEvent, WebhookOutcome, WebhookResult
from otp_app.webhooks_out import HttpWebhookEndpoint, payload
from tests.emulator import Answer, Drop, Hang, Html, Huge, Redirect, Reset, Trickle, Truncated
from tests.emulator.clock import Clock
from tests.ports import free_port
from tests.receiver import Backend, new_secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.emulator import Fault
    from tests.emulator.wire import Wire

SECRET, OLD_SECRET = new_secret(), new_secret(24)
AT = datetime(2026, 3, 1, 12, 0, 0, 250000, tzinfo=UTC)
APPROVED = WebhookEvent(
    "Vt3UyZ9ZsSjPZqK2sXq9kA",
    AT,
    Status.APPROVED,
    PhoneNumber("+14155552671"),
    Channel.SMS,
    "vonage",
)


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as listening:
        yield listening


@pytest.fixture
async def webhook(backend: Backend) -> AsyncIterator[HttpWebhookEndpoint]:
    receiver = HttpWebhookEndpoint(backend.url, [SECRET], Clock().now)
    yield receiver
    await receiver.aclose()


async def test_a_backend_gets_one_signed_post(
    webhook: HttpWebhookEndpoint, backend: Backend
) -> None:
    assert await webhook.post(APPROVED) == WebhookResult(WebhookOutcome.ACCEPTED)

    (post,) = backend.posts
    assert (post.method, post.path) == ("POST", "/events?from=otp")
    assert post.headers["webhook-id"] == APPROVED.id
    assert post.headers["content-type"] == "application/json"
    assert post.verified(SECRET) == {
        "type": "verification.approved",
        "timestamp": "2026-03-01T12:00:00.250000Z",
        "data": {
            "id": APPROVED.id,
            "phone": "+14155552671",
            "channel": "sms",
            "provider": "vonage",
            "approved_at": "2026-03-01T12:00:00.250000Z",
        },
    }


async def test_it_sends_nothing_but_that(webhook: HttpWebhookEndpoint, backend: Backend) -> None:
    await webhook.post(APPROVED)

    assert backend.posts[0].headers.keys() == {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (Status.EXPIRED, "expired"),
        (Status.EXHAUSTED, "attempts_exhausted"),
    ],
)
def test_a_failure_says_why(status: Status, reason: str) -> None:
    told = json.loads(payload(replace(APPROVED, status=status)))

    assert told["type"] == "verification.failed"
    assert told["data"]["reason"] == reason
    assert "approved_at" not in told["data"]


async def test_another_secret_or_a_changed_body_is_found_out(
    webhook: HttpWebhookEndpoint, backend: Backend
) -> None:
    await webhook.post(APPROVED)

    (post,) = backend.posts
    with pytest.raises(WebhookVerificationError):
        post.verified(OLD_SECRET)
    with pytest.raises(WebhookVerificationError):
        replace(post, body=post.body.replace(b"2671", b"2672")).verified(SECRET)
    with pytest.raises(WebhookVerificationError):
        replace(post, headers={**post.headers, "webhook-id": "another"}).verified(SECRET)


async def test_while_secrets_change_each_of_them_will_do(backend: Backend) -> None:
    receiver = HttpWebhookEndpoint(backend.url, [SECRET, OLD_SECRET], Clock().now)

    await receiver.post(APPROVED)
    await receiver.aclose()

    (post,) = backend.posts
    assert post.verified(SECRET) == post.verified(OLD_SECRET)


async def test_each_attempt_is_signed_anew_under_the_same_id(backend: Backend) -> None:
    clock = Clock()
    receiver = HttpWebhookEndpoint(backend.url, [SECRET], clock.now)

    await receiver.post(APPROVED)
    clock.tick(60)
    await receiver.post(APPROVED)
    await receiver.aclose()

    first, second = (post.headers for post in backend.posts)
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]
    assert 60 <= int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) <= 70
    assert backend.posts[1].verified(SECRET) == backend.posts[0].verified(SECRET)


class Garbage:
    """A response that is not HTTP."""

    applied = True

    def play(self, wire: Wire, _answer: Answer, /) -> None:
        wire.write(b"\x00\xff canary \r\n\r\n")
        wire.hang_up()


def busy(why: str, seconds: float = 0) -> WebhookResult:
    return WebhookResult(WebhookOutcome.BUSY, why, timedelta(seconds=seconds))


def failed(status: int) -> WebhookResult:
    return WebhookResult(WebhookOutcome.FAILED, f"HTTP {status}")


@pytest.mark.parametrize(
    ("fault", "receipt"),
    [
        (Answer(200, "canary"), WebhookResult(WebhookOutcome.ACCEPTED)),
        (Answer(202), WebhookResult(WebhookOutcome.ACCEPTED)),
        (Answer(400, {"canary": "canary"}), failed(400)),
        (Html(500), failed(500)),
        (Answer(410), WebhookResult(WebhookOutcome.GONE, "HTTP 410")),
        (Answer(429, headers={"Retry-After": "30"}), busy("HTTP 429", 30)),
        (Answer(503, headers={"Retry-After": "999999999"}), busy("HTTP 503", 24 * 60 * 60)),
        (Answer(503, headers={"Retry-After": "-1"}), busy("HTTP 503")),
        (Answer(503, headers={"Retry-After": "Sun, 01 Mar 2026 12:00:00 GMT"}), busy("HTTP 503")),
        (Html(502), busy("HTTP 502")),
        (Html(504), busy("HTTP 504")),
        (Drop(), busy("the response is not HTTP")),
        (Reset(), busy("the response is not HTTP")),
        (Garbage(), busy("the response is not HTTP")),
    ],
)
async def test_what_an_answer_means(
    webhook: HttpWebhookEndpoint, backend: Backend, fault: Fault, receipt: WebhookResult
) -> None:
    backend.faults = [fault]

    assert await webhook.post(APPROVED) == receipt
    assert len(backend.posts) == 1


@pytest.mark.parametrize("fault", [Trickle(60), Truncated(), Huge(10**9), Huge(10**9, status=500)])
async def test_of_an_answer_only_the_head_is_read(
    webhook: HttpWebhookEndpoint, backend: Backend, fault: Fault
) -> None:
    backend.faults = [fault]

    verdict = (await asyncio.wait_for(webhook.post(APPROVED), 5)).outcome

    assert verdict in {WebhookOutcome.ACCEPTED, WebhookOutcome.FAILED}
    assert await webhook.post(APPROVED) == WebhookResult(WebhookOutcome.ACCEPTED)


async def test_a_redirect_is_not_followed(webhook: HttpWebhookEndpoint, backend: Backend) -> None:
    with Backend() as elsewhere:
        backend.faults = [Redirect(elsewhere.url)]
        assert await webhook.post(APPROVED) == failed(307)

        assert elsewhere.posts == []


async def test_a_backend_that_says_nothing_is_given_up(backend: Backend) -> None:
    backend.faults = [Hang(60)]
    receiver = HttpWebhookEndpoint(backend.url, [SECRET], Clock().now, seconds=0.5)

    assert await receiver.post(APPROVED) == busy("no response in time")
    await receiver.aclose()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "name.invalid"])
async def test_a_backend_that_is_not_there_is_not_reached(host: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://{host}:{unused.getsockname()[1]}/"
    receiver = HttpWebhookEndpoint(url, [SECRET], Clock().now)

    assert await receiver.post(APPROVED) == busy("not reached")
    await receiver.aclose()


async def test_a_backend_without_a_right_certificate_is_told_nothing(backend: Backend) -> None:
    receiver = HttpWebhookEndpoint(backend.url.replace("http", "https", 1), [SECRET], Clock().now)

    assert (await receiver.post(APPROVED)).outcome is WebhookOutcome.BUSY
    await receiver.aclose()
    assert backend.posts == []


async def test_no_proxy_of_the_environment_is_told(
    monkeypatch: pytest.MonkeyPatch, backend: Backend
) -> None:
    with Backend() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        receiver = HttpWebhookEndpoint(backend.url, [SECRET], Clock().now)
        await receiver.post(APPROVED)
        await receiver.aclose()

        assert (len(backend.posts), proxy.posts) == (1, [])


async def test_the_answers_cookies_are_not_sent_back(
    webhook: HttpWebhookEndpoint, backend: Backend
) -> None:
    backend.faults = [Answer(204, headers={"Set-Cookie": "canary=1"})]

    await webhook.post(APPROVED)
    await webhook.post(APPROVED)

    assert "cookie" not in backend.posts[1].headers


EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The receiver of the document, running, and the file of what it says."""
    (code,) = EXAMPLE.findall(Path("docs/events.md").read_text())
    port = free_port()
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    said = tmp_path / "said"
    file = tmp_path / "receiver.py"
    file.write_text(code.replace("8000", str(port)))
    with (
        said.open("w") as out,
        subprocess.Popen([sys.executable, "-u", file], stdout=out, stderr=out) as process,
    ):
        _wait_until_open(port, process)
        yield f"http://127.0.0.1:{port}/", said
        process.kill()


def _wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    pause = threading.Event()
    for _ in range(1200):
        assert process.poll() is None
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            pause.wait(0.05)
        else:
            return
    raise AssertionError("the example does not listen")


async def test_the_receiver_of_the_document_takes_ours_once_and_nobody_elses(
    example: tuple[str, Path],
) -> None:
    url, said = example
    ours = HttpWebhookEndpoint(url, [OLD_SECRET, SECRET], Clock().now)
    forged = HttpWebhookEndpoint(url, [OLD_SECRET], Clock().now)
    late = HttpWebhookEndpoint(url, [SECRET], Clock(AT).now)
    failure = replace(APPROVED, id="another", status=Status.EXPIRED)

    answers = [
        await receiver.post(event)
        for receiver, event in (
            (ours, APPROVED),
            (ours, APPROVED),  # its answer was lost
            (forged, APPROVED),
            (late, APPROVED),
            (ours, failure),
        )
    ]

    for receiver in (ours, forged, late):
        await receiver.aclose()
    assert [answer.outcome for answer in answers] == [
        WebhookOutcome.ACCEPTED,
        WebhookOutcome.ACCEPTED,
        WebhookOutcome.FAILED,
        WebhookOutcome.FAILED,
        WebhookOutcome.ACCEPTED,
    ]
    lines = [line for line in said.read_text().splitlines() if line.startswith("verification.")]
    assert [line.split()[0] for line in lines] == ["verification.approved", "verification.failed"]


def test_the_receiver_of_the_document_answers_nonsense(example: tuple[str, Path]) -> None:
    host, port = example[0].removeprefix("http://").strip("/").split(":")
    statuses = []
    for signature in ("", "canary", "v1,canary", "v1,=", "é"):
        connection = HTTPConnection(host, int(port), timeout=10)
        headers = {
            "webhook-id": "x",
            "webhook-timestamp": str(int(datetime.now(UTC).timestamp())),
            "webhook-signature": signature,
        }
        connection.request("POST", "/", b"\xff", headers)
        statuses.append(connection.getresponse().status)
        connection.close()

    assert statuses == [400] * 5
