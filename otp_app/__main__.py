"""The command line, `python -m otp_app`: doctor, why, rotate, events, message and key."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from otp_app.errors import InvalidPhoneNumber
from otp_app.phone import PhoneNumber

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence

_ABOUT_WHY = (
    "Print the messages and checks of a number, and the limits that it has reached. Run this with "
    "the app's settings: with another SECRET_KEY it finds nothing. Times are in UTC."
)
_KEY = (
    "Make a key for a program that calls the API. Put the hash into the settings, and the key into "
    "the program's. The key is shown only once."
)
_DOCTOR = (
    "Check settings, files, database, accounts and clock. The exit code is 1 if a check failed."
)

_ROTATE = (
    "Encrypt all numbers with the first of PHONE_ENCRYPTION_KEYS, and index them by the present "
    "SECRET_KEY. The app may run at the same time. If this is interrupted, run it again. The exit "
    "code is 1 if some numbers cannot be decrypted."
)

_EVENTS = (
    "List the dead letters: events that WEBHOOK_URL never accepted, with times, type, "
    "verification and last failure. With retry, the app delivers them all again."
)

_MESSAGE = (
    "Print the text message as fragments of a Vonage template, one for each language: one JSON "
    "object per line, in the format of docs/channels.md. The message names the host of PUBLIC_URL."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code. Wrong usage exits with 2."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    with _log_to_stderr():
        return _run(parser, arguments)


@contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Keep log lines out of the output of a command, which programs may read."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**before)


def _run(parser: ArgumentParser, arguments: Namespace) -> int:
    # Each command has large imports that the other commands do not need.
    if arguments.command == "doctor":
        from otp_app.cli import doctor

        return doctor.run()
    if arguments.command == "rotate":
        from otp_app.cli import rotate

        return rotate.run()
    if arguments.command == "key":
        return _new_key(parser, arguments.name)
    if arguments.command == "events":
        from otp_app.cli import events

        return events.run(retry=arguments.what == "retry")
    if arguments.command == "message":
        return _message()
    return _why(parser, " ".join(arguments.number), arguments.country)


def _why(parser: ArgumentParser, number: str, country: str) -> int:
    from otp_app.cli import why
    from otp_app.presentation import message

    try:
        phone = PhoneNumber.parse(number, country)
    except InvalidPhoneNumber as exc:
        parser.error(message(exc))
    return why.run(phone)


def _new_key(parser: ArgumentParser, name: str) -> int:
    """Print a new API key and the setting that holds its hash. Return the exit code."""
    from otp_app.identity.callers import new_key

    try:
        key, setting = new_key(name)
    except ValueError as exc:
        parser.error(str(exc))
    sys.stdout.write(f"The key, for the program:\n  {key}\n\n")
    sys.stdout.write(
        f"The setting, with a comma after those that are there:\n  API_KEYS={setting}\n"
    )
    return 0


def _message() -> int:
    """Print the fragments of the text message, each as one line of JSON. Return the exit code."""
    from otp_app.config import SettingsError, load_settings

    try:
        settings = load_settings()
    except SettingsError as exc:
        sys.stdout.write(f"{exc}\n")
        return 1
    for fragment in _fragments(settings.domain, settings.otp_locale):
        sys.stdout.write(f"{json.dumps(fragment, ensure_ascii=False)}\n")
    return 0


def _fragments(domain: str, operators: str) -> Iterator[dict[str, str]]:
    """Yield the body of one POST request for each language that Vonage supports.

    https://developer.vonage.com/en/api/verify.v2#addTemplateFragmentToTemplate

    Args:
        domain: the host whose pages may fill in the code.
        operators: OTP_LOCALE. The locale of a fragment is the one that the app requests for the
            language with this setting.
    """
    from otp_app.i18n import languages
    from otp_app.presentation import text_message
    from otp_app.providers.vonage.requests import nearest

    for language in languages().values():
        if locale := nearest(language.tag, nearest(operators) or ""):
            text = text_message("${code}", "${brand}", domain, language)  # Vonage fills these in
            yield {"channel": "sms", "locale": locale, "text": text}


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m otp_app", description="Operate an installation of the app."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "doctor", help="check the installation and suggest fixes", description=_DOCTOR
    )
    commands.add_parser(
        "rotate", help="encrypt all numbers with the first key", description=_ROTATE
    )
    events = commands.add_parser(
        "events", help="list the events that a backend never accepted", description=_EVENTS
    )
    events.add_argument("what", nargs="?", choices=["retry"], help="deliver the events again")
    commands.add_parser(
        "message", help="print the text message as a template", description=_MESSAGE
    )
    why = commands.add_parser("why", help="print the history of a number", description=_ABOUT_WHY)
    why.add_argument("number", nargs="+", help="in any form: +14155552671, '(415) 555-2671'")
    why.add_argument(
        "--country", default="", metavar="GB", help="the country of a number without its +"
    )
    key = commands.add_parser("key", help="make an API key", description=_KEY)
    key.add_argument("name", help="the program's name: lower-case letters, digits and hyphens")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
