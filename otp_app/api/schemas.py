"""What goes in and out as JSON. Nothing is converted: a number is no text, `012345` no code."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic evaluates annotations
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from otp_app import phone
from otp_app.verification import inputs
from otp_app.verification.models import OPEN, Channel, Status

if TYPE_CHECKING:
    from otp_app.verification.models import Verification

MAX_HANDLE = 200  # characters; a handle has 101

Number = Annotated[
    str,
    Field(
        description="E.164, or as people write it, with `country`",
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
        description="what the person typed; spaces and dashes do not matter",
        max_length=inputs.MAX_TEXT,
        examples=["493027"],
        json_schema_extra={"format": "code"},
    ),
]
Handle = Annotated[
    str,
    Field(
        description="names a verification to its caller, and to nobody else",
        max_length=MAX_HANDLE,
        pattern=r"^[A-Za-z0-9._-]*$",
        examples=["Xq3vZr8k2mT1wN5yB7cD9g"],
    ),
]
ChannelName = Annotated[Channel, Field(description="how the code travels", strict=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class GuideRequest(_Body):
    """A number to send a code to, as in the guides."""

    phoneNumber: Number  # noqa: N815 - the guides' name
    country: Country = ""
    requestId: Handle = ""  # noqa: N815
    """Of the verification to send again for, where there is no cookie. The guides have none."""


class GuideCheck(_Body):
    """A code, as in the guides. Without `requestId`, the cookie says for which verification."""

    code: Code
    requestId: Handle = ""  # noqa: N815


class GuideRequested(BaseModel):
    """A code is on its way."""

    requestId: Handle  # noqa: N815


class GuideVerified(BaseModel):
    """The code was right."""

    status: Annotated[str, Field(pattern="^verified$", examples=["verified"])] = "verified"


class NewVerification(_Body):
    """A number to verify."""

    phone_number: Number
    country: Country = ""
    channel: ChannelName | None = Field(
        None, description="by default the first that reaches it", examples=["sms"]
    )


class Guess(_Body):
    """A code to check."""

    code: Code


class Resend(_Body):
    """How to send the code again."""

    channel: ChannelName | None = Field(None, description="by default as before", examples=["sms"])


class VerificationView(BaseModel):
    """A verification, as its caller may see it. Times are in UTC."""

    id: Handle
    status: Annotated[
        Status,
        Field(description="`approved` means verified, `unknown` that a message may have been sent"),
    ]
    channel: ChannelName
    ending: Annotated[str, Field(description="of the number", examples=["671"])]
    code_length: Annotated[int, Field(description="digits", examples=[6])]
    attempts_left: Annotated[int, Field(description="wrong codes that are forgiven", examples=[5])]
    sends: Annotated[int, Field(description="messages so far", examples=[1])]
    resend_at: Annotated[datetime, Field(description="when the next message may be asked for")]
    expires_at: datetime

    @classmethod
    def of(
        cls, verification: Verification, name: str, code_length: int, now: datetime
    ) -> VerificationView:
        """*verification*, called *name*, as it stands *now*."""
        is_over = verification.status in OPEN and not verification.is_open(now)
        return cls(
            id=name,
            status=Status.EXPIRED if is_over else verification.status,
            channel=verification.channel,
            ending=verification.phone.ending,
            code_length=code_length,
            attempts_left=verification.attempts_left,
            sends=verification.sends,
            resend_at=verification.resend_at,
            expires_at=verification.expires_at,
        )


class FieldProblem(BaseModel):
    """What is wrong with a field."""

    field: str
    problem: str


class GuideError(BaseModel):
    """A failure, in the guides' shape and a little more."""

    error: Annotated[str, Field(description="for the person")]
    code: Annotated[str, Field(description="stable, for programs")]
    attempts_left: int | None = None
    until: datetime | None = None
    errors: list[FieldProblem] | None = None


class Problem(BaseModel):
    """A failure, as RFC 9457 has it, and a little more."""

    type: Annotated[
        str,
        Field(description="where it is explained", json_schema_extra={"format": "uri-reference"}),
    ]
    title: str
    status: int
    detail: Annotated[str, Field(description="for the person")]
    code: Annotated[str, Field(description="stable, for programs")]
    attempts_left: int | None = None
    until: Annotated[datetime | None, Field(description="when to try again")] = None
    errors: list[FieldProblem] | None = None


class Health(BaseModel):
    """The process answers."""

    status: Annotated[str, Field(pattern="^ok$", examples=["ok"])] = "ok"
