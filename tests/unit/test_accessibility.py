"""The list of what the pages are held to says what is so."""

from __future__ import annotations

import re

import pytest

from tests.browser.server import ROOT

TABLE = (ROOT / "docs" / "accessibility.md").read_text()
ROWS = re.findall(r"^\| ([A-D]\d+) \|[^|]*\|([^|]*)\|([^|]*)\|$", TABLE, re.MULTILINE)
SECTIONS = {"A": 29, "B": 21, "C": 40, "D": 9}
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", TABLE)))


def test_every_row_is_there_once() -> None:
    expected = [f"{letter}{n}" for letter, size in SECTIONS.items() for n in range(1, size + 1)]

    assert [id_ for id_, _, _ in ROWS] == expected


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_is_named_exists(file: str, test: str) -> None:
    source = (ROOT / "tests" / file).read_text()

    assert re.search(rf"^(async )?def {test}\(", source, re.MULTILINE)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_what_no_test_covers_is_measured_or_says_why(row: tuple[str, str, str]) -> None:
    _, tests, note = row

    assert "::" in tests or note.strip().startswith(("`make ", "not covered: "))
