"""What a person types, pastes or chooses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otp_app.errors import ChannelNotOffered, CodeProblem, InvalidCode
from otp_app.phone import in_ascii_digits
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_TEXT = 500  # characters: a whole text message, pasted, is shorter


def parse_code(text: str, length: int) -> str:
    """The *length* ASCII digits meant by *text*, which may be a whole message in any script.

    If exactly one run of *length* digits stands in it, however often, that is the code; a message
    with its `@domain #code` line holds it twice. Otherwise all digits together are.

    Raises:
        InvalidCode: with the problem, `length` wanted and `count` given.
    """
    if len(text) > MAX_TEXT:
        raise InvalidCode(CodeProblem.TOO_LONG, length=length, count=len(text))
    plain = in_ascii_digits(text).strip()
    if not plain:
        raise InvalidCode(CodeProblem.MISSING, length=length)
    standing = set(re.findall(rf"(?<![0-9])[0-9]{{{length}}}(?![0-9])", plain))
    return standing.pop() if len(standing) == 1 else _all_digits(plain, length)


def parse_channel(name: str, offered: Sequence[Channel]) -> Channel | None:
    """The channel of that name; None when none is given, which leaves it to the service.

    Raises:
        ChannelNotOffered: there is no such channel. With `channels`: those *offered*.
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
