"""Verification tokens: one verification, one caller."""

from __future__ import annotations

import re

import pytest

from otp_app.api.schemas import MAX_TOKEN
from otp_app.identity.callers import VerificationTokens
from otp_app.identity.cookies import FlowCookies
from otp_app.identity.keyring import Keyring, Purpose
from otp_app.verification.models import Flow

KEYS = Keyring(b"s" * 48)
FLOW, ID = Flow("f" * 43), "i" * 22


@pytest.fixture
def tokens() -> VerificationTokens:
    return VerificationTokens(KEYS.subkey(Purpose.VERIFICATION))


def test_a_token_opens_what_it_was_issued_for(tokens: VerificationTokens) -> None:
    token = tokens.issue(FLOW, ID)

    assert tokens.read(token) == (FLOW, ID)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", token)
    assert len(token) <= MAX_TOKEN
    assert token == tokens.issue(FLOW, ID)


def test_a_token_is_its_callers_alone(tokens: VerificationTokens) -> None:
    token = tokens.issue(FLOW, ID, "shop")

    assert tokens.read(token, "shop") == (FLOW, ID)
    assert tokens.read(token, "bank") is None
    assert tokens.read(token) is None
    assert tokens.read(tokens.issue(FLOW, ID), "shop") is None


@pytest.mark.parametrize("forged", ["", "x", "a.b.c", "\x00", "é", "." * 200, f"{FLOW}.{ID}"])
def test_what_we_did_not_issue_opens_nothing(tokens: VerificationTokens, forged: str) -> None:
    assert tokens.read(forged) is None


def test_no_part_of_it_can_be_changed(tokens: VerificationTokens) -> None:
    flow, id_, signature = tokens.issue(FLOW, ID).split(".")

    assert tokens.read(f"{flow}.{'j' * 22}.{signature}") is None
    assert tokens.read(f"{'g' * 43}.{id_}.{signature}") is None
    assert VerificationTokens(b"t" * 32).read(f"{flow}.{id_}.{signature}") is None


def test_a_token_is_no_cookie_and_a_cookie_no_token(tokens: VerificationTokens) -> None:
    """Or a script that reads the one would have the other."""
    flows = FlowCookies(KEYS.subkey(Purpose.FLOW_COOKIE), secure=False)
    cookie = flows.mint()

    assert tokens.read(cookie.partition("=")[2]) is None
    assert flows.read(f"flow={tokens.issue(FLOW, ID)}") is None
