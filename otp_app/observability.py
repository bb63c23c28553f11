"""Logs: one line an event, and nothing of anybody's secrets in it."""

from __future__ import annotations

import logging
import re

import structlog

_SDK_LOGGERS = ("vonage", "urllib3", "aiohttp", "twilio", "asyncio", "aiosqlite", "sqlalchemy")
"""At INFO and WARNING they print numbers, ids and whole bodies."""

_SECRETS = re.compile(
    r"""
    \+?\d(?:[\s().-]?\d){5,}            # numbers and codes
    | \bV[AE][0-9a-fA-F]{32}\b          # Twilio's ids
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b   # Vonage's ids, client tokens
    | (?:Basic|Bearer)\s+\S+
    | '(?:cookie|authorization|token)':\s*'[^']*'
    | (?:__Host-)?flow=[^;'"\s]+
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Redact(logging.Filter):
    """Takes numbers, codes, ids, tokens and tracebacks out of a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite *record* in place; never drops one."""
        message = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            message = f"{message} ({record.exc_info[0].__name__})"
        record.msg, record.args = _SECRETS.sub("[redacted]", message), ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def configure_logging() -> None:
    """Readable lines on stdout; the SDKs silenced, every handler redacted."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        cache_logger_on_first_use=True,
    )
    for name in _SDK_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in ("", "reflex", "granian", "_granian"):
        for handler in logging.getLogger(name).handlers:
            handler.addFilter(Redact())
