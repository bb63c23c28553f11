"""The reader of cookies: exact names, each of them once, and no other reader in the app."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import otp_app
from otp_app.identity.cookies import (
    FlowCookies,
    SessionCookies,
    cookie_value,
    with_one_cookie_header,
)
from otp_app.presentation import Preferences
from otp_app.routes import LANGUAGE_COOKIE
from otp_app.verification.sessions import Token

NAME = "__Host-flow"
BYTES = [bytes([value]).decode("latin-1") for value in range(256)]  # as servers decode headers
BLANKS = {" ": "value", "\t": "value"}
OTHERWISE = dict.fromkeys(BYTES, "")
NEXT_COOKIE = {";": "value"}  # no browser has it in a name: the cookie before ends there
BEGIN_OF_VALUE = {"=": "=value"}

SOURCES = Path(otp_app.__file__).parent
READERS = {"cookies", "cookie_parser", "SimpleCookie", "BaseCookie"}


def test_a_byte_before_the_name_makes_another_name() -> None:
    found = {byte: cookie_value(f"a=b; {byte}{NAME}=value; c=d", NAME) for byte in BYTES}

    assert found == OTHERWISE | BLANKS | NEXT_COOKIE
    assert {byte: cookie_value(f"{byte}{NAME}=value", NAME) for byte in BYTES} == found


def test_a_byte_behind_the_name_makes_another_name() -> None:
    found = {byte: cookie_value(f"a=b; {NAME}{byte}=value; c=d", NAME) for byte in BYTES}

    assert found == OTHERWISE | BLANKS | BEGIN_OF_VALUE


@pytest.mark.parametrize("planted", ["\xa0", "\x85", "\x1c", "\x0b", "\u2000", "\u3000"])
def test_a_name_that_only_looks_like_ours_does_not_hide_ours(planted: str) -> None:
    for header in (
        f"{NAME}=ours; {planted}{NAME}=planted",
        f"{planted}{NAME}=planted; {NAME}=ours",
    ):
        assert cookie_value(header, NAME) == "ours"


def test_a_cookie_named_twice_is_ignored() -> None:
    assert cookie_value(f"{NAME}=a; {NAME}=b", NAME) == ""
    assert cookie_value(f"{NAME}=a; b=c;{NAME}\t=a", NAME) == ""


def test_a_name_without_a_value_is_no_cookie_of_that_name() -> None:
    assert cookie_value(NAME, NAME) == ""
    assert cookie_value(f"{NAME}; {NAME}=a", NAME) == "a"
    assert cookie_value(f"={NAME}=a", NAME) == ""  # the value of a cookie without a name


def test_a_value_keeps_what_is_in_it() -> None:
    assert cookie_value(f'{NAME}= "a=b\xa0" ', NAME) == '"a=b\xa0"'


def test_all_our_cookies_are_read_by_their_exact_names() -> None:
    flows, sessions = FlowCookies(b"s" * 32, secure=True), SessionCookies(secure=True)
    flow, session = flows.mint(), sessions.set_cookie(Token("x" * 43)).partition(";")[0]
    language = f"{LANGUAGE_COOKIE}=de"

    for planted in ("\xa0", "\x85", "\x1f"):
        assert flows.read(planted + flow) is None
        assert sessions.read(planted + session) is None
        assert Preferences(planted + language).language.tag == "en"
    assert flows.read(f"{flow}; {flows.mint()}") is None
    assert sessions.read(f"{session}; {session}") is None
    assert Preferences(f"{language}; {language}").language.tag == "en"


def test_the_lines_of_one_request_are_joined() -> None:
    lines = [(b"cookie", b"a=b"), (b"host", b"localhost"), (b"Cookie", b"a=c")]

    assert with_one_cookie_header(lines) == [(b"host", b"localhost"), (b"cookie", b"a=b; a=c")]
    assert with_one_cookie_header(lines[1:2]) == lines[1:2]


def test_no_other_reader_of_cookies_is_used() -> None:
    """`request.cookies` strips bytes that belong to a name. Imports are ruff's (TID251)."""
    used = {
        (str(path.relative_to(SOURCES)), node.attr)
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in READERS
    }

    assert used == set()
