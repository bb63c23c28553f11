"""A document's table of rows that name their tests."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.browser.server import ROOT


class Rows(NamedTuple):
    """The content of a table of a document.

    Attributes:
        rows: the id, the tests and the note of each.
        named: the tests, as (file, function).
    """

    rows: list[tuple[str, str, str]]
    named: list[tuple[str, str]]

    @classmethod
    def of(cls, document: str) -> Rows:
        """The table of docs/*document*."""
        text = (ROOT / "docs" / document).read_text()
        rows = re.findall(r"^\| ([A-Z]\d+) \|[^|]*\|([^|]*)\|([^|]*)\|$", text, re.MULTILINE)
        return cls(rows, sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", text))))

    @property
    def ids(self) -> list[str]:
        """In the document's order."""
        return [id_ for id_, _, _ in self.rows]

    def without_a_test_or(self, *openings: str) -> list[str]:
        """The ids of rows that name no test and whose note begins with none of *openings*."""
        return [
            id_
            for id_, tests, note in self.rows
            if "::" not in tests and not note.strip().startswith(openings)
        ]


def expected_ids(sections: dict[str, int]) -> list[str]:
    """Return the ids of *sections*, which has the number of rows of each letter."""
    return [f"{letter}{n}" for letter, size in sections.items() for n in range(1, size + 1)]


def is_a_test(file: str, name: str) -> bool:
    """Return True if *file* of tests/ has the function *name*."""
    source = (ROOT / "tests" / file).read_text()
    return bool(re.search(rf"^(async )?def {name}\(", source, re.MULTILINE))
