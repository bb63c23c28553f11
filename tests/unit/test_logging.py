"""No log line shows a secret, whoever writes it."""

from __future__ import annotations

import io
import logging
import re
import sys
import traceback
import warnings
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import structlog

from otp_app.monitoring.logging import (
    RedactedRecord,
    bind_log_context,
    configure_logging,
    readable,
    redact,
)
from otp_app.phone import PhoneNumber
from otp_app.verification.background import CountryPause
from otp_app.verification.client import Client
from otp_app.verification.limits import MIN_MESSAGE_AGE, POLICY, Action
from otp_app.verification.models import Channel, Flow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock
    from tests.logs import Lines

NUMBER = PhoneNumber("+447400123456")

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
    assert "[ValueError at test_logging.py:" in written.getvalue()
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


def test_a_readable_line_is_that_of_structlog() -> None:
    event = {"timestamp": "2026-12-01T01:39:59Z", "level": "info", "event": "provider.called"}
    values = {
        "logger": "otp_app",
        "b": "a=b",
        "c": 'x"y',
        "a": "it's",
        "n": None,
        "f": 1.5,
        "e": "",
    }
    render = structlog.dev.ConsoleRenderer(colors=False)

    assert readable(None, "info", event | values) == render(None, "info", event | values)


def test_names_that_are_long_are_no_secrets() -> None:
    name = "reflex___state____frontend_event_exception_state.handle_frontend_exception"

    assert redact(f"event {name} of {'aBc-' * 11}") == f"event {name} of [redacted]"
    assert redact("aBcD" * 11) == "[redacted]"


@pytest.mark.parametrize("secret", ["VE" + "abcdef" * 5 + "ab", "aBcD" * 11, "Bearer abc"])
def test_a_secret_of_letters_is_taken_out_of_our_own_lines(
    production_log: Lines, secret: str
) -> None:
    structlog.get_logger("otp_app.test").warning("asked", outcome=secret, detail="x" * 30)

    (line,) = production_log.named("asked")
    assert line["outcome"] == "[redacted]"
    assert line["detail"] == "x" * 30


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
    assert "7400" not in re.sub(r"\d\d:\d\d:\d\d\.\d+", "", written)  # any time may contain it
    assert "\x1b" not in written


def test_a_line_of_production_is_a_json_object(production_log: Lines) -> None:
    structlog.get_logger("otp_app.test").error(
        "limit.threshold_reached", limit="LIMIT_SEND_TOTAL", used=100
    )

    [line] = production_log.read()
    written_at = datetime.fromisoformat(line.pop("timestamp"))
    assert written_at.utcoffset() == timedelta(0)
    assert line == {
        "level": "error",
        "limit": "LIMIT_SEND_TOTAL",
        "logger": "otp_app",
        "message": "limit.threshold_reached",
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

    bind_log_context(session="5e5510")
    log.info("one", number="0a0a0a0a0a0a")
    logging.getLogger("reflex.some.module").info("two")
    bind_log_context()
    log.info("three", number="447400123456")

    one, two, three = production_log.read()
    assert one["request"] == two["request"] != three["request"]
    assert (one["session"], two["session"]) == ("5e5510", "5e5510")
    assert "session" not in three
    assert (one["number"], three["number"]) == ("0a0a0a0a0a0a", "[redacted]")
    assert all(isinstance(line["duration_ms"], int) for line in (one, two, three))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 11, 30, 18, 59, 7, 123456, tzinfo=UTC), "2026-11-30T18:59:07.123456+00:00"),
        (datetime(2026, 11, 30, 18, 59, tzinfo=UTC), "2026-11-30T18:59:00+00:00"),
        (date(2026, 11, 30), "2026-11-30"),
    ],
)
def test_a_time_of_ours_can_be_read(production_log: Lines, value: date, written: str) -> None:
    """S14: whatever the key is. A text that looks like a time may have come from anywhere."""
    log = structlog.get_logger("otp_app.test")

    log.error("country.paused", until=value, since=written)

    [line] = production_log.read()
    assert line["until"] == written
    assert "[redacted]" in line["since"]


async def test_the_operator_can_read_until_when_a_country_is_paused(
    verifications: VerificationService, production_log: Lines, clock: Clock
) -> None:
    """S14: the one line of ours that has a time."""
    pause = next(limit for limit in POLICY if limit.action is Action.PAUSE)
    limits = [replace(pause, amount=1)]
    await verifications.start(Client(Flow("me"), "203.0.113.7"), NUMBER, Channel.SMS)
    clock.tick(MIN_MESSAGE_AGE.total_seconds())

    await CountryPause(verifications.store, verifications.limiter, limits, clock.now).review()

    [line] = production_log.named("country.paused")
    assert datetime.fromisoformat(line["until"]) == clock.now() + pause.window


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("address", "203.0.113.7"),
        ("address", "198.51.100.255"),
        ("address", "2001:db8:1234:5678::/64"),
        ("address", "2001:db8:1234::/48"),
        ("address", "unknown"),
        ("number", "0a0a0a0a0a0a"),
        ("id", "a1234567890b1234567-_c"),
    ],
)
def test_what_only_looks_like_a_number_can_be_read(
    production_log: Lines, name: str, value: str
) -> None:
    """F27, S14: by the key of the line and the whole form of the value."""
    structlog.get_logger("otp_app.test").warning("socket.refused", **{name: value})

    [line] = production_log.read()
    assert line[name] == value


@pytest.mark.parametrize("name", ["address", "number", "id", "until", "why"])
@pytest.mark.parametrize("value", [*SECRETS, "203.0.113.7 +447400123456", "1234567890123456789012"])
def test_no_key_of_a_line_lets_a_secret_through(
    production_log: Lines, name: str, value: str
) -> None:
    structlog.get_logger("otp_app.test").warning("asked", **{name: value})

    [line] = production_log.read()
    assert "[redacted]" in line[name]
    assert value not in line[name]
