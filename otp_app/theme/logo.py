"""The logo: a file in `assets/` that fits a header 320 pixels wide."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ASSETS = Path("assets")
HEIGHT = 32  # CSS pixels
WIDEST = 6  # times the height: 192 of the 320 pixels of a small phone
HEAVIEST = 20_000  # bytes; a first visit loads 150 kB in all
SHARP = 2  # pixels of a PNG for one CSS pixel, for the screens of phones

_PNG = b"\x89PNG\r\n\x1a\n"
_NUMBER = r"\s*([\d.]+)(?:px)?\s*"
_VIEW_BOX = re.compile(r"""\sviewBox\s*=\s*["'][\d.\s,-]*?[\s,]+([\d.]+)[\s,]+([\d.]+)\s*["']""")


@dataclass(frozen=True)
class Logo:
    """The URL path of the logo, and its size in CSS pixels."""

    src: str
    width: int
    height: int = HEIGHT


def read(name: str) -> Logo:
    """Return the logo in the file *name* of `assets/`.

    Raises:
        ValueError: the file cannot be used. The text gives the reason.
    """
    if not re.fullmatch(r"[\w-][\w.-]*\.(svg|png)", name):
        raise ValueError("is not the name of an .svg or .png file in assets/")
    path = ASSETS / name
    if not path.is_file():
        raise ValueError("is not in assets/")
    content = path.read_bytes()
    if len(content) > HEAVIEST:
        raise ValueError(f"is a file of more than {HEAVIEST // 1000} kB")
    width, height = _png(content) if path.suffix == ".png" else _svg(content)
    if width > WIDEST * height:
        raise ValueError(f"is more than {WIDEST} times as wide as high")
    return Logo(f"/{name}", round(HEIGHT * width / height))


def _png(content: bytes) -> tuple[float, float]:
    """Return width and height from the header: https://www.w3.org/TR/png-3/#11IHDR."""
    if not content.startswith(_PNG) or content[12:16] != b"IHDR" or len(content) < 24:
        raise ValueError("is not a PNG, whatever its name says")
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    if height < SHARP * HEIGHT:
        raise ValueError(f"is less than {SHARP * HEIGHT} pixels high, so not sharp on phones")
    return width, height


def _svg(content: bytes) -> tuple[float, float]:
    """Return width and height from the root's `viewBox`, else from its `width` and `height`."""
    root = re.search(r"<svg\b[^>]*>", content.decode("utf-8", "replace"))
    if not root:
        raise ValueError("is not an SVG, whatever its name says")
    found = _VIEW_BOX.search(root[0])
    sizes = (
        found.groups() if found else (_attribute("width", root[0]), _attribute("height", root[0]))
    )
    try:
        width, height = map(float, sizes)
    except ValueError:
        width = height = 0.0
    if not (width > 0 and height > 0):
        raise ValueError("is an SVG without a viewBox, so nobody knows its shape")
    return width, height


def _attribute(name: str, root: str) -> str:
    found = re.search(rf"""\s{name}\s*=\s*["']{_NUMBER}["']""", root)
    return found[1] if found else ""
