"""`.ci/prose.py`: the sentences and names that `make lint` refuses."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.server import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def prose() -> Any:  # noqa: ANN401 - a module that is in no package
    spec = importlib.util.spec_from_file_location("prose", ROOT / ".ci" / "prose.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prose"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", '"""What an attacker gets."""'),
        ("a.py", '"""Its caller waits."""'),
        ("a.py", "# Who asks too early waits.\n"),
        ("a.py", '"""A limit.\n\nOf several callers one wins.\n"""'),
        ("a.py", "strangers = 1\n"),
        ("a.md", "A line. What it sends\nis lost.\n"),
        ("a.md", "| a | Who waits |\n"),
        ("a.md", "- Whose turn it is.\n"),
    ],
)
def test_a_riddle_is_refused(prose: Any, tmp_path: Path, name: str, text: str) -> None:  # noqa: ANN401
    path = tmp_path / name
    path.write_text(text)

    assert len(list(prose.check(path))) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", '"""A limit. It counts messages."""'),
        ("a.py", 'TEXT = "What is it"\n'),
        ("a.md", "# What you need\n"),
        ("a.md", "What is a flow?\n"),
        ("a.md", "```\nWhat the code prints\n```\n"),
    ],
)
def test_plain_english_passes(prose: Any, tmp_path: Path, name: str, text: str) -> None:  # noqa: ANN401
    path = tmp_path / name
    path.write_text(text)

    assert list(prose.check(path)) == []
