"""What the doctor has to say: one line for each thing it looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What a check found, and what to do about it. Holds no secret and no number."""

    verdict: Verdict
    check: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f". Fix: {self.fix}" if self.fix else ""
        return f"{self.verdict:<4}  {self.check:<18}  {self.what}{fix}"


def ok(check: str, what: str) -> Finding:
    """As it should be."""
    return Finding(Verdict.OK, check, what)


def warn(check: str, what: str, fix: str) -> Finding:
    """The app works, and somebody should know."""
    return Finding(Verdict.WARN, check, what, fix)


def fail(check: str, what: str, fix: str) -> Finding:
    """The app does not work, or is not safe."""
    return Finding(Verdict.FAIL, check, what, fix)


def unsafe(check: str, what: str, fix: str, *, production: bool) -> Finding:
    """What development may do and production may not."""
    return (fail if production else warn)(check, what, fix)
