"""The list of attacks says what is so."""

from __future__ import annotations

from tests.unit.rows import Rows, expected_ids, is_a_test

TABLE = Rows.of("threats.md")
SECTIONS = {"A": 13, "B": 13, "C": 14, "D": 13, "E": 11, "F": 5, "G": 6, "H": 7, "S": 14}


def test_every_attack_is_there_once() -> None:
    assert TABLE.ids == expected_ids(SECTIONS)


def test_every_test_that_is_named_exists() -> None:
    assert TABLE.named
    assert [f"{file}::{test}" for file, test in TABLE.named if not is_a_test(file, test)] == []


def test_what_no_test_covers_says_why() -> None:
    assert TABLE.without_a_test_or("not covered: ") == []
