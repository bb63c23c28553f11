"""The logo: a file in `assets/`, which has to fit a header of 320 pixels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ASSETS = Path("assets")
HEIGHT = 32  # CSS pixels
WIDEST = 6  # times its height: 192 of the 320 pixels of a small phone
HEAVIEST = 20_000  # bytes; a first visit is 150 kB in all
SHARP = 2  # pixels of a PNG to one of CSS, for the screens of phones

_PNG = b"\x89PNG\r\n\x1a\n"
_NUMBER = r"\s*([\d.]+)(?:px)?\s*"
_VIEW_BOX = re.compile(r"""\sviewBox\s*=\s*["'][\d.\s,-]*?[\s,]+([\d.]+)[\s,]+([\d.]+)\s*["']""")


@dataclass(frozen=True)
class Logo:
    """Where it is, and how wide it is in CSS pixels at its `HEIGHT`."""

    src: str
    width: int
    height: int = HEIGHT


def read(name: str) -> Logo:
    """The logo of that file name.

    Raises:
        ValueError: it cannot be used, and why.
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
    """By its header: https://www.w3.org/TR/png-3/#11IHDR."""
    if not content.startswith(_PNG) or content[12:16] != b"IHDR" or len(content) < 24:
        raise ValueError("is not a PNG, whatever its name says")
    width, height = int.from_bytes(content[16:20]), int.from_bytes(content[20:24])
    if height < SHARP * HEIGHT:
        raise ValueError(f"is less than {SHARP * HEIGHT} pixels high, so not sharp on phones")
    return width, height


def _svg(content: bytes) -> tuple[float, float]:
    """By the `viewBox` of its root, else its `width` and `height`."""
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
