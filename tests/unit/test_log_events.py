"""Every log event is in the table of docs/operating.md, with its level."""

from __future__ import annotations

import ast
import re

from tests.browser.server import ROOT

LEVELS = {"debug", "info", "warning", "error", "critical"}
CHOSEN = {  # these calls choose the level or the name at run time
    "provider.error_returned": {"error", "warning"},
    "verification.checked": {"info"},
    "verification.send_failed": {"info"},
    "verification.send_unconfirmed": {"info"},
    "verification.sent": {"info"},
}


def logged() -> dict[str, set[str]]:
    """The levels of each event that the app logs under a fixed name."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "otp_app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level),
                    args=[ast.Constant(value=str() as event), *_],
                ) if level in LEVELS:
                    found.setdefault(event, set()).add(level)
    return found


def documented() -> dict[str, set[str]]:
    """The levels of each event in the table."""
    text = (ROOT / "docs" / "operating.md").read_text()
    table = text.partition("## Log events")[2]
    rows = re.findall(r"^\| (`.*?`) \| ([^|]*) \|", table, re.MULTILINE)
    return {
        event: LEVELS & set(re.findall(r"\w+", levels))
        for events, levels in rows
        for event in re.findall(r"`([\w.]+)`", events)
    }


def test_the_operators_table_has_every_log_event_and_its_level() -> None:
    table = documented()

    for event, levels in (logged() | CHOSEN).items():
        assert levels <= table.get(event, set()), event
    assert set(table) == set(logged()) | set(CHOSEN)
