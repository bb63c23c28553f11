"""Marks what translators get to see. Does nothing else: it is what `babel.cfg` looks for."""

from __future__ import annotations


def _(text: str) -> str:
    """A sentence."""
    return text


def plural(one: str, many: str) -> tuple[str, str]:
    """A sentence that counts its first `{placeholder}`."""
    return one, many
