"""The routes of the Vonage and Twilio guides: one to send a code and one to check it.

Each route has two paths, one from each guide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from otp_app import routes, services
from otp_app.api import openapi
from otp_app.api.dependencies import OptionalCaller, new_browser_flow
from otp_app.api.schemas import GuideCheck, GuideRequest, GuideRequested, GuideVerified
from otp_app.api.verifications import check_for_caller
from otp_app.identity.cookies import new_flow
from otp_app.phone import PhoneNumber

if TYPE_CHECKING:
    from otp_app.identity.callers import Caller
    from otp_app.verification.models import Flow

router = APIRouter(tags=["guides"], responses=openapi.guide_error_responses())


@router.post(
    routes.TWILIO_REQUEST,
    name="request_otp",
    summary="Send a code (Twilio guide)",
    openapi_extra=openapi.optional_authentication(),
)
@router.post(
    routes.VONAGE_REQUEST,
    name="request_verification",
    summary="Send a code (Vonage guide)",
    openapi_extra=openapi.optional_authentication(),
)
async def request_code(
    body: GuideRequest, caller: OptionalCaller, request: Request
) -> GuideRequested:
    """Send a code to `phoneNumber`, by the first channel that is offered and reaches it.

    A second request from the same browser, or with the earlier `requestId`, sends the code again.
    Within 30 seconds of the last message, no message is sent and the `requestId` stays the same.
    """
    phone = PhoneNumber.parse(body.phoneNumber, body.country)
    flow = _flow(body.requestId, caller, request)
    verifications = services.current().verifications
    verification = await verifications.start(caller.client(flow), phone)
    return GuideRequested(requestId=caller.public_id(flow, verification.id))


@router.post(
    routes.TWILIO_CHECK,
    name="verify_otp",
    summary="Check a code (Twilio guide)",
    openapi_extra=openapi.optional_authentication(),
)
@router.post(
    routes.VONAGE_CHECK,
    name="check_verification",
    summary="Check a code (Vonage guide)",
    openapi_extra=openapi.optional_authentication(),
)
async def check_code(body: GuideCheck, caller: OptionalCaller, request: Request) -> GuideVerified:
    """Check `code`. A browser with our cookie may omit `requestId`."""
    await check_for_caller(caller, body.requestId, body.code, request)
    return GuideVerified()


def _flow(token: str, caller: Caller, request: Request) -> Flow:
    """Return the flow of *token*, else of the browser's cookie, else a new flow."""
    if token:
        client, _ = caller.find(token)
        return client.flow
    if caller.flow:
        return caller.flow
    return new_flow() if caller.key else new_browser_flow(request)
