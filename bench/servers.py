"""The servers that `make bench` compares: each runs in a process of its own, on one core."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.load import Target
from otp_app.verification.limits import POLICY, Action, Scope
from tests.browser.providers import SECRET_KEY
from tests.browser.server import BIN, environment
from tests.emulator import (
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_SERVICE_SID,
    VONAGE_API_KEY,
    VONAGE_API_SECRET,
)
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE = Path(__file__).parent
PEERS = HERE / "peers"
START = 60.0  # seconds

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES, LOAD_CORES = {_CORES[0]}, set(_CORES[1:]) or {_CORES[0]}
"""The core of the servers, and the cores of this process with the load and the vendors."""

_TICKS = os.sysconf("SC_CLK_TCK")
_SHARED = (Scope.COUNTRY, Scope.GLOBAL)  # the scopes that all people of a run have in common
WIDE = 10**9  # amount of their limits; all other limits are those of development


class System(NamedTuple):
    """A server to be measured. *settings* are added to the environment of its process."""

    name: str
    command: tuple[str, ...]
    settings: Mapping[str, str]
    request_path: str = "/api/otp/request"
    check_path: str = "/api/otp/verify"


class Server:
    """A running `System`."""

    def __init__(self, system: System, folder: Path) -> None:
        self.name = system.name
        self._port = free_port()
        self.target = Target(self._port, system.request_path, system.check_path)
        self.log = folder / f"{system.name}.log"
        ports = dict.fromkeys(("PORT", "GRANIAN_PORT"), str(self._port))
        with self.log.open("wb") as log, _on(SERVER_CORES):
            self._process = subprocess.Popen(
                system.command,
                env=environment({**system.settings, **ports}, folder),
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # a new session would be a group of its own for the scheduler
            )

    async def wait(self) -> None:
        """Wait until the server responds.

        Raises:
            RuntimeError: the server has ended, or does not respond in time.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + START
        while not await asyncio.to_thread(self._responds):
            if self._process.poll() is not None or loop.time() > give_up:
                raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()}")
            await asyncio.sleep(0.1)

    def _responds(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/health")
            connection.getresponse()
        except OSError:
            return False
        finally:
            connection.close()
        return True

    @property
    def cpu(self) -> float:
        """Processor time of the server's processes so far, in seconds."""
        return sum(cpu_of_groups().get(self._process.pid, {}).values())

    @property
    def resident(self) -> int:
        """Memory in bytes of the largest process of the server, which is the one that serves."""
        members = cpu_of_groups().get(self._process.pid, {})
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in members)
        return max(pages) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """End the server's processes."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                return


def cpu_of_groups() -> dict[int, dict[int, float]]:
    """Return the processor time of each process in seconds, by process group and process id."""
    found: dict[int, dict[int, float]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # the process has ended
            continue
        ticks = int(fields[11]) + int(fields[12])  # utime and stime, see man 5 proc
        found.setdefault(int(fields[2]), {})[int(path.parent.name)] = ticks / _TICKS
    return found


def busy_seconds() -> float:
    """Return the processor time of all programs of the machine since its start."""
    user, nice, system, _idle, _waiting, *rest = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, *rest))) / _TICKS


@contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    """Start processes on *cores*: a process has the cores of its parent."""
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, LOAD_CORES)


def javascript() -> str:
    """Return the path of the program that runs the peers: the system's Node, else our bun."""
    return shutil.which("node") or str(BIN / "bun")


def fastify(vendor: str) -> System:
    """Return the server of the Twilio guide, with Twilio at the URL *vendor*."""
    return System(
        "fastify", (javascript(), str(PEERS / "fastify/server.mjs")), _twilio_settings(vendor)
    )


def express(vendor: str) -> System:
    """Return the server of the Vonage guide, with Vonage at the URL *vendor*."""
    settings = {
        "VONAGE_API_KEY": VONAGE_API_KEY,
        "VONAGE_API_SECRET": VONAGE_API_SECRET,
        "VONAGE_BASE_URL": vendor,
        "VONAGE_BRAND_NAME": "Acme",
    }
    command = (javascript(), str(PEERS / "express/server.mjs"))
    paths = ("/api/request-verification", "/api/check-verification")
    return System("express", command, settings, *paths)


def ours(name: str, vendor: str, database: str, **settings: str) -> System:
    """Return this app without its pages, with Twilio at the URL *vendor*."""
    wide = {
        limit.name: f"{WIDE}/{limit.window.total_seconds():.0f} seconds"
        for limit in POLICY
        if limit.scope in _SHARED and limit.action is not Action.PAUSE
    }
    command = (str(BIN / "granian"), "--interface", "asgi", "--factory", "bench.app:app")
    own = {
        "DATABASE_URL": database,
        "OTP_PROVIDER": "twilio",
        "SECRET_KEY": SECRET_KEY,
        "TRUSTED_PROXY_HOPS": "1",
        "GRANIAN_HOST": "127.0.0.1",
        "__REFLEX_SKIP_COMPILE": "true",
        "REFLEX_ENV_MODE": "prod",
    }
    return System(name, command, own | wide | _twilio_settings(vendor) | settings)


def _twilio_settings(vendor: str) -> dict[str, str]:
    return {
        "TWILIO_ACCOUNT_SID": TWILIO_ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": TWILIO_AUTH_TOKEN,
        "TWILIO_VERIFY_SERVICE_SID": TWILIO_SERVICE_SID,
        "TWILIO_BASE_URL": vendor,
    }
