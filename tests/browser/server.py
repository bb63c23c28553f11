"""The app as its users run it: processes of its own, an address, and what they print."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from otp_app.config import Settings
from tests.browser.store import Store
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

BUILD_AND_RUN = ("reflex", "run", "--env", "prod")
RUN = ("granian", "--interface", "asgi", "--factory", "otp_app.otp_app:app")
_BUILT = {  # what makes the app serve the pages that are there
    "__REFLEX_SKIP_COMPILE": "true",
    "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
    "REFLEX_ENV_MODE": "prod",
}

START = 180.0  # seconds; the first start of a new machine downloads packages
STOP = 10.0


def copy_app(folder: Path) -> None:
    """Copy the files that the app needs to be built and run into *folder*.

    A test that adds files to the app uses such a copy.
    """
    for name in ("otp_app", "assets", "reflex.lock"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "rxconfig.py", folder)


def environment(settings: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment of this process, with *settings* in place of the developer's own.

    Reflex writes its builds and states into *folder*, not into the developer's `.web`.
    """
    inherited = {name: value for name, value in os.environ.items() if _is_inherited(name)}
    return inherited | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",  # Reflex looks for bun there
        "REFLEX_WEB_WORKDIR": str(folder / "web"),
        "REFLEX_STATES_WORKDIR": str(folder / "states"),
        "REFLEX_TELEMETRY_ENABLED": "false",
        "REFLEX_CHECK_LATEST_VERSION": "false",
        "PYTHON_DOTENV_DISABLED": "1",
        **settings,
    }


def _is_inherited(name: str) -> bool:
    """Return True if the server inherits the variable *name*.

    Settings of the app, and variables of pytest and Reflex except `REFLEX_DIR`, are not inherited,
    because tests that run the app in this process set them.
    """
    if name.lower() in Settings.model_fields or name.startswith("LIMIT_"):
        return False
    return name == "REFLEX_DIR" or not name.lstrip("_").startswith(("PYTEST_", "REFLEX_"))


class Site(NamedTuple):
    """The folder that pages are built in, and the port of this machine that is built into them.

    Servers may share a site and the pages that the first of them builds. One serves at a time, and
    what is built into the pages is the same for all: the brand, the channels, whether the provider
    is the console.
    """

    folder: Path
    port: int

    @classmethod
    def new(cls, folder: Path) -> Site:
        """A site in *folder* at a port of its own."""
        return cls(folder, free_port())

    @property
    def is_built(self) -> bool:
        """True if the pages are built."""
        return (self.folder / "web/build/client/index.html").exists()

    @property
    def url(self) -> str:
        """The address of the app."""
        return f"http://localhost:{self.port}"


class Log:
    """The file that holds the output of the server's processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    @property
    def size(self) -> int:
        """The length of the file in bytes, which is the offset of the next line."""
        return self.path.stat().st_size

    def text(self, since: int = 0) -> str:
        """Return the log from byte *since* on."""
        with self.path.open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")


class Server:
    """One app with its settings, its database and its log."""

    def __init__(
        self, name: str, site: Site, settings: Mapping[str, str], root: Path = ROOT
    ) -> None:
        self.name = name
        self._root = root
        folder = site.folder / name
        folder.mkdir()
        database = folder / "otp.db"
        own = {
            "PORT": str(site.port),
            "DATABASE_URL": f"sqlite:///{database}",
        }
        self.site = site
        self.log = Log(folder / "server.log")
        self.store = Store(database)
        self.known_files: set[str] = set()
        """The URLs of built files whose headers were swept in full."""
        self.log_start = 0
        """The offset in the log at which the running process began."""
        self._environment = environment({**settings, **own}, site.folder)
        self._process: subprocess.Popen[bytes] | None = None

    def setting(self, name: str) -> str:
        """Return the setting *name* of the server, such as BRAND_COLOR."""
        return self._environment[name]

    def start(self) -> None:
        """Build the pages and serve them, as `make run` does, or serve those that are there."""
        if self.site.is_built:
            self.restart()
        else:
            self._run(BUILD_AND_RUN, self._environment)

    def restart(self, **settings: str) -> None:
        """Stop, forget what Reflex kept of its clients, and serve the same pages again.

        With other *settings* from now on.
        """
        self._environment |= settings
        self.stop()
        shutil.rmtree(self.site.folder / "states", ignore_errors=True)  # as `reflex run` does
        address = ("--host", "127.0.0.1", "--port", str(self.site.port))
        self._run((*RUN, *address), self._environment | _BUILT)

    def stop(self) -> None:
        """End the whole process group: SIGTERM first, SIGKILL after at most `STOP` seconds."""
        if self._process is None:
            return
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def _run(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.log_start = self.log.size
        with self.log.path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(BIN / command[0]), *command[1:]],
                cwd=self._root,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_it_answers(self._process)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        give_up = time.monotonic() + START
        while not self._answers():
            if process.poll() is not None or time.monotonic() > give_up:
                self.stop()
                raise RuntimeError(f"The app did not start:\n{self.log.text()}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.site.port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
