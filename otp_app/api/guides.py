"""The routes of the Vonage and Twilio guides: one to send a code and one to check it.

Each route has two paths, one from each guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from otp_app import routes, services
from otp_app.api import documented
from otp_app.api.callers import Anybody, Caller, new_browser, new_flow
from otp_app.api.checking import checked
from otp_app.api.schemas import GuideCheck, GuideRequest, GuideRequested, GuideVerified
from otp_app.phone import PhoneNumber

if TYPE_CHECKING:
    from otp_app.verification.models import Flow

router = APIRouter(tags=["guides"], responses=documented.guide_errors())


@router.post(
    routes.TWILIO_REQUEST,
    name="request_otp",
    summary="Send a code (Twilio guide)",
    openapi_extra=documented.for_anybody(),
)
@router.post(
    routes.VONAGE_REQUEST,
    name="request_verification",
    summary="Send a code (Vonage guide)",
    openapi_extra=documented.for_anybody(),
)
async def request_code(body: GuideRequest, caller: Anybody, request: Request) -> GuideRequested:
    """Send a code to `phoneNumber`, by the first channel that is offered and reaches it.

    A second request from the same browser, or with the earlier `requestId`, sends the code again.
    Within 30 seconds of the last message, no message is sent and the `requestId` stays the same.
    """
    phone = PhoneNumber.parse(body.phoneNumber, body.country)
    flow = _flow(body.requestId, caller, request)
    verifications = services.current().verifications
    verification = await verifications.start(caller.client(flow), phone)
    return GuideRequested(requestId=caller.name(flow, verification.id))


@router.post(
    routes.TWILIO_CHECK,
    name="verify_otp",
    summary="Check a code (Twilio guide)",
    openapi_extra=documented.for_anybody(),
)
@router.post(
    routes.VONAGE_CHECK,
    name="check_verification",
    summary="Check a code (Vonage guide)",
    openapi_extra=documented.for_anybody(),
)
async def check_code(body: GuideCheck, caller: Anybody, request: Request) -> GuideVerified:
    """Check `code`. A browser with our cookie may omit `requestId`."""
    await checked(caller, body.requestId, body.code, request)
    return GuideVerified()


def _flow(handle: str, caller: Caller, request: Request) -> Flow:
    """Return the flow of *handle*, else of the browser's cookie, else a new flow."""
    if handle:
        client, _ = caller.find(handle)
        return client.flow
    if caller.flow:
        return caller.flow
    return new_flow() if caller.key else new_browser(request)
