"""A code, checked: the same for every route."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app import services
from otp_app.api.cookies import keep_cookie

if TYPE_CHECKING:
    from fastapi import Request

    from otp_app.api.callers import Caller
    from otp_app.verification.models import Verification


async def checked(caller: Caller, handle: str, code: str, request: Request) -> Verification:
    """The verification that *handle* names, approved by *code*.

    All approvals of the API come by here. A browser gets its session, but only with the answer to
    the check that approved, and only for what its cookie stands for: a handle proves nothing about
    the browser that sends it.

    Raises:
        OtpError: as `VerificationService.check`.
    """
    here = services.current()
    client, id_ = caller.find(handle)
    if not id_:
        current = await here.verifications.current(client.flow)
        id_ = current.id if current else ""
    approved = await here.verifications.check(client, id_, code)
    is_of_the_browser = client.flow == caller.flow
    if is_of_the_browser and (token := await here.sessions.open(client.flow, approved.id)):
        keep_cookie(request, here.session_cookies.set_cookie(token))
        cookies = request.headers.get("cookie", "")
        keep_cookie(request, here.devices.set_cookie(cookies, approved.phone))
    return approved
