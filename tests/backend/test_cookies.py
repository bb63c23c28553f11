"""Cookies in several header lines, and beside cookies with the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_app import services

if TYPE_CHECKING:
    from httpx2 import Response

    from tests.backend.conftest import Browser

NUMBER = {"number": "07400 123456", "country": "GB"}


def get(browser: Browser, path: str, *lines: bytes) -> Response:
    """GET *path* with each of *lines* as a `Cookie` header of its own."""
    headers = [(b"cookie", line) for line in lines]
    return browser.client.get(path, headers=headers, follow_redirects=False)


def is_known(browser: Browser, *lines: bytes) -> bool:
    """Return True if a browser that sends *lines* keeps its flow cookie."""
    return "set-cookie" not in get(browser, "/_flow.js", *lines).headers


def test_a_cookie_is_found_in_whichever_line_it_is(browser: Browser) -> None:
    ours, other = browser.cookie.encode(), b"language=de"

    for lines in ((ours, other), (other, ours)):
        assert is_known(browser, *lines)
        assert b'lang: "de"' in get(browser, "/_flow.js", *lines).content


def test_a_second_line_cannot_hide_that_a_cookie_is_there_twice(browser: Browser) -> None:
    ours, planted = browser.cookie.encode(), services.current().flows.mint().encode()

    for lines in ((ours, planted), (planted, ours), (ours, b"a=b", planted)):
        assert not is_known(browser, *lines)


# ASCII only: the test client would send other bytes in UTF-8. `attacks/` sends raw bytes.
@pytest.mark.parametrize("byte", [b"\x0b", b"\x0c", b"\x1c", b"\x1f"])
def test_a_cookie_whose_name_begins_with_another_byte_is_not_ours(
    browser: Browser, byte: bytes
) -> None:
    ours, planted = browser.cookie.encode(), services.current().flows.mint().encode()
    browser.post("/request-otp", NUMBER)

    assert is_known(browser, ours + b"; " + byte + planted)
    assert not is_known(browser, byte + planted)
    answer = get(browser, "/verify-otp", ours + b"; " + byte + planted)
    assert answer.status_code == 200  # the code page of our own flow
