"""The Python client, sync and async, with our server and with a foreign server."""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
import subprocess
import sys
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast, get_args

import pytest

from otp_app.api.schemas import VerificationView
from otp_app.client import (
    ApiError,
    AsyncClient,
    Channel,
    Client,
    NoAnswer,
    NotReached,
    Verification,
)
from otp_app.verification import models
from tests.backend.api.conftest import NUMBER, OTHER_NUMBER
from tests.backend.api.foreign_server import foreign_server, http
from tests.conftest import API_KEYS
from tests.fakes import RIGHT, WRONG
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = API_KEYS["shop"]
VIEW = {
    "id": "x",
    "status": "pending",
    "channel": "sms",
    "ending": "671",
    "code_length": 6,
    "attempts_left": 5,
    "sends": 1,
    "resend_at": "2026-03-01T14:45:24Z",
    "expires_at": "2026-03-01T14:55:00Z",
}
PROBLEM = "application/problem+json"
PAGE = "<!doctype html><title>Welcome</title>"


@dataclass
class Awaited:
    """An `AsyncClient` with the synchronous methods of `Client`."""

    client: AsyncClient
    runner: asyncio.Runner

    def __getattr__(self, name: str) -> Callable[..., object]:
        return lambda *args, **kwargs: self.runner.run(getattr(self.client, name)(*args, **kwargs))


@pytest.fixture(params=["plain", "awaited"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Client]]:
    """Yield a function that creates clients of either kind, by default with a key."""
    opened: list[Callable[[], object]] = []
    with asyncio.Runner() as runner:

        def plain(address: str, api_key: str | None = KEY, **more: float) -> Client:
            client = Client(address, api_key, **more)
            opened.append(client.close)
            return client

        def awaited(address: str, api_key: str | None = KEY, **more: float) -> Client:
            client = Awaited(AsyncClient(address, api_key, **more), runner)
            opened.append(client.aclose)
            return cast("Client", client)

        yield plain if request.param == "plain" else awaited
        for close in opened:
            close()


@pytest.fixture
def client(connect: Callable[..., Client], address: str) -> Client:
    return connect(address)


def test_a_number_is_verified_by_the_right_code_only(client: Client) -> None:
    sent = client.start("07400 123456", "voice", "GB")
    with pytest.raises(ApiError) as wrong:
        client.check(sent.id, WRONG)
    read = client.read(sent.id)
    verified = client.check(sent.id, RIGHT)

    assert (sent.status, sent.channel, sent.ending, sent.is_verified) == (
        *("pending", "voice", "456"),
        False,
    )
    assert sent.expires_at - datetime.now(UTC) > timedelta(minutes=9)
    assert (wrong.value.code, wrong.value.status) == ("code_mismatch", 409)
    assert (wrong.value.attempts_left, wrong.value.until) == (4, sent.expires_at)
    assert "does not match" in wrong.value.text
    assert (read.id, read.attempts_left) == (sent.id, 4)
    assert verified.is_verified


def test_a_code_is_sent_again_and_given_up(client: Client) -> None:
    sent = client.start(NUMBER)

    again = client.resend(sent.id, "voice")
    client.cancel(sent.id)

    assert (again.id, again.sends, again.channel) == (sent.id, 2, "voice")
    with pytest.raises(ApiError) as caught:
        client.check(sent.id, RIGHT)
    assert caught.value.code == "verification_not_found"


def test_a_client_without_a_key_is_one_browser(
    connect: Callable[..., Client], address: str
) -> None:
    mine, other = connect(address, None), connect(address, None)

    sent = mine.start(NUMBER)

    with pytest.raises(ApiError) as caught:
        other.read(sent.id)
    assert caught.value.status == 401
    assert mine.check(sent.id, RIGHT).is_verified


def test_every_start_is_one_more_but_with_the_key_of_another(client: Client) -> None:
    first, second = client.start(NUMBER), client.start(NUMBER)
    key = first.id[:40]  # a unique key

    tries = [client.start(NUMBER, idempotency_key=key) for _ in "12"]

    assert len({first.id, second.id, tries[0].id}) == 3
    assert tries[0] == tries[1]
    with pytest.raises(ApiError) as caught:
        client.start(OTHER_NUMBER, idempotency_key=key)
    assert caught.value.code == "idempotency_key_reused"
    assert caught.value.idempotency_key == key


def test_a_check_whose_answer_was_lost_can_be_asked_again(client: Client) -> None:
    sent = client.start(NUMBER)
    key = sent.id[:40]

    assert client.check(sent.id, RIGHT, idempotency_key=key).is_verified
    assert client.check(sent.id, RIGHT, idempotency_key=key).is_verified
    with pytest.raises(ApiError) as caught:
        client.check(sent.id, RIGHT)
    assert caught.value.code == "already_verified"


def test_a_refusal_says_why_and_how_long_to_wait(client: Client) -> None:
    sent = client.start(NUMBER)
    refusals = []
    for _ in range(5):
        with pytest.raises(ApiError) as caught:
            client.check(sent.id, WRONG)
        refusals.append(caught.value)

    assert [error.code for error in refusals] == ["code_mismatch"] * 4 + ["attempts_exhausted"]
    last = refusals[-1]
    assert (last.status, last.until) == (429, sent.expires_at)
    assert last.retry_after is not None
    assert 0 < last.retry_after <= 600


@pytest.mark.parametrize(
    ("key", "number", "status", "code", "words"),
    [
        (KEY, "123", 422, "phone_invalid", "start the number with +"),
        ("otp_shop_not-a-real", NUMBER, 401, "api_key_refused", "API key is not known"),
    ],
)
def test_what_is_refused_has_the_words_of_the_api(
    connect: Callable[..., Client],
    address: str,
    key: str,
    number: str,
    status: int,
    code: str,
    words: str,
) -> None:
    with pytest.raises(ApiError) as caught:
        connect(address, key).start(number)

    error = caught.value
    assert (error.status, error.code, error.retry_after) == (status, code, None)
    assert str(error) == f"{status} {code}: {error.text}"
    assert words in error.text


def test_an_id_cannot_lead_elsewhere(client: Client) -> None:
    with pytest.raises(ApiError) as caught:
        client.read("../../openapi.json?x=")

    assert caught.value.status in {404, 422}


@pytest.mark.parametrize("code", ["overloaded", "store_unavailable"])
def test_only_a_call_that_was_refused_unread_can_be_repeated(
    connect: Callable[..., Client], code: str
) -> None:
    problem = http("503 -", PROBLEM, json.dumps({"code": code, "detail": "-"}), "Retry-After: 1")
    with foreign_server(problem) as server, pytest.raises(ApiError) as caught:
        connect(server.address).start(NUMBER)

    assert (caught.value.code, caught.value.retry_after) == (code, 1)
    assert caught.value.can_be_repeated == (code == "overloaded")


def test_where_nobody_listens_certainly_nothing_was_done(connect: Callable[..., Client]) -> None:
    with pytest.raises(NotReached):
        connect(f"http://127.0.0.1:{free_port()}").start(NUMBER)


@pytest.mark.parametrize("call", ["start", "check", "resend"])
def test_a_lost_answer_is_not_asked_for_again_but_can_be(
    connect: Callable[..., Client], call: str
) -> None:
    arguments = {"start": (NUMBER,), "check": ("x", RIGHT), "resend": ("x",)}[call]
    with foreign_server() as server:
        with pytest.raises(NoAnswer) as caught:
            getattr(connect(server.address), call)(*arguments)

        (request,) = server.requests
    assert not isinstance(caught.value, NotReached)
    assert len(caught.value.idempotency_key) == 36
    assert f"idempotency-key: {caught.value.idempotency_key}\r\n" in request.lower()


def test_silence_is_no_answer(connect: Callable[..., Client]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = connect(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.5)
        with pytest.raises(NoAnswer) as caught:
            client.start(NUMBER)

    assert not isinstance(caught.value, NotReached)


FOREIGN = {
    "a page": http("200 OK", "text/html", PAGE),
    "a proxy's failure": http("502 Bad Gateway", "text/html", PAGE, "Retry-After: 7"),
    "other JSON": http("200 OK", "application/json", "[]"),
    "JSON without times": http("200 OK", "application/json", json.dumps(VIEW | {"resend_at": 1})),
    "another's problem": http("400 Bad Request", "application/problem+json", '{"title": "No"}'),
    "a way elsewhere": http("307 Temporary Redirect", "text/html", "", "Location: /elsewhere"),
}


@pytest.mark.parametrize("answer", FOREIGN.values(), ids=list(FOREIGN))
def test_what_the_api_did_not_say_is_no_answer_of_it(
    connect: Callable[..., Client], answer: str
) -> None:
    with foreign_server(answer) as server:
        client = connect(server.address)
        for call in (lambda: client.start(NUMBER), lambda: client.cancel("x")):
            with pytest.raises(ApiError) as caught:
                call()
            assert caught.value.code == "foreign_answer"
            assert caught.value.status == int(answer.split()[1])
            assert caught.value.retry_after == (7 if "Retry-After" in answer else None)
            assert "Welcome" not in str(caught.value)

    assert len(server.requests) == 2


def test_only_an_approval_returns_from_a_check(connect: Callable[..., Client]) -> None:
    with foreign_server(http("200 OK", "application/json", json.dumps(VIEW))) as server:
        client = connect(server.address)
        with pytest.raises(ApiError):
            client.check("x", RIGHT)


def test_fields_of_a_newer_server_are_left_out(connect: Callable[..., Client]) -> None:
    newer = json.dumps(VIEW | {"colour": "green"})
    with foreign_server(http("200 OK", "application/json", newer)) as server:
        assert connect(server.address).read("x").ending == "671"


@pytest.mark.parametrize(
    "address", ["", "verify.example.com", "ftp://a.example", "http://a:canary"]
)
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match=r"^base_url must be"):
            kind(address)


@pytest.mark.parametrize("key", ["canary\n", "can ary", "canäry", ""])
def test_a_key_that_no_header_can_carry_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(ValueError, match=r"^api_key must be") as caught:
        Client("http://127.0.0.1", key)

    assert "can" not in str(caught.value)


def test_a_client_closes_what_it_opened() -> None:
    with Client("http://127.0.0.1") as client:
        pass

    with pytest.raises(RuntimeError, match="closed"):
        client.read("x")


def test_both_clients_take_the_same() -> None:
    for name in ("__init__", "start", "read", "check", "resend", "cancel"):
        plain, awaited = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.signature(plain) == inspect.signature(awaited)


def test_a_verification_is_what_the_api_shows() -> None:
    names = [field.name for field in fields(Verification)]

    assert names == list(VerificationView.model_fields)
    assert set(get_args(Channel)) == set(models.Channel)
    assert all(f"`{status}`" in (Verification.__doc__ or "") for status in models.Status)


def test_the_client_brings_neither_the_app_nor_its_libraries() -> None:
    program = "import json, sys, otp_app.client; print(json.dumps([*sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded: set[str] = set(json.loads(done.stdout))

    assert not loaded & {"reflex", "vonage", "twilio", "fastapi", "starlette", "sqlalchemy"}
    own = {name for name in loaded if name.startswith("otp_app.")}
    assert {name for name in own if not name.startswith("otp_app.client")} == set()
    assert "otp_app.client" in own
