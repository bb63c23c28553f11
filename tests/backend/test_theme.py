"""The server adds the brand's colours to every page, and the policy allows them."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from otp_app import api
from otp_app.config import Settings
from otp_app.web import pipeline
from otp_app.web.localized_pages import LocalizedPages, PageTranslations
from tests.backend.stack import in_stack

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from tests.logs import Lines

PAGE = '<html dir="ltr" lang="en"><head><link rel="stylesheet"></head><body></body></html>'
YELLOW = Settings(
    brand_name="Acme",
    brand_color="#ffdd00",
    brand_radius=3,
    help_url="mailto:help@a.example?subject=Code&x=1",
)
LINKS = re.compile(r'<p class="links">(.*?)</p>', re.DOTALL)


async def page(_request: Request) -> HTMLResponse:
    return HTMLResponse(PAGE)


def served(settings: Settings, built: Path | None = None) -> TestClient:
    """Return a client of a prerendered page, and of our own routes under `/plain`.

    The prerendered page is written into *built*, if that is given, and then translated.
    """
    words = PageTranslations(set(), frozenset(), "GB", style=settings.theme.style)
    if built:
        (built / "code.html").write_text(PAGE)
        words.read_build(built)
    app = Starlette(routes=[Route("/", page)])
    app.mount("/plain", pipeline.own_routes(settings, words))
    return TestClient(LocalizedPages(app, words))


def style_of(html: str) -> str:
    return "".join(re.findall(r"<style>(.*?)</style>", html))


def plain(client: TestClient) -> str:
    return client.post("/plain/request-otp").text


def test_a_page_has_the_style_behind_the_sheets(tmp_path: Path) -> None:
    html = served(YELLOW, tmp_path).get("/").text

    assert style_of(html) == YELLOW.theme.style.css
    assert html.index("stylesheet") < html.index("<style>") < html.index("</head>")
    assert '<meta name="theme-color" content="#ffdd00">' in html


@pytest.mark.usefixtures("backend")
def test_a_plain_page_has_it_too() -> None:
    assert style_of(plain(served(YELLOW))) == YELLOW.theme.style.css


@pytest.mark.usefixtures("backend")
def test_the_apis_page_has_it_too() -> None:
    settings = Settings(brand_color="#ffdd00")

    html = TestClient(api.build(settings)).get("/api/docs").text

    assert style_of(html) == settings.theme.style.css


def test_a_page_without_a_brand_has_no_style(tmp_path: Path) -> None:
    client = served(Settings(), tmp_path)

    assert "<style>" not in client.get("/").text + plain(client)


@pytest.mark.usefixtures("backend")
def test_the_policy_knows_the_style_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, production_log: Lines
) -> None:
    """E4: the log has the measured contrast and the colour that is used instead."""
    monkeypatch.setattr(pipeline, "get_web_dir", lambda: tmp_path)
    settings = Settings(brand_color="#ffdd00")
    hashed = hashlib.sha256(settings.theme.style.css.encode()).digest()

    app = in_stack(Starlette(routes=[Route("/", page)]), settings)
    policy = TestClient(app, "http://localhost").get("/").headers["content-security-policy"]

    assert f"'sha256-{base64.b64encode(hashed).decode()}'" in policy
    assert "unsafe" not in policy
    [line] = production_log.named("theme.contrast_corrected")
    assert (line["setting"], line["ratio"], line["needed"]) == ("BRAND_COLOR", 1.19, 4.5)
    assert line["used"] == "rgb(126, 109, 0)"


def test_under_reflex_run_the_script_that_brings_the_words_brings_it() -> None:
    assert "replaceSync(" in served(YELLOW).get("/plain/_flow.js").text
    assert "replaceSync(" not in served(Settings()).get("/plain/_flow.js").text


def test_the_icon_is_in_the_brands_colour() -> None:
    answer = served(YELLOW).get("/plain/favicon.svg")

    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert set(re.findall("#[0-9a-f]+", answer.text)) == {"#ffdd00", "#000000"}


def test_help_is_at_the_foot_of_a_plain_page() -> None:
    """D8: a link that is not set is left out."""
    [links] = LINKS.findall(plain(served(YELLOW)))

    assert re.findall('href="(.*?)">(.*?)<', links) == [
        ("mailto:help@a.example?subject=Code&amp;x=1", "Help")
    ]
    assert not LINKS.findall(plain(served(Settings())))


def test_the_name_of_a_logo_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is in the text beside the logo, or in the image's alternative text."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/logo.svg").write_text('<svg viewBox="0 0 64 32"/>')
    monkeypatch.chdir(tmp_path)
    image = '<img src="/logo.svg" alt="{}" width="64" height="32">'

    beside = plain(served(Settings(brand_logo="logo.svg", brand_name="Acme")))
    has_name = Settings(brand_logo="logo.svg", brand_logo_has_name=True, brand_name="Acme")
    instead = plain(served(has_name))

    assert f"{image.format('')}Acme</a>" in re.sub(r"\s+</a>", "</a>", beside)
    assert f"{image.format('Acme')}</a>" in re.sub(r"\s+</a>", "</a>", instead)


def test_a_sheet_of_the_teams_own_goes_before_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain pages do not contain the style sheet of the build."""
    assert "/theme.css" not in plain(served(YELLOW))
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/theme.css").touch()
    monkeypatch.chdir(tmp_path)

    assert 'href="/theme.css"' in plain(served(Settings()))
