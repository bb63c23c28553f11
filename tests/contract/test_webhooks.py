"""The emulator's webhooks match the vendors' documents and the signatures of their libraries."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from starlette.datastructures import Headers
from twilio.request_validator import RequestValidator
from vonage_jwt.verify_jwt import verify_signature

from otp_app.providers.twilio.webhook import TwilioWebhook
from otp_app.providers.vendor_input import SignedRequest
from otp_app.providers.vonage.webhook import VonageWebhook
from otp_app.verification.deliveries import DeliveryReport, DeliveryStatus
from otp_app.verification.models import Channel, Reference
from tests import emulator as known
from tests.emulator import webhooks
from tests.emulator.specs import load

if TYPE_CHECKING:
    from otp_app.providers.vendor_input import IncomingWebhook

NOW = datetime(2026, 3, 1, 12, 0, 5, 250_000, tzinfo=UTC)
SENT = NOW - timedelta(seconds=5)
URL = "https://verify.example.com/webhooks"
REQUEST_ID = "c11236f4-00bf-4b89-84ba-88b25df97315"
VERIFICATION_SID = "VE" + "0123456789abcdef" * 2
SCHEMAS = load("webhooks.json")


def problems(name: str, event: object) -> list[str]:
    validator = Draft202012Validator(SCHEMAS[name], format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(event)]


def read(webhook: IncomingWebhook, post: webhooks.Post) -> list[DeliveryReport]:
    _, _, query = post.url.partition("?")
    return webhook.deliveries(SignedRequest(Headers(post.headers), query, post.body))


@pytest.mark.parametrize("status", ["completed", "failed", "rejected", "user_rejected", "blocked"])
@pytest.mark.parametrize("channel", ["sms", "voice", "whatsapp"])
def test_vonages_events_have_their_documents_shape(status: str, channel: str) -> None:
    event = webhooks.vonage_event(REQUEST_ID, status, NOW, channel=channel)

    assert problems("vonage.event", event) == []


@pytest.mark.parametrize("status", ["completed", "failed", "expired", "blocked"])
def test_vonages_summaries_have_their_documents_shape(status: str) -> None:
    assert problems("vonage.summary", webhooks.vonage_summary(REQUEST_ID, status, NOW)) == []


@pytest.mark.parametrize("status", ["sent", "delivered", "read", "undelivered", "failed"])
def test_twilios_events_have_their_documents_shape(status: str) -> None:
    assert problems("twilio.event", webhooks.twilio_event(VERIFICATION_SID, status, NOW)) == []


def test_vonages_token_is_one_to_its_own_library() -> None:
    event = webhooks.vonage_event(REQUEST_ID, "failed", NOW)
    token = webhooks.vonage_post(URL, event, NOW).headers["Authorization"].removeprefix("Bearer ")

    assert verify_signature(token, known.VONAGE_SIGNATURE_SECRET)


def test_twilios_signature_is_one_to_its_own_library() -> None:
    post = webhooks.twilio_post(URL, [webhooks.twilio_event(VERIFICATION_SID, "failed", NOW)])
    validator = RequestValidator(known.TWILIO_AUTH_TOKEN)  # type: ignore[no-untyped-call]
    signature = post.headers["X-Twilio-Signature"]

    assert validator.validate(post.url, post.body.decode(), signature)  # type: ignore[no-untyped-call]


def test_vonages_event_is_read_in_full() -> None:
    event = webhooks.vonage_event(REQUEST_ID, "blocked", NOW, channel="voice", client_ref="x")
    post = webhooks.vonage_post(URL, event, NOW)

    [delivery] = read(vonage(), post)

    assert len(delivery.event) == 64
    assert delivery == DeliveryReport(
        event=delivery.event,
        provider="vonage",
        reference=Reference(REQUEST_ID),
        channel=Channel.VOICE,
        status=DeliveryStatus.FAILED,
        at=NOW,
        reason="blocked",
    )


def test_twilios_event_is_read_in_full() -> None:
    event = webhooks.twilio_event(
        VERIFICATION_SID, "undelivered", NOW, sent_at=SENT, error_code="30004"
    )

    [delivery] = read(TwilioWebhook(known.TWILIO_AUTH_TOKEN, URL, lambda: NOW), posted(event))

    assert delivery == DeliveryReport(
        event=event["id"],
        provider="twilio",
        reference=Reference(VERIFICATION_SID),
        channel=Channel.SMS,
        status=DeliveryStatus.UNDELIVERED,
        at=NOW,
        sent_at=SENT,
        reason="30004",
    )


def test_what_was_read_in_whatsapp_was_delivered() -> None:
    """Twilio alone tells; Vonage's `completed` is about any channel."""
    read_there = webhooks.twilio_event(VERIFICATION_SID, "read", NOW, channel="whatsapp")
    converted = webhooks.vonage_event(REQUEST_ID, "completed", NOW, channel="whatsapp")

    [by_twilio] = read(TwilioWebhook(known.TWILIO_AUTH_TOKEN, URL, lambda: NOW), posted(read_there))
    [by_vonage] = read(vonage(), webhooks.vonage_post(URL, converted, NOW))

    for delivery in (by_twilio, by_vonage):
        assert delivery.channel is Channel.WHATSAPP
        assert delivery.status is DeliveryStatus.DELIVERED


def test_an_event_as_it_stands_in_twilios_documents_is_read() -> None:
    """The event has no `time`. https://www.twilio.com/docs/events/event-types/verify/message-status.

    One digit longer: the id of a verification has 34 characters.
    """
    event = {
        "specversion": "1.0",
        "type": "com.twilio.accountsecurity.verify.message.delivered",
        "source": "AB00000000000000000000000001",
        "id": "NO00000000000000000000000001",
        "dataschema": "https://events-schemas.twilio.com/AccountSecurity.MessageStatusEvent/1",
        "datacontenttype": "2025-10-08T07:17:02.363Z",
        "data": {
            "created_at": "2025-01-01T00:00:00.000Z",
            "account_sid": "AC0000000000000000000000000000001",
            "service_sid": "VA0000000000000000000000000000001",
            "verification_sid": "VE00000000000000000000000000000001",
            "attempt_sid": "VL0000000000000000000000000000001",
            "error_code": "",
            "channel": "SMS",
            "message_status": "DELIVERED",
            "has_fallback": False,
            "is_fallback": False,
            "mnc": "460",
            "mcc": "05",
            "to": "+919999999999",
            "number_segments": 2,
        },
    }

    [delivery] = read(TwilioWebhook(known.TWILIO_AUTH_TOKEN, URL, lambda: NOW), posted(event))

    assert delivery.status is DeliveryStatus.DELIVERED
    assert delivery.at == delivery.sent_at == datetime(2025, 1, 1, tzinfo=UTC)


def test_vonages_own_example_is_read() -> None:
    """https://developer.vonage.com/en/api/verify.v2, webhooks, "Events"."""
    event = json.loads(
        '{"request_id": "c11236f4-00bf-4b89-84ba-88b25df97315", "channel": "sms",'
        ' "triggered_at": "2020-01-01T14:00:00.000Z", "type": "event", "status": "completed",'
        ' "finalized_at": "2020-01-01T14:00:00.000Z", "client_ref": "my-personal-ref"}'
    )

    [delivery] = read(vonage(), webhooks.vonage_post(URL, event, NOW))

    assert delivery.status is DeliveryStatus.DELIVERED
    assert delivery.at == datetime(2020, 1, 1, 14, tzinfo=UTC)


def posted(event: dict[str, Any]) -> webhooks.Post:
    return webhooks.twilio_post(URL, [event])


def vonage() -> VonageWebhook:
    return VonageWebhook(
        known.VONAGE_SIGNATURE_SECRET, known.VONAGE_APPLICATION_ID, None, lambda: NOW
    )
