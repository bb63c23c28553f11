"""The Content-Security-Policy: resources of our own origin, and the inline scripts of the build.

https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

FILES = "default-src 'none'; frame-ancestors 'none'"
"""Policy of files. The longer policy of pages would make the many small files a tenth larger."""

_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_EMPTY = ""  # emotion adds an empty <style> and fills it by the CSSOM, which CSP allows


ANY_OTHER = "*"
"""Key of the policy for paths at which no page was built."""


def pages(
    built: Path, origins: Sequence[str], scripts: Sequence[str] = (), style: str = ""
) -> Mapping[str, str]:
    """Return the policy of each page, by its path without slashes.

    A policy allows the inline scripts and styles of the page's HTML file.

    Args:
        built: the folder with the HTML files of the build.
        origins: our origins, whose sockets a page may open.
        scripts: inline scripts that the server adds to every page.
        style: an inline style that the server adds to every page.
    """
    html: dict[str, list[str]] = {ANY_OTHER: []}
    for file in sorted(built.rglob("*.html")):
        page = file.relative_to(built).with_suffix("").as_posix()
        for name in (page.removesuffix("index").strip("/"), ANY_OTHER):
            html.setdefault(name, []).append(file.read_text())
    return {page: _policy(texts, origins, scripts, style) for page, texts in html.items()}


def _policy(html: Sequence[str], origins: Sequence[str], scripts: Sequence[str], style: str) -> str:
    inline = {*scripts, *_found(_SCRIPT, html)}
    styles = {_EMPTY, style, *_found(_STYLE, html)}
    return "; ".join(
        [
            "default-src 'none'",
            " ".join(["script-src 'self'", *_hashes(inline)]),
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
    """Return the socket's origin: Safari before 15.4 does not include it in 'self'."""
    return "ws" + origin.removeprefix("http")
