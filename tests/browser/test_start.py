"""The output of a start with settings that cannot be used."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.browser.server import BIN, BUILD_AND_RUN, ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"APP_ENV": "production"}, "OTP_PROVIDER"),
        ({"PORT": "abc"}, "PORT"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_and_ends_the_start(
    settings: dict[str, str], named: str, tmp_path: Path
) -> None:
    result = subprocess.run(
        [str(BIN / BUILD_AND_RUN[0]), *BUILD_AND_RUN[1:]],
        cwd=ROOT,
        env=environment(settings, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )

    assert result.returncode != 0
    assert named in result.stdout
    assert "Traceback" not in result.stdout
