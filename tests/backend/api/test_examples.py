"""The commands and programs in README and docs/api.md, run unchanged."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from otp_app import routes
from tests.conftest import API_KEYS
from tests.fakes import RIGHT, WRONG

TEXT = Path("README.md").read_text() + Path("docs/api.md").read_text()
_BLOCKS = re.findall(r"```(sh|python)\n(.+?)```", TEXT, re.DOTALL)
COMMANDS = [block for kind, block in _BLOCKS if kind == "sh" and "curl" in block]
PROGRAMS = [block for kind, block in _BLOCKS if kind == "python"]


def at(address: str, example: str) -> str:
    """Return *example* with the URL of this test's server and its right code."""
    return example.replace("http://localhost:3000", address).replace("493027", RIGHT)


def run(*command: str, typed: str = "", **variables: str) -> str:
    """Run *command* with *typed* as its input, and return all its output."""
    environment = os.environ | {"OTP_API_KEY": API_KEYS["shop"], **variables}
    done = subprocess.run(command, env=environment, input=typed, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def answers(address: str, block: str) -> list[dict[str, str]]:
    """Run each command of *block*, and return the responses.

    The id in the first response is put into the commands that follow.
    """
    found: list[dict[str, str]] = []
    for command in re.split(r"\n(?=curl)", block):
        first = found[0] if found else {}
        ids = {"REQUEST_ID": first.get("requestId", ""), "ID": first.get("id", "")}
        found.append(json.loads(run("sh", "-euc", at(address, command), **ids) or "{}"))
    return found


@pytest.mark.parametrize("block", COMMANDS, ids=[f"{number}" for number in range(len(COMMANDS))])
def test_the_commands_do_what_they_say(address: str, block: str) -> None:
    assert shutil.which("curl"), "Install curl: README's commands are run by it"

    told = answers(address, block.partition("\n")[2] if block.startswith("#") else block)

    assert not [answer for answer in told if "code" in answer]  # only errors have a code
    asked_to_check = "493027" in block
    assert (told[-1].get("status") in {"verified", "approved"}) is asked_to_check


@pytest.mark.parametrize("program", PROGRAMS, ids=[f"{number}" for number in range(len(PROGRAMS))])
def test_the_programs_verify_a_number(address: str, program: str) -> None:
    typed = f"{WRONG}\n{RIGHT}\n" if "code_mismatch" in program else f"{RIGHT}\n"

    printed = run(sys.executable, "-W", "error", "-c", at(address, program), typed=typed)

    assert printed.endswith("approved\n")
    assert ("does not match" in printed) is ("code_mismatch" in program)


def test_there_are_commands_for_every_route_and_programs_for_both_clients() -> None:
    commands, programs = "".join(COMMANDS), "".join(PROGRAMS)

    for path in (*routes.GUIDES, routes.VERIFICATIONS, "/$ID", "/$ID/check", "/$ID/resend"):
        assert re.search(rf"{re.escape(path)}[ \"]", commands), path
    assert "-X DELETE" in commands
    assert re.search(r"\bClient\(", programs)
    assert "AsyncClient(" in programs
