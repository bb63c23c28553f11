"""The choice of the content encoding of a page."""

from __future__ import annotations

import gzip

import brotli
import pytest

from otp_app.web.localized_pages import ContentEncoding, compress, negotiate_encoding

PAGE = b"<p>Enter your phone number</p>" * 100


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip, deflate, br, zstd", ContentEncoding.BROTLI),
        ("gzip;q=1.0, br;q=0.5", ContentEncoding.BROTLI),
        ("BR", ContentEncoding.BROTLI),
        ("gzip, br;q=0", ContentEncoding.GZIP),
        ("gzip, br; q=0.000", ContentEncoding.GZIP),
        ("gzip;q=0,br;q=0", ContentEncoding.IDENTITY),
        ("zstd, brotli", ContentEncoding.IDENTITY),
        ("identity", ContentEncoding.IDENTITY),
        ("*", ContentEncoding.IDENTITY),
        (";;,=", ContentEncoding.IDENTITY),
        ("", ContentEncoding.IDENTITY),
    ],
)
def test_the_best_that_is_taken_is_used(accept: str, coding: ContentEncoding) -> None:
    assert negotiate_encoding(accept) is coding


@pytest.mark.parametrize(
    ("coding", "undo"),
    [
        (ContentEncoding.BROTLI, brotli.decompress),
        (ContentEncoding.GZIP, gzip.decompress),
        (ContentEncoding.IDENTITY, bytes),
    ],
)
def test_what_was_compressed_is_the_same_again(coding: ContentEncoding, undo: type[bytes]) -> None:
    assert undo(compress(PAGE, coding)) == PAGE
    assert (len(compress(PAGE, coding)) < 100) is (coding is not ContentEncoding.IDENTITY)
