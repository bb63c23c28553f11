"""The encryption of stored phone numbers, and the keyed hashes by which they are found."""

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

_CLEAR = "+"  # prefix of a plaintext number in E.164; URL-safe base64, as in Fernet, has no "+"

log = structlog.get_logger(__name__)


class Condition(StrEnum):
    """The state of a stored number, compared with the current keys."""

    GOOD = "good"  # stored with the current keys
    CLEAR = "clear"  # plaintext, although there is a key
    OLD = "old"  # encrypted with a key that is not the first
    FOREIGN = "foreign"  # its hash is missing, or was made with another SECRET_KEY
    LOST = "lost"  # encrypted with none of the keys


class Numbers:
    """Encrypts, decrypts and hashes phone numbers.

    Args:
        secret: the key of the hash. A plain hash could be reversed by trying all phone numbers.
        keys: Fernet keys (https://github.com/fernet/spec). The first encrypts, all decrypt. Without
            keys, numbers are stored in plaintext.
    """

    def __init__(self, secret: bytes, keys: Sequence[str] = ()) -> None:
        self._secret = secret
        self._fernets = [Fernet(key) for key in keys]

    def key(self, phone: PhoneNumber) -> str:
        """Return the HMAC-SHA256 by which *phone* is found: 64 hexadecimal digits."""
        return self.keyed("phone_key", phone.e164)

    def keyed(self, kind: str, text: str) -> str:
        """Return the HMAC-SHA256 of *text*, in hexadecimal. Each *kind* has separate hashes."""
        labelled = f"otp_app {kind}\0{text}".encode()  # no other use of the secret has this prefix
        return hmac.new(self._secret, labelled, hashlib.sha256).hexdigest()

    def sealed(self, phone: PhoneNumber) -> str:
        """Return *phone* as it is stored: at most 120 characters, different in each call.

        Without a key, this is the plaintext number in E.164.
        """
        if not self._fernets:
            return phone.e164
        return self._fernets[0].encrypt(phone.e164.encode()).decode()

    def opened(self, text: str) -> PhoneNumber:
        """Return the number that was stored as *text*.

        Raises:
            NumbersUnreadable: none of the keys decrypts it.
        """
        try:
            return self._opened(text, self._fernets)
        except InvalidToken:
            log.error("numbers.unreadable", setting="NUMBER_KEYS")  # noqa: TRY400 - no detail in it
            raise NumbersUnreadable from None

    def condition(self, text: str, key: str | None) -> Condition:
        """Return the state of a stored number, given its *text* and its hash *key*."""
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
