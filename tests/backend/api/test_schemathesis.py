"""schemathesis attacks the API by its OpenAPI document: all checks, and all links of a resource.

https://schemathesis.readthedocs.io/
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.backend.api.serving import served
from tests.conftest import API_KEYS

BIN = Path(sys.executable).parent
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int:
    """Return the number of examples for each operation and phase."""
    return 50 if request.config.getoption("nightly") else 5


def attack(port: int, folder: Path, examples: int) -> subprocess.CompletedProcess[str]:
    """Run schemathesis with all checks, and with the key of a program."""
    options = ("--checks", "all", "--max-examples", str(examples), "--generation-deterministic")
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
    """Return the final statuses of all verifications."""
    with closing(sqlite3.connect(folder / "otp.db")) as connection:
        return {status for (status,) in connection.execute("SELECT status FROM verifications")}


def test_the_api_keeps_what_its_document_promises(
    tmp_path: Path, free_port: int, examples: int
) -> None:
    with served(tmp_path, free_port):
        run = attack(free_port, tmp_path, examples)

    assert run.returncode == 0, run.stdout + run.stderr
    assert all(
        f"✅ {phase}" in run.stdout for phase in ("Examples", "Coverage", "Fuzzing", "Stateful")
    )
    assert {"pending", "approved", "canceled"} <= ends(tmp_path)
    assert "Traceback" not in (tmp_path / "server.log").read_text()
