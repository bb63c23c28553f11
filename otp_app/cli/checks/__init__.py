"""The findings of the doctor: one line for each check."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """The result of one check and the fix for it. No field holds a secret or a phone number."""

    severity: Severity
    check: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f". Fix: {self.fix}" if self.fix else ""
        return f"{self.severity:<4}  {self.check:<18}  {self.what}{fix}"


def ok(check: str, what: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(Severity.OK, check, what)


def warn(check: str, what: str, fix: str) -> Finding:
    """Return a finding about a problem with which the app still works safely."""
    return Finding(Severity.WARN, check, what, fix)


def fail(check: str, what: str, fix: str) -> Finding:
    """Return a finding about a problem with which the app does not work or is not safe."""
    return Finding(Severity.FAIL, check, what, fix)


def unsafe(check: str, what: str, fix: str, *, production: bool) -> Finding:
    """Return a finding about a problem that fails in production and warns in development."""
    return (fail if production else warn)(check, what, fix)
