"""Phone numbers: parses any form that people write and returns E.164.

The rules come from `phonenumbers`, the Python port of Google's libphonenumber:
https://github.com/daviddrysdale/python-phonenumbers
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType, ValidationResult

from otp_app.errors import InvalidPhoneNumber, PhoneProblem

MAX_TEXT = 64  # characters; twice the longest number with brackets, spaces and invisible marks
_ALLOWED = re.compile(r"\+?[0-9 ()\[\]./-]+")
_SEPARATORS = {"Pd": "-", "Zs": " "}  # Unicode's categories of dashes and spaces
_EXTENSION = re.compile(r"(?:;ext=|ext\.?|x|#)\s*[0-9]{1,7}$", re.IGNORECASE)
SATELLITE_AND_GLOBAL = "001"  # the region of numbers without a country
_INTERNATIONAL_PREFIX = "00"
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")  # ITU-T E.164 section 6.2; shorter ones are rare
_LONGEST_CODE = 3  # digits of a calling code


class Kind(StrEnum):
    """The kind of a phone line, which decides how a code can reach it."""

    MOBILE = "mobile"
    LANDLINE = "landline"
    OTHER = "other"


KINDS = {
    PhoneNumberType.MOBILE: Kind.MOBILE,
    # In North America the number does not show which of the two it is.
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE: Kind.LANDLINE,
}


@dataclass(frozen=True)
class PhoneNumber:
    """A valid number in E.164, such as `+14155552671`. The `repr` has only the last digits."""

    e164: str

    def __repr__(self) -> str:
        return f"PhoneNumber(…{self.ending})"

    @classmethod
    def parse(cls, text: str, region: str = "") -> PhoneNumber:
        """Parse *text* as typed, in the digits of any script and with any separators.

        A `+` or `00` in front overrides *region*, an ISO 3166-1 code such as `GB`.

        Raises:
            InvalidPhoneNumber: the text is not a valid number. The error has the problem and, where
                it matters, the region whose rules the number breaks.
        """
        number = _read_e164(text) or _parse(_clean(text), region.upper())
        if number.extension:
            raise InvalidPhoneNumber(PhoneProblem.EXTENSION)
        kind = phonenumbers.number_type(number)
        if kind == PhoneNumberType.UNKNOWN:  # exactly if `phonenumbers.is_valid_number` is false
            raise _invalid(number)
        phone = cls(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
        region = _region(number)  # set the cached properties, so that nothing parses again
        vars(phone).update(region=region, kind=_kind(region, kind))
        return phone

    @cached_property
    def region(self) -> str:
        """The ISO 3166-1 code of the number's country; `001` if it belongs to none."""
        return _region(_read(self.e164))

    @cached_property
    def kind(self) -> Kind:
        """The kind of the phone line."""
        return _kind(self.region, phonenumbers.number_type(_read(self.e164)))

    @property
    def written(self) -> str:
        """The number in international format, such as `+1 415-555-2671`."""
        return phonenumbers.format_number(
            _read(self.e164), phonenumbers.PhoneNumberFormat.INTERNATIONAL
        )

    @property
    def ending(self) -> str:
        """The last three digits: the only part that is shown after the number was entered."""
        return self.e164[-3:]

    @property
    def digits(self) -> str:
        """The number in E.164 without the `+`."""
        return self.e164[1:]


def named_country(text: str, region: str = "") -> str:
    """Return the ISO 3166-1 code of the country whose calling code is in front of *text*.

    Several countries may share a calling code. If the number itself is in none of them yet, the
    result is *region* if it is one of them, else the main one. The result is empty if *text* does
    not start with `+` or `00`, or cannot be read.
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
    """Return the country calling code of *region*, 0 if there is none.

    The library's own function reads a file of metadata for each region.
    """
    return _codes().get(region, 0)


@cache
def _codes() -> dict[str, int]:
    """Return the calling code of each region."""
    table = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()
    codes = {region: code for code, shared in table for region in shared}
    del codes[SATELLITE_AND_GLOBAL]
    return codes


def regions() -> frozenset[str]:
    """Return the ISO 3166-1 codes of all regions that have phone numbers."""
    return frozenset(phonenumbers.SUPPORTED_REGIONS)


def in_ascii_digits(text: str) -> str:
    """Return *text* with the digits of every script as ASCII digits, and without invisible marks.

    Copied text often has zero-width and bidirectional marks.
    """
    return "".join(_ascii(char) for char in text if unicodedata.category(char) != "Cf")


def _ascii(char: str) -> str:
    return str(unicodedata.decimal(char)) if unicodedata.category(char) == "Nd" else char


def _separator(char: str) -> str:
    return _SEPARATORS.get(unicodedata.category(char), char)


def _clean(text: str) -> str:
    """Return *text* in ASCII digits and separators, without invisible marks and `tel:`.

    Raises:
        InvalidPhoneNumber: the text is missing, too long, has an extension or other characters.
    """
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


def _read(e164: str) -> phonenumbers.PhoneNumber:
    """Return the library's object for a number that `parse` has returned."""
    return _read_e164(e164) or phonenumbers.parse(e164)


def _read_e164(text: str) -> phonenumbers.PhoneNumber | None:
    """Return what `phonenumbers.parse` returns for *text*, without its general parser.

    The result is None if *text* is not plainly E.164: it has separators or an unknown calling code,
    or digits after the code that the library may take for a prefix, such as the 0 in +4407400….
    """
    if not _E164.fullmatch(text):
        return None
    for end in range(2, _LONGEST_CODE + 2):
        code, national = int(text[1:end]), text[end:]
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            if _prefix(code).match(national):
                return None
            return phonenumbers.PhoneNumber(country_code=code, national_number=int(national))
    return None


@cache  # the numbering plan has some 230 calling codes
def _prefix(code: int) -> re.Pattern[str]:
    """Return the pattern of a leading 0, and of the prefixes that the library strips for *code*."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(
        code, phonenumbers.region_code_for_country_code(code)
    )
    prefix = metadata.national_prefix_for_parsing if metadata else ""
    return re.compile(f"0|{prefix}" if prefix else "0")


def _region(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.region_code_for_number(number) or SATELLITE_AND_GLOBAL


def _kind(region: str, kind: int) -> Kind:
    """Return the kind of a number in *region*, given the library's *kind* of it."""
    return Kind.OTHER if region == SATELLITE_AND_GLOBAL else KINDS.get(kind, Kind.OTHER)


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


def _invalid(number: phonenumbers.PhoneNumber) -> InvalidPhoneNumber:
    """Return the error for an invalid *number*."""
    region = phonenumbers.region_code_for_country_code(number.country_code or 0)
    # The length is judged by the rules for mobile numbers, because the page asks for one. A mobile
    # number that lacks a digit is then "too short", even if a landline may have that length.
    match phonenumbers.is_possible_number_for_type_with_reason(number, PhoneNumberType.MOBILE):
        case ValidationResult.TOO_SHORT | ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            problem = PhoneProblem.TOO_SHORT
        case ValidationResult.TOO_LONG:
            problem = PhoneProblem.TOO_LONG
        case _:
            problem = PhoneProblem.NOT_IN_COUNTRY
    return InvalidPhoneNumber(problem, region=region)
