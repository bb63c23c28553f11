"""The list of attacks says what is so."""

from __future__ import annotations

import pytest

from tests.unit.rows import Rows, expected_ids, is_a_test

TABLE = Rows.of("threats.md")
SECTIONS = {"A": 13, "B": 13, "C": 14, "D": 13, "E": 10, "F": 5, "G": 6, "H": 7, "S": 14}


def test_every_attack_is_there_once() -> None:
    assert TABLE.ids == expected_ids(SECTIONS)


@pytest.mark.parametrize(("file", "test"), TABLE.named)
def test_every_test_that_is_named_exists(file: str, test: str) -> None:
    assert is_a_test(file, test)


@pytest.mark.parametrize("row", TABLE.rows, ids=TABLE.ids)
def test_what_no_test_covers_says_why(row: tuple[str, str, str]) -> None:
    _, tests, note = row

    assert "::" in tests or note.strip().startswith("not covered: ")
