"""The session cookie."""

from __future__ import annotations

import pytest

from otp_app.identity.cookies import SessionCookies
from otp_app.verification.sessions import Token

TOKEN = Token("a-_0" * 10 + "abc")


@pytest.mark.parametrize("secure", [True, False])
def test_what_is_set_is_read_back(secure: bool) -> None:
    cookies = SessionCookies(secure=secure)

    cookie, *attributes = cookies.set_cookie(TOKEN).split("; ")

    assert cookies.read(f"a=b; {cookie}") == TOKEN
    assert {"Path=/", "HttpOnly", "SameSite=Lax"} <= set(attributes)
    assert ("Secure" in attributes, cookie.startswith("__Host-")) == (secure, secure)


def test_a_deleted_one_is_none() -> None:
    cookies = SessionCookies(secure=False)
    cookie, *attributes = cookies.delete_cookie().split("; ")

    assert cookies.read(cookie) is None
    assert "Max-Age=0" in attributes


@pytest.mark.parametrize("value", ["", "short", "x" * 44, "é" * 43, "x" * 42 + ".", "x" * 10_000])
def test_what_is_no_token_is_none(value: str) -> None:
    assert SessionCookies(secure=False).read(f"session={value}") is None
