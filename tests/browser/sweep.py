"""The leak sweep: whether anything secret is where it does not belong."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import phonenumbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.browser.recorder import Text

_SEPARATORS = re.compile(r"[\s().-]")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")  # ends in what may be a code
_CODE = re.compile(r"\d{6,}")
_WORD = re.compile(r"[0-9A-Za-z_-]{8,}")
_ENOUGH = 7  # digits that only a phone number has, characters that only an id has
_DIGITS = re.compile(rf"\d(?:[\s().-]*\d){{{_ENOUGH - 1},}}")  # with separators between them


class Leak(NamedTuple):
    """A secret that was found."""

    secret: str
    where: str
    text: str


@dataclass(frozen=True)
class Secrets:
    """The values that must not leak to any place.

    Attributes:
        phones: numbers, in any spelling.
        codes: those that were sent or typed.
        words: ids and credentials.
    """

    phones: Iterable[str]
    codes: Iterable[str]
    words: Iterable[str]

    def found_in(self, texts: Iterable[Text]) -> list[Leak]:
        """Return one leak for each secret that a text contains."""
        texts = list(texts)
        numbers = {form for phone in self.phones for form in _forms(phone)}
        telling = {part for word in self.words for part in word.split(":") if _is_telling(part)}
        parts = _possible(telling, texts)
        code = _any_of(code for code in self.codes if _CODE.fullmatch(code))
        leaks: dict[Leak, None] = {}
        for where, text in texts:
            plain = _TIMESTAMP.sub("", text)
            digits = " ".join(_SEPARATORS.sub("", run) for run in _DIGITS.findall(plain))
            hits = [part for part in parts if part in text] + code.findall(plain)
            hits += [number for number in numbers if number in digits]
            leaks |= dict.fromkeys(Leak(hit, where, text[:2000]) for hit in hits)
        return list(leaks)


def _possible(parts: Iterable[str], texts: Iterable[Text]) -> list[str]:
    """Return those of *parts* that may be in *texts*: a quick look at the distinct words of all."""
    words = "\n".join({word for _, text in texts for word in _WORD.findall(text)})
    return [part for part in parts if max(_WORD.findall(part), key=len, default="") in words]


def _is_telling(part: str) -> bool:
    """Return True if *part* is long enough for an id, and is no number, such as a time."""
    return len(part) > _ENOUGH and not part.isdecimal()


def _forms(phone: str) -> Iterator[str]:
    """Yield the digits of *phone* with and without its country code.

    A form of fewer digits than `_ENOUGH` is left out, because a time can contain it.
    """
    forms = ["".join(filter(str.isdecimal, phone))]
    with suppress(phonenumbers.NumberParseException):  # what was typed may be anything
        forms.append(str(phonenumbers.parse(phone).national_number))
    yield from (form for form in forms if len(form) >= _ENOUGH)


def _any_of(codes: Iterable[str]) -> re.Pattern[str]:
    """Any of *codes* standing alone: as a part of a hash or an id it is chance."""
    alternatives = "|".join(sorted(set(codes))) or "(?!)"
    return re.compile(rf"(?<![0-9A-Za-z])(?:{alternatives})(?![0-9A-Za-z])")
