"""No log line shows a secret, whoever writes it."""

from __future__ import annotations

import io
import logging
import sys
import traceback
import warnings
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import structlog

from otp_app.observability import RedactedRecord, begin, configure_logging, redact

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.logs import Lines

SECRETS = [
    "+447400123456",
    "07400 123456",
    "(0)7400-123.456",
    "123456",
    "VE" + "0a" * 16,
    "c11236f4-00bf-4b89-84ba-88b25df97315",
    "Basic YWJjZDpzZWNyZXQ=",
    "Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln",  # pragma: allowlist secret
    "flow=abc.def.ghi",
    "__Host-flow=abc.def.ghi",
    "session=abc_def-ghi",
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


def test_nobody_can_color_or_move_the_terminal(written: io.StringIO) -> None:
    logging.getLogger("reflex.some.module").error("\x1b[2J\x9b31m\u2028\u202e\ud800\t")

    assert written.getvalue() == "\\x1b[2J\\x9b31m\\u2028\\u202e\\ud800\\t\n"


def test_a_header_that_is_cut_off_is_still_taken_out() -> None:
    line = redact("x" * 39 + " 0123456" * 490 + " {'cookie': 'session=" + "Secret " * 20)

    assert "Secret" not in line
    assert len(line) < 2001


def test_names_that_are_long_are_no_secrets() -> None:
    name = "reflex___state____frontend_event_exception_state.handle_frontend_exception"

    assert redact(f"event {name} of {'aBc-' * 11}") == f"event {name} of [redacted]"
    assert redact("aBcD" * 11) == "[redacted]"


@pytest.mark.parametrize("production", [False, True])
def test_our_own_lines_are_held_to_it_too(
    production_log: Lines, capsys: pytest.CaptureFixture[str], *, production: bool
) -> None:
    del production_log  # puts back what is configured here
    configure_logging(production=production)

    long = {
        "phone": "+447400123456",
        "of": ["07400 123456"],
        "id": "abcDEF-x",
        "text": "\x1b" * 9999,
    }
    structlog.get_logger("otp_app.test").warning("asked", **long)

    written = capsys.readouterr().out
    assert written.count("\n") == 1
    assert len(written) < 9999
    assert written.count("[redacted]") == 2
    assert "abcDEF-x" in written
    assert "7400" not in written
    assert "\x1b" not in written


def test_a_line_of_production_is_a_json_object(production_log: Lines) -> None:
    structlog.get_logger("otp_app.test").error("limit.alarm", limit="LIMIT_SEND_TOTAL", used=100)

    [line] = production_log.read()
    written_at = datetime.fromisoformat(line.pop("timestamp"))
    assert written_at.utcoffset() == timedelta(0)
    assert line == {
        "level": "error",
        "limit": "LIMIT_SEND_TOTAL",
        "logger": "otp_app",
        "message": "limit.alarm",
        "used": 100,
    }


def test_lines_of_others_are_json_too_whatever_they_have_set_up(production_log: Lines) -> None:
    own = logging.StreamHandler(sys.stdout)
    access = logging.getLogger("granian.access")
    access.addHandler(own)
    access.propagate = False

    configure_logging(production=True)
    access.info('"GET /%s"', "07400123456")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    first, second = production_log.read()
    assert (first["logger"], first["level"]) == ("granian.access", "info")
    assert first["message"] == '"GET /[redacted]"'
    assert (second["logger"], second["level"]) == ("py.warnings", "warning")


def test_files_that_somebody_asked_for_are_left_alone(
    production_log: Lines, tmp_path: Path
) -> None:
    file = logging.FileHandler(tmp_path / "reflex.log")
    logger = logging.getLogger("reflex.some.module")
    logger.addHandler(file)

    configure_logging(production=True)
    logger.error("said")

    logger.removeHandler(file)
    file.close()
    assert (tmp_path / "reflex.log").read_text() == "said\n"
    assert len(production_log.named("said")) == 1


def test_lines_tell_the_request_and_how_long_it_has_taken(production_log: Lines) -> None:
    log = structlog.get_logger("otp_app.test")

    begin(session="5e5510")
    log.info("one", number="0a0a0a0a0a0a")
    logging.getLogger("reflex.some.module").info("two")
    begin()
    log.info("three", number="447400123456")

    one, two, three = production_log.read()
    assert one["request"] == two["request"] != three["request"]
    assert (one["session"], two["session"]) == ("5e5510", "5e5510")
    assert "session" not in three
    assert (one["number"], three["number"]) == ("0a0a0a0a0a0a", "[redacted]")
    assert all(isinstance(line["duration_ms"], int) for line in (one, two, three))
