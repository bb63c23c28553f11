"""Invalid bodies: the response names the field and does not repeat the value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.backend.api.conftest import NUMBER

if TYPE_CHECKING:
    from tests.backend.api.conftest import Caller
    from tests.fakes import FakeProvider

CREATE, VONAGE, TWILIO = "/api/v1/verifications", "/api/check-verification", "/api/otp/verify"
JSON = {"content-type": "application/json"}
DEEP = b'{"code": ' + b"[" * 4000 + b"]" * 4000 + b"}"

UNUSABLE = {
    "an unknown field": (CREATE, {"phone_number": NUMBER, "canary": "canary"}, "canary"),
    "a number as a number": (CREATE, {"phone_number": 447400123456}, "phone_number"),
    "a number as a list": (CREATE, {"phone_number": [NUMBER]}, "phone_number"),
    "no number": (CREATE, {}, "phone_number"),
    "null": (CREATE, {"phone_number": None}, "phone_number"),
    "an unknown channel": (CREATE, {"phone_number": NUMBER, "channel": "canary"}, "channel"),
    "a country that is none": (CREATE, {"phone_number": NUMBER, "country": "canary"}, "country"),
    "a long number": (CREATE, {"phone_number": "canary" * 500}, "phone_number"),
    "a long code": (TWILIO, {"code": "canary" * 500}, "code"),
    "a code as a number": (TWILIO, {"requestId": "x", "code": 123456}, "code"),
    "an id as an object": (VONAGE, {"requestId": {"$ne": "canary"}, "code": "1"}, "requestId"),
    "an id with spaces": (VONAGE, {"requestId": "canary canary", "code": "1"}, "requestId"),
    "a lone surrogate": (TWILIO, {"code": "\ud800"}, "code"),
    "a list": (CREATE, ["canary"], "body"),
    "a text": (CREATE, "canary", "body"),
}


@pytest.mark.parametrize(("path", "body", "field"), UNUSABLE.values(), ids=UNUSABLE)
def test_the_field_is_named_and_its_value_is_not(
    nobody: Caller, provider: FakeProvider, path: str, body: object, field: str
) -> None:
    answer = nobody.request("POST", path, content=json.dumps(body), headers=JSON)

    assert answer.status_code == 422
    told = answer.json()
    (error,) = told["errors"]
    assert error["field"] == field
    assert error["problem"] != "cannot be used"
    assert field in told.get("detail", told.get("error"))
    assert "canary" not in answer.text.replace(field, "")
    assert provider.sent == []


@pytest.mark.parametrize("path", [CREATE, VONAGE, TWILIO])
@pytest.mark.parametrize(
    "body", [b'{"code": 012345}', b"{", b"canary", b"\xff\xfe", b"[" * 8000, DEEP[:8000]]
)
def test_what_is_no_json_is_told_so(nobody: Caller, path: str, body: bytes) -> None:
    answer = nobody.request("POST", path, content=body, headers=JSON)

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "body", "problem": "is not JSON"}]


def test_deep_nesting_is_refused(nobody: Caller) -> None:
    for depth in (100, 900, 3000):
        body = f'{{"code": {"[" * depth}{"]" * depth}}}'
        answer = nobody.request("POST", TWILIO, content=body, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (422, "fields_unusable")


def test_a_made_up_field_name_is_not_told_back_if_it_is_no_name(nobody: Caller) -> None:
    for name in ("<script>", "x" * 2000, "+44 7400 123456", ""):
        answer = nobody.post(CREATE, {"phone_number": NUMBER, name: 1})

        assert answer.status_code == 422
        assert answer.json()["errors"] == [{"field": "body", "problem": "is not known"}]


@pytest.mark.parametrize("path", [CREATE, VONAGE, "/api/nowhere"])
def test_a_body_that_is_too_long_is_refused_as_json(nobody: Caller, path: str) -> None:
    answer = nobody.post(path, {"code": "1" * 10_000})

    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_long")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_body_that_a_form_could_send_is_refused(
    nobody: Caller, provider: FakeProvider, kind: str
) -> None:
    """E1: a form of another site can send these types without a preflight request."""
    body = json.dumps({"phone_number": NUMBER})
    headers = {"content-type": kind} if kind else {}

    answer = nobody.request("POST", CREATE, content=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "not_json")
    assert provider.sent == []
