"""The list of attacks says what is so."""

from __future__ import annotations

import re

import pytest

from tests.browser.server import ROOT

TABLE = (ROOT / "docs" / "threats.md").read_text()
ROWS = re.findall(r"^\| ([A-H]\d+) \|[^|]*\|([^|]*)\|([^|]*)\|$", TABLE, re.MULTILINE)
SECTIONS = {"A": 13, "B": 13, "C": 14, "D": 13, "E": 10, "F": 5, "G": 6, "H": 7}
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", TABLE)))


def test_every_attack_is_there_once() -> None:
    expected = [f"{letter}{n}" for letter, size in SECTIONS.items() for n in range(1, size + 1)]

    assert [id_ for id_, _, _ in ROWS] == expected


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_is_named_exists(file: str, test: str) -> None:
    source = (ROOT / "tests" / file).read_text()

    assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_no_test_covers_says_why(row: tuple[str, str, str]) -> None:
    _, tests, note = row

    assert "::" in tests or note.strip().startswith("not covered: ")
