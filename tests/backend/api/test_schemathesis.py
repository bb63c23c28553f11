"""schemathesis attacks the API by its own document: every check, and every link of a new resource.

https://schemathesis.readthedocs.io/
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import API_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
CONFIG = Path(__file__).with_name("schemathesis.toml")
START = 60.0  # seconds
EXAMPLES = "20"  # of each operation and phase; with them it takes half a minute


@contextmanager
def served(folder: Path, port: int) -> Iterator[None]:
    """The app of `attacked`, in a process of its own."""
    environment = os.environ | {
        "DATABASE_URL": f"sqlite:///{folder}/otp.db",
        "PORT": str(port),
        "PYTHONPATH": os.curdir,
    }
    command = (BIN / "granian", "--interface", "asgi", "--factory", "--host", "127.0.0.1")
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "tests.backend.api.attacked:app"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(port, process)
            yield
        finally:
            process.terminate()
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + START
    while process.poll() is None and time.monotonic() < give_up:
        with closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            try:
                connection.request("GET", "/health")
                connection.getresponse()
            except OSError:
                time.sleep(0.05)
            else:
                return
    raise RuntimeError("The server did not start")


def attack(port: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Everything schemathesis can do, with the key of a program."""
    options = ("--checks", "all", "--max-examples", EXAMPLES, "--generation-deterministic")
    return subprocess.run(
        [
            *(str(BIN / "schemathesis"), "--config-file", str(CONFIG), "run", *options),
            *("--header", f"Authorization: Bearer {API_KEYS['shop']}", "--no-color"),
            *("--warnings", "off", f"http://127.0.0.1:{port}/api/openapi.json"),
        ],
        env=os.environ
        | {"SCHEMATHESIS_HOOKS": "tests.backend.api.hooks", "PYTHONPATH": str(Path.cwd())},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def ends(folder: Path) -> set[str]:
    """What became of the verifications that were begun."""
    with closing(sqlite3.connect(folder / "otp.db")) as connection:
        return {status for (status,) in connection.execute("SELECT status FROM verifications")}


def test_the_api_keeps_what_its_document_promises(tmp_path: Path, free_port: int) -> None:
    with served(tmp_path, free_port):
        run = attack(free_port, tmp_path)

    assert run.returncode == 0, run.stdout + run.stderr
    assert all(
        f"✅ {phase}" in run.stdout for phase in ("Examples", "Coverage", "Fuzzing", "Stateful")
    )
    assert {"pending", "approved", "canceled"} <= ends(tmp_path)
    assert "Traceback" not in (tmp_path / "server.log").read_text()
