"""Every failure that the app can name, in one tree of exceptions. Their texts are in `i18n`.

The pages and the API each catch `OtpError` in one place. The text of an error, its `str` and its
`params` have no phone number, no code and no provider's id.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


Param: TypeAlias = "str | int | datetime | tuple[str, ...]"


class OtpError(Exception):
    """A failure that is reported to a person or to a caller of the API.

    Attributes:
        code: the stable name of the error.
        status: the HTTP status of the error.
        params: the values that the text mentions. `channels` are the names of channels, of which
            the person may choose one.
        vendor_code: the HTTP status and the provider's own code of its response, for the audit log.
            Empty if there was no response from a provider.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    vendor_code: str = ""

    def __init__(self, **params: Param) -> None:
        super().__init__(self.code)
        self.params = params

    @property
    def key(self) -> str:
        """The key of the error's text in `i18n`. By default it is `code`."""
        return self.code


class InputError(OtpError):
    """The person's input cannot be used."""

    status = 422


class PhoneProblem(StrEnum):
    """The problem with a phone number."""

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
    """The text is not a phone number that can be verified."""

    code = "phone_invalid"

    def __init__(self, problem: PhoneProblem, **params: Param) -> None:
        super().__init__(**params)
        self.problem = problem

    @property
    def key(self) -> str:
        """The key of the text, which differs by problem."""
        return f"phone_{self.problem}"


class CodeProblem(StrEnum):
    """The problem with the form of a code."""

    MISSING = "missing"
    NOT_DIGITS = "not_digits"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"


class InvalidCode(InputError):
    """The text does not have the form of a code. The error costs no attempt."""

    code = "code_invalid"

    def __init__(self, problem: CodeProblem, **params: Param) -> None:
        super().__init__(**params)
        self.problem = problem

    @property
    def key(self) -> str:
        """The key of the text, which differs by problem."""
        return f"code_{self.problem}"


class NumberUnfit(InputError):
    """A number lookup found a risk, so nothing is sent. Only the log has the finding."""

    code = "number_unfit"


class ChannelNotOffered(InputError):
    """The requested channel does not exist, or is not offered. Params: `channels`."""

    code = "channel_not_offered"


class RequestError(OtpError):
    """The request itself cannot be used. The API reports these errors to programs."""


class FieldsUnusable(RequestError):
    """Fields are missing, unknown or of another type. Params: `fields`, their names.

    Attributes:
        problems: the problem of each field, by name. The fields' values are not included.
    """

    code = "fields_unusable"
    status = 422

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(fields=", ".join(problems))
        self.problems = problems


class BodyTooLong(RequestError):
    """The body is longer than the API allows."""

    code = "body_too_long"
    status = 413


class NotJson(RequestError):
    """The body is not declared as JSON. Forms of other sites cannot declare JSON."""

    code = "not_json"
    status = 415


class PathUnknown(RequestError):
    """The API has no such path."""

    code = "path_unknown"
    status = 404


class MethodNotAllowed(RequestError):
    """The path does not support the method."""

    code = "method_not_allowed"
    status = 405


class OriginRefused(RequestError):
    """The request comes from a page of another site."""

    code = "origin_refused"
    status = 403


class CallerUnknown(RequestError):
    """The request has neither an API key nor our cookie, but needs one of them."""

    code = "caller_unknown"
    status = 401


class ApiKeyRefused(RequestError):
    """The API key is unknown."""

    code = "api_key_refused"
    status = 401


class IdempotencyKeyReused(RequestError):
    """The `Idempotency-Key` was already used for another request."""

    code = "idempotency_key_reused"
    status = 409


class IdempotencyKeyInUse(RequestError):
    """The first request with this `Idempotency-Key` has no response yet, or will never have one."""

    code = "idempotency_key_in_use"
    status = 409


class Unexpected(RequestError):
    """A fault of the app. The caller gets no details."""

    code = "unexpected"
    status = 500


class VerificationError(OtpError):
    """The state of the verification does not allow the action."""

    status = 409


class FlowMissing(VerificationError):
    """The request has no cookie of ours: the browser blocks cookies, or the cookie expired."""

    code = "flow_missing"


class VerificationNotFound(VerificationError):
    """The browser or API client has no such verification."""

    code = "verification_not_found"
    status = 404


class VerificationReplaced(VerificationError):
    """The browser has started another verification. Params: the `ending` of its number."""

    code = "verification_replaced"


class VerificationExpired(VerificationError):
    """The verification has expired, in the app or at the provider."""

    code = "verification_expired"
    status = 410


class CodeUsedUp(VerificationError):
    """Guesses in other browsers have used up the attempts. A new code can be sent at once."""

    code = "code_used_up"
    status = 410


class AlreadyVerified(VerificationError):
    """The verification was approved before."""

    code = "already_verified"


class CodeMismatch(VerificationError):
    """The code is wrong. Params: `attempts_left`, and `until`, the expiry of the right code."""

    code = "code_mismatch"


class AttemptsExhausted(VerificationError):
    """There were too many wrong codes. Params: `until`, from when a new code can be requested."""

    code = "attempts_exhausted"
    status = 429


class ResendTooSoon(VerificationError):
    """The last message may still be on its way. Params: `until`, from when to try again."""

    code = "resend_too_soon"
    status = 429


class SendsExhausted(VerificationError):
    """The verification has used all its messages.

    Params: `sends`, their number, and `until`, from when a new code can be requested.
    """

    code = "sends_exhausted"
    status = 429


class NumberBusy(VerificationError):
    """The provider is already verifying this number for somebody. Nothing was sent.

    Attributes:
        reference: the provider's id of the running verification, if the response had it. Only the
            service may use it.
    """

    code = "number_busy"

    def __init__(self, reference: str | None = None) -> None:
        super().__init__()
        self.reference = reference


class RateLimited(OtpError):
    """A rate limit is reached. Params: `until`, from when to try again.

    Attributes:
        scope: `number`, `network` or `other`. Callers learn nothing more about the limit.
    """

    code = "rate_limited"
    status = 429

    def __init__(self, scope: str, until: datetime) -> None:
        super().__init__(until=until)
        self.scope = scope

    @property
    def key(self) -> str:
        """The key of the text, which differs by scope."""
        return f"rate_limited_{self.scope}"


class ProviderError(OtpError):
    """The provider did not carry out the request.

    Attributes:
        for_everybody: whether the cause makes every request fail, as in an outage. If not, the
            cause is in this request alone: its number, country, channel, language or moment.
    """

    status = 502

    def __init__(self, *, for_everybody: bool = True, **params: Param) -> None:
        super().__init__(**params)
        self.for_everybody = for_everybody


class Refusal(StrEnum):
    """The reason why a provider does not send to a number."""

    NUMBER = "number"
    LANDLINE = "landline"
    COUNTRY = "country"
    CHANNEL = "channel"


class ProviderRejected(ProviderError):
    """The provider refuses this number or channel permanently. Nothing was sent.

    Params: `channels`, the remaining ones, which the service adds.
    """

    code = "provider_rejected"
    status = 422

    def __init__(self, refusal: Refusal = Refusal.NUMBER, channels: tuple[str, ...] = ()) -> None:
        super().__init__(for_everybody=False, channels=channels)
        self.refusal = refusal

    @property
    def key(self) -> str:
        """The key of the text, which differs by refusal."""
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
    """The provider reports a failure of its own.

    The provider should have sent nothing, but the message is counted all the same.
    """

    code = "provider_unavailable"
    status = 503


class ProviderNotReached(ProviderUnavailable):
    """The request never left. The attempt costs nothing and can be repeated at once."""

    code = "provider_not_reached"


class ProviderThrottled(ProviderUnavailable):
    """The provider throttles the account. Params: `seconds` to wait, 60 at most."""

    code = "provider_throttled"


class ProviderTimedOut(ProviderError):
    """There is no usable response: a message may have been sent, or a code used. Never retried."""

    code = "provider_timed_out"
    status = 504


class ResendTimedOut(ProviderTimedOut):
    """A resend has no usable response, and the earlier reference is ended and no longer valid."""


class CheckTimedOut(ProviderTimedOut):
    """A check has no usable response. A code that was right cannot be used again."""

    code = "check_timed_out"


class ProviderMisconfigured(ProviderUnavailable):
    """The provider refuses the operator's account or settings. The operator must repair them.

    If `for_everybody`, the cause is the account (credentials, balance, permission), so every
    request fails. If not, the cause is a setting that other requests may not need.
    """

    code = "provider_misconfigured"


class Overloaded(OtpError):
    """Too many sends or checks are under way. The request was neither counted nor carried out.

    Params: `seconds` to wait.
    """

    code = "overloaded"
    status = 503

    def __init__(self) -> None:
        super().__init__(seconds=1)


class StoreUnavailable(OtpError):
    """The app's database is not available. Nothing is sent or approved without it."""

    code = "store_unavailable"
    status = 503

    def __init__(self, why: str = "", **params: Param) -> None:
        super().__init__(**params)
        self.why = why
        """The cause, for the operator; empty if only time ran out."""


class PhoneDecryptionFailed(StoreUnavailable):
    """A stored number is encrypted with a key that the app lacks. The operator must supply it."""
