"""The check of a code, shared by all routes of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app import services
from otp_app.api.cookies import keep_cookie

if TYPE_CHECKING:
    from fastapi import Request

    from otp_app.api.callers import Caller
    from otp_app.verification.models import Verification


async def checked(caller: Caller, handle: str, code: str, request: Request) -> Verification:
    """Check *code* and return the approved verification that *handle* refers to.

    Every approval of the API passes through this function. It opens a session for the browser only
    with the response to the check that approved, and only if the verification belongs to the flow
    of the browser's cookie: a handle proves nothing about the browser that sends it.

    Raises:
        OtpError: the errors of `VerificationService.check` and `Caller.find`.
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
