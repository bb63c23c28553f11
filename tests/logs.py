"""The log as it is in production, of this process and for a while."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
from structlog.contextvars import clear_contextvars

from otp_app.monitoring.logging import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


class Lines:
    """The log lines that have been written to stdout."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.text = ""

    def read(self) -> list[dict[str, Any]]:
        """Every line so far; each must be a JSON object."""
        self.text += self._capsys.readouterr().out
        return [json.loads(line) for line in self.text.splitlines()]

    def named(self, message: str) -> list[dict[str, Any]]:
        """Return the lines whose message is *message*."""
        return [line for line in self.read() if line["message"] == message]


def loggers() -> list[logging.Logger]:
    """All there are."""
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(one for one in known if isinstance(one, logging.Logger))]


@contextmanager
def in_production(*, debug: bool = False) -> Iterator[None]:
    """Log as production does; with *debug*, everything that anybody has to say."""
    ours, factory = structlog.get_config(), logging.getLogRecordFactory()
    before = [(one, one.handlers[:], one.level, one.propagate) for one in loggers()]
    configure_logging(production=True)
    clear_contextvars()  # an earlier test may have begun the context of a request
    if debug:
        for one in loggers():
            one.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        structlog.configure(**ours)
        logging.setLogRecordFactory(factory)
        logging.captureWarnings(capture=False)
        for one, handlers, level, propagate in before:
            one.handlers[:], one.propagate = handlers, propagate
            one.setLevel(level)
