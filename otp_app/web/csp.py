"""The Content-Security-Policy: nothing but what we serve, and the inline scripts that we built.

https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FILES = "default-src 'none'; frame-ancestors 'none'"
"""For what is no page. Files are many: the pages' policy would add a tenth to their weight."""

_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_EMPTY = ""  # emotion opens an empty style and fills it by the CSSOM, which no policy minds


def pages(built: Path, origins: Sequence[str], style: str = "") -> str:
    """The policy of pages, by the HTML in the folder *built*, for people who come by *origins*.

    *style* is put into them as they are served.
    """
    html = [file.read_text() for file in sorted(built.rglob("*.html"))]
    scripts, styles = _found(_SCRIPT, html), {_EMPTY, style, *_found(_STYLE, html)}
    return "; ".join(
        [
            "default-src 'none'",
            " ".join(["script-src 'self'", *_hashes(scripts)]),
            " ".join(["style-src 'self'", *_hashes(styles)]),
            "img-src 'self'",
            "font-src 'self'",
            " ".join(["connect-src 'self'", *map(_socket, origins)]),
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _found(pattern: re.Pattern[str], texts: Sequence[str]) -> set[str]:
    return {match for text in texts for match in pattern.findall(text)}


def _hashes(contents: set[str]) -> Iterator[str]:
    for content in sorted(contents):
        digest = hashlib.sha256(content.encode()).digest()
        yield f"'sha256-{base64.b64encode(digest).decode()}'"


def _socket(origin: str) -> str:
    """The socket's own origin: Safari before 15.4 does not count it as 'self'."""
    return "ws" + origin.removeprefix("http")
