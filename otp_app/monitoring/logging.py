"""Logging: one line for each event, with secrets redacted in the records of all libraries."""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from datetime import date
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import Headers
from structlog.contextvars import (
    bind_contextvars,
    clear_contextvars,
    get_contextvars,
    merge_contextvars,
)
from structlog.processors import EventRenamer, JSONRenderer, TimeStamper, add_log_level
from structlog.stdlib import ProcessorFormatter, add_logger_name
from structlog.typing import EventDict, Processor  # noqa: TC002 - structlog reads annotations

from otp_app import services
from otp_app.errors import Overloaded
from otp_app.identity.cookies import log_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SDK_LOGGERS = ("vonage", "twilio", "urllib3", "aiohttp", "sqlalchemy", "alembic")
"""Loggers that write at CRITICAL only. At INFO some log phone numbers, ids and whole bodies."""

_SECRETS = re.compile(
    r"""
      [+(]?\d(?:[ ().-]{0,2}\d){5,}                              # numbers and codes
    | \b(?:AC|VA|VE|SK)[0-9a-fA-F]{32}\b                         # Twilio's ids
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b   # Vonage's ids, client tokens
    | \b(?:Basic|Bearer)\s+[\w.~+/=-]+
    | '(?:cookie|authorization|token)':\s*'[^']*'?               # its end may be cut off
    | \b(?:__Host-)?(?:flow|session)=[^;'"\s]+
    | (?<![\w-])(?!(?-i:[a-z_]+)(?![\w-]))[\w-]{40,}             # names of flows, not of code
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that end or reorder a line, control a terminal, or cannot be encoded."""

_HARMLESS = re.compile(r"[A-Za-z._]{1,30}")
"""Texts that `redact` leaves as they are: no digits or spaces, and too short for an id or flow."""

_HASH = re.compile(r"(?=\d*[a-f])[0-9a-f]{8,16}")  # hash of a phone number; may resemble one
_ID = re.compile(r"(?=.*[A-Za-z])[\w-]{22}", re.ASCII)  # id of a verification: 128 random bits
_MAX_LINE = 2000  # characters; the framework logs whole events, and any client can send long ones


def redact(text: str) -> str:
    """Return *text* as a line of at most `_MAX_LINE` characters without secrets and numbers."""
    line = _SECRETS.sub("[redacted]", text[: 2 * _MAX_LINE])
    return _CONTROLS.sub(_escaped, line)[:_MAX_LINE]


def _escaped(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode()


class RedactedRecord(logging.LogRecord):
    """A log record whose secrets are redacted before any handler receives it.

    A traceback is reduced to the type of the exception and the place, because messages of
    exceptions may contain the input of users and the responses of vendors.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        where = _where(self.exc_info) if self.exc_info else ""
        self.msg, self.args = redact(self._text()) + where, ()
        self.exc_info = self.stack_info = None

    def _text(self) -> str:
        try:
            text = self.getMessage()
        except (TypeError, ValueError):  # a format that does not fit its arguments
            text = str(self.msg)
        before, traceback, after = text.partition("Traceback (most recent call last):")
        raised = after.strip().rpartition("\n")[2].partition(":")[0]
        return f"{before}{raised}" if traceback else text


def configure_logging(*, production: bool) -> None:
    """Write redacted lines to stdout: JSON from all loggers in production, else readable text.

    Call the function again after a server has configured its loggers. In production their handlers
    are then replaced by ours.
    """
    logging.setLogRecordFactory(RedactedRecord)
    for name in _SDK_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    shared = [*_CONTEXT, *(_JSON if production else _READABLE)]
    structlog.configure(
        processors=[_redacted, _named, add_log_level, *shared],
        logger_factory=structlog.WriteLoggerFactory(),
    )
    if production:
        logging.captureWarnings(capture=True)
        _take_over(
            ProcessorFormatter(
                foreign_pre_chain=[add_logger_name, add_log_level],
                processors=[ProcessorFormatter.remove_processors_meta, *shared],
            )
        )


def bind_log_context(**names: str) -> None:
    """Start a request or event: all later log lines of this task get its id and duration.

    Args:
        names: further fields of these lines. They are not redacted, so they must not contain the
            input of a user.
    """
    clear_contextvars()  # the task may have served another request before
    bind_contextvars(request=secrets.token_hex(6), began=time.monotonic(), **names)


def log_reference() -> str:
    """Return the id of this request or event in the log: 12 hexadecimal digits.

    People can quote the id to support. Without a request or event it is empty.
    """
    return str(get_contextvars().get("request", ""))


class _LineHandler(logging.Handler):
    """Writes records by the same lock as our own lines, so that no two lines mix."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            structlog.WriteLogger().msg(self.format(record))
        except (OSError, ValueError):  # the reader of stdout has closed it
            self.handleError(record)


def _take_over(formatter: logging.Formatter) -> None:
    """Replace the handlers of all loggers by one with *formatter*, except those for files."""
    lines = _LineHandler()
    lines.setFormatter(formatter)
    for logger in [*logging.root.manager.loggerDict.values(), logging.root]:
        if isinstance(logger, logging.Logger) and _drop_handlers(logger):
            logger.propagate = True
    logging.root.addHandler(lines)
    logging.root.setLevel(logging.INFO)


def _drop_handlers(logger: logging.Logger) -> bool:
    """Remove the handlers of *logger* that do not write to files. Return True if it had any."""
    dropped = [one for one in logger.handlers if not isinstance(one, logging.FileHandler)]
    for handler in dropped:
        logger.removeHandler(handler)
    return bool(dropped)


def _redacted(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Redact the values of our own events.

    These hold only ids and names by rule. The redaction is a second line of defence.
    """
    return {name: _safe(name, value) for name, value in event.items()}


def _safe(name: str, value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, date):  # `datetime` too. By its type: a text of this form may be a code
        return value.isoformat()
    text = str(value)
    if _HARMLESS.fullmatch(text):
        return text
    is_ours = _OURS.get(name)
    return text if is_ours and is_ours(text) else redact(text)


def _is_network(text: str) -> bool:
    """Return True for an IP address or network. No phone number has this form."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


_OURS: Mapping[str, Callable[[str], object]] = {
    "number": _HASH.fullmatch,
    "id": _ID.fullmatch,
    "address": _is_network,
}
"""Tests for values that look like secrets and are none, by the key of the value in the event."""


def _named(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {"logger": "otp_app", **event}


def _timed(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Add the milliseconds since the start of the request or event, unless the line has its own."""
    if (began := event.pop("began", None)) is not None:
        event.setdefault("duration_ms", round(1000 * (time.monotonic() - began)))
    return event


_CONTEXT: list[Processor] = [merge_contextvars, _timed, TimeStamper(fmt="iso", utc=True)]
_BARE = re.compile(r"""[^ \t=\r\n"']*""")  # values that need no quotes


def readable(_logger: object, _method: str, event: EventDict) -> str:
    """Return *event* as `structlog.dev.ConsoleRenderer` writes it, in a quarter of the time."""
    level, name, logger = (event.pop(key) for key in ("level", "event", "logger"))
    head = f"{event.pop('timestamp')} [{level:<9}] {name:<30} [{logger}]"
    return " ".join([head, *(f"{key}={_shown(event[key])}" for key in sorted(event))])


def _shown(value: object) -> str:
    return value if isinstance(value, str) and _BARE.fullmatch(value) else repr(value)


_READABLE: list[Processor] = [readable]
_encode = json.JSONEncoder(default=repr).encode  # `json.dumps` would make an encoder for each line
_JSON: list[Processor] = [  # with the same keys as Reflex
    EventRenamer("message"),
    JSONRenderer(lambda event, **_: _encode(event)),
]


def _where(exc_info: object) -> str:
    """Return the exception's type and place, such as ` [KeyError at event_processor.py:868]`."""
    match exc_info:
        case (type() as kind, BaseException() as error, _):
            trace = error.__traceback__
        case _:
            return ""
    while trace and trace.tb_next:
        trace = trace.tb_next
    file = Path(trace.tb_frame.f_code.co_filename).name if trace else "?"
    return f" [{kind.__name__} at {file}:{trace.tb_lineno if trace else 0}]"


_READS = {"GET", "HEAD", "OPTIONS"}  # the access log of the proxy or server has these requests

log = structlog.get_logger(__name__)


class LogContext:
    """Begins the log context of a request or socket, and logs the outcome of every post.

    `OverloadGate` logs the number of posts that it refuses, so they have no lines of their own. The
    events of a socket run in tasks of their own, whose context `EventFilter` begins.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] in {"http", "websocket"}:
            bind_log_context(**session_context(Headers(scope=scope).get("cookie", "")))
        if scope["type"] == "http" and scope["method"] not in _READS:
            send = _logged(scope, send)
        try:
            await self.app(scope, receive, send)
        finally:
            clear_contextvars()


def session_context(cookies: str) -> dict[str, str]:
    """Return the field `session`, the browser's name in the log, if *cookies* have a flow.

    *cookies* is a `Cookie` header.
    """
    flow = services.current().flows.read(cookies)
    return {"session": log_id(flow)} if flow else {}


def _logged(scope: Scope, send: Send) -> Send:
    async def send_and_log(message: Message) -> None:
        await send(message)
        if message["type"] == "http.response.start":
            status = message["status"]
            outcome = get_contextvars().get("outcome", "ok" if status < 400 else "refused")
            if outcome == Overloaded.code:
                return
            what = {"method": scope["method"], "path": scope["path"], "status": status}
            log.info("http.responded", outcome=outcome, **what)

    return send_and_log
