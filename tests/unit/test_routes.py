"""The page of a path."""

from __future__ import annotations

import pytest

from otp_app.routes import CODE, PHONE, SIMULATED_PHONE, page_at


@pytest.mark.parametrize(
    "path",
    [
        "/code",
        "/code/",
        "//code",
        "///code//",
        "/./code",
        "/.//./code/.",
        "/x/../code",
        "/../code",
        "/code.html",
        "/code.html.br",
        "/./code.html",
        "/code/index.html",
        "/code/x/../index.html",
        "/CODE/Index.html",
    ],
)
def test_a_page_is_known_under_every_path_that_its_file_is_served_at(path: str) -> None:
    """S13."""
    assert page_at(path) == CODE


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("", PHONE),
        ("/", PHONE),
        ("//", PHONE),
        ("/code/..", PHONE),
        ("/phone/../code", CODE),
        ("/./phone.html", SIMULATED_PHONE),
        ("/codes", "/codes"),
        ("/verify-otp", "/verify-otp"),
        ("/assets/code", "/assets"),
    ],
)
def test_other_paths_are_other_pages(path: str, page: str) -> None:
    """S13."""
    assert page_at(path) == page
