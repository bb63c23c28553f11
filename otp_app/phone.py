"""Phone numbers: any form a person writes in, E.164 out.

`phonenumbers`, the Python port of Google's libphonenumber, decides. https://github.com/daviddrysdale/python-phonenumbers
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, ValidationResult

from otp_app.errors import InvalidPhoneNumber, PhoneProblem

MAX_TEXT = (
    64  # characters; the longest number with brackets, spaces and invisible marks is half of it
)
_ALLOWED = re.compile(r"\+?[0-9 ()\[\]./-]+")
_SEPARATORS = {"Pd": "-", "Zs": " "}  # every dash and space of Unicode
_EXTENSION = re.compile(r"(?:;ext=|ext\.?|x|#)\s*[0-9]{1,7}$", re.IGNORECASE)
SATELLITE_AND_GLOBAL = "001"  # the region of numbers that belong to no country
_INTERNATIONAL_PREFIX = "00"


class Kind(StrEnum):
    """What a number is good for."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    OTHER = "other"


_KINDS = {
    PhoneNumberType.MOBILE: Kind.MOBILE,
    # In North America the two cannot be told apart by the number.
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE: Kind.LANDLINE,
}


@dataclass(frozen=True)
class PhoneNumber:
    """A valid number in E.164, such as `+14155552671`. Its `repr` shows the last digits only."""

    e164: str

    def __repr__(self) -> str:
        return f"PhoneNumber(…{self.ending})"

    @classmethod
    def parse(cls, text: str, region: str = "") -> PhoneNumber:
        """Read *text* as typed, in any script and with any separators.

        A `+` or `00` in front overrides *region*, an ISO 3166-1 code such as `GB`.

        Raises:
            InvalidPhoneNumber: with the problem and the region it was judged by.
        """
        number = _parse(_clean(text), region.upper())
        if number.extension:
            raise InvalidPhoneNumber(PhoneProblem.EXTENSION)
        _require_valid(number)
        return cls(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    @property
    def region(self) -> str:
        """The ISO 3166-1 code of its country, by the whole number; `001` where it has none."""
        return (
            phonenumbers.region_code_for_number(phonenumbers.parse(self.e164))
            or SATELLITE_AND_GLOBAL
        )

    @property
    def kind(self) -> Kind:
        """What it is good for."""
        if self.region == SATELLITE_AND_GLOBAL:
            return Kind.OTHER
        return _KINDS.get(phonenumbers.number_type(phonenumbers.parse(self.e164)), Kind.OTHER)

    @property
    def written(self) -> str:
        """As it is written for people of any country, such as `+1 415-555-2671`."""
        return phonenumbers.format_number(
            phonenumbers.parse(self.e164), phonenumbers.PhoneNumberFormat.INTERNATIONAL
        )

    @property
    def ending(self) -> str:
        """The last three digits, all that is shown once the number is known."""
        return self.e164[-3:]

    @property
    def digits(self) -> str:
        """E.164 without its `+`."""
        return self.e164[1:]


def named_country(text: str, region: str = "") -> str:
    """The ISO 3166-1 code of the country that the `+` or `00` in front of *text* names.

    Of the countries with one calling code it is *region*, where the number is in none of them.
    Empty if *text* names none.
    """
    try:
        plain = _clean(text)
        number = _parse(plain, region.upper())
    except InvalidPhoneNumber:
        return ""
    if not plain.startswith(("+", _INTERNATIONAL_PREFIX)):
        return ""
    code = number.country_code or 0
    likely = (
        region if dial_code(region) == code else phonenumbers.region_code_for_country_code(code)
    )
    return phonenumbers.region_code_for_number(number) or likely


def dial_code(region: str) -> int:
    """The country calling code of *region*, 0 when there is none."""
    return phonenumbers.country_code_for_region(region)


def regions() -> frozenset[str]:
    """Every ISO 3166-1 code that has phone numbers."""
    return frozenset(phonenumbers.SUPPORTED_REGIONS)


def in_ascii_digits(text: str) -> str:
    """*text* with the digits of any script as ASCII, and without invisible marks.

    Zero-width and bidirectional marks come along with what is copied.
    """
    return "".join(_ascii(char) for char in text if unicodedata.category(char) != "Cf")


def _ascii(char: str) -> str:
    return str(unicodedata.decimal(char)) if unicodedata.category(char) == "Nd" else char


def _separator(char: str) -> str:
    return _SEPARATORS.get(unicodedata.category(char), char)


def _clean(text: str) -> str:
    """*text* in ASCII digits and separators, invisible marks and `tel:` removed."""
    if len(text) > MAX_TEXT:
        raise InvalidPhoneNumber(PhoneProblem.NOT_DIGITS)
    compact = unicodedata.normalize("NFKC", text)
    plain = "".join(map(_separator, in_ascii_digits(compact))).strip()
    plain = re.sub(r"^tel:\s*", "", plain, flags=re.IGNORECASE)
    if not plain:
        raise InvalidPhoneNumber(PhoneProblem.MISSING)
    if _EXTENSION.search(plain):
        raise InvalidPhoneNumber(PhoneProblem.EXTENSION)
    if not _ALLOWED.fullmatch(plain) or not any(map(str.isdigit, plain)):
        raise InvalidPhoneNumber(PhoneProblem.NOT_DIGITS)
    return plain


def _parse(text: str, region: str) -> phonenumbers.PhoneNumber:
    known = region if region in phonenumbers.SUPPORTED_REGIONS else None
    number = _try_parse(text, known)
    if text.startswith(_INTERNATIONAL_PREFIX) and not phonenumbers.is_valid_number(number):
        return _try_parse("+" + text.removeprefix(_INTERNATIONAL_PREFIX), known)
    return number


def _try_parse(text: str, region: str | None) -> phonenumbers.PhoneNumber:
    if region is None and text.startswith(_INTERNATIONAL_PREFIX):
        text = "+" + text.removeprefix(_INTERNATIONAL_PREFIX)
    try:
        return phonenumbers.parse(text, region)
    except NumberParseException as exc:
        raise _unparsed(exc, text, region) from exc


def _unparsed(exc: NumberParseException, text: str, region: str | None) -> InvalidPhoneNumber:
    country = region or ""
    match exc.error_type:
        case NumberParseException.INVALID_COUNTRY_CODE if text.startswith("+"):
            return InvalidPhoneNumber(PhoneProblem.COUNTRY_CODE_UNKNOWN, prefix=text[:4])
        case NumberParseException.INVALID_COUNTRY_CODE:
            return InvalidPhoneNumber(PhoneProblem.COUNTRY_MISSING)
        case NumberParseException.TOO_LONG:
            return InvalidPhoneNumber(PhoneProblem.TOO_LONG, region=country)
        case _:
            return InvalidPhoneNumber(PhoneProblem.TOO_SHORT, region=country)


def _require_valid(number: phonenumbers.PhoneNumber) -> None:
    if phonenumbers.is_valid_number(number):
        return
    region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    # Judged as a mobile number, which is what is asked for: a digit lost in it is "too short".
    match phonenumbers.is_possible_number_for_type_with_reason(number, PhoneNumberType.MOBILE):
        case ValidationResult.TOO_SHORT | ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            problem = PhoneProblem.TOO_SHORT
        case ValidationResult.TOO_LONG:
            problem = PhoneProblem.TOO_LONG
        case _:
            problem = PhoneProblem.NOT_IN_COUNTRY
    raise InvalidPhoneNumber(problem, region=region)
