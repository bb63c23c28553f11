"""A code, checked: the same for every route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app import services

if TYPE_CHECKING:
    from otp_app.api.callers import Caller
    from otp_app.verification.models import Verification


async def checked(caller: Caller, handle: str, code: str) -> Verification:
    """The verification that *handle* names, approved by *code*.

    All approvals of the API come by here. What a browser is to get for one goes into
    `request.state.set_cookie`, see `cookies`, and only where the approved flow is its cookie's own:
    a handle proves nothing about the browser that sends it.

    Raises:
        OtpError: as `VerificationService.check`.
    """
    verifications = services.current().verifications
    client, id_ = caller.find(handle)
    if not id_:
        current = await verifications.current(client.flow)
        id_ = current.id if current else ""
    return await verifications.check(client, id_, code)
