"""The device cookie: a browser's record of its successes."""

from __future__ import annotations

import time

import pytest
from itsdangerous import TimestampSigner

from otp_app.identity.cookies import DEVICE_MAX_AGE, MOST_NUMBERS, DeviceCookies
from otp_app.phone import PhoneNumber

KEY, NUMBER_KEY = b"s" * 32, b"n" * 32
PHONE, OTHER = PhoneNumber("+447400123456"), PhoneNumber("+447400123457")
NUMBERS = [PhoneNumber(f"+44740012345{digit}") for digit in range(MOST_NUMBERS + 1)]


@pytest.fixture
def cookies() -> DeviceCookies:
    return DeviceCookies(KEY, NUMBER_KEY, secure=False)


def cookie_of(cookies: DeviceCookies, *numbers: PhoneNumber, cookie: str = "") -> str:
    """A browser's cookie, as `name=value`, after a success with each of *numbers*."""
    for phone in numbers:
        cookie = cookies.set_cookie(cookie, phone).partition(";")[0]
    return cookie


def knows(cookies: DeviceCookies, header: str, phone: PhoneNumber) -> bool:
    device = cookies.read(header)
    return device is not None and device.has_proved(phone)


def test_it_knows_the_number_that_was_confirmed_and_no_other(cookies: DeviceCookies) -> None:
    header = f"a=b; {cookie_of(cookies, PHONE)}"

    assert knows(cookies, header, PHONE)
    assert not knows(cookies, header, OTHER)


def test_it_knows_the_last_three_numbers(cookies: DeviceCookies) -> None:
    header = cookie_of(cookies, *NUMBERS)

    assert [knows(cookies, header, phone) for phone in NUMBERS] == [False, True, True, True]


def test_a_number_that_is_confirmed_again_becomes_the_last_one(cookies: DeviceCookies) -> None:
    header = cookie_of(cookies, *NUMBERS[:3], NUMBERS[0], NUMBERS[3])

    assert [knows(cookies, header, phone) for phone in NUMBERS] == [True, False, True, True]


def test_no_number_stands_in_it_and_two_browsers_have_nothing_in_common(
    cookies: DeviceCookies,
) -> None:
    one, other = (cookie_of(cookies, PHONE).partition("=")[2] for _ in range(2))

    assert PHONE.digits not in one
    assert not set(one.split(".")[:2]) & set(other.split(".")[:2])


@pytest.mark.parametrize("value", ["", "x", "a.b.c.d", "é", "x" * 10_000])
def test_what_we_did_not_sign_is_no_device(cookies: DeviceCookies, value: str) -> None:
    assert cookies.read(f"device={value}") is None


def test_a_signature_by_another_key_makes_no_device(cookies: DeviceCookies) -> None:
    value = cookie_of(cookies, PHONE).partition("=")[2].rsplit(".", 2)[0]

    for signer in (TimestampSigner(NUMBER_KEY), TimestampSigner(b"t" * 32)):
        assert cookies.read(f"device={signer.sign(value).decode()}") is None


def test_marks_of_one_device_are_worth_nothing_on_another(cookies: DeviceCookies) -> None:
    (id_, *_), (_, mark, *_) = (
        cookie_of(cookies, PHONE).partition("=")[2].split(".") for _ in range(2)
    )
    mixed = TimestampSigner(KEY).sign(f"{id_}.{mark}").decode()

    assert not knows(cookies, f"device={mixed}", PHONE)


def test_a_year_after_the_last_success_it_is_over(
    cookies: DeviceCookies, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, now = cookie_of(cookies, PHONE), time.time()

    monkeypatch.setattr(time, "time", lambda: now + DEVICE_MAX_AGE - 2)
    assert knows(cookies, header, PHONE)
    renewed = cookie_of(cookies, PHONE, cookie=header)
    monkeypatch.setattr(time, "time", lambda: now + DEVICE_MAX_AGE + 2)

    assert cookies.read(header) is None
    assert knows(cookies, renewed, PHONE)


@pytest.mark.parametrize("secure", [True, False])
def test_scripts_and_other_sites_cannot_have_it(secure: bool) -> None:
    header = DeviceCookies(KEY, NUMBER_KEY, secure=secure).set_cookie("", PHONE)
    cookie, *attributes = header.split("; ")

    assert {"Path=/", "HttpOnly", "SameSite=Lax", f"Max-Age={DEVICE_MAX_AGE}"} <= set(attributes)
    assert ("Secure" in attributes, cookie.startswith("__Host-device=")) == (secure, secure)
    assert not any(attribute.startswith("Domain") for attribute in attributes)
