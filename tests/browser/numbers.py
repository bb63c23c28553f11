"""Phone numbers for the tests. Each test takes new numbers, so that no two tests share one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AREAS = ("212", "305", "312", "404", "415", "503", "602", "617", "702", "907")


@dataclass(frozen=True)
class Number:
    """A number of the United States, in the ways it is written."""

    national: str

    @property
    def e164(self) -> str:
        return f"+1{self.national}"

    @property
    def typed(self) -> str:
        """The number in the format that people in the United States write."""
        return f"({self.national[:3]}) {self.national[3:6]}-{self.national[6:]}"

    @property
    def ending(self) -> str:
        """The last three digits, which are all that the pages may show of the number."""
        return self.national[-3:]


def new_numbers() -> Iterator[Number]:
    """Every number that the North American plan keeps for fiction, 555-0100 to 555-0199."""
    for area in _AREAS:
        for line in range(100, 200):
            yield Number(f"{area}5550{line}")
