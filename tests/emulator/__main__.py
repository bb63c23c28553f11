"""Run the emulator by hand: `python -m tests.emulator [--port N]`."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import suppress

from tests.emulator import Emulator, Message, credentials

_ENVIRONMENT = {
    "TWILIO_ACCOUNT_SID": credentials.TWILIO_ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": credentials.TWILIO_AUTH_TOKEN,
    "TWILIO_VERIFY_SERVICE_SID": credentials.TWILIO_SERVICE_SID,
    "VONAGE_API_KEY": credentials.VONAGE_API_KEY,
    "VONAGE_API_SECRET": credentials.VONAGE_API_SECRET,
}


def main() -> None:
    """Serve until interrupted, and tell every message as it is sent."""
    parser = ArgumentParser(prog="python -m tests.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port of 127.0.0.1 (default: any)")
    with Emulator(port=parser.parse_args().port) as emulator, suppress(KeyboardInterrupt):
        _say(f"Twilio and Vonage at {emulator.url}")
        for name, value in _ENVIRONMENT.items():
            _say(f"{name}={value}")
        for message in _sent(emulator):
            where = f"{message.service} {message.channel} to {message.to}"
            _say(f"{message.at:%H:%M:%S} {where}: {message.code}")


def _sent(emulator: Emulator) -> Iterator[Message]:
    told = 0
    while True:
        messages = emulator.messages
        yield from messages[told:]
        told = len(messages)
        time.sleep(0.2)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
