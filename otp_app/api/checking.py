"""A code, checked: the same for every route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app import services

if TYPE_CHECKING:
    from fastapi import Request

    from otp_app.api.callers import Caller
    from otp_app.verification.models import Verification


async def checked(caller: Caller, handle: str, code: str, request: Request) -> Verification:
    """The verification that *handle* names, approved by *code*.

    Where the caller is a browser with our cookie, this is the place to give it a session: what
    `request.state.set_cookie` holds goes out as `Set-Cookie`, with every kind of answer.

    Raises:
        OtpError: as `VerificationService.check`.
    """
    del request
    verifications = services.current().verifications
    client, id_ = caller.find(handle)
    if not id_:
        current = await verifications.current(client.flow)
        id_ = current.id if current else ""
    return await verifications.check(client, id_, code)
