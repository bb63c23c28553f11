"""Marks sentences for translation. `babel.cfg` extracts the arguments of these functions."""

from __future__ import annotations


def _(text: str) -> str:
    """Return *text*, unchanged, and mark it for translation."""
    return text


def plural(one: str, many: str) -> tuple[str, str]:
    """Return both forms, and mark them for translation. The first placeholder is the number."""
    return one, many
