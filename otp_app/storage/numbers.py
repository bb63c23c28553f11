"""Numbers as the database keeps them: sealed, and found again by a keyed hash."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from otp_app.errors import NumbersUnreadable
from otp_app.phone import PhoneNumber

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLEAR = "+"  # begins every number in E.164, and no sealed one: it is no URL-safe base64

log = structlog.get_logger(__name__)


class Condition(StrEnum):
    """How a stored number is, compared with how it would be stored now."""

    GOOD = "good"
    CLEAR = "clear"  # not sealed, though there is a key
    OLD = "old"  # sealed with a key that is not the first
    FOREIGN = "foreign"  # found by no hash, or by that of another SECRET_KEY
    LOST = "lost"  # sealed with none of the keys


class Numbers:
    """Seals, opens and compares numbers.

    Args:
        secret: of the keyed hash. A hash alone would be found by trying all numbers there are.
        keys: Fernet keys (https://github.com/fernet/spec): the first seals, all open. With none
            numbers stand in the clear.
    """

    def __init__(self, secret: bytes, keys: Sequence[str] = ()) -> None:
        self._secret = secret
        self._fernets = [Fernet(key) for key in keys]

    def key(self, phone: PhoneNumber) -> str:
        """What *phone* is compared and looked up by: 64 hexadecimal digits, HMAC-SHA256."""
        return self.keyed("phone_key", phone.e164)

    def keyed(self, kind: str, text: str) -> str:
        """Likewise of *text*; texts of different kinds are never the same."""
        labelled = f"otp_app {kind}\0{text}".encode()  # no other use of the secret begins so
        return hmac.new(self._secret, labelled, hashlib.sha256).hexdigest()

    def sealed(self, phone: PhoneNumber) -> str:
        """*phone* as it is stored: another text each time, 120 characters at most."""
        if not self._fernets:
            return phone.e164
        return self._fernets[0].encrypt(phone.e164.encode()).decode()

    def opened(self, text: str) -> PhoneNumber:
        """The number that was stored as *text*.

        Raises:
            NumbersUnreadable: none of the keys opens it.
        """
        try:
            return self._opened(text, self._fernets)
        except InvalidToken:
            log.error("numbers.unreadable", setting="NUMBER_KEYS")  # noqa: TRY400 - it tells no more
            raise NumbersUnreadable from None

    def condition(self, text: str, key: str | None) -> Condition:
        """How *text* and *key* are, which were stored for one number."""
        try:
            phone = self._opened(text, self._fernets)
        except InvalidToken:
            return Condition.LOST
        if text.startswith(_CLEAR) and self._fernets:
            return Condition.CLEAR
        if not self._is_newest(text):
            return Condition.OLD
        return Condition.GOOD if key == self.key(phone) else Condition.FOREIGN

    def _is_newest(self, text: str) -> bool:
        try:
            self._opened(text, self._fernets[:1])
        except InvalidToken:
            return False
        return True

    @staticmethod
    def _opened(text: str, fernets: Sequence[Fernet]) -> PhoneNumber:
        if text.startswith(_CLEAR):
            return PhoneNumber(text)
        if not fernets:
            raise InvalidToken
        return PhoneNumber(MultiFernet(fernets).decrypt(text.encode()).decode())
