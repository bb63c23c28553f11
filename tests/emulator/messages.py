"""The messages that the emulated services "send". A test reads the code from them."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Channel = Literal["sms", "voice", "whatsapp"]


@dataclass(frozen=True)
class Message:
    """One code on its way to one phone, in the same words for both services."""

    service: Literal["twilio", "vonage"]
    channel: Channel
    to: str
    code: str
    reference: str
    at: datetime


Send = Callable[[Message], None]


def new_code(length: int, unlike: str = "") -> str:
    """Random digits that differ from the code they replace."""
    while (code := f"{secrets.randbelow(10**length):0{length}}") == unlike:
        pass
    return code
