"""Vonage Verify v2 as a state machine. https://developer.vonage.com/en/api/verify.v2."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.emulator.clock import Clock
from tests.emulator.contract import Problem, Request
from tests.emulator.errors import vonage_error
from tests.emulator.messages import Message, Send, new_code
from tests.emulator.vonage_auth import refusal_of
from tests.emulator.wire import Answer

# "Cancellation is only possible 30 seconds after the start of the verification request and before
# the second event": the description of cancelRequest.
_CANCEL_AFTER = timedelta(seconds=30)


@dataclass
class Verification:
    """One running request: a workflow of steps, each with a code of its own."""

    workflow: list[dict[str, Any]]
    timeout: timedelta
    code_length: int
    custom_code: str | None
    started: datetime
    step_started: datetime
    step: int = 0
    code: str = ""
    wrong_codes: int = 0
    request_id: str = field(default_factory=lambda: str(uuid4()))

    @property
    def numbers(self) -> set[str]:
        """The numbers that the workflow reaches."""
        return {step["to"] for step in self.workflow}

    @property
    def has_next(self) -> bool:
        return self.step + 1 < len(self.workflow)

    def code_for_step(self) -> str:
        """A new code for each step, unless it was chosen by the caller or is to be reused."""
        if self.custom_code:
            return self.custom_code
        if self.code and self.workflow[self.step].get("reuse_code"):
            return self.code
        return new_code(self.code_length, unlike=self.code)


class Vonage:
    """The service. Its public attributes are what the document leaves open."""

    def __init__(self, clock: Clock, send: Send, public_key: str | None = None) -> None:
        # "The PIN code can be retried a maximum of three times": whether the third wrong code or
        # the one after it ends the request is not said.
        self.wrong_codes_allowed = 3
        # The WhatsApp number and the templates of the account. A request that names others gets
        # the error that the document has for invalid parameters.
        self.whatsapp_number: str | None = None
        self.templates: set[str] = set()
        self.untranslated: set[str] = set()
        self._clock = clock
        self._send = send
        self._public_key = public_key
        self._active: dict[str, Verification] = {}
        self._operations = {
            "vonage.start": self._start,
            "vonage.check": self._check,
            "vonage.next": self._next,
            "vonage.cancel": self._cancel,
        }

    def answer(self, request: Request) -> Answer:
        """Apply the request, and return the response of the service."""
        authorization = request.headers.get("authorization", "")
        if kind := refusal_of(authorization, self._public_key):
            return vonage_error(401, kind)
        if request.operation == "unknown":
            return vonage_error(404, "request-not-found", detail=f"{request.path} was not found.")
        if request.problems:
            return _invalid(request.problems)
        self.advance()
        return self._operations[request.operation](request)

    def advance(self) -> None:
        """Let the steps whose time is over give way to the next, as the workflow says."""
        for verification in list(self._active.values()):
            ends = verification.step_started + verification.timeout
            while verification.request_id in self._active and ends <= self._clock.now():
                self._leave_step(verification, ends)
                ends += verification.timeout

    def _leave_step(self, verification: Verification, at: datetime) -> None:
        if verification.has_next:
            self._enter_step(verification, verification.step + 1, at)
        else:
            self._end(verification)

    def _enter_step(self, verification: Verification, step: int, at: datetime) -> None:
        verification.step, verification.step_started = step, at
        verification.code = verification.code_for_step()
        channel, to = verification.workflow[step]["channel"], verification.workflow[step]["to"]
        code, request_id = verification.code, verification.request_id
        self._send(Message("vonage", channel, f"+{to}", code, request_id, at))

    def _end(self, verification: Verification) -> None:
        del self._active[verification.request_id]

    def _start(self, request: Request) -> Answer:
        workflow = request.body["workflow"]
        if refusal := self._unsupported(workflow, request.body.get("template_id")):
            return refusal
        if request.body.get("locale") in self.untranslated:
            return _invalid([Problem("locale", "There is no message in this language")])
        now = self._clock.now()
        verification = Verification(
            workflow,
            timeout=timedelta(seconds=request.body.get("channel_timeout", 180)),
            code_length=request.body.get("code_length", 4),
            custom_code=request.body.get("code"),
            started=now,
            step_started=now,
        )
        if running := self._running(verification.numbers):
            return vonage_error(409, "concurrent", request_id=running.request_id)
        self._active[verification.request_id] = verification
        self._enter_step(verification, 0, now)
        return Answer(202, {"request_id": verification.request_id})

    def _unsupported(
        self, workflow: list[dict[str, Any]], template_id: str | None
    ) -> Answer | None:
        """This account has no operator behind it for silent authentication, and no mailbox."""
        channels = {step["channel"] for step in workflow}
        if "silent_auth" in channels:
            return vonage_error(412, "network-not-supported")
        senders = {step["from"] for step in workflow if step["channel"] == "whatsapp"}
        if channels - {"sms", "voice", "whatsapp"} or senders - {self.whatsapp_number}:
            return _invalid([Problem("workflow", "Channel is not enabled for this account")])
        if template_id and template_id not in self.templates:
            return _invalid([Problem("template_id", "There is no such template")])
        return None

    def _running(self, numbers: set[str]) -> Verification | None:
        return next((v for v in self._active.values() if v.numbers & numbers), None)

    def _check(self, request: Request) -> Answer:
        verification = self._active.get(request.params["request_id"])
        if verification is None:
            return _not_found(request)
        if request.body.get("code") == verification.code:
            self._end(verification)
            done = {"request_id": verification.request_id, "status": "completed"}
            return Answer(200, done)
        verification.wrong_codes += 1
        if verification.wrong_codes <= self.wrong_codes_allowed:
            return vonage_error(400, "invalid-code")
        self._end(verification)
        return vonage_error(410, "expired")

    def _next(self, request: Request) -> Answer:
        verification = self._active.get(request.params["request_id"])
        if verification is None:
            return _not_found(request)
        if not verification.has_next:
            return vonage_error(409, "no-events")
        self._enter_step(verification, verification.step + 1, self._clock.now())
        return Answer(200)

    def _cancel(self, request: Request) -> Answer:
        """Out of its window it answers 404, the only refusal the document lists."""
        verification = self._active.get(request.params["request_id"])
        if verification is None or not self._cancellable(verification):
            return _not_found(request)
        self._end(verification)
        return Answer(204)

    def _cancellable(self, verification: Verification) -> bool:
        age = self._clock.now() - verification.started
        return verification.step == 0 and age >= _CANCEL_AFTER


def _invalid(problems: Sequence[Problem]) -> Answer:
    parameters = [problem._asdict() for problem in problems]
    return vonage_error(422, "invalid-params", invalid_parameters=parameters)


def _not_found(request: Request) -> Answer:
    request_id = request.params["request_id"]
    detail = f"Request '{request_id}' was not found or it has been verified already."
    return vonage_error(404, "request-not-found", detail=detail)
