"""H: weak settings and exposed endpoints in a deployment."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.attacks.conftest import settings
from tests.browser.server import BIN, BUILD_AND_RUN, ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.attacks.world import World

WEAK = {
    "APP_ENV": "production",
    "OTP_PROVIDER": "console",
    "SECRET_KEY": "canary",
    "PUBLIC_URL": "http://canary.example",
    "ALLOWED_COUNTRIES": "",
    "REFLEX_CORS_ALLOWED_ORIGINS": "*",
}


CANARY = "http://canary.example"


def test_production_does_not_start_with_what_is_weak(tmp_path: Path) -> None:
    """H4: the error names the settings, never their values."""
    strong = {**WEAK, "SECRET_KEY": "canary-" * 8}
    for weak, named in (
        (WEAK, {"SECRET_KEY"}),
        (strong, {"OTP_PROVIDER", "PUBLIC_URL", "ALLOWED_COUNTRIES"}),
        (
            {
                **settings("http://canary.example", "http://canary.example"),
                **strong,
                "OTP_PROVIDER": "twilio",
            },
            {"TWILIO_BASE_URL"},
        ),
    ):
        result = subprocess.run(
            [str(BIN / BUILD_AND_RUN[0]), *BUILD_AND_RUN[1:]],
            cwd=ROOT,
            env=environment(weak, tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode != 0
        assert all(name in result.stdout for name in named)
        assert "canary" not in result.stdout
        assert "Traceback" not in result.stdout


def test_health_says_only_that_it_is_up(world: World) -> None:
    """H7."""
    answers = [world.client_without_cookie().get(path).text for path in ("/ping", "/_health")]

    assert answers == ['"pong"', '{"status":true}']
