"""The routes of the API: verifications as resources, and the routes of the vendors' guides.

The guides of Vonage and Twilio have one route to send a code and one to check it. Each route has
two paths, one from each guide.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Request, Response

from otp_app import routes, services
from otp_app.api import openapi
from otp_app.api.dependencies import (
    CREATED,
    AuthenticatedCaller,
    IdempotentRequest,
    OptionalCaller,
    keep_cookie,
    new_browser_flow,
)
from otp_app.api.schemas import (
    MAX_TOKEN,
    Guess,
    GuideCheck,
    GuideRequest,
    GuideRequested,
    GuideVerified,
    NewVerification,
    Resend,
    VerificationView,
)
from otp_app.errors import AlreadyVerified, VerificationExpired, VerificationNotFound
from otp_app.identity.cookies import new_flow
from otp_app.phone import PhoneNumber
from otp_app.verification.models import Status

if TYPE_CHECKING:
    from otp_app.identity.callers import Caller
    from otp_app.verification.client import Client
    from otp_app.verification.models import Flow, Verification


async def check_for_caller(caller: Caller, token: str, code: str, request: Request) -> Verification:
    """Check *code* and return the approved verification that *token* refers to.

    Every approval of the API passes through this function. It opens a session for the browser only
    with the response to the check that approved, and only if the verification belongs to the flow
    of the browser's cookie: a token proves nothing about the browser that sends it.

    Raises:
        OtpError: the errors of `VerificationService.check` and `Caller.find`.
    """
    here = services.current()
    client, id_ = caller.find(token)
    if not id_:
        current = await here.verifications.current(client.flow)
        id_ = current.id if current else ""
    approved = await here.verifications.check(client, id_, code)
    is_of_the_browser = client.flow == caller.flow
    if is_of_the_browser and (session := await here.sessions.open(client.flow, approved.id)):
        keep_cookie(request, here.session_cookies.set_cookie(session))
        cookies = request.headers.get("cookie", "")
        keep_cookie(request, here.devices.set_cookie(cookies, approved.phone))
    return approved


router = APIRouter(prefix=routes.VERIFICATIONS, tags=["verifications"])

Id = Annotated[
    str,
    Path(
        min_length=1,
        max_length=MAX_TOKEN,
        pattern="^[A-Za-z0-9._-]+$",
        examples=["Xq3vZr8k2mT1wN5yB7cD9g"],
    ),
]
_ONE = "/{id}"


@router.post(
    "",
    status_code=CREATED,
    response_model=VerificationView,
    summary="Send a code",
    responses={CREATED: openapi.created_response(), **openapi.error_responses("create")},
    openapi_extra=openapi.optional_authentication(),
)
async def create(
    body: NewVerification, caller: OptionalCaller, once: IdempotentRequest, request: Request
) -> Response:
    """Start to verify `phone_number`.

    A caller without a key or cookie receives the cookie with the response, even with an error.
    """

    async def work() -> VerificationView:
        phone = PhoneNumber.parse(body.phone_number, body.country)
        flow = caller.flow or (new_flow() if caller.key else new_browser_flow(request))
        verifications = services.current().verifications
        sent = await verifications.start(caller.client(flow), phone, body.channel)
        return _view(sent, caller if caller.key else replace(caller, flow=flow))

    return await once(CREATED, work)


@router.head(_ONE, include_in_schema=False)
@router.get(
    _ONE,
    summary="Read the status",
    responses=openapi.error_responses("read"),
    openapi_extra=openapi.required_authentication(),
)
async def read(id: Id, caller: AuthenticatedCaller) -> VerificationView:  # noqa: A002 - the name in the path
    """Return the state of the verification. No provider is called and no message is sent."""
    _, current = await _find(caller, id)
    return _view(current, caller)


@router.post(
    _ONE + "/check",
    response_model=VerificationView,
    summary="Check a code",
    responses=openapi.error_responses("check"),
    openapi_extra=openapi.required_authentication(),
)
async def check(
    id: Id,  # noqa: A002
    body: Guess,
    caller: AuthenticatedCaller,
    once: IdempotentRequest,
    request: Request,
) -> Response:
    """Check `code`, which uses up one attempt. The status 200 means that the code was correct."""

    async def work() -> VerificationView:
        return _view(await check_for_caller(caller, id, body.code, request), caller)

    return await once(200, work)


@router.post(
    _ONE + "/resend",
    response_model=VerificationView,
    summary="Send the code again",
    responses=openapi.error_responses("resend"),
    openapi_extra=openapi.required_authentication(),
)
async def resend(
    id: Id,  # noqa: A002
    body: Resend,
    caller: AuthenticatedCaller,
    once: IdempotentRequest,
) -> Response:
    """Send the code again, by any channel.

    If the verification is over, a new one starts, with a new `id`.
    """

    async def work() -> VerificationView:
        client, id_ = caller.find(id)
        verifications = services.current().verifications
        return _view(await verifications.resend(client, id_, body.channel), caller)

    return await once(200, work)


@router.delete(
    _ONE,
    status_code=204,
    response_class=Response,
    summary="Cancel the verification",
    responses=openapi.error_responses("cancel"),
    openapi_extra=openapi.required_authentication(),
)
async def cancel(id: Id, caller: AuthenticatedCaller) -> None:  # noqa: A002
    """Cancel the verification, so that its code is no longer accepted."""
    client, current = await _find(caller, id)
    verifications = services.current().verifications
    if current.status is Status.APPROVED:
        raise AlreadyVerified
    if not current.is_open(verifications.now()):
        raise VerificationExpired
    await verifications.cancel(client.flow)


async def _find(caller: Caller, token: str) -> tuple[Client, Verification]:
    client, id_ = caller.find(token)
    current = await services.current().verifications.current(client.flow)
    if current is None or current.id != id_:
        raise VerificationNotFound
    return client, current


def _view(verification: Verification, caller: Caller) -> VerificationView:
    verifications = services.current().verifications
    name = caller.public_id(verification.flow, verification.id)
    length = verifications.code_length(verification)
    return VerificationView.of(verification, name, length, verifications.now())


guides = APIRouter(tags=["guides"], responses=openapi.guide_error_responses())


@guides.post(
    routes.TWILIO_REQUEST,
    name="request_otp",
    summary="Send a code (Twilio guide)",
    openapi_extra=openapi.optional_authentication(),
)
@guides.post(
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


@guides.post(
    routes.TWILIO_CHECK,
    name="verify_otp",
    summary="Check a code (Twilio guide)",
    openapi_extra=openapi.optional_authentication(),
)
@guides.post(
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
