"""`.ci/audit.py`: what counts as audited. `pip-audit` is played, as it needs a network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[2] / ".ci/audit.py"
FINE = {"name": "fine", "version": "1.0", "vulns": []}
WEAK = {"name": "weak", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}
UNKNOWN = {"name": "strange", "skip_reason": "not found on PyPI"}


def audit(folder: Path, program: str) -> tuple[int, str]:
    """The exit code and what is said, with *program* for `pip-audit`."""
    (folder / "pip_audit.py").write_text(f"import sys\n{program}\n")
    run = subprocess.run(
        [sys.executable, AUDIT, "constraints.txt"],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode, run.stderr


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([FINE, FINE], 0, "2 packages audited, 0 vulnerable"),
        ([FINE, WEAK], 1, "weak 1.0: PYSEC-1"),
        ([FINE, UNKNOWN], 1, "PyPI does not know them: strange"),
        ([WEAK, UNKNOWN], 1, "weak 1.0: PYSEC-1"),
        ([UNKNOWN, UNKNOWN], 0, "NOT AUDITED"),
    ],
)
def test_only_what_was_audited_and_found_well_passes_in_silence(
    tmp_path: Path, packages: list[object], code: int, said: str
) -> None:
    answer = json.dumps({"dependencies": packages})

    exit_code, text = audit(tmp_path, f"print({answer!r})")

    assert exit_code == code
    assert said in text


def test_without_a_network_it_says_so_aloud(tmp_path: Path) -> None:
    code, text = audit(tmp_path, "sys.exit('requests.exceptions.ProxyError: HTTPSConnectionPool')")

    assert (code, "NOT AUDITED" in text) == (0, True)


def test_another_failure_is_one(tmp_path: Path) -> None:
    code, text = audit(tmp_path, "sys.exit('invalid requirements input')")

    assert (code, "invalid requirements input" in text) == (1, True)
