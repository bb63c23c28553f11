"""Command lines of the app, each in a copy of one process that has imported the app's modules.

The imports take a second or two. A copy by `fork` takes some milliseconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_PROGRAM = """
import json, os, runpy, sys
from otp_app.cli import doctor, rotate, why
print(json.dumps([*sys.modules]))
import otp_app.bootstrap, otp_app.web.pipeline
print(json.dumps([*sys.modules]), flush=True)
for line in sys.stdin:
    arguments, environment, folder, *files = json.loads(line)
    if os.fork() == 0:
        for descriptor, file in enumerate(files, start=1):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["otp_app", *arguments]
        runpy.run_module("otp_app", run_name="__main__")
        sys.exit()
    print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
"""


class Done(NamedTuple):
    """The result of a command line."""

    code: int
    stdout: str
    stderr: str


class Commands(NamedTuple):
    """The process that is copied.

    Attributes:
        of_commands: the names of the modules that the commands import.
        of_server: these and the modules that a server imports in front of Reflex.
        jobs: the pipe that takes the command lines.
        codes: the pipe that returns the exit codes.
    """

    of_commands: list[str]
    of_server: list[str]
    jobs: IO[str]
    codes: IO[str]

    def run(self, *arguments: str, environment: dict[str, str], folder: Path) -> Done:
        """Run `python -m otp_app` with *arguments* in *folder*."""
        files = [f"{folder}/stdout", f"{folder}/stderr"]
        job = [arguments, environment, str(folder), *files]
        self.jobs.write(f"{json.dumps(job)}\n")
        self.jobs.flush()
        code = int(self.codes.readline())
        return Done(code, *(Path(file).read_text() for file in files))


@contextmanager
def commands() -> Iterator[Commands]:
    """Yield the process while it runs."""
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        of_commands, of_server = (json.loads(process.stdout.readline()) for _ in range(2))
        yield Commands(of_commands, of_server, process.stdin, process.stdout)
