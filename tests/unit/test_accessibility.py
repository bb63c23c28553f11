"""The list of what the pages are held to says what is so."""

from __future__ import annotations

from tests.unit.rows import Rows, expected_ids, is_a_test

TABLE = Rows.of("accessibility.md")
SECTIONS = {"A": 29, "B": 21, "C": 40, "D": 9}


def test_every_row_is_there_once() -> None:
    assert TABLE.ids == expected_ids(SECTIONS)


def test_every_test_that_is_named_exists() -> None:
    assert TABLE.named
    assert [f"{file}::{test}" for file, test in TABLE.named if not is_a_test(file, test)] == []


def test_what_no_test_covers_is_measured_or_says_why() -> None:
    assert TABLE.without_a_test_or("`make ", "not covered: ") == []
