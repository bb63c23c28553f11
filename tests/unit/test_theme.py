"""The settings of the look: what is made of them, and what cannot be used."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from otp_app import theme as logo
from otp_app.config import Settings, SettingsError, load_settings
from otp_app.theme import HEAVIEST, Logo, ThemeSettings

SVG = '<?xml version="1.0"?>\n<!-- made by a program -->\n<svg\n  {}><path d="M0 0h9v9z"/></svg>'
VIEW_BOX = SVG.format('viewBox="0 0 96 32"')


def png(width: int, height: int) -> bytes:
    """Return the signature and header of a PNG file, https://www.w3.org/TR/png-3/#5DataRep."""
    header = b"IHDR" + width.to_bytes(4) + height.to_bytes(4) + b"\x08\x06\0\0\0"
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + header + zlib.crc32(header).to_bytes(4)


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installation that has no logo yet."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "assets"
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("content", "width"),
    [
        (VIEW_BOX, 96),
        (SVG.format("viewBox='-8, -8, 64.5, 32.25'"), 64),
        (SVG.format('width="120" height="40"'), 96),
        (SVG.format('width="50%" height="9" viewBox="0 0 10 20"'), 16),
        (SVG.format('stroke-width="3" height="40px" width="80px"'), 64),
    ],
)
def test_a_drawing_has_its_width_on_the_page(assets: Path, content: str, width: int) -> None:
    """A29: so that its place is kept while it loads."""
    (assets / "our-logo.svg").write_text(content)

    assert logo.read_logo("our-logo.svg") == Logo("/our-logo.svg", width, 32)


def test_a_picture_too(assets: Path) -> None:
    (assets / "logo.png").write_bytes(png(384, 64))

    assert logo.read_logo("logo.png") == Logo("/logo.png", 192, 32)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("logo.svg", None, "is not in assets/"),
        ("logo.gif", b"", "is not the name of"),
        ("../assets/logo.svg", VIEW_BOX.encode(), "is not the name of"),
        (".svg", VIEW_BOX.encode(), "is not the name of"),
        ("logo.svg", b"<html></html>", "is not an SVG"),
        ("logo.svg", SVG.format('id="a"').encode(), "without a viewBox"),
        ("logo.svg", SVG.format('width="100%" height="100%"').encode(), "without a viewBox"),
        ("logo.svg", SVG.format('viewBox="0 0 9 0"').encode(), "without a viewBox"),
        ("logo.svg", SVG.format('width="1.2.3" height="1"').encode(), "without a viewBox"),
        ("logo.svg", SVG.format('viewBox="0 0 70 10"').encode(), "more than 6 times as wide"),
        ("logo.svg", b" " * (HEAVIEST + 1), "more than 20 kB"),
        ("logo.png", VIEW_BOX.encode(), "is not a PNG"),
        ("logo.png", png(64, 64)[:20], "is not a PNG"),
        ("logo.png", png(63, 63), "less than 64 pixels high"),
    ],
)
def test_a_logo_that_does_not_fit_is_refused_with_the_reason(
    assets: Path, name: str, content: bytes | None, why: str
) -> None:
    if content is not None:
        (assets / name).write_bytes(content)

    with pytest.raises(ValueError, match=why):
        logo.read_logo(name)


def test_a_logo_that_does_not_fit_stops_the_start(
    assets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (assets / "logo.png").write_bytes(png(16, 16))
    monkeypatch.setenv("BRAND_LOGO", "logo.png")

    with pytest.raises(SettingsError, match="BRAND_LOGO: is less than 64 pixels high"):
        load_settings(None)


def test_without_settings_nothing_is_added_to_a_page(assets: Path) -> None:
    del assets
    theme = ThemeSettings().theme

    assert theme.style.markup == theme.style.css == ""
    assert (theme.logo, theme.help_url, theme.has_sheet) == (None, None, False)


def test_a_colour_is_a_property_for_light_and_dark_each(assets: Path) -> None:
    del assets
    style = ThemeSettings(brand_color="FD0").theme.style

    assert "--fill:light-dark(#ffdd00,#ffdd00);" in style.css
    assert "--on-fill:light-dark(#000000,#000000);" in style.css
    assert '<meta name="theme-color" content="#ffdd00">' in style.markup
    assert f"<style>{style.css}</style>" in style.markup


def test_coloraide_is_imported_only_for_a_brand_colour() -> None:
    """The import of coloraide takes 0.2 s."""
    code = (
        "import sys\n"
        "import otp_app.cli.doctor.configuration, otp_app.web.pipeline\n"
        "from otp_app.theme import ThemeSettings\n"
        "for color in (None, '#fd0'):\n"
        "    ThemeSettings(brand_color=color).theme\n"
        "    print('coloraide' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True"]


def test_every_property_is_one_of_the_style_sheet() -> None:
    made = ThemeSettings(brand_color="#fd0", brand_radius=0).theme.style.css
    sheet = Path("assets/app.css").read_text()
    known = set(re.findall(r"^  (--[\w-]+):", sheet, re.MULTILINE))

    assert set(re.findall(r"(--[\w-]+):", made)) <= known


@pytest.mark.parametrize(
    ("radius", "css"),
    [(0, "--radius:0px;--radius-small:0px"), (24, "--radius:24px;--radius-small:16px")],
)
def test_a_radius_is_smaller_within_a_card(radius: int, css: str) -> None:
    assert ThemeSettings(brand_radius=radius).theme.style.css == f":where(:root){{{css}}}"


@pytest.mark.parametrize(
    "url", ["https://a.example/help?x=1#y", "mailto:help@a.example", "tel:+1-415-555-2671"]
)
def test_a_link_leads_to_a_page_a_mail_or_a_call(url: str) -> None:
    assert ThemeSettings(help_url=url).theme.help_url == url


def test_the_pages_go_by_the_brands_name_before_the_services() -> None:
    assert Settings(twilio_brand_name="Twilio's").brand == "Twilio's"
    assert Settings(twilio_brand_name="Twilio's", brand_name="Ours").brand == "Ours"


def test_a_colour_is_no_comment_in_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it starts with the sign of one."""
    monkeypatch.delenv("PYTHON_DOTENV_DISABLED", raising=False)
    monkeypatch.setenv("BRAND_COLOR", "")  # so that it is taken away again
    monkeypatch.delenv("BRAND_COLOR")
    file = tmp_path / ".env"
    file.write_text("BRAND_COLOR=#d4351c  # our red\n")

    assert load_settings(file).brand_color == "#d4351c"
