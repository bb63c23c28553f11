"""The emulator's looks at numbers keep the vendors' rules, seen by plain HTTP."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest
from vonage_jwt import JwtClient

from tests import emulator as known
from tests.emulator import Clock, Emulator, Line
from tests.emulator.contract import answer_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.nightly

NUMBER = "+447700900123"
LOOKUP = f"/v2/PhoneNumbers/{NUMBER}"
INSIGHTS = "/identity-insights/v1/requests"
ACCOUNT = f"{known.TWILIO_ACCOUNT_SID}:{known.TWILIO_AUTH_TOKEN}"
KEY = f"{known.VONAGE_API_KEY}:{known.VONAGE_API_SECRET}"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(Clock(NOW)) as running:
        yield running


def basic(pair: str) -> str:
    return f"Basic {b64encode(pair.encode()).decode()}"


def bearer() -> str:
    client = JwtClient(known.VONAGE_APPLICATION_ID, known.vonage_private_key())
    return f"Bearer {client.generate_application_jwt().decode()}"


def ask(
    emulator: Emulator, method: str, path: str, authorization: str, body: object = None
) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", emulator.port, timeout=5)
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    told = answer.status, json.loads(answer.read())
    connection.close()
    return told


def lookup(emulator: Emulator, query: str, authorization: str = "") -> tuple[int, Any]:
    return ask(emulator, "GET", LOOKUP + query, authorization or basic(ACCOUNT))


def insights(
    emulator: Emulator, wanted: dict[str, Any], authorization: str = ""
) -> tuple[int, Any]:
    body = {"phone_number": NUMBER, "insights": wanted}
    return ask(emulator, "POST", INSIGHTS, authorization or bearer(), body)


def without_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Twilio's own examples are full of nulls that its schema does not allow."""
    if not isinstance(value, dict):
        return value
    return {key: without_nulls(item) for key, item in value.items() if item is not None}


@pytest.mark.parametrize("line", [Line(), Line("voip", NOW, is_blocked=True), Line(is_known=False)])
def test_every_answer_follows_the_official_document(emulator: Emulator, line: Line) -> None:
    emulator.lines[NUMBER] = line
    fields = "?Fields=sim_swap,line_type_intelligence,sms_pumping_risk"

    told = {
        "twilio.look": lookup(emulator, fields),
        "vonage.look": insights(emulator, {"sim_swap": {"period": 72}, "original_carrier": {}}),
    }

    for operation, (status, body) in told.items():
        assert status == 200
        assert answer_problems(operation, 200, without_nulls(body)) == []
    assert emulator.violations == []


def test_packages_that_are_not_asked_for_are_null(emulator: Emulator) -> None:
    _, body = lookup(emulator, "?Fields=sim_swap")

    assert body["phone_number"] == NUMBER
    assert body["sim_swap"]["last_sim_swap"]["swapped_in_period"] is False
    assert (body["line_type_intelligence"], body["sms_pumping_risk"]) == (None, None)


@pytest.mark.parametrize(("hours", "found"), [(23, True), (25, False)])
def test_twilio_looks_back_as_far_as_was_agreed_and_vonage_as_it_is_asked(
    emulator: Emulator, hours: int, found: bool
) -> None:
    emulator.lines[NUMBER] = Line(sim_swapped_at=NOW - timedelta(hours=hours))

    _, twilio = lookup(emulator, "?Fields=sim_swap")
    _, vonage = insights(emulator, {"sim_swap": {"period": 24}})
    _, patient = insights(emulator, {"sim_swap": {}})

    assert twilio["sim_swap"]["last_sim_swap"]["swapped_in_period"] is found
    assert vonage["insights"]["sim_swap"]["is_swapped"] is found
    assert patient["insights"]["sim_swap"]["is_swapped"] is True


@pytest.mark.parametrize("query", ["?Fields=canary", "?Fields=sim_swap,", "?Canary=1"])
def test_a_lookup_of_what_is_in_no_document_is_a_violation(emulator: Emulator, query: str) -> None:
    status, _ = lookup(emulator, query)

    assert status == 400
    assert len(emulator.violations) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"canary": {}},
        {"sim_swap": {"period": 0}},
        {"sim_swap": {"period": 2401}},
        {"original_carrier": {"canary": 1}},
    ],
)
def test_insights_that_are_in_no_document_are_a_violation(
    emulator: Emulator, wanted: dict[str, Any]
) -> None:
    status, _ = insights(emulator, wanted)

    assert status == 422
    assert len(emulator.violations) == 1


def test_other_credentials_are_refused(emulator: Emulator) -> None:
    assert lookup(emulator, "", basic(f"{known.TWILIO_ACCOUNT_SID}:canary"))[0] == 401
    assert insights(emulator, {"format": {}}, "Bearer canary")[0] == 401
    assert emulator.violations == []


def test_insights_take_no_key_and_secret(emulator: Emulator) -> None:
    assert insights(emulator, {"original_carrier": {}}, basic(KEY))[0] == 401
    assert "Authorization" in emulator.violations[0]
