"""How a page travels."""

from __future__ import annotations

import gzip

import brotli
import pytest

from otp_app.web.codings import Coding, coding_of, compress

PAGE = b"<p>Enter your phone number</p>" * 100


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", Coding.BROTLI),
        ("gzip;q=1.0, br;q=0.5", Coding.BROTLI),
        ("BR", Coding.BROTLI),
        ("gzip, br;q=0", Coding.GZIP),
        ("gzip, br; q=0.000", Coding.GZIP),
        ("gzip;q=0,br;q=0", Coding.IDENTITY),
        ("zstd, brotli", Coding.IDENTITY),
        ("identity", Coding.IDENTITY),
        ("*", Coding.IDENTITY),
        (";;,=", Coding.IDENTITY),
        ("", Coding.IDENTITY),
    ],
)
def test_the_best_that_is_taken_is_used(accept: str, coding: Coding) -> None:
    assert coding_of(accept) is coding


@pytest.mark.parametrize(
    ("coding", "undo"),
    [
        (Coding.BROTLI, brotli.decompress),
        (Coding.GZIP, gzip.decompress),
        (Coding.IDENTITY, bytes),
    ],
)
def test_what_was_compressed_is_the_same_again(coding: Coding, undo: type[bytes]) -> None:
    assert undo(compress(PAGE, coding)) == PAGE
    assert (len(compress(PAGE, coding)) < 100) is (coding is not Coding.IDENTITY)
