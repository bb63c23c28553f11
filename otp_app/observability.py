"""Logs: one line an event, and nobody's secrets in it, whoever writes it."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import structlog
from structlog.typing import EventDict  # noqa: TC002 - structlog reads annotations

_SDK_LOGGERS = ("vonage", "twilio", "urllib3", "aiohttp", "aiosqlite", "sqlalchemy", "alembic")
"""At INFO and WARNING some of them print numbers, ids and whole bodies."""

_SECRETS = re.compile(
    r"""
      [+(]?\d(?:[ ().-]{0,2}\d){5,}                              # numbers and codes
    | \b(?:AC|VA|VE|SK)[0-9a-fA-F]{32}\b                         # Twilio's ids
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b   # Vonage's ids, client tokens
    | \b(?:Basic|Bearer)\s+[\w.~+/=-]+
    | '(?:cookie|authorization|token)':\s*'[^']*'
    | \b(?:__Host-)?flow=[^;'"\s]+
    """,
    re.VERBOSE | re.IGNORECASE,
)
_MAX_LINE = 2000  # characters; the framework logs whole events, which anybody can make long


def redact(text: str) -> str:
    """*text* as one line of bounded length without numbers, codes, ids and tokens."""
    line = _SECRETS.sub("[redacted]", text[: 2 * _MAX_LINE])[:_MAX_LINE]
    return line.replace("\r", "\\r").replace("\n", "\\n")


class RedactedRecord(logging.LogRecord):
    """A record whose secrets are gone before any handler sees it.

    A traceback becomes its exception's type and place: messages of exceptions hold what was sent
    to us and what a vendor answered.
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


def configure_logging() -> None:
    """Readable lines on stdout; the SDKs silenced, every record redacted."""
    logging.setLogRecordFactory(RedactedRecord)
    for name in _SDK_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _redacted,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=False),
        ],
    )


def _redacted(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Our own lines carry ids and names only; this is for the day when somebody forgets."""
    texts = {name: redact(value) for name, value in event.items() if isinstance(value, str)}
    return {**event, **texts}


def _where(exc_info: object) -> str:
    """` [KeyError at event_processor.py:868]`."""
    match exc_info:
        case (type() as kind, BaseException() as error, _):
            trace = error.__traceback__
        case _:
            return ""
    while trace and trace.tb_next:
        trace = trace.tb_next
    file = Path(trace.tb_frame.f_code.co_filename).name if trace else "?"
    return f" [{kind.__name__} at {file}:{trace.tb_lineno if trace else 0}]"
