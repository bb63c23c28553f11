"""Every failure the app can name: one tree, whose words live in `i18n`.

`OtpError` is caught once by each face (pages, API). The words of an error, its `str` and its
`params` hold no number, no code and no provider's id.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


Param: TypeAlias = "str | int | datetime | tuple[str, ...]"


class OtpError(Exception):
    """Something a person or a caller is told about.

    Attributes:
        code: stable name, the key of its words.
        status: the HTTP status that says the same.
        params: what the words mention. `channels` are names, of which one may be chosen.
        vendor_code: the HTTP status and the provider's own code of the answer, for the audit. It is
            empty where no provider answered.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    vendor_code: str = ""

    def __init__(self, **params: Param) -> None:
        super().__init__(self.code)
        self.params = params

    @property
    def key(self) -> str:
        """The name its words are filed under."""
        return self.code


class InputError(OtpError):
    """What was typed cannot be used as it is."""

    status = 422


class PhoneProblem(StrEnum):
    """What is wrong with a number."""

    MISSING = "missing"
    NOT_DIGITS = "not_digits"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NOT_IN_COUNTRY = "not_in_country"
    COUNTRY_MISSING = "country_missing"
    COUNTRY_CODE_UNKNOWN = "country_code_unknown"
    EXTENSION = "extension"
    LANDLINE = "landline"
    NO_WHATSAPP = "no_whatsapp"
    NOT_PERSONAL = "not_personal"
    NOT_SERVED = "not_served"


class InvalidPhoneNumber(InputError):
    """The text is not a number that can be verified."""

    code = "phone_invalid"

    def __init__(self, problem: PhoneProblem, **params: Param) -> None:
        super().__init__(**params)
        self.problem = problem

    @property
    def key(self) -> str:
        """One sentence for each problem."""
        return f"phone_{self.problem}"


class CodeProblem(StrEnum):
    """What is wrong with the form of a code."""

    MISSING = "missing"
    NOT_DIGITS = "not_digits"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"


class InvalidCode(InputError):
    """The text cannot be a code. Costs no attempt."""

    code = "code_invalid"

    def __init__(self, problem: CodeProblem, **params: Param) -> None:
        super().__init__(**params)
        self.problem = problem

    @property
    def key(self) -> str:
        """One sentence for each problem."""
        return f"code_{self.problem}"


class NumberUnfit(InputError):
    """A look at the number speaks against sending to it. Which finding, only the log tells."""

    code = "number_unfit"


class ChannelNotOffered(InputError):
    """The code was asked for in a way that there is not, or not here. Params: `channels`."""

    code = "channel_not_offered"


class RequestError(OtpError):
    """The call itself cannot be used: told to programs, by the API."""


class FieldsUnusable(RequestError):
    """Fields are missing, unknown or of another type. Params: `fields`, their names.

    Attributes:
        problems: what is wrong with each. Holds no value.
    """

    code = "fields_unusable"
    status = 422

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(fields=", ".join(problems))
        self.problems = problems


class BodyTooLong(RequestError):
    """More than any honest call has."""

    code = "body_too_long"
    status = 413


class NotJson(RequestError):
    """The body is not declared as JSON, which no form of another site can do."""

    code = "not_json"
    status = 415


class PathUnknown(RequestError):
    """The API has no such path."""

    code = "path_unknown"
    status = 404


class MethodNotAllowed(RequestError):
    """The path takes other methods."""

    code = "method_not_allowed"
    status = 405


class OriginRefused(RequestError):
    """A page of another site is asking."""

    code = "origin_refused"
    status = 403


class CallerUnknown(RequestError):
    """Neither an API key nor our cookie, where one of them is needed."""

    code = "caller_unknown"
    status = 401


class ApiKeyRefused(RequestError):
    """There is no such API key."""

    code = "api_key_refused"
    status = 401


class IdempotencyKeyReused(RequestError):
    """The `Idempotency-Key` came with another request before: nothing is wrong with this one."""

    code = "idempotency_key_reused"
    status = 409


class IdempotencyKeyInUse(RequestError):
    """The first request with this `Idempotency-Key` has no answer, yet or for good."""

    code = "idempotency_key_in_use"
    status = 409


class Unexpected(RequestError):
    """A fault of ours, of which nothing is told."""

    code = "unexpected"
    status = 500


class VerificationError(OtpError):
    """The verification does not allow what was asked."""

    status = 409


class FlowMissing(VerificationError):
    """The browser brings no cookie of ours: it blocks cookies, or ours ran out."""

    code = "flow_missing"


class VerificationNotFound(VerificationError):
    """This browser has no such verification."""

    code = "verification_not_found"
    status = 404


class VerificationReplaced(VerificationError):
    """The browser went on to another verification. Params: `ending` of the number it is for."""

    code = "verification_replaced"


class VerificationExpired(VerificationError):
    """Its time is over, here or at the provider."""

    code = "verification_expired"
    status = 410


class CodeUsedUp(VerificationError):
    """Guesses in other browsers have used the code up. A new code can be sent at once."""

    code = "code_used_up"
    status = 410


class AlreadyVerified(VerificationError):
    """It was approved before."""

    code = "already_verified"


class CodeMismatch(VerificationError):
    """The code is not the one that was sent. Params: `attempts_left`, `until`, its expiry."""

    code = "code_mismatch"


class AttemptsExhausted(VerificationError):
    """Too many wrong codes. Params: `until`, when a new one can be asked for."""

    code = "attempts_exhausted"
    status = 429


class ResendTooSoon(VerificationError):
    """The last message is still on its way. Params: `until`."""

    code = "resend_too_soon"
    status = 429


class SendsExhausted(VerificationError):
    """The verification has used all its messages. Params: `sends`, `until`."""

    code = "sends_exhausted"
    status = 429


class NumberBusy(VerificationError):
    """The provider is already verifying this number for somebody. Nothing was sent.

    Attributes:
        reference: the provider's id of what is running, if it told. For the service alone.
    """

    code = "number_busy"

    def __init__(self, reference: str | None = None) -> None:
        super().__init__()
        self.reference = reference


class RateLimited(OtpError):
    """A limit is reached. Params: `until`, when there is room again.

    Attributes:
        scope: `number`, `network` or `other`: all that is told of which limit it is.
    """

    code = "rate_limited"
    status = 429

    def __init__(self, scope: str, until: datetime) -> None:
        super().__init__(until=until)
        self.scope = scope

    @property
    def key(self) -> str:
        """One sentence for each scope."""
        return f"rate_limited_{self.scope}"


class ProviderError(OtpError):
    """The provider did not do what was asked.

    Attributes:
        for_everybody: whether every request has the same cause to fail, as in an outage. If not,
            the cause is in this request alone: its number, country, channel, language or moment.
    """

    status = 502

    def __init__(self, *, for_everybody: bool = True, **params: Param) -> None:
        super().__init__(**params)
        self.for_everybody = for_everybody


class Refusal(StrEnum):
    """Why a provider will not send to a number."""

    NUMBER = "number"
    LANDLINE = "landline"
    COUNTRY = "country"
    CHANNEL = "channel"


class ProviderRejected(ProviderError):
    """The provider refuses this number or channel, for good. Nothing was sent.

    Params: `channels` that are left, as the service knows them.
    """

    code = "provider_rejected"
    status = 422

    def __init__(self, refusal: Refusal = Refusal.NUMBER, channels: tuple[str, ...] = ()) -> None:
        super().__init__(for_everybody=False, channels=channels)
        self.refusal = refusal

    @property
    def key(self) -> str:
        """One sentence for each refusal."""
        return f"refused_{self.refusal}"


class LanguageRefused(ProviderError):
    """The provider has no message in this language for this channel. Nothing was sent.

    The person may try again at once: the next request is in the fallback language.
    """

    code = "language_refused"
    status = 409

    def __init__(self, **params: Param) -> None:
        super().__init__(for_everybody=False, **params)


class ProviderUnavailable(ProviderError):
    """The provider says that it failed. It should have sent nothing, but it is counted."""

    code = "provider_unavailable"
    status = 503


class ProviderNotReached(ProviderUnavailable):
    """No request left: it costs nothing and may be tried at once."""

    code = "provider_not_reached"


class ProviderThrottled(ProviderUnavailable):
    """The provider refuses the account's traffic for now. Params: `seconds`, 60 at most."""

    code = "provider_throttled"


class ProviderTimedOut(ProviderError):
    """No usable answer: a message may have been sent, a code may have been used. Never retried."""

    code = "provider_timed_out"
    status = 504


class ResendTimedOut(ProviderTimedOut):
    """Likewise, after the earlier reference was ended: it is worth nothing any more."""


class CheckTimedOut(ProviderTimedOut):
    """No usable answer to a code. It may have been right, and then it cannot be used again."""

    code = "check_timed_out"


class ProviderMisconfigured(ProviderUnavailable):
    """The provider refuses what the operator has set up. The operator must mend it.

    `for_everybody` says which: the account (credentials, balance, permission), which refuses every
    request, or a setting that this request needs and another may not need.
    """

    code = "provider_misconfigured"


class StoreUnavailable(OtpError):
    """Our own database did not answer. Nothing is sent or approved without it."""

    code = "store_unavailable"
    status = 503


class NumbersUnreadable(StoreUnavailable):
    """A stored number is sealed with a key that we do not have. The operator's to mend."""
