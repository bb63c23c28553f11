"""schemathesis attacks the API by its OpenAPI document: all checks, and all links of a resource.

https://schemathesis.readthedocs.io/
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import API_KEYS

if TYPE_CHECKING:
    from tests.backend.api.serving import Server

BIN = Path(sys.executable).parent
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def examples(request: pytest.FixtureRequest) -> int:
    """Return the number of examples for each operation and phase."""
    return 50 if request.config.getoption("nightly") else 5


def attack(url: str, folder: Path, examples: int) -> subprocess.CompletedProcess[str]:
    """Run schemathesis with all checks, and with the key of a program."""
    options = ("--checks", "all", "--max-examples", str(examples), "--generation-deterministic")
    return subprocess.run(
        [
            *(str(BIN / "schemathesis"), "--config-file", str(CONFIG), "run", *options),
            *("--header", f"Authorization: Bearer {API_KEYS['shop']}", "--no-color"),
            *("--warnings", "off", f"{url}/api/openapi.json"),
        ],
        env=os.environ
        | {"SCHEMATHESIS_HOOKS": "tests.backend.api.hooks", "PYTHONPATH": str(Path.cwd())},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def statuses(server: Server) -> Counter[str]:
    """Return the number of verifications with each status."""
    query = "SELECT status, count(*) FROM verifications GROUP BY status"
    with closing(sqlite3.connect(server.folder / "otp.db")) as connection:
        return Counter(dict(connection.execute(query).fetchall()))


def test_the_api_keeps_what_its_document_promises(
    server: Server, tmp_path: Path, examples: int
) -> None:
    before = statuses(server)

    run = attack(server.url, tmp_path, examples)

    assert run.returncode == 0, run.stdout + run.stderr
    assert all(
        f"✅ {phase}" in run.stdout for phase in ("Examples", "Coverage", "Fuzzing", "Stateful")
    )
    assert {"pending", "approved", "canceled"} <= set(statuses(server) - before)
    assert "Traceback" not in (server.folder / "server.log").read_text()
