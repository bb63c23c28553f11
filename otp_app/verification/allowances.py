"""The allowances: rights to call a vendor, each of which a counted use of limits pays for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from otp_app.verification.limits import LimitUse


class Call(StrEnum):
    """The purpose of a call to a vendor."""

    NUMBER_LOOKUP = "look"  # a number lookup
    SEND = "send"  # a start or a resend
    CHECK = "check"
    CANCEL = "cancel"


PAID_BY_MESSAGE = (Call.NUMBER_LOOKUP, Call.CANCEL, Call.SEND)
"""Calls that one counted message allows: the lookup of its number, the cancel of the verification
that it replaces, and the message itself."""

PAID_BY_GUESS = (Call.CHECK,)


@dataclass
class Allowance:
    """The right to make each of *calls* once.

    Only `Budget` issues allowances, after it has counted their use. Every vendor call needs one.

    Attributes:
        at: the time under which the uses were counted, for a refund.
        spent: the uses of limits that were counted.
    """

    calls: Sequence[Call]
    at: datetime | None = None
    spent: Sequence[LimitUse] = ()
    _made: Counter[Call] = field(default_factory=Counter)

    @property
    def is_unused(self) -> bool:
        """Whether no call was made."""
        return not self._made.total()

    def pays_for(self, call: Call) -> bool:
        """Return whether *call* may still be made."""
        return self._made[call] < self.calls.count(call)

    def use(self, call: Call) -> None:
        """Use up the right to *call*, before the request is sent.

        Raises:
            RuntimeError: there is no such right, or it is used up. This is a bug in the app.
        """
        if not self.pays_for(call):
            raise RuntimeError(f"a call to a vendor that nothing pays for: {call}")
        self._made[call] += 1

    def give_back(self, call: Call) -> None:
        """Restore the right to *call*, which certainly was not sent."""
        self._made[call] -= 1
