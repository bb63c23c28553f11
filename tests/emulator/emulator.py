"""Twilio's and Vonage's services behind one port of the loopback interface."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from threading import RLock
from typing import Self

from tests.emulator import contract
from tests.emulator.clock import Clock
from tests.emulator.contract import Request
from tests.emulator.faults import FaultPlan
from tests.emulator.lines import Line
from tests.emulator.messages import Message
from tests.emulator.openapi import OPERATIONS
from tests.emulator.server import Server
from tests.emulator.twilio import Twilio
from tests.emulator.twilio_lookups import TwilioLookups
from tests.emulator.vonage import Vonage
from tests.emulator.vonage_insights import VonageInsights
from tests.emulator.wire import Answer, Fault


class Emulator:
    """All services, what they were asked and what they sent.

    Use it as a context manager; within, `stop` and `start` take the services down and bring them
    back on the same port, with their state. Everything may be read and set from any thread.
    """

    twilio: Twilio
    vonage: Vonage
    twilio_lookups: TwilioLookups
    vonage_insights: VonageInsights
    lines: dict[str, Line]
    """The data of numbers, by their E.164 form. A number that is not here is a mobile."""

    def __init__(
        self, clock: Clock | None = None, *, port: int = 0, vonage_public_key: str | None = None
    ) -> None:
        self.clock = clock or Clock()
        self.port = port
        self._vonage_public_key = vonage_public_key
        self._lock = RLock()
        self._server: Server | None = None
        self.reset()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen: on the port given or, the first time, on a free one."""
        self._server = Server(self.port, self._receive)
        self.port = self._server.server_address[1]

    def stop(self) -> None:
        """Refuse connections, as a service that is down does."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def reset(self) -> None:
        """Begin again with nothing asked, sent, planned or configured; only the clock goes on."""
        with self._lock:
            self._messages: list[Message] = []
            self._requests: list[Request] = []
            self._faults = FaultPlan()
            self.twilio = Twilio(self.clock, self._messages.append)
            self.vonage = Vonage(self.clock, self._messages.append, self._vonage_public_key)
            self.lines = {}
            self.twilio_lookups = TwilioLookups(self.clock, self.lines)
            self.vonage_insights = VonageInsights(self.clock, self.lines, self._vonage_public_key)

    @property
    def url(self) -> str:
        """The base URL of both services, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in order of arrival."""
        with self._lock:
            return list(self._requests)

    @property
    def violations(self) -> list[str]:
        """Every way in which a request disobeyed the official documents."""
        return [
            f"{request.method} {request.path} ({request.operation}): {name}: {reason}"
            for request in self.requests
            for name, reason in request.problems
        ]

    @property
    def messages(self) -> list[Message]:
        """Every code "sent" up to now, those of steps that Vonage took by itself among them."""
        with self._lock:
            self.vonage.advance()
            return sorted(self._messages, key=_sent_at)

    def count(self, operation: str) -> int:
        """Return the number of requests of an operation so far, with any outcome."""
        return sum(request.operation == _known(operation) for request in self.requests)

    def fail(self, operation: str, fault: Fault, times: int | None = 1) -> None:
        """Let the next `times` requests of an operation, or with None all of them, meet a fault."""
        with self._lock:
            self._faults.add(_known(operation), fault, times)

    def heal(self) -> None:
        """Forget the faults not yet met."""
        with self._lock:
            self._faults.clear()

    def _receive(
        self, method: str, target: str, headers: Mapping[str, str], raw: bytes
    ) -> tuple[Fault, Answer]:
        request = contract.read(method, target, headers, raw, self.clock.now())
        with self._lock:
            fault = self._faults.take(request.operation)
            applied = fault is None or fault.applied
            self._requests.append(replace(request, applied=applied))
            answer = self._apply(request) if applied else Answer(200, {})
        return fault or answer, answer

    def _apply(self, request: Request) -> Answer:
        match request.operation:
            case "twilio.look":
                return self.twilio_lookups.answer(request)
            case "vonage.look":
                return self.vonage_insights.answer(request)
            case _:
                service = self.vonage if request.service == "vonage" else self.twilio
                return service.answer(request)


def _sent_at(message: Message) -> datetime:
    return message.at


def _known(operation: str) -> str:
    if operation not in OPERATIONS:
        raise ValueError(f"{operation!r} is not one of {sorted(OPERATIONS)}")
    return operation
