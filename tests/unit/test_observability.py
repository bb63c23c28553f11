"""No log line shows a secret, whoever writes it."""

from __future__ import annotations

import io
import logging
import traceback
from typing import TYPE_CHECKING

import pytest
import structlog

from otp_app.observability import RedactedRecord, configure_logging, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRETS = [
    "+447400123456",
    "07400 123456",
    "(0)7400-123.456",
    "123456",
    "VE" + "0a" * 16,
    "c11236f4-00bf-4b89-84ba-88b25df97315",
    "Basic YWJjZDpzZWNyZXQ=",
    "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln",
    "flow=abc.def.ghi",
    "__Host-flow=abc.def.ghi",
]


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream, before = io.StringIO(), logging.getLogRecordFactory()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("reflex.some.module")
    logger.addHandler(handler)
    logging.setLogRecordFactory(RedactedRecord)
    yield stream
    logging.setLogRecordFactory(before)
    logger.removeHandler(handler)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_taken_out_of_a_line(secret: str) -> None:
    assert redact(f"before {secret} after") == "before [redacted] after"


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_taken_out_wherever_it_stands(written: io.StringIO, secret: str) -> None:
    logger = logging.getLogger("reflex.some.module")
    try:
        raise ValueError(secret)
    except ValueError:
        logger.exception("event %s of %r", secret, {"payload": [secret]})

    assert secret not in written.getvalue()
    assert "[ValueError at test_observability.py:" in written.getvalue()
    assert "Traceback" not in written.getvalue()


def test_a_traceback_written_as_text_is_its_exceptions_name(written: io.StringIO) -> None:
    try:
        raise KeyError("canary")
    except KeyError:
        logging.getLogger("reflex.some.module").error("failed: %s", traceback.format_exc())  # noqa: TRY400

    assert written.getvalue() == "failed: KeyError\n"


def test_headers_of_an_event_are_taken_out() -> None:
    line = redact(str({"cookie": "a=b; c=d", "token": "t1", "authorization": "x y", "host": "h"}))

    assert line == "{[redacted], [redacted], [redacted], 'host': 'h'}"


def test_nobody_can_forge_or_flood_lines(written: io.StringIO) -> None:
    logging.getLogger("reflex.some.module").error("a\r\nforged line\n%s", "x" * 100_000)

    assert written.getvalue().count("\n") == 1
    assert len(written.getvalue()) < 2100


def test_a_wrong_format_is_still_a_line(written: io.StringIO) -> None:
    logging.getLogger("reflex.some.module").error("%d of %d", "one")

    assert written.getvalue() == "%d of %d\n"


def test_our_own_lines_are_held_to_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config(), logging.getLogRecordFactory()
    configure_logging()
    structlog.get_logger("otp_app.test").warning("asked", phone="+447400123456", id="abcDEF-x")
    structlog.configure(**before[0])
    logging.setLogRecordFactory(before[1])

    written = capsys.readouterr().out
    assert "[redacted]" in written
    assert "abcDEF-x" in written
    assert "7400" not in written
