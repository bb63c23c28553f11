"""Cross-site request forgery: which pages may send a request, by the headers of browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request

from otp_app.errors import NotJson, OriginRefused
from otp_app.identity.requests import api_policy, form_policy, require_same_origin

if TYPE_CHECKING:
    from otp_app.identity.requests import OriginPolicy

OURS, PORT, SHOP = "https://verify.example", "https://verify.example:3000", "https://shop.example"
FORMS = form_policy((OURS, PORT))
API = api_policy((OURS, SHOP))

SITES = ("same-origin", "none", None, "same-site", "cross-site", "", "Same-Origin")
ACCEPTED: list[tuple[OriginPolicy, str | None, str]] = [  # a letter for each of SITES
    (FORMS, OURS, "yyyynnn"),
    (FORMS, PORT, "yyyynnn"),
    (FORMS, None, "yyynnnn"),
    (FORMS, "null", "ynnnnnn"),
    (FORMS, "", "nnnnnnn"),
    (FORMS, SHOP, "nnnnnnn"),
    (FORMS, "http://verify.example", "nnnnnnn"),
    (FORMS, "https://verify.example:443", "nnnnnnn"),
    (FORMS, "https://verify.example.evil.example", "nnnnnnn"),
    (FORMS, "HTTPS://VERIFY.EXAMPLE", "nnnnnnn"),
    (API, OURS, "yyyyyyy"),
    (API, SHOP, "yyyyyyy"),
    (API, None, "yyynnnn"),
    (API, "null", "nnnnnnn"),
    (API, "", "nnnnnnn"),
    (API, PORT, "nnnnnnn"),
    (API, "http://shop.example", "nnnnnnn"),
    (API, "https://shop.example.evil.example", "nnnnnnn"),
    (API, "HTTPS://SHOP.EXAMPLE", "nnnnnnn"),
]


def request(method: str = "POST", **headers: str | None) -> Request:
    """Return a request with *headers*, whose names have `_` for `-`. None is an absent header."""
    found = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    pairs = [(name.encode(), value.encode()) for name, value in found.items()]
    return Request({"type": "http", "method": method, "headers": pairs})


def is_accepted(sent: Request, policy: OriginPolicy) -> bool:
    try:
        require_same_origin(sent, policy)
    except OriginRefused:
        return False
    return True


@pytest.mark.parametrize(("policy", "origin", "expected"), ACCEPTED)
def test_the_origin_and_the_site_of_a_page_decide(
    policy: OriginPolicy, origin: str | None, expected: str
) -> None:
    json = {"content_type": "application/json"}

    found = [
        is_accepted(request(origin=origin, sec_fetch_site=site, **json), policy) for site in SITES
    ]

    assert "".join("ny"[accepted] for accepted in found) == expected


@pytest.mark.parametrize(
    "kind",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"],
)
def test_the_api_accepts_no_post_that_a_form_can_send(kind: str | None) -> None:
    with pytest.raises(NotJson):
        require_same_origin(request(origin=OURS, content_type=kind), API)
    require_same_origin(request("DELETE", origin=OURS, content_type=kind), API)
    require_same_origin(request(origin=OURS, content_type=kind), FORMS)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", " Application/JSON "]
)
def test_the_api_accepts_json_in_every_spelling(kind: str) -> None:
    require_same_origin(request(origin=SHOP, content_type=kind), API)


def test_a_page_of_another_site_learns_nothing_about_its_body() -> None:
    with pytest.raises(OriginRefused):
        require_same_origin(request(origin="https://evil.example", content_type=None), API)
