"""Handles: one verification, one caller."""

from __future__ import annotations

import re

import pytest

from otp_app.api.schemas import MAX_TOKEN
from otp_app.identity.cookies import FlowCookies
from otp_app.identity.tokens import VerificationTokens
from otp_app.verification.models import Flow

SECRET = "s" * 48
FLOW, ID = Flow("f" * 43), "i" * 22


@pytest.fixture
def handles() -> VerificationTokens:
    return VerificationTokens(SECRET)


def test_a_handle_opens_what_it_was_issued_for(handles: VerificationTokens) -> None:
    handle = handles.issue(FLOW, ID)

    assert handles.read(handle) == (FLOW, ID)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", handle)
    assert len(handle) <= MAX_TOKEN
    assert handle == handles.issue(FLOW, ID)


def test_a_handle_is_its_callers_alone(handles: VerificationTokens) -> None:
    handle = handles.issue(FLOW, ID, "shop")

    assert handles.read(handle, "shop") == (FLOW, ID)
    assert handles.read(handle, "bank") is None
    assert handles.read(handle) is None
    assert handles.read(handles.issue(FLOW, ID), "shop") is None


@pytest.mark.parametrize("forged", ["", "x", "a.b.c", "\x00", "é", "." * 200, f"{FLOW}.{ID}"])
def test_what_we_did_not_issue_opens_nothing(handles: VerificationTokens, forged: str) -> None:
    assert handles.read(forged) is None


def test_no_part_of_it_can_be_changed(handles: VerificationTokens) -> None:
    flow, id_, signature = handles.issue(FLOW, ID).split(".")

    assert handles.read(f"{flow}.{'j' * 22}.{signature}") is None
    assert handles.read(f"{'g' * 43}.{id_}.{signature}") is None
    assert VerificationTokens("t" * 48).read(f"{flow}.{id_}.{signature}") is None


def test_a_handle_is_no_cookie_and_a_cookie_no_handle(handles: VerificationTokens) -> None:
    """Or a script that reads the one would have the other."""
    flows = FlowCookies(SECRET, secure=False)
    cookie = flows.mint()

    assert handles.read(cookie.partition("=")[2]) is None
    assert flows.read(f"flow={handles.issue(FLOW, ID)}") is None
