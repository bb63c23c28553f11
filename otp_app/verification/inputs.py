"""The parsing of user input: codes and channels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otp_app.errors import ChannelNotOffered, CodeProblem, InvalidCode
from otp_app.phone import in_ascii_digits
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEXT = 500  # characters; a pasted text message is shorter


def parse_code(text: str, length: int) -> str:
    """Return the code in *text*, which may be a whole message with digits of any script.

    If *text* contains exactly one distinct run of *length* digits, that run is the code. The run
    may occur twice, as in a message with an `@domain #code` line. Otherwise all digits of *text*
    together must be the code.

    Returns:
        *length* ASCII digits.

    Raises:
        InvalidCode: with the problem, the required `length` and the `count` that was found.
    """
    if len(text) > MAX_TEXT:
        raise InvalidCode(CodeProblem.TOO_LONG, length=length, count=len(text))
    plain = in_ascii_digits(text).strip()
    if not plain:
        raise InvalidCode(CodeProblem.MISSING, length=length)
    standing = set(re.findall(rf"(?<![0-9])[0-9]{{{length}}}(?![0-9])", plain))
    return standing.pop() if len(standing) == 1 else _all_digits(plain, length)


def parse_channel(name: str, offered: Sequence[Channel]) -> Channel | None:
    """Return the channel called *name*, or None if *name* is empty.

    Raises:
        ChannelNotOffered: no such channel exists. Its `channels` are those *offered*.
    """
    try:
        return Channel(name) if name else None
    except ValueError:
        raise ChannelNotOffered(channels=tuple(offered)) from None


def _all_digits(plain: str, length: int) -> str:
    digits = re.sub(r"[^0-9]", "", plain)
    if len(digits) == length:
        return digits
    if not digits or any(char.isalpha() for char in plain):
        raise InvalidCode(CodeProblem.NOT_DIGITS, length=length)
    problem = CodeProblem.TOO_SHORT if len(digits) < length else CodeProblem.TOO_LONG
    raise InvalidCode(problem, length=length, count=len(digits))
