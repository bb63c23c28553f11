"""Only `otp_app/reflex_compat.py` uses internals of Reflex. Other modules use its public API."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

COMPAT = Path("otp_app/reflex_compat.py")
SOURCES = [*Path("otp_app").rglob("*.py"), Path("rxconfig.py")]

PUBLIC = {
    "App",
    "Component",
    "Config",
    "EventHandler",
    "State",
    "Var",
    "cond",
    "el",
    "event",
    "foreach",
    "fragment",
    "match",
    "plugins",
    "redirect",
    "set_focus",
    "set_value",
    "vars",
}
"""The names of `rx` that the app may use: the documented ones. Add a name that is documented."""


def internals(tree: ast.AST) -> Iterator[str]:
    """Yield the uses of Reflex in *tree* beside `import reflex as rx` and the public names."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (
                    one.name
                    for one in names
                    if one.name.startswith("reflex") and (one.name, one.asname) != ("reflex", "rx")
                )
            case ast.ImportFrom(module=str() as module) if module.startswith("reflex"):
                yield module
            case ast.Attribute(value=ast.Name(id="rx"), attr=name) if name not in PUBLIC:
                yield f"rx.{name}"


@pytest.mark.parametrize("source", sorted({*SOURCES} - {COMPAT}), ids=str)
def test_a_module_uses_the_public_api_of_reflex_only(source: Path) -> None:
    assert list(internals(ast.parse(source.read_text()))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import reflex",
        "import reflex.state",
        "from reflex import State",
        "from reflex.state import State",
        "def f():\n    from reflex_base.registry import RegistrationContext",
        "rx.utils.prerequisites.get_web_dir()",
    ],
)
def test_an_internal_of_reflex_is_found(code: str) -> None:
    assert list(internals(ast.parse(code)))


def test_every_name_of_the_module_is_used() -> None:
    tree = ast.parse(COMPAT.read_text())
    exported = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    used = {
        alias.name
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == "otp_app.reflex_compat"
        for alias in node.names
    }

    assert set(exported) == used
