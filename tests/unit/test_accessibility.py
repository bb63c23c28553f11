"""The list of what the pages are held to says what is so."""

from __future__ import annotations

import pytest

from tests.unit.rows import Rows, expected_ids, is_a_test

TABLE = Rows.of("accessibility.md")
SECTIONS = {"A": 29, "B": 21, "C": 40, "D": 9}


def test_every_row_is_there_once() -> None:
    assert TABLE.ids == expected_ids(SECTIONS)


@pytest.mark.parametrize(("file", "test"), TABLE.named)
def test_every_test_that_is_named_exists(file: str, test: str) -> None:
    assert is_a_test(file, test)


@pytest.mark.parametrize("row", TABLE.rows, ids=TABLE.ids)
def test_what_no_test_covers_is_measured_or_says_why(row: tuple[str, str, str]) -> None:
    _, tests, note = row

    assert "::" in tests or note.strip().startswith(("`make ", "not covered: "))
