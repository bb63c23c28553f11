"""The JSON bodies of requests and responses.

Types are strict: a JSON number is not accepted as a text, so `012345` without quotes is no code.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic evaluates annotations
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from otp_app import phone
from otp_app.verification import checking
from otp_app.verification.models import Channel, Status

if TYPE_CHECKING:
    from otp_app.verification.models import Verification

MAX_TOKEN = 200  # characters; a token has 101 today

Number = Annotated[
    str,
    Field(
        description="E.164, or a national number with `country`",
        max_length=phone.MAX_TEXT,
        examples=["+14155552671"],
        json_schema_extra={"format": "phone"},
    ),
]
Country = Annotated[
    str,
    Field(
        description="ISO 3166-1 code, for a number without its +",
        pattern="^([A-Z]{2})?$",
        examples=["US"],
    ),
]
Code = Annotated[
    str,
    Field(
        description="the code that the person typed; spaces and dashes are ignored",
        max_length=checking.MAX_CODE_TEXT,
        examples=["493027"],
        json_schema_extra={"format": "code"},
    ),
]
VerificationToken = Annotated[
    str,
    Field(
        description="the id of a verification, valid for its caller only",
        max_length=MAX_TOKEN,
        pattern=r"^[A-Za-z0-9._-]*$",
        examples=["Xq3vZr8k2mT1wN5yB7cD9g"],
    ),
]
ChannelName = Annotated[Channel, Field(description="the channel of the message", strict=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class GuideRequest(_Body):
    """The number to send a code to, in the format of the guides."""

    phoneNumber: Number  # noqa: N815 - the guides' name
    country: Country = ""
    requestId: VerificationToken = ""  # noqa: N815
    """The verification whose code is sent again, for callers without a cookie.

    The guides do not have this field."""


class GuideCheck(_Body):
    """The code to check, in the format of the guides.

    Without `requestId`, the cookie identifies the verification.
    """

    code: Code
    requestId: VerificationToken = ""  # noqa: N815


class GuideRequested(BaseModel):
    """The response to a sent code."""

    requestId: VerificationToken  # noqa: N815


class GuideVerified(BaseModel):
    """The response to a correct code."""

    status: Annotated[str, Field(pattern="^verified$", examples=["verified"])] = "verified"


class NewVerification(_Body):
    """The number to verify, and the channel for the code."""

    phone_number: Number
    country: Country = ""
    channel: ChannelName | None = Field(
        None, description="by default the first channel that reaches the number", examples=["sms"]
    )


class Guess(_Body):
    """The code to check."""

    code: Code


class Resend(_Body):
    """The channel for sending the code again."""

    channel: ChannelName | None = Field(
        None, description="by default the channel of the last message", examples=["sms"]
    )


class VerificationView(BaseModel):
    """The fields of a verification that its caller may see. Times are in UTC."""

    id: VerificationToken
    status: Annotated[
        Status,
        Field(description="`approved` means verified, `unknown` that a message may have been sent"),
    ]
    channel: ChannelName
    ending: Annotated[str, Field(description="the last digits of the number", examples=["671"])]
    code_length: Annotated[int, Field(description="digits", examples=[6])]
    attempts_left: Annotated[
        int, Field(description="the number of further wrong codes that are accepted", examples=[5])
    ]
    sends: Annotated[int, Field(description="the number of messages so far", examples=[1])]
    resend_at: Annotated[datetime, Field(description="the earliest time of the next message")]
    expires_at: datetime

    @classmethod
    def of(
        cls, verification: Verification, name: str, code_length: int, now: datetime
    ) -> VerificationView:
        """Return the view of *verification* at the time *now*, with *name* as its id."""
        return cls(
            id=name,
            status=verification.status_at(now),
            channel=verification.channel,
            ending=verification.phone.ending,
            code_length=code_length,
            attempts_left=verification.attempts_left,
            sends=verification.sends,
            resend_at=verification.resend_at,
            expires_at=verification.expires_at,
        )


class FieldProblem(BaseModel):
    """The name of an invalid field and the problem with it."""

    field: str
    problem: str


class GuideError(BaseModel):
    """An error in the format of the guides, with additional fields."""

    error: Annotated[str, Field(description="a text for the person")]
    code: Annotated[str, Field(description="a stable name for programs")]
    attempts_left: int | None = None
    until: datetime | None = None
    errors: list[FieldProblem] | None = None


class Problem(BaseModel):
    """An error as problem details (RFC 9457), with additional fields."""

    type: Annotated[
        str,
        Field(
            description="the address of its explanation",
            json_schema_extra={"format": "uri-reference"},
        ),
    ]
    title: str
    status: int
    detail: Annotated[str, Field(description="a text for the person")]
    code: Annotated[str, Field(description="a stable name for programs")]
    attempts_left: int | None = None
    until: Annotated[datetime | None, Field(description="the earliest time of another attempt")] = (
        None
    )
    errors: list[FieldProblem] | None = None


class Health(BaseModel):
    """The response of a running process."""

    status: Annotated[str, Field(pattern="^ok$", examples=["ok"])] = "ok"
