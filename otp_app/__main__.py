"""The command line, `python -m otp_app`: doctor, why, rotate, events, message and key."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import TYPE_CHECKING

from otp_app.errors import InvalidPhoneNumber
from otp_app.phone import PhoneNumber

if TYPE_CHECKING:
    from collections.abc import Sequence

_ABOUT_WHY = (
    "What was sent to a number and checked, and which limits hold it until when. Needs the app's "
    "settings; with another SECRET_KEY than its own, it finds nothing. Times are in UTC."
)
_KEY = (
    "Make a key for a program that calls the API. Its hash goes into the settings, the key itself "
    "into the program's; it is shown this once."
)
_DOCTOR = "Check settings, files, database, accounts and clock. Exits with 1 if something failed."

_ROTATE = (
    "Seal all numbers with the first of PHONE_ENCRYPTION_KEYS, and make them found by SECRET_KEY "
    "as it is. "
    "The app may run meanwhile; cut short, run it again. Exits with 1 if some cannot be opened."
)

_EVENTS = (
    "List the events that WEBHOOK_URL never took: times, type, verification, last failure. With "
    "retry, have the app deliver them all again, from the first attempt on."
)

_MESSAGE = (
    "Print the text message for a template at Vonage, a fragment for each language: one JSON "
    "object a line, as docs/channels.md posts them. PUBLIC_URL says whose pages fill in the code."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code. Wrong usage exits with 2."""
    parser = _parser()
    arguments = parser.parse_args(argv)
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
        from otp_app.cli import message

        return message.run()
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
    from otp_app.identity.tokens import new_key

    try:
        key, setting = new_key(name)
    except ValueError as exc:
        parser.error(str(exc))
    sys.stdout.write(f"The key, for the program:\n  {key}\n\n")
    sys.stdout.write(
        f"The setting, with a comma after those that are there:\n  API_KEYS={setting}\n"
    )
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m otp_app", description="Look after an installation.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="what is wrong, and the fix", description=_DOCTOR)
    commands.add_parser("rotate", help="seal all numbers with the first key", description=_ROTATE)
    events = commands.add_parser("events", help="what a backend never took", description=_EVENTS)
    events.add_argument("what", nargs="?", choices=["retry"], help="deliver them again")
    commands.add_parser("message", help="texts for a template", description=_MESSAGE)
    why = commands.add_parser("why", help="what happened to a number", description=_ABOUT_WHY)
    why.add_argument("number", nargs="+", help="in any form: +14155552671, '(415) 555-2671'")
    why.add_argument("--country", default="", metavar="GB", help="of a number without its +")
    key = commands.add_parser("key", help="a new API key", description=_KEY)
    key.add_argument("name", help="who it is for: small letters, digits and hyphens")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
