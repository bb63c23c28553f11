"""The emulator keeps the vendors' rules, seen by their own SDKs and by plain HTTP."""

import json
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.parse import urlencode

import pytest
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import ReadTimeout
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from vonage import Auth, HttpClientOptions, Vonage
from vonage_http_client.errors import HttpRequestError
from vonage_jwt import JwtClient
from vonage_verify import SmsChannel, VerifyRequest, VoiceChannel

from tests.emulator import (
    TWILIO_ACCOUNT_SID,
    TWILIO_API_KEY_SECRET,
    TWILIO_API_KEY_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_ERRORS,
    TWILIO_SERVICE_SID,
    VONAGE_API_KEY,
    VONAGE_API_SECRET,
    VONAGE_APPLICATION_ID,
    VONAGE_ERRORS,
    Answer,
    Clock,
    Drop,
    DropBefore,
    Empty,
    Emulator,
    Fault,
    Hang,
    Html,
    Huge,
    Redirect,
    Reset,
    Trickle,
    Truncated,
    TwilioError,
    VonageError,
    WrongJson,
    twilio_error,
    vonage_error,
    vonage_private_key,
)
from tests.emulator.contract import answer_problems
from tests.emulator.messages import new_code
from tests.emulator.openapi import OPERATIONS

pytestmark = pytest.mark.nightly  # the contract tests would miss what is missing here

PATIENCE = 2  # seconds of silence that clients bear

NUMBER = "+447700900123"
START = f"/v2/Services/{TWILIO_SERVICE_SID}/Verifications"
CHECK = f"/v2/Services/{TWILIO_SERVICE_SID}/VerificationCheck"


# By the SDKs' own hints everything may be None.
Sdk = Any
Connect = Callable[[Auth], Sdk]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Clock(datetime(2026, 1, 1, tzinfo=UTC))) as running:
        yield running


@pytest.fixture
def twilio(emulator: Emulator) -> Iterator[Sdk]:
    http_client = TwilioHttpClient(timeout=PATIENCE)
    with Session() as http_client.session:
        credentials = TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN
        client = Client(*credentials, http_client=http_client)  # type: ignore[no-untyped-call]
        client.verify.base_url = emulator.url
        yield client.verify.v2.services(TWILIO_SERVICE_SID)


class PlainHttp(HTTPAdapter):
    """Carries the https URLs that Vonage's SDK insists on to a port that speaks plain HTTP."""

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:  # noqa: ANN401 - requests' own
        request.url = str(request.url).replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


@pytest.fixture
def connect(emulator: Emulator) -> Iterator[Connect]:
    clients = []

    def connect_with(auth: Auth) -> Sdk:
        host = f"127.0.0.1:{emulator.port}"
        client = Vonage(auth, HttpClientOptions(api_host=host, timeout=PATIENCE, pool_maxsize=1))
        client.http_client._session.mount(f"https://{host}", PlainHttp())
        clients.append(client)
        return client.verify

    yield connect_with
    for client in clients:
        client.http_client._session.close()


@pytest.fixture
def vonage(connect: Connect) -> Sdk:
    return connect(Auth(api_key=VONAGE_API_KEY, api_secret=VONAGE_API_SECRET))


def by_sms_then_voice(**fields: int) -> VerifyRequest:
    to = {"to": NUMBER.removeprefix("+")}
    workflow = [SmsChannel.model_validate(to), VoiceChannel.model_validate(to)]
    return VerifyRequest.model_validate({"brand": "otp_app", "workflow": workflow} | fields)


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def ask(
    emulator: Emulator, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, bytes]:
    """One request by plain HTTP, with the credentials and content type its service wants."""
    is_vonage = path.startswith("/v2/verify")
    defaults = {
        "Content-Type": "application/json" if is_vonage else "application/x-www-form-urlencoded",
        "Authorization": basic(VONAGE_API_KEY, VONAGE_API_SECRET)
        if is_vonage
        else basic(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN),
    }
    with closing(HTTPConnection("127.0.0.1", emulator.port, timeout=PATIENCE)) as connection:
        connection.request(method, path, body, defaults | headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


def start(emulator: Emulator) -> tuple[int, bytes]:
    return ask(emulator, "POST", START, urlencode({"To": NUMBER, "Channel": "sms"}))


def refusal(call: Callable[..., object], *args: str, **kwargs: str) -> tuple[int, int]:
    """The status of the error an SDK call ends in, and Twilio's code or 0."""
    with pytest.raises((TwilioRestException, HttpRequestError)) as caught:
        call(*args, **kwargs)
    error: Any = caught.value
    return (error.status, error.code) if hasattr(error, "code") else (error.response.status_code, 0)


def other_than(code: str) -> str:
    return "1" * len(code) if code[0] != "1" else "2" * len(code)


# Twilio


def test_a_right_code_is_approved_once_and_the_verification_is_then_gone(
    emulator: Emulator, twilio: Sdk
) -> None:
    started = twilio.verifications.create(to=NUMBER, channel="sms")
    [message] = emulator.messages
    assert (message.service, message.channel, message.to) == ("twilio", "sms", NUMBER)
    assert (started.status, started.sid, len(message.code)) == ("pending", message.reference, 6)
    checked = twilio.verification_checks.create(verification_sid=started.sid, code=message.code)
    assert (checked.status, checked.valid) == ("approved", True)
    again = {"to": NUMBER, "code": message.code}
    assert refusal(twilio.verification_checks.create, **again) == (404, 20404)
    assert refusal(twilio.verifications(started.sid).fetch) == (404, 20404)
    assert emulator.violations == []


def test_starting_again_sends_the_same_code_and_does_not_prolong_it(
    emulator: Emulator, twilio: Sdk
) -> None:
    first = twilio.verifications.create(to=NUMBER, channel="sms")
    emulator.clock.tick(599)
    second = twilio.verifications.create(to=NUMBER, channel="call")
    assert second.sid == first.sid
    assert [attempt["channel"] for attempt in second.send_code_attempts] == ["SMS", "CALL"]
    assert [message.channel for message in emulator.messages] == ["sms", "voice"]
    assert len({message.code for message in emulator.messages}) == 1
    emulator.clock.tick(1)
    assert refusal(twilio.verifications(first.sid).fetch) == (404, 20404)
    assert twilio.verifications.create(to=NUMBER, channel="sms").sid != first.sid


def test_a_sixth_send_is_refused_until_the_verification_is_canceled(
    emulator: Emulator, twilio: Sdk
) -> None:
    for _ in range(5):
        sid = twilio.verifications.create(to=NUMBER, channel="sms").sid
    assert refusal(twilio.verifications.create, to=NUMBER, channel="sms") == (429, 60203)
    assert len(emulator.messages) == 5
    assert twilio.verifications(sid).update(status="canceled").status == "canceled"
    assert refusal(twilio.verifications(sid).update, status="canceled") == (404, 20404)
    assert twilio.verifications.create(to=NUMBER, channel="sms").sid != sid


def test_a_wrong_code_is_pending_five_times_and_then_locks_the_number(
    emulator: Emulator, twilio: Sdk
) -> None:
    twilio.verifications.create(to=NUMBER, channel="sms")
    guess = {"to": NUMBER, "code": other_than(emulator.messages[0].code)}
    statuses = {twilio.verification_checks.create(**guess).status for _ in range(5)}
    assert statuses == {"pending"}
    assert refusal(twilio.verification_checks.create, **guess) == (429, 60202)
    assert refusal(twilio.verification_checks.create, **guess) == (404, 20404)
    assert refusal(twilio.verifications.create, to=NUMBER, channel="sms") == (429, 60202)
    emulator.clock.tick(600)
    assert twilio.verifications.create(to=NUMBER, channel="sms").status == "pending"


def test_a_verification_is_fetched_and_approved_by_sid_or_by_number(twilio: Sdk) -> None:
    started = twilio.verifications.create(to=NUMBER, channel="sms")
    assert twilio.verifications(NUMBER).fetch().sid == started.sid
    assert isinstance(started.date_created, datetime)
    assert twilio.verifications(started.sid).update(status="approved").valid is True


def test_the_service_tells_the_code_length_it_uses(emulator: Emulator, twilio: Sdk) -> None:
    emulator.twilio.code_length = 8
    assert twilio.fetch().code_length == 8
    twilio.verifications.create(to=NUMBER, channel="sms")
    assert len(emulator.messages[0].code) == 8


@pytest.mark.parametrize(
    ("user", "password", "status"),
    [
        (TWILIO_API_KEY_SID, TWILIO_API_KEY_SECRET, 200),
        (TWILIO_ACCOUNT_SID, "wrong", 401),
        (TWILIO_API_KEY_SID, TWILIO_AUTH_TOKEN, 401),
    ],
)
def test_twilio_admits_its_account_and_its_api_key(
    emulator: Emulator, user: str, password: str, status: int
) -> None:
    path = f"/v2/Services/{TWILIO_SERVICE_SID}"
    assert ask(emulator, "GET", path, Authorization=basic(user, password))[0] == status


def test_a_number_can_be_refused_on_one_channel_or_on_all(emulator: Emulator, twilio: Sdk) -> None:
    emulator.twilio.refuse(NUMBER, 60410, channel="sms")
    assert refusal(twilio.verifications.create, to=NUMBER, channel="sms") == (403, 60410)
    assert twilio.verifications.create(to=NUMBER, channel="call").status == "pending"
    emulator.twilio.refuse(NUMBER, 60605)
    assert refusal(twilio.verifications.create, to=NUMBER, channel="call") == (403, 60605)
    assert len(emulator.messages) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"channel": "email"}, 60223),
        ({"channel": "whatsapp"}, 68008),
        ({"channel": "sms", "template_sid": "HJ" + "0" * 32}, 60228),
        ({"channel": "call", "template_sid": "HJ" + "0" * 32}, 60408),
        ({"channel": "call", "app_hash": "a" * 11}, 60602),
        ({"channel": "sms", "custom_code": "1234"}, 60204),
    ],
)
def test_twilio_refuses_what_the_account_has_not(
    emulator: Emulator, twilio: Sdk, fields: dict[str, str], code: int
) -> None:
    assert refusal(twilio.verifications.create, to=NUMBER, **fields)[1] == code
    assert emulator.messages == []


def test_a_check_must_say_of_what(twilio: Sdk) -> None:
    assert refusal(twilio.verification_checks.create, code="123456") == (400, 60221)
    assert refusal(twilio.verification_checks.create, to=NUMBER) == (400, 60200)


def test_another_service_does_not_exist(emulator: Emulator) -> None:
    path = START.replace(TWILIO_SERVICE_SID, "VA" + "9" * 32)
    status, body = ask(emulator, "POST", path, urlencode({"To": NUMBER, "Channel": "sms"}))
    assert (status, json.loads(body)["code"]) == (404, 20404)


def test_every_answer_of_twilio_follows_the_official_document(emulator: Emulator) -> None:
    status, body = start(emulator)
    path = f"{START}/{json.loads(body)['sid']}"
    guess = urlencode({"To": NUMBER, "Code": other_than(emulator.messages[0].code)})
    answers = [
        ("twilio.start", status, body),
        ("twilio.fetch", *ask(emulator, "GET", path)),
        ("twilio.check", *ask(emulator, "POST", CHECK, guess)),
        ("twilio.service", *ask(emulator, "GET", f"/v2/Services/{TWILIO_SERVICE_SID}")),
        ("twilio.cancel", *ask(emulator, "POST", path, "Status=canceled")),
    ]
    assert [status for _, status, _ in answers] == [201, 200, 200, 200, 200]
    for operation, status, body in answers:
        fields = OPERATIONS[operation].answers[str(status)]["content"]
        assert json.loads(body).keys() == fields["application/json"]["schema"]["properties"].keys()
        assert answer_problems(operation, status, json.loads(body)) == []


# Vonage


def test_a_right_code_completes_the_request_once(emulator: Emulator, vonage: Sdk) -> None:
    started = vonage.start_verification(by_sms_then_voice(code_length=6))
    [message] = emulator.messages
    assert (message.service, message.channel, message.to) == ("vonage", "sms", NUMBER)
    assert (message.reference, len(message.code)) == (started.request_id, 6)
    checked = vonage.check_code(request_id=started.request_id, code=message.code)
    assert checked.status == "completed"
    assert refusal(vonage.check_code, started.request_id, message.code)[0] == 404
    assert emulator.violations == []


def test_codes_have_four_digits_when_nobody_asks_for_more(emulator: Emulator, vonage: Sdk) -> None:
    vonage.start_verification(by_sms_then_voice())
    assert len(emulator.messages[0].code) == 4


def test_a_second_request_to_a_number_names_the_one_that_runs(
    emulator: Emulator, vonage: Sdk
) -> None:
    running = vonage.start_verification(by_sms_then_voice())
    with pytest.raises(HttpRequestError) as caught:
        vonage.start_verification(by_sms_then_voice())
    response = caught.value.response
    assert response.status_code == 409
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.json()["request_id"] == running.request_id
    assert len(emulator.messages) == 1


def test_the_fourth_wrong_code_ends_the_request(emulator: Emulator, vonage: Sdk) -> None:
    request_id = vonage.start_verification(by_sms_then_voice()).request_id
    right = emulator.messages[0].code
    wrong = other_than(right)
    statuses = [refusal(vonage.check_code, request_id, wrong)[0] for _ in range(5)]
    assert statuses == [400, 400, 400, 410, 404]
    assert vonage.start_verification(by_sms_then_voice()).request_id != request_id


def test_the_next_step_has_a_new_code_and_there_is_none_after_the_last(
    emulator: Emulator, vonage: Sdk
) -> None:
    request_id = vonage.start_verification(by_sms_then_voice()).request_id
    vonage.trigger_next_workflow(request_id)
    sms, voice = emulator.messages
    assert (voice.channel, voice.reference) == ("voice", request_id)
    assert refusal(vonage.trigger_next_workflow, request_id)[0] == 409
    assert refusal(vonage.check_code, request_id, sms.code)[0] == 400
    assert vonage.check_code(request_id, voice.code).status == "completed"


def test_steps_follow_each_other_by_the_clock_until_the_request_expires(
    emulator: Emulator, vonage: Sdk
) -> None:
    request_id = vonage.start_verification(by_sms_then_voice(channel_timeout=60)).request_id
    began = emulator.clock.now()
    emulator.clock.tick(61)
    sms, voice = emulator.messages
    assert (voice.channel, voice.at) == ("voice", began + timedelta(seconds=60))
    assert voice.code != sms.code
    emulator.clock.tick(59)
    assert refusal(vonage.check_code, request_id, voice.code)[0] == 404
    assert len(emulator.messages) == 2


def test_a_request_is_canceled_after_thirty_seconds_and_before_its_second_event(
    emulator: Emulator, vonage: Sdk
) -> None:
    request_id = vonage.start_verification(by_sms_then_voice()).request_id
    assert refusal(vonage.cancel_verification, request_id)[0] == 404
    emulator.clock.tick(30)
    vonage.cancel_verification(request_id)
    request_id = vonage.start_verification(by_sms_then_voice()).request_id
    emulator.clock.tick(180)
    assert refusal(vonage.cancel_verification, request_id)[0] == 404


def test_a_code_may_be_chosen_or_reused_by_the_caller(emulator: Emulator) -> None:
    digits = NUMBER.removeprefix("+")
    steps = [{"channel": "sms", "to": digits}, {"channel": "voice", "to": digits}]
    steps[1]["reuse_code"] = True  # type: ignore[assignment]
    body = json.dumps({"brand": "otp_app", "workflow": steps})
    request_id = json.loads(ask(emulator, "POST", "/v2/verify", body)[1])["request_id"]
    ask(emulator, "POST", f"/v2/verify/{request_id}/next_workflow")
    assert len({message.code for message in emulator.messages}) == 1
    chosen = {"brand": "otp_app", "workflow": [{"channel": "sms", "to": "447700900999"}]}
    ask(emulator, "POST", "/v2/verify", json.dumps(chosen | {"code": "a1b2c3"}))
    assert emulator.messages[-1].code == "a1b2c3"


def test_an_applications_token_is_as_good_as_key_and_secret(
    emulator: Emulator, connect: Connect
) -> None:
    application = Auth(application_id=VONAGE_APPLICATION_ID, private_key=vonage_private_key())
    connect(application).start_verification(by_sms_then_voice())
    assert emulator.requests[0].headers["authorization"].startswith("Bearer ")
    assert len(emulator.messages) == 1


@pytest.mark.parametrize(
    ("application_id", "claims", "kind"),
    [
        (VONAGE_APPLICATION_ID, {"exp": 1}, "jwt-expired"),
        ("00000000-0000-4000-8000-000000000009", {}, "unauthorized"),
    ],
)
def test_vonage_admits_no_other_token(
    emulator: Emulator, application_id: str, claims: dict[str, int], kind: str
) -> None:
    signer = JwtClient(application_id, vonage_private_key())
    token = signer.generate_application_jwt(claims).decode()
    path = "/v2/verify/00000000-0000-4000-8000-000000000000"
    status, body = ask(emulator, "DELETE", path, Authorization=f"Bearer {token}")
    assert (status, json.loads(body)["type"].split("#")[1]) == (401, kind)


@pytest.mark.parametrize(
    ("channel", "status"), [({"channel": "silent_auth"}, 412), ({"channel": "email"}, 422)]
)
def test_vonage_refuses_channels_the_account_has_not(
    emulator: Emulator, channel: dict[str, str], status: int
) -> None:
    to = "a@example.com" if channel["channel"] == "email" else "447700900123"
    body = json.dumps({"brand": "otp_app", "workflow": [channel | {"to": to}]})
    assert ask(emulator, "POST", "/v2/verify", body)[0] == status
    assert emulator.violations == []


def test_a_new_code_is_never_the_one_it_replaces() -> None:
    assert "7" not in {new_code(1, unlike="7") for _ in range(200)}


# The documents


@pytest.mark.parametrize(
    ("fields", "culprit"),
    [
        ({"To": NUMBER}, "Channel"),
        ({"To": "07700900123", "Channel": "sms"}, "To"),
        ({"To": NUMBER, "Channel": "pigeon"}, "Channel"),
        ({"To": NUMBER, "Channel": "sms", "CodeLength": "6"}, "CodeLength"),
        ({"To": NUMBER, "Channel": "sms", "RiskCheck": "maybe"}, "RiskCheck"),
        ({"To": NUMBER, "Channel": "sms", "TemplateSid": "HJ1"}, "TemplateSid"),
    ],
)
def test_a_request_that_disobeys_twilios_document_is_refused_and_told(
    emulator: Emulator, fields: dict[str, str], culprit: str
) -> None:
    status, body = ask(emulator, "POST", START, urlencode(fields))
    assert (status, json.loads(body)["code"]) == (400, 60200)
    assert f"(twilio.start): {culprit}: " in emulator.violations[0]
    assert emulator.messages == []


SMS = {"channel": "sms", "to": "447700900123"}


@pytest.mark.parametrize(
    ("fields", "culprit"),
    [
        ({"workflow": [SMS]}, "brand"),
        ({"brand": "otp_app", "workflow": []}, "workflow"),
        ({"brand": "otp_app", "workflow": [SMS] * 4}, "workflow"),
        ({"brand": "a brand far too long", "workflow": [SMS]}, "brand"),
        ({"brand": "otp:app", "workflow": [SMS]}, "brand"),
        ({"brand": "otp_app", "workflow": [SMS | {"to": NUMBER}]}, "workflow.0.to"),
        ({"brand": "otp_app", "workflow": [SMS | {"colour": "red"}]}, "colour"),
        ({"brand": "otp_app", "workflow": [SMS], "channel_timeout": 14}, "channel_timeout"),
        ({"brand": "otp_app", "workflow": [SMS], "code_length": "6"}, "code_length"),
        ({"brand": "otp_app", "workflow": [SMS], "client_ref": "a b"}, "client_ref"),
        ([], "body"),
    ],
)
def test_a_request_that_disobeys_vonages_document_is_refused_and_told(
    emulator: Emulator, fields: object, culprit: str
) -> None:
    status, body = ask(emulator, "POST", "/v2/verify", json.dumps(fields))
    assert status == 422
    assert culprit in [item["name"] for item in json.loads(body)["invalid_parameters"]]
    assert f"(vonage.start): {culprit}: " in "\n".join(emulator.violations)
    assert emulator.messages == []


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("GET", "/v2/verify", "", {}),
        ("POST", "/account/get-balance", "", {}),
        ("PUT", START, "", {}),
        ("POST", START + "?Channel=sms", f"To=%2B{NUMBER[1:]}&Channel=sms", {}),
        ("POST", START, '{"To": "+447700900123"}', {"Content-Type": "application/json"}),
        ("POST", START, f"To=%2B{NUMBER[1:]}&To=%2B447700900124&Channel=sms", {}),
        ("POST", START, f"To=%2B{NUMBER[1:]}&Channel=sms", {"Authorization": "Bearer token"}),
        ("POST", "/v2/verify", "{", {}),
        ("DELETE", "/v2/verify/1", "{}", {}),
    ],
)
def test_a_request_no_document_knows_is_a_violation(
    emulator: Emulator, method: str, path: str, body: str, headers: dict[str, str]
) -> None:
    assert ask(emulator, method, path, body, **headers)[0] in {400, 401, 404, 422}
    assert len(emulator.violations) == 1


# Refusals


@pytest.mark.parametrize("error", TWILIO_ERRORS, ids=lambda error: str(error.code))
def test_twilios_sdk_meets_every_documented_refusal(
    emulator: Emulator, twilio: Sdk, error: TwilioError
) -> None:
    emulator.fail("twilio.start", twilio_error(error.code))
    met = refusal(twilio.verifications.create, to=NUMBER, channel="sms")
    assert met == (error.status, error.code)
    assert (emulator.messages, emulator.requests[0].applied) == ([], False)


@pytest.mark.parametrize("error", VONAGE_ERRORS, ids=lambda error: f"{error.status}-{error.kind}")
def test_vonages_sdk_meets_every_documented_refusal(
    emulator: Emulator, vonage: Sdk, error: VonageError
) -> None:
    emulator.fail("vonage.start", vonage_error(error.status, error.kind, retry_after=7))
    with pytest.raises(HttpRequestError) as caught:
        vonage.start_verification(by_sms_then_voice())
    response = caught.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (error.status, "7")
    assert {"title", "type", "detail", "instance"} <= response.json().keys()


# Faults


def test_a_dropped_answer_has_been_acted_on_and_a_dropped_request_has_not(
    emulator: Emulator,
) -> None:
    faults: list[tuple[Fault, int]] = [(Drop(), 1), (Reset(), 2), (DropBefore(), 2)]
    for fault, sent in faults:
        emulator.fail("twilio.start", fault)
        with pytest.raises((RemoteDisconnected, ConnectionResetError)):
            start(emulator)
        assert len(emulator.messages) == sent
    assert [request.applied for request in emulator.requests] == [True, True, False]
    assert start(emulator)[0] == 201


def test_a_reset_is_one(emulator: Emulator) -> None:
    emulator.fail("twilio.start", Reset())
    with pytest.raises(ConnectionResetError) as caught:
        start(emulator)
    assert not isinstance(caught.value, RemoteDisconnected)


def test_a_hanging_service_has_acted_and_answers_in_the_end(
    emulator: Emulator, twilio: Sdk
) -> None:
    emulator.fail("twilio.start", Hang(seconds=0.1))
    assert start(emulator)[0] == 201
    emulator.fail("twilio.start", Hang(seconds=30))
    with pytest.raises(ReadTimeout):
        twilio.verifications.create(to=NUMBER, channel="sms")
    assert len(emulator.messages) == 2


def test_stopping_does_not_wait_for_a_hanging_answer(emulator: Emulator) -> None:
    emulator.fail("twilio.start", Hang(seconds=30))
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(start, emulator)
        while not emulator.requests:
            time.sleep(0.01)
        emulator.stop()
        assert isinstance(answer.exception(), ConnectionError)


def test_a_trickle_outlasts_the_silence_a_client_bears(emulator: Emulator, twilio: Sdk) -> None:
    emulator.fail("twilio.start", Trickle(seconds=PATIENCE + 0.5, pause=0.1))
    began = time.monotonic()
    assert twilio.verifications.create(to=NUMBER, channel="sms").status == "pending"
    assert time.monotonic() - began > PATIENCE


@pytest.mark.parametrize(
    ("fault", "status", "body", "sent"),
    [
        (Answer(418, {"tea": True}), 418, b'{"tea": true}', 0),
        (Answer(200, "plain"), 200, b"plain", 0),
        (Empty(), 200, b"", 1),
        (Html(502), 502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", 0),
        (WrongJson(), 200, b'["not", "an", "object"]', 1),
        (WrongJson({}, applied=False), 200, b"{}", 0),
        (Huge(200_000), 200, b'"' + b"x" * 199_998 + b'"', 1),
        (Redirect("http://127.0.0.1:9/elsewhere"), 307, b"", 0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fault_answers_in_place_of_the_service(
    emulator: Emulator, fault: Fault, status: int, body: bytes, sent: int
) -> None:
    emulator.fail("twilio.start", fault)
    assert start(emulator) == (status, body)
    assert len(emulator.messages) == sent


def test_a_truncated_answer_ends_before_its_length(emulator: Emulator) -> None:
    emulator.fail("twilio.start", Truncated())
    with pytest.raises(IncompleteRead):
        start(emulator)


def test_faults_come_in_turn_so_often_as_told_and_are_healed(emulator: Emulator) -> None:
    emulator.fail("twilio.start", Html(500), times=2)
    emulator.fail("twilio.start", Html(503), times=None)
    assert [start(emulator)[0] for _ in range(4)] == [500, 500, 503, 503]
    emulator.heal()
    assert start(emulator)[0] == 201
    assert emulator.count("twilio.start") == 5
    with pytest.raises(ValueError, match=r"twilio\.begin"):
        emulator.fail("twilio.begin", Drop())


# The server


def test_a_stopped_emulator_refuses_and_comes_back_with_its_state(emulator: Emulator) -> None:
    start(emulator)
    url = emulator.url
    with socket.create_connection(("127.0.0.1", emulator.port), timeout=PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert connection.recv(65536)
        emulator.stop()
        assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        start(emulator)
    emulator.start()
    assert emulator.url == url
    assert json.loads(start(emulator)[1])["sid"] == emulator.messages[0].reference


def test_reset_forgets_everything_but_the_time(emulator: Emulator) -> None:
    emulator.twilio.code_length = 4
    emulator.clock.tick(60)
    start(emulator)
    emulator.fail("twilio.start", Drop())
    emulator.reset()
    assert (emulator.requests, emulator.messages, emulator.violations) == ([], [], [])
    assert start(emulator)[0] == 201
    [message] = emulator.messages
    assert (len(message.code), message.at.minute) == (6, 1)


def test_a_connection_serves_many_requests(emulator: Emulator) -> None:
    authorization = {"Authorization": basic(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN)}
    with closing(HTTPConnection("127.0.0.1", emulator.port, timeout=PATIENCE)) as connection:
        connection.connect()
        port = connection.sock.getsockname()[1]
        for _ in range(3):
            connection.request("GET", f"/v2/Services/{TWILIO_SERVICE_SID}", headers=authorization)
            assert connection.getresponse().read()
            assert connection.sock.getsockname()[1] == port


def test_parallel_starts_of_one_number_are_one_verification(emulator: Emulator) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: start(emulator), range(8)))
    assert sorted(status for status, _ in answers) == [201] * 5 + [429] * 3
    assert len({message.reference for message in emulator.messages}) == 1


def test_a_client_that_leaves_early_leaves_no_traceback(
    emulator: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    emulator.fail("twilio.start", Huge(10_000_000))
    with socket.create_connection(("127.0.0.1", emulator.port)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\nTo=")
    with closing(HTTPConnection("127.0.0.1", emulator.port, timeout=PATIENCE)) as connection:
        connection.request("POST", START, urlencode({"To": NUMBER, "Channel": "sms"}))
        connection.getresponse().read(10)
    assert start(emulator)[0] == 201
    assert emulator.count("twilio.start") == 2
    while emulator._server is not None and emulator._server._connections:
        time.sleep(0.01)
    assert capfd.readouterr().err == ""


def test_the_default_clock_runs_with_the_world_and_can_be_moved_on() -> None:
    clock = Clock()
    clock.tick(3600)
    ahead = clock.now() - datetime.now(UTC)
    assert timedelta(minutes=59) < ahead <= timedelta(hours=1)
