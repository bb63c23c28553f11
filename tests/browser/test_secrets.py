"""The sweep for secrets at the end of every test: the secrets it finds, and the places it skips."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.providers import console_only, credentials
from tests.browser.recorder import Recorder, Text
from tests.browser.sweep import Leak, Secrets
from tests.browser.tab import Step, Tab

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.journey import Journey
    from tests.browser.server import Server

WORD = "a-word-that-is-nowhere-else"

_PLANT = """async word => {
    document.cookie = `planted=${word}`;
    localStorage.planted = sessionStorage.planted = document.title = word;
    history.replaceState({planted: word}, "", `?planted=${word}`);
    console.log(word);
    await fetch(`/ping?${word}`, {headers: {planted: word}});
    new WebSocket(`ws://${location.host}/_event/?EIO=4&transport=websocket&token=${word}`);
}"""


@console_only
def test_the_sweep_looks_everywhere(browser: Browser, server: Server) -> None:
    with browser.new_context() as context:
        recorder = Recorder(context)
        tab = Tab(context.new_page())
        tab.page.goto(server.site.url)
        tab.wait_for(Step.PHONE)
        with tab.page.expect_websocket():
            tab.page.evaluate(_PLANT, WORD)

        there_anyway = ["is_hydrated", "hydrate_and_load", "Enter your phone number", "set-cookie"]
        words = [WORD, *there_anyway]
        found = Secrets(phones=(), codes=(), words=words).found_in(recorder.everything())

    assert {leak.where.partition(" http")[0] for leak in found} == {
        "DOM",
        "address",
        "address of a socket",
        "address requested",
        "body of",
        "console",
        "cookies",
        "frame received",
        "frame sent",
        "headers of",
        "headers to",
        "history",
        "localStorage",
        "sessionStorage",
    }


@console_only
def test_no_script_can_read_whose_verification_it_is(journey: Journey) -> None:
    tab = journey.open()

    [flow] = [cookie for cookie in journey.context.cookies() if "flow" in cookie["name"]]
    assert flow["httpOnly"]
    assert flow["sameSite"] == "Lax"
    assert "flow" not in tab.page.evaluate("document.cookie")


@pytest.mark.parametrize("text", ["+12125550100", "12125550100", "a2125550100b", "(212) 555-0100"])
def test_a_number_is_found_in_every_spelling(text: str) -> None:
    assert secrets_in(text)


@pytest.mark.parametrize("text", ["code 123456.", '"123456"', "https://localhost/?code=123456"])
def test_a_code_is_found(text: str) -> None:
    assert secrets_in(text)


@pytest.mark.parametrize(
    "text", ["number ending 100", "1234567", "a123456f", "2026-01-01T00:00:00.123456Z"]
)
def test_what_only_looks_like_a_secret_is_none(text: str) -> None:
    assert secrets_in(text) == []


def test_the_beginning_of_a_number_is_no_secret_that_a_time_contains() -> None:
    typed = Secrets(phones=["+44 7400"], codes=[], words=[])

    assert typed.found_in([Text("text", "clock 1796074007818")]) == []


def test_the_files_that_everybody_can_read_hold_no_credential(server: Server) -> None:
    files = [
        path for path in (server.site.folder / "web/build/client").rglob("*") if path.is_file()
    ]

    assert len(files) > 10
    for path in files:
        content = path.read_bytes()
        assert [word for word in credentials() if word.encode() in content] == []


def secrets_in(text: str) -> list[Leak]:
    secrets = Secrets(phones=["+12125550100"], codes=["123456"], words=[])
    return secrets.found_in([Text("text", text)])
