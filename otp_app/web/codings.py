"""Compression of pages: brotli or gzip, by the browser's `Accept-Encoding`.

RFC 9110 section 12.5.3; brotli is RFC 7932.
"""

from __future__ import annotations

import gzip
import re
from enum import StrEnum
from typing import TYPE_CHECKING

import brotli

if TYPE_CHECKING:
    from collections.abc import Callable

# The highest quality is 11. A page at 10 is an eighth smaller than at 9. Quality 11 takes twice as
# long and saves another fiftieth.
BROTLI_QUALITY = 10
_BROTLI: Callable[[bytes, int, int], bytes] = brotli.compress


class Coding(StrEnum):
    """The content codings that the server supports, best first."""

    BROTLI = "br"
    GZIP = "gzip"
    IDENTITY = "identity"


def coding_of(accept: str) -> Coding:
    """Return the best coding that *accept*, an `Accept-Encoding`, allows.

    Weights are ignored, except that a weight of zero excludes a coding.
    """
    accepted = {
        part.partition(";")[0].strip().lower() for part in accept.split(",") if _is_taken(part)
    }
    return next((coding for coding in Coding if coding in accepted), Coding.IDENTITY)


def compress(text: bytes, coding: Coding) -> bytes:
    """Return *text* in *coding*.

    Brotli takes 10 to 30 ms for a page, so callers cache the result. It runs without the GIL.
    """
    match coding:
        case Coding.BROTLI:
            return _BROTLI(text, brotli.MODE_TEXT, BROTLI_QUALITY)
        case Coding.GZIP:
            return gzip.compress(text, mtime=0)
        case Coding.IDENTITY:
            return text


def _is_taken(part: str) -> bool:
    """Return False if the weight of *part* is zero, which excludes the coding."""
    return not re.search(r";\s*q\s*=\s*0(\.0*)?\s*$", part)
