"""Ways in which a provider can fail to answer, each a value to hand to `Emulator.fail`.

`applied` says whether the service acted on the request before it failed: with it a code may have
been sent that nobody was told about, without it nothing has happened.
"""

from dataclasses import dataclass
from http.client import responses
from threading import Event

from tests.emulator.wire import Answer, Fault, Wire

_GLANCE = 0.01  # seconds between two looks at an event of a test


@dataclass(frozen=True)
class Drop:
    """The request is read and acted on, then the connection closes without an answer."""

    applied: bool = True

    def play(self, wire: Wire, _answer: Answer, /) -> None:
        wire.hang_up()


@dataclass(frozen=True)
class DropBefore(Drop):
    """The connection closes and nothing was done."""

    applied: bool = False


@dataclass(frozen=True)
class Reset:
    """Like `Drop`, but with a TCP reset."""

    applied: bool = True

    def play(self, wire: Wire, _answer: Answer, /) -> None:
        wire.hang_up(reset=True)


@dataclass(frozen=True)
class Hang:
    """Silence for so long; then the right answer, or a hang-up when the server is stopped first."""

    seconds: float
    applied: bool = True

    def play(self, wire: Wire, answer: Answer, /) -> None:
        if wire.wait(self.seconds):
            wire.hang_up()
        else:
            answer.play(wire, answer)


@dataclass(frozen=True)
class Hold:
    """Silence until the test sets `released`; then the right answer, as `Hang` gives it."""

    released: Event
    applied: bool = True

    def play(self, wire: Wire, answer: Answer, /) -> None:
        while not self.released.is_set():
            if wire.wait(_GLANCE):
                wire.hang_up()
                return
        answer.play(wire, answer)


@dataclass(frozen=True)
class Trickle:
    """The right answer takes `seconds`, and a byte comes every `pause`.

    No read of a client that only bounds the silence between bytes ever times out. The bytes are
    white space before the JSON (RFC 8259 2), so it lasts as long however short the answer is.
    """

    seconds: float
    pause: float = 0.1
    applied: bool = True

    def play(self, wire: Wire, answer: Answer, /) -> None:
        padding = round(self.seconds / self.pause)
        wire.write(answer.head(padding + len(answer.payload)))
        for _ in range(padding):
            wire.write(b" ")
            if wire.wait(self.pause):
                return wire.hang_up()
        return wire.write(answer.payload)


@dataclass(frozen=True)
class Empty:
    """A status without a body."""

    status: int = 200
    applied: bool = True

    def play(self, wire: Wire, answer: Answer, /) -> None:
        Answer(self.status).play(wire, answer)


@dataclass(frozen=True)
class Html:
    """A gateway's page where JSON was promised."""

    status: int = 502
    applied: bool = False

    def play(self, wire: Wire, answer: Answer, /) -> None:
        page = f"<html><body><h1>{self.status} {responses.get(self.status, '')}</h1></body></html>"
        Answer(self.status, page).play(wire, answer)


@dataclass(frozen=True)
class WrongJson:
    """A success whose JSON is not what was promised: a list, or an object without the fields."""

    body: object = ("not", "an", "object")
    status: int = 200
    applied: bool = True

    def play(self, wire: Wire, answer: Answer, /) -> None:
        Answer(self.status, self.body).play(wire, answer)


@dataclass(frozen=True)
class Truncated:
    """The right answer, cut in the middle of its body."""

    applied: bool = True

    def play(self, wire: Wire, answer: Answer, /) -> None:
        wire.write(answer.head() + answer.payload[: len(answer.payload) // 2])
        wire.hang_up()


@dataclass(frozen=True)
class Huge:
    """A JSON string of so many bytes, sent as fast as the client reads."""

    size: int
    status: int = 200
    applied: bool = True

    def play(self, wire: Wire, _answer: Answer, /) -> None:
        wire.write(Answer(self.status, {}).head(self.size) + b'"')
        block = b"x" * 65536
        for start in range(2, self.size, len(block)):
            wire.write(block[: self.size - start])
        wire.write(b'"')


@dataclass(frozen=True)
class Redirect:
    """A redirection to somewhere the credentials must not go."""

    location: str
    status: int = 307
    applied: bool = False

    def play(self, wire: Wire, answer: Answer, /) -> None:
        Answer(self.status, headers={"Location": self.location}).play(wire, answer)


class FaultPlan:
    """The queue of faults for each operation. The next request meets the first fault."""

    def __init__(self) -> None:
        self._queues: dict[str, list[tuple[Fault, int | None]]] = {}

    def add(self, operation: str, fault: Fault, times: int | None) -> None:
        """Plan `fault` for so many requests, or for all that come when `times` is None."""
        self._queues.setdefault(operation, []).append((fault, times))

    def take(self, operation: str) -> Fault | None:
        """The fault due now, counted off."""
        queue = self._queues.get(operation)
        if not queue:
            return None
        fault, times = queue.pop(0)
        if times is None or times > 1:
            queue.insert(0, (fault, times and times - 1))
        return fault

    def clear(self) -> None:
        """Forget every fault."""
        self._queues.clear()
