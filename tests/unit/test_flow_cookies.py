"""The flow cookie: only what this server minted counts."""

from __future__ import annotations

import time

import pytest

from otp_app.identity.cookies import FLOW_MAX_AGE, RENEW_AFTER, FlowCookies

KEY = b"s" * 32


@pytest.fixture
def flows() -> FlowCookies:
    return FlowCookies(KEY, secure=False)


def at(monkeypatch: pytest.MonkeyPatch, seconds_from_now: float) -> None:
    then = time.time() + seconds_from_now
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: then)


def test_a_minted_cookie_is_read_back(flows: FlowCookies) -> None:
    cookie = flows.mint()

    flow = flows.read(f"a=b; {cookie}; c=d")

    assert flow is not None
    assert len(flow) >= 43  # 256 bits
    assert flows.read(flows.mint()) != flow


@pytest.mark.parametrize(
    "foreign", ['prefs={"theme":"dark"}', "consent", "name=Ann Lee", "a=b=c", "=x", 'q="un;', "é=ü"]
)
def test_other_cookies_do_not_hide_it(flows: FlowCookies, foreign: str) -> None:
    cookie = flows.mint()

    assert flows.read(f"{foreign}; {cookie}") == flows.read(cookie)
    assert flows.read(f"{cookie}; {foreign}") == flows.read(cookie)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "flow=",
        "flow=forged",
        "flow=a.b.c",
        "other=1",
        "flow",
        ";;;",
        'flow="\\',
        "flow=\xff.x.y",
    ],
)
def test_what_we_did_not_mint_is_nobody(flows: FlowCookies, header: str) -> None:
    assert flows.read(header) is None


def test_another_servers_cookie_is_nobody(flows: FlowCookies) -> None:
    assert flows.read(FlowCookies(b"t" * 32, secure=False).mint()) is None


def test_a_changed_cookie_is_nobody(flows: FlowCookies) -> None:
    name, _, value = flows.mint().partition("=")

    assert flows.read(f"{name}=A{value}") is None


def test_a_cookie_runs_out_after_a_day(flows: FlowCookies, monkeypatch: pytest.MonkeyPatch) -> None:
    cookie = flows.mint()

    at(monkeypatch, FLOW_MAX_AGE + 2)

    assert flows.read(cookie) is None


def test_a_cookie_is_extended_now_and_then_for_the_same_flow(
    flows: FlowCookies, monkeypatch: pytest.MonkeyPatch
) -> None:
    cookie = flows.mint()
    assert flows.renewed(cookie) is None

    at(monkeypatch, RENEW_AFTER + 2)
    renewed = flows.renewed(cookie)

    assert renewed not in (None, cookie)
    assert flows.read(renewed or "") == flows.read(cookie)


def test_scripts_and_other_sites_cannot_have_it(flows: FlowCookies) -> None:
    header = flows.set_cookie(flows.mint())

    assert {"HttpOnly", "SameSite=Lax", "Path=/", f"Max-Age={FLOW_MAX_AGE}"} <= set(
        header.split("; ")
    )
    assert "Secure" not in header


def test_behind_https_it_is_bound_to_the_host() -> None:
    flows = FlowCookies(KEY, secure=True)

    header = flows.set_cookie(flows.mint())

    assert header.startswith("__Host-flow=")
    assert header.endswith("; Secure")
    assert "Domain" not in header
