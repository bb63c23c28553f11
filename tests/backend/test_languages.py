"""The language of pages, forms, events and messages."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from otp_app.components import t
from otp_app.i18n import languages
from otp_app.web.localized_pages import ContentEncoding, LocalizedPages, PageTranslations, compress
from tests.backend.client import STATE

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from otp_app.i18n import Language
    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider


def mark(what: object) -> str:
    """Return the placeholder for *what*, as `components.js` creates it and React escapes it."""
    return f"\u27e6{escape(json.dumps(what))}\u27e7"


PROMISE = "{brand} will send you a code to prove that the phone is yours."
HTML = f"""<html dir="ltr" lang="en"><head></head><body>
<h1>{mark(["Enter your phone number", {}])}</h1>
<p>{mark([PROMISE, {"brand": "A&B <C>"}])}</p>
<p>{mark(["{length} number. Spaces do not matter.", {"length": 6}])}</p>
<select><option value="{mark("countries")}"></option></select>
</body></html>"""

FOREIGN = f'<html dir="ltr" lang="en"><head></head>{mark(["Send code", {}])}</html>'
NUMBER = {"number": "07400 123456", "country": "GB"}
PHONE = {"phone": "07400 123456", "country": "GB", "channel": "sms"}
ACCEPT = {"accept-language": "es-MX"}
REGIONS = ("AT", "CH", "EG", "IN", "MX", "SG", "TW")


@pytest.fixture
def words(tmp_path: Path) -> PageTranslations:
    """Return the translations of the only page."""
    (tmp_path / "index.html").write_text(HTML)
    served = frozenset({"MX", "GB", "EG"})
    words = PageTranslations({"Enter your phone number"}, served, "GB", script="go()")
    words.read_build(tmp_path)
    return words


@pytest.fixture
def pages(tmp_path: Path, words: PageTranslations) -> TestClient:
    """Return a client of one prerendered page, behind a file server."""

    async def page(request: Request) -> Response:
        del request
        return FileResponse(tmp_path / "index.html")

    async def text(request: Request) -> Response:
        return PlainTextResponse(f"\u27e6kept\u27e7 {request.headers.get('accept-encoding')}")

    async def foreign(request: Request) -> Response:
        del request
        return HTMLResponse(FOREIGN)

    app = Starlette(routes=[Route("/", page), Route("/ping", text), Route("/foreign", foreign)])
    return TestClient(LocalizedPages(app, words))


def test_a_page_comes_in_the_language_of_the_browser(pages: TestClient) -> None:
    answer = pages.get("/", headers=ACCEPT)

    assert '<html dir="ltr" lang="es">' in answer.text
    assert "<h1>Escriba su número de teléfono</h1>" in answer.text
    assert "A&amp;B &lt;C&gt; le enviará" in answer.text
    assert "6 cifras." in answer.text
    assert "\u27e6" not in answer.text


def test_a_page_comes_in_the_language_that_was_chosen(pages: TestClient) -> None:
    answer = pages.get("/", headers=ACCEPT | {"cookie": "language=ar"})

    assert '<html dir="rtl" lang="ar">' in answer.text


def test_the_countries_come_by_name_and_the_operators_is_selected(pages: TestClient) -> None:
    """S12: the browser selects the likely country, so that no cached page contains it."""
    options = re.findall("<option.*?>", pages.get("/", headers=ACCEPT).text)

    assert options == [
        '<option value="EG">',
        '<option value="MX">',
        '<option value="GB" selected>',
    ]


def test_a_page_brings_its_script_the_words_it_says_and_no_more(pages: TestClient) -> None:
    html = pages.get("/", headers=ACCEPT).text

    found = re.search(
        '<script id="words" type="application/json">(.*?)</script><script>go\\(\\)</script></head>',
        html,
    )
    assert found
    data = json.loads(found[1])
    assert data["language"] == "es"
    assert data["words"] == {"Enter your phone number": "Escriba su número de teléfono"}


@pytest.mark.parametrize("coding", ["br", "gzip", "identity"])
def test_a_page_is_compressed_as_the_browser_takes_it(pages: TestClient, coding: str) -> None:
    plain = pages.get("/", headers=ACCEPT | {"accept-encoding": "identity"})
    answer = pages.get("/", headers=ACCEPT | {"accept-encoding": coding})

    assert answer.headers.get("content-encoding", "identity") == coding
    assert answer.text == plain.text
    assert answer.headers["vary"] == "Accept-Encoding, Accept-Language, Cookie"


def test_a_page_is_compressed_once_for_all_of_a_language(
    pages: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pages.get("/", headers=ACCEPT)
    monkeypatch.delattr("otp_app.web.localized_pages.compress")

    for accept in ("es-MX, en;q=0.5", "es-EG", "es"):
        assert pages.get("/", headers={"accept-language": accept}).content == first.content
    with pytest.raises(NameError):
        pages.get("/", headers={"accept-language": "de"})


def test_a_page_is_translated_once_for_each_language(
    pages: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    translate, tags = PageTranslations._translate, []

    def counted(words: PageTranslations, html: str, language: Language) -> str:
        tags.append(language.tag)
        return translate(words, html, language)

    monkeypatch.setattr(PageTranslations, "_translate", counted)

    for tag in [*languages(), *languages()]:
        for coding in ("br", "gzip", "identity"):
            accept = {"accept-language": tag, "accept-encoding": coding}
            assert f'lang="{tag}"' in pages.get("/", headers=accept).text

    assert tags == [*languages()]


async def test_no_header_makes_what_is_kept_of_a_page_grow(words: PageTranslations) -> None:
    """S12: the cache has at most one entry for each language and coding."""
    tags = [*languages(), *(f"{tag}-{region}" for tag in languages() for region in REGIONS)]
    codings = ["br", "gzip", "identity", "br;q=0.5, x", "*"]

    for place in range(1000):
        tag, coding = tags[place % len(tags)], codings[place % len(codings)]
        accept = {"accept-language": f"{tag}, x-{place}", "accept-encoding": f"{coding}, {place}"}
        assert await words.page(HTML.encode(), Headers(accept))

    assert len(words._kept) == len(languages()) * len(ContentEncoding)


async def test_requests_at_once_wait_for_one_compression(
    words: PageTranslations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S12: the work runs in a thread, not on the event loop."""
    threads: list[int] = []

    def compressed(text: bytes, coding: ContentEncoding) -> bytes:
        threads.append(threading.get_ident())
        return compress(text, coding)

    monkeypatch.setattr("otp_app.web.localized_pages.compress", compressed)
    headers = Headers({"accept-encoding": "br"})

    answers = await asyncio.gather(*(words.page(HTML.encode(), headers) for _ in range(20)))

    assert len(set(answers)) == 1
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize(
    "lost", ['<html dir="ltr" lang="en"', "</head>", f'<option value="{mark("countries")}">']
)
def test_a_page_without_a_mark_stops_the_start(
    tmp_path: Path, words: PageTranslations, lost: str
) -> None:
    """S12: the error names the page."""
    (tmp_path / "index.html").write_text(HTML.replace(lost, ""))

    with pytest.raises(RuntimeError, match=r"^index\.html: "):
        words.read_build(tmp_path)


def test_a_page_that_was_not_built_is_left_alone(
    pages: TestClient, words: PageTranslations
) -> None:
    """S12."""
    kept = len(words._kept)

    assert pages.get("/foreign", headers=ACCEPT).text == FOREIGN
    assert len(words._kept) == kept


def test_who_comes_to_the_phone_page_from_another_can_ask_for_the_countries(
    browser: Browser,
) -> None:
    answer = browser.client.get("/countries", headers=ACCEPT)

    told = answer.json()
    assert ["EG", "Egipto (+20)"] in told["countries"]
    assert told["country"] == "US"
    assert answer.headers["content-encoding"] == "gzip"


def test_a_page_is_whole_whatever_part_of_it_was_asked_for(pages: TestClient) -> None:
    pages.headers["accept-encoding"] = "identity"
    whole = pages.get("/")
    headers = {
        "if-none-match": "*",
        "if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT",
        "range": "bytes=0-9",
    }

    answer = pages.get("/", headers=headers)

    assert answer.status_code == 200
    assert answer.content == whole.content
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert "etag" not in answer.headers


def test_what_is_no_page_is_left_alone(pages: TestClient) -> None:
    assert pages.get("/ping").text.startswith("\u27e6kept\u27e7")


def test_all_that_the_pages_say_is_in_the_catalogues(browser: Browser) -> None:
    del browser  # its fixture has to run first

    assert {"Enter it", "Continue"} < t.sentences
    assert set(languages()["pl"].words) > t.sentences


@pytest.mark.parametrize("page", ["/code", "/verify-otp"])
def test_a_chosen_language_is_kept_and_leads_back(browser: Browser, page: str) -> None:
    answer = browser.post("/language", {"language": "pl", "page": page})

    assert (answer.status_code, answer.headers["location"]) == (303, page)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("language=pl;")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


@pytest.mark.parametrize("page", ["https://evil.example/", "//evil.example", "/sign-out", ""])
def test_a_chosen_language_leads_nowhere_else(browser: Browser, page: str) -> None:
    answer = browser.post("/language", {"language": "pl", "page": page})

    assert answer.headers["location"] == "/"


def test_a_language_that_we_do_not_speak_is_not_kept(browser: Browser) -> None:
    answer = browser.post("/language", {"language": "tlh\r\nx: y", "page": "/"})

    assert answer.status_code == 303
    assert "set-cookie" not in answer.headers


def test_another_site_cannot_choose_the_language(browser: Browser) -> None:
    answer = browser.post(
        "/language", {"language": "pl"}, origin="https://evil.example", **{"sec-fetch-site": "x"}
    )

    assert answer.status_code == 403


@pytest.mark.parametrize("language", languages().values(), ids=lambda language: language.tag)
def test_a_plain_form_answers_in_the_language(browser: Browser, language: Language) -> None:
    answer = browser.post("/request-otp", {"number": ""}, **{"accept-language": language.tag})

    assert f'<html lang="{language.tag}" dir="{language.direction}">' in answer.text
    assert language.t("Enter your mobile number") in answer.text
    assert f"{language.t('Enter your phone number')} – " in answer.text


def test_a_tab_is_told_in_the_language_that_was_chosen(browser: Browser) -> None:
    browser = replace(browser, cookie=f"{browser.cookie}; language=de")
    with browser.socket(token="in-german") as tab:
        frames = tab.send(f"{STATE}.request_code", {"form": PHONE | {"phone": ""}})

    assert tab.state(frames)["error"] == "Geben Sie Ihre Mobilnummer ein"


def test_what_was_said_in_another_language_is_not_repeated(browser: Browser) -> None:
    with browser.socket(token="changes") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE | {"phone": ""}})
    german = replace(browser, cookie=f"{browser.cookie}; language=de")
    with german.socket(token="changes") as tab:
        assert "Enter your mobile number" not in "".join(tab.frames)


def test_the_message_is_in_the_language_of_the_page(
    browser: Browser, provider: FakeProvider
) -> None:
    browser.post("/request-otp", NUMBER, **{"accept-language": "zh-CN"})
    other = replace(browser, cookie=f"{browser.cookie}; language=pt-BR")
    with other.socket(token="message") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE | {"phone": "07400 123457"}})

    assert provider.languages == ["zh-Hans", "pt-BR"]


def test_under_reflex_run_a_script_brings_the_words(browser: Browser) -> None:
    script = browser.client.get("/_flow.js", headers={"accept-language": "ar"})

    assert script.headers["content-type"].startswith("text/javascript")
    assert '{ lang: "ar", dir: "rtl" }' in script.text
    found = re.search("WORDS = (.*);", script.text)
    assert found
    data = json.loads(found[1])
    assert data["words"]["Send code"] == "إرسال الرمز"
    assert data["country"] == "US"
    assert dict(data["countries"])["EG"].startswith("مصر")
