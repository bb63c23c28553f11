"""Twilio Verify v2 as a state machine.

Limits and lifetimes: https://www.twilio.com/docs/verify/api/rate-limits-and-timeouts.
"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta

from tests.emulator import credentials
from tests.emulator.clock import Clock
from tests.emulator.contract import Request
from tests.emulator.errors import twilio_error
from tests.emulator.messages import Channel, Message, Send, new_code
from tests.emulator.twilio_resources import Verification, service_resource
from tests.emulator.wire import Answer

_CHANNELS: Mapping[str, Channel] = {"sms": "sms", "call": "voice", "whatsapp": "whatsapp"}

# Fields that need what this account has not. https://www.twilio.com/docs/errors/60204, /60243
_REFUSED_FIELDS = {"CustomFriendlyName": 60204, "CustomCode": 60204, "CustomMessage": 60243}

_KEYS = {
    credentials.TWILIO_ACCOUNT_SID: credentials.TWILIO_AUTH_TOKEN,
    credentials.TWILIO_API_KEY_SID: credentials.TWILIO_API_KEY_SECRET,
}


class Twilio:
    """The service. Its public attributes are what a customer, or Twilio's support, configures."""

    def __init__(self, clock: Clock, send: Send) -> None:
        self.friendly_name = "otp_app"
        self.code_length = 6
        self.lifetime = timedelta(seconds=600)
        self.max_sends = 5
        self.max_checks = 5
        self.whatsapp_sender: str | None = None
        self.templates: set[str] = set()
        # Locales that the Service's default template of texts does not have.
        self.untranslated: set[str] = set()
        # The document allows 200 and 201; 200 is what users report.
        self.check_status = 200
        # Undocumented: what a start answers between the sixth check and the expiry.
        self.locked_code = 60202
        self._clock = clock
        self._send = send
        self._created = clock.now()
        self._refused: dict[tuple[str, str | None], int] = {}
        self._locked: dict[str, datetime] = {}
        self._pending: dict[str, Verification] = {}
        self._operations = {
            "twilio.start": self._start,
            "twilio.check": self._check,
            "twilio.cancel": self._update,
            "twilio.fetch": self._fetch,
            "twilio.service": self._service,
        }

    def refuse(self, to: str, code: int, channel: str | None = None) -> None:
        """Refuse every start to a number with error `code`, on one Twilio channel or on all."""
        self._refused[to, channel] = code

    def answer(self, request: Request) -> Answer:
        """Apply the request, and return the response of the service."""
        if not is_authentic(request.headers.get("authorization", "")):
            return twilio_error(20003)
        service_sid = request.params.get("ServiceSid", request.params.get("Sid"))
        if service_sid != credentials.TWILIO_SERVICE_SID:
            return _not_found(request)
        if request.problems:
            return twilio_error(60200, message=f"Invalid parameter: {request.problems[0].name}")
        self._expire()
        return self._operations[request.operation](request)

    def _expire(self) -> None:
        oldest = self._clock.now() - self.lifetime
        self._pending = {key: v for key, v in self._pending.items() if v.created > oldest}
        self._locked = {to: created for to, created in self._locked.items() if created > oldest}

    def _find(self, name: str) -> Verification | None:
        """By SID or by number: the document gives the path's `Sid` no pattern."""
        return next((v for v in self._pending.values() if name in {v.sid, v.to}), None)

    def _start(self, request: Request) -> Answer:
        to, channel = request.body["To"], request.body["Channel"]
        if code := self._refusal(to, channel, request.body):
            return twilio_error(code)
        verification = self._find(to) or self._create(to)
        # https://www.twilio.com/docs/errors/60203
        if len(verification.attempts) >= self.max_sends:
            return twilio_error(60203)
        self._deliver(verification, channel)
        return Answer(201, verification.resource())

    def _refusal(self, to: str, channel: str, body: Mapping[str, str]) -> int | None:
        if code := self._refused.get((to, channel)) or self._refused.get((to, None)):
            return code
        if to in self._locked:
            return self.locked_code
        if channel not in _CHANNELS:
            return 60223
        if channel == "whatsapp" and not self.whatsapp_sender:
            return 68008
        if channel != "sms" and "AppHash" in body:
            return 60602
        if channel == "sms" and body.get("Locale") in self.untranslated:
            return 60229
        if template := body.get("TemplateSid"):
            return self._template_refusal(template, channel)
        return next((code for name, code in _REFUSED_FIELDS.items() if name in body), None)

    def _template_refusal(self, template: str, channel: str) -> int | None:
        """https://www.twilio.com/docs/api/errors/60408, /60228."""
        if channel != "sms":
            return 60408
        return None if template in self.templates else 60228

    def _create(self, to: str) -> Verification:
        now = self._clock.now()
        verification = Verification(to, new_code(self.code_length), created=now, updated=now)
        self._pending[verification.sid] = verification
        return verification

    def _deliver(self, verification: Verification, channel: str) -> None:
        """Send the code, each time the same, in a lifetime that counts from the first."""
        now = self._clock.now()
        verification.sent(channel, now)
        to, code, sid = verification.to, verification.code, verification.sid
        self._send(Message("twilio", _CHANNELS[channel], to, code, sid, now))

    def _check(self, request: Request) -> Answer:
        name = request.body.get("VerificationSid", request.body.get("To"))
        if name is None:
            return twilio_error(60221)
        if "Code" not in request.body:
            return twilio_error(60200, message="Invalid parameter: Code")
        verification = self._find(name)
        if verification is None:
            return _not_found(request)
        # https://www.twilio.com/docs/errors/60202
        if verification.checks >= self.max_checks:
            self._locked[verification.to] = verification.created
            self._settle(verification, "max_attempts_reached")
            return twilio_error(60202)
        verification.checks += 1
        if request.body["Code"] == verification.code:
            self._settle(verification, "approved")
        return Answer(self.check_status, verification.check_resource())

    def _update(self, request: Request) -> Answer:
        verification = self._find(request.params["Sid"])
        if verification is None:
            return _not_found(request)
        self._settle(verification, request.body["Status"])
        return Answer(200, verification.resource())

    def _fetch(self, request: Request) -> Answer:
        verification = self._find(request.params["Sid"])
        return Answer(200, verification.resource()) if verification else _not_found(request)

    def _service(self, _request: Request) -> Answer:
        body = service_resource(
            self.friendly_name, self.code_length, self.whatsapp_sender, self._created
        )
        return Answer(200, body)

    def _settle(self, verification: Verification, status: str) -> None:
        """Twilio deletes what is settled. https://www.twilio.com/docs/errors/20404."""
        verification.status, verification.updated = status, self._clock.now()
        del self._pending[verification.sid]


def is_authentic(authorization: str) -> bool:
    """Return True if an `Authorization` header has credentials of the account."""
    pairs = (f"{user}:{password}".encode() for user, password in _KEYS.items())
    return authorization in {f"Basic {b64encode(pair).decode()}" for pair in pairs}


def _not_found(request: Request) -> Answer:
    path = request.path.removeprefix("/v2")
    return twilio_error(20404, message=f"The requested resource {path} was not found")
