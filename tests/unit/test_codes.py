"""Codes as people type and paste them."""

from __future__ import annotations

import pytest

from otp_app.errors import CodeProblem, InvalidCode
from otp_app.verification.checking import parse_code


@pytest.mark.parametrize(
    "text",
    [
        "123456",
        "123 456",
        "123-456",
        "123–456",
        " 123456 ",
        "123456\n",
        "１２３４５６",
        "١٢٣٤٥٦",
        "G-123456",
        "Your code is 123456.",
        "Your 2FA code is 123456",
        "Your code is 123 456",
        "123456 is your Example code\n\n@example.com #123456",
        "\u200e123456\u200f",
    ],
)
def test_any_paste_gives_the_code(text: str) -> None:
    assert parse_code(text, 6) == "123456"


def test_leading_zeros_survive() -> None:
    assert parse_code("012345", 6) == "012345"


def test_the_length_is_the_providers() -> None:
    assert parse_code("1234 5678", 8) == "12345678"


@pytest.mark.parametrize(
    ("text", "problem", "count"),
    [
        ("", CodeProblem.MISSING, None),
        ("  \u200b", CodeProblem.MISSING, None),
        ("abcdef", CodeProblem.NOT_DIGITS, None),
        ("12345a", CodeProblem.NOT_DIGITS, None),
        ("²²²²²²", CodeProblem.NOT_DIGITS, None),
        ("1234", CodeProblem.TOO_SHORT, 4),
        ("1234567", CodeProblem.TOO_LONG, 7),
        ("123456 654321", CodeProblem.TOO_LONG, 12),
        ("1" * 501, CodeProblem.TOO_LONG, 501),
    ],
)
def test_what_is_wrong_is_named(text: str, problem: CodeProblem, count: int | None) -> None:
    with pytest.raises(InvalidCode) as caught:
        parse_code(text, 6)

    assert caught.value.problem is problem
    assert caught.value.params.get("count") == count
