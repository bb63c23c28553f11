"""The output of the benchmarks: Markdown tables, and the machine that they describe."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bench.servers import LOAD_CORES, SERVER_CORES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def head(names: Sequence[str]) -> Iterator[str]:
    """Yield the two lines that begin a table with the columns *names*."""
    yield row(*names)
    yield row(*["---"] * len(names))


def row(*cells: object) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(map(str, cells))} |"


def machine() -> str:
    """Return the date, the processor and the versions."""
    models = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    model = models[0].partition(": ")[2] if models else platform.machine()
    versions = {
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "granian": version("granian"),
        "Reflex": version("reflex"),
    }
    names = ", ".join(f"{name} {release}" for name, release in versions.items())
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} × {model}, {names}."


def cores() -> str:
    """Return the cores of the servers and of the load."""
    return f"The server had core {_list(SERVER_CORES)}, the load core {_list(LOAD_CORES)}."


def write(*lines: str) -> None:
    """Print *lines* at once."""
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _list(cores: set[int]) -> str:
    return ", ".join(map(str, sorted(cores)))
