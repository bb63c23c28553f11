"""How a page travels: compressed, if the browser takes that.

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

# Of 11. A page is an eighth smaller than by 9; the last step takes twice as long for a fiftieth.
BROTLI_QUALITY = 10
_BROTLI: Callable[[bytes, int, int], bytes] = brotli.compress


class Coding(StrEnum):
    """The content codings that we speak, the best first."""

    BROTLI = "br"
    GZIP = "gzip"
    IDENTITY = "identity"


def coding_of(accept: str) -> Coding:
    """The best that an `Accept-Encoding` takes. What it says of how gladly does not matter."""
    accepted = {
        part.partition(";")[0].strip().lower() for part in accept.split(",") if _is_taken(part)
    }
    return next((coding for coding in Coding if coding in accepted), Coding.IDENTITY)


def compress(text: bytes, coding: Coding) -> bytes:
    """*text* in *coding*. Brotli takes 10 to 30 ms, without Python's lock: keep what you get."""
    match coding:
        case Coding.BROTLI:
            return _BROTLI(text, brotli.MODE_TEXT, BROTLI_QUALITY)
        case Coding.GZIP:
            return gzip.compress(text, mtime=0)
        case Coding.IDENTITY:
            return text


def _is_taken(part: str) -> bool:
    """Whether its weight is not zero, which means "never"."""
    return not re.search(r";\s*q\s*=\s*0(\.0*)?\s*$", part)
