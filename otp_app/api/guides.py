"""The routes of the two guides: one for a number, one for its code, under both guides' names."""

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

    Asked again by the same browser, or with the `requestId` of before, it sends the code once
    more; within 30 seconds it does not, and gives the same `requestId`.
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
    """Check `code`. A browser that has our cookie may leave `requestId` out."""
    await checked(caller, body.requestId, body.code, request)
    return GuideVerified()


def _flow(handle: str, caller: Caller, request: Request) -> Flow:
    """Of the verification that is asked for again, of the browser, or a new one."""
    if handle:
        client, _ = caller.find(handle)
        return client.flow
    if caller.flow:
        return caller.flow
    return new_flow() if caller.key else new_browser(request)
