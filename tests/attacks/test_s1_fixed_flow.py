"""S1: an attacker who knows a person's flow cookie, because it was planted or stolen."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from playwright.sync_api import sync_playwright

from tests.attacks.sites import https_in_front_of, site_that_sets
from tests.backend.client import STATE
from tests.browser.install import find_browser_of_tests
from tests.browser.tab import Step, Tab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Route

    from tests.attacks.attacker import Answer, Attacker
    from tests.attacks.world import World

APP, SIBLING = "app.example.test", "evil.example.test"
STRIPPED = [b"\xa0", b"\x85"]  # bytes that a header may contain and `str.strip` removes
POLLS = 5


def has_session(answer: Answer) -> bool:
    """Return True if *answer* sets a session cookie."""
    return any("session=" in cookie for cookie in answer.headers.get_all("Set-Cookie") or [])


def finishing(attacker: Attacker, proof: str = "") -> bytes:
    """Return the bytes of the post that exchanges an approval."""
    return attacker.request("POST", "/finish", urlencode({"proof": proof}))


def in_other_hands(world: World, cookie: str) -> Attacker:
    """Return an attacker who knows *cookie*, at another address."""
    thief = world.client_without_cookie()
    thief.cookie = cookie
    return thief


def sessions_of(world: World, cookie: str, **headers: str) -> int:
    """Return the number of sessions that an attacker with only *cookie* gets, in every way."""
    answers = []
    for _ in range(POLLS):
        thief = in_other_hands(world, cookie)
        answers += [
            thief.exchange(finishing(thief)),
            thief.exchange(finishing(thief, cookie)),
            thief.guess(""),  # uses no attempt
            thief.get("/verify-otp"),
            thief.get("/verified"),
        ]
    with in_other_hands(world, cookie).tab("/code", **headers) as tab:
        for view in ("show_code", "show_verified", "show_phone"):
            tab.send(f"{STATE}.{view}", {}, "/code")
        assert not tab.state(tab.frames).get("proof")
    return sum(map(has_session, answers))


def test_who_knows_the_flow_cookie_gets_no_session_of_a_live_page(world: World) -> None:
    me, number = world.attacker(), world.number()
    flow = me.cookie
    with me.tab() as tab:
        form = {"phone": number.e164, "country": "US", "channel": "sms"}
        tab.send(f"{STATE}.request_code", {"form": form})
        before = sessions_of(world, flow)
        code = {"form": {"code": world.code(number)}}
        proof = tab.state(tab.send(f"{STATE}.check_code", code, "/code")).get("proof", "")
        between = sessions_of(world, flow)

    assert before == between == 0
    mine = me.exchange(finishing(me, proof))
    assert has_session(mine)
    assert sessions_of(world, flow) == 0
    again = in_other_hands(world, flow)
    assert not has_session(again.exchange(finishing(again, proof)))
    assert world.log().count("session.opened") == 1


def test_who_knows_the_flow_cookie_gets_no_session_of_a_plain_form(world: World) -> None:
    """A post that arrives during the check of the person's code gets no session either."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)
    thieves = [in_other_hands(world, me.cookie) for _ in range(POLLS)]
    posts = [post for thief in thieves for post in (finishing(thief), thief.guessing(""))]

    mine, *theirs = me.at_once([me.guessing(world.code(number)), *posts])

    assert mine.is_yes
    assert has_session(mine)
    assert sum(map(has_session, theirs)) == sessions_of(world, me.cookie) == 0
    later = in_other_hands(world, me.cookie)
    assert not has_session(later.guess(world.code(number)))  # even with the code
    assert world.log().count("session.opened") == 1


@pytest.mark.parametrize("byte", STRIPPED)
def test_a_planted_cookie_does_not_pass_for_ours(world: World, byte: bytes) -> None:
    me, thief, number = world.attacker(), world.attacker(), world.number()
    me.cookie += f"; BYTE{thief.cookie}"

    me.exchange(me.asking(number.e164).replace(b"BYTE", byte))
    answer = me.exchange(me.guessing(world.code(number)).replace(b"BYTE", byte))

    assert answer.is_yes
    assert thief.get("/verify-otp").headers["Location"] == "/"  # that flow has no verification
    assert sessions_of(world, thief.cookie) == 0


@pytest.fixture
def site(world: World) -> Iterator[str]:
    """Yield the https URL at which people open the app."""
    url = f"https://{APP}"
    world.server.restart(PUBLIC_URL=url)
    yield url
    world.server.restart(PUBLIC_URL=world.server.site.url)


def test_a_sibling_site_gets_no_session_of_a_person_in_a_browser(
    world: World, site: str, tmp_path: Path
) -> None:
    """The browser sends us the cookie that the sibling site planted, without any effect."""
    number, thief = world.number(), world.attacker()
    assert thief.cookie.startswith("__Host-flow=")
    planted = f"\xa0{thief.cookie}; Domain=example.test; Path=/"
    sent: list[str] = []
    stolen: list[int] = []

    def steal_first(route: Route) -> None:
        """Act before the exchange that follows the right code arrives."""
        sent.append(route.request.all_headers()["cookie"])
        stolen.append(sessions_of(world, thief.cookie, Origin=site))
        route.continue_()

    port = world.server.site.port
    with (
        https_in_front_of(port, APP, tmp_path) as ours,
        site_that_sets(planted) as theirs,
        chromium(ours, theirs) as context,
    ):
        tab = Tab(context.new_page())
        tab.page.goto(site)
        tab.page.goto(f"http://{SIBLING}/")
        tab.page.route("**/finish", steal_first)
        tab.page.goto(site)
        tab.request_code(number)
        tab.wait_for(Step.CODE)
        with tab.page.expect_response("**/finish"):
            tab.enter_code(world.code(number))
        assert stolen == [0]
        tab.wait_for(Step.VERIFIED)
    stolen.append(sessions_of(world, thief.cookie, Origin=site))

    assert [cookies.count("__Host-flow=") for cookies in sent] == [2]
    assert stolen[1:] == [0]
    assert world.log().count("session.opened") == 1


@contextmanager
def chromium(ours: int, theirs: int) -> Iterator[BrowserContext]:
    """Yield a browser that resolves our site and the sibling to these ports of this machine."""
    rules = f"MAP {APP}:443 127.0.0.1:{ours}, MAP {SIBLING}:80 127.0.0.1:{theirs}"
    flags = ["--disable-gpu", f"--host-resolver-rules={rules}"]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=find_browser_of_tests(), args=flags) as browser,
        browser.new_context(ignore_https_errors=True) as context,
    ):
        yield context
