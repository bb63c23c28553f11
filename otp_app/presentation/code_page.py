"""The view model of the code page, for the pages with and without JavaScript."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from math import ceil
from typing import TYPE_CHECKING

from otp_app import presentation
from otp_app.errors import AlreadyVerified, AttemptsExhausted, OtpError, VerificationExpired
from otp_app.i18n.en import CHANNEL_TEXTS, CODE_HINT, MINUTES_LEFT
from otp_app.verification.models import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, tzinfo

    from otp_app.i18n import Language
    from otp_app.verification.deliveries import DeliveryReport
    from otp_app.verification.models import Channel, Verification
    from otp_app.verification.service import VerificationService


class Step(StrEnum):
    """The step of the flow that a browser is at."""

    PHONE = "phone"
    CODE = "code"
    EXPIRED = "expired"
    LOCKED = "locked"
    VERIFIED = "verified"  # about to be exchanged for a session

    @classmethod
    def of(cls, verification: Verification | None, now: datetime) -> Step:
        """Return the step of the browser whose current verification is *verification*."""
        if verification is None:
            return cls.PHONE
        match verification.status_at(now):
            case Status.APPROVED:
                return cls.VERIFIED
            case Status.EXHAUSTED:
                return cls.LOCKED if verification.is_locked(now) else cls.EXPIRED
            case Status.EXPIRED:
                return cls.EXPIRED
            case Status.PENDING | Status.UNKNOWN if verification.reference:
                return cls.CODE
            case _:
                return cls.PHONE

    def explains(self, error: OtpError) -> bool:
        """Return whether the page of this step says the same as the message of *error*."""
        return _EXPLAINED_AT.get(type(error)) is self


_EXPLAINED_AT: dict[type[OtpError], Step] = {
    AlreadyVerified: Step.VERIFIED,
    AttemptsExhausted: Step.LOCKED,
    VerificationExpired: Step.EXPIRED,
}


@dataclass(frozen=True)
class CodePage:
    """The content of the code page about one verification.

    Attributes:
        verification: the browser's current verification.
        now: the time for which the content is right.
        channels: the channels by which another code can be sent, in the order of the buttons.
        code_length: the number of digits in the code.
        language: the person's language.
        zone: the time zone of all times in the texts.
    """

    verification: Verification
    now: datetime
    channels: Sequence[Channel]
    code_length: int
    language: Language
    zone: tzinfo

    @classmethod
    def of(
        cls,
        verification: Verification,
        service: VerificationService,
        language: Language,
        zone: tzinfo,
    ) -> CodePage:
        """Return the present content of the page about *verification*."""
        return cls(
            verification,
            service.now(),
            service.channels_for(verification.phone),
            service.code_length(verification),
            language,
            zone,
        )

    @property
    def step(self) -> Step:
        """The step, which decides the heading and the form of the page."""
        return Step.of(self.verification, self.now)

    @property
    def ending(self) -> str:
        """The last digits of the number."""
        return self.verification.phone.ending

    @property
    def channel(self) -> Channel:
        """The channel of the last message."""
        return self.verification.channel

    @property
    def expires(self) -> str:
        """The time of day at which the code expires or the lock ends."""
        return presentation.clock(self.verification.expires_at, self.language, self.zone)

    @property
    def zone_name(self) -> str:
        """The name of the time zone."""
        return presentation.zone_name(self.verification.expires_at, self.language, self.zone)

    @property
    def minutes_left(self) -> str:
        """The text for the minutes until `expires`."""
        left = self.verification.expires_at - self.now
        return self.language.t(MINUTES_LEFT, minutes=ceil(left / timedelta(minutes=1)))

    @property
    def sent(self) -> str:
        """The notice about the last message. `{ending}` stands for the end of the number."""
        sent = CHANNEL_TEXTS[self.channel].sent
        return self.language.t(sent, ending="{ending}", time=self.expires)

    @property
    def sent_again(self) -> str:
        """The notice after a resend."""
        return self.language.t(CHANNEL_TEXTS[self.channel].sent_again, ending=self.ending)

    @property
    def hint(self) -> str:
        """The hint for the field of the code."""
        return self.language.t(CODE_HINT, length=self.code_length)

    @property
    def buttons(self) -> Sequence[tuple[Channel, str]]:
        """The channels with the labels of their buttons."""
        return [(one, self.language.t(CHANNEL_TEXTS[one].resend)) for one in self.channels]

    def delivery(self, report: DeliveryReport | None) -> str:
        """Return the text of the delivery *report*; empty if there is nothing to show."""
        if report is None:
            return ""
        return presentation.delivery(report, self.channels, self.language, self.zone)
