"""Numbers in any form people write."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import phonenumbers
import pytest
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from otp_app.errors import InvalidPhoneNumber, PhoneProblem
from otp_app.phone import (
    KINDS,
    SATELLITE_AND_GLOBAL,
    Kind,
    PhoneNumber,
    dial_code,
    named_country,
    regions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

E164 = "+447400123456"  # the library's example of a British mobile number


@pytest.mark.parametrize(
    "text",
    [
        "07400 123456",
        "(07400) 123-456",
        "07400.123.456",
        "+44 7400 123456",
        "0044 7400 123456",
        "tel:+44-7400-123456",
        "+44 (0)7400 123456",
        "٠٧٤٠٠١٢٣٤٥٦",
        "０７４００１２３４５６",
        "07400\u00a0123\u2011456",
        "\u202a+44\u200b7400\u2060123456\u202c",
        "07400/123456",
        "[07400] 123456",
    ],
)
def test_any_way_of_writing_gives_the_same_number(text: str) -> None:
    assert PhoneNumber.parse(text, "GB").e164 == E164


@pytest.mark.parametrize("text", ["+447400123456", "00447400123456", "0044 7400 123456"])
@pytest.mark.parametrize("region", ["US", "JP", "", "XX", "gb"])
def test_an_international_prefix_overrides_the_country(text: str, region: str) -> None:
    assert PhoneNumber.parse(text, region).e164 == E164


@pytest.mark.row("B6")
@pytest.mark.parametrize(
    ("text", "region", "country"),
    [
        ("+44 7400 123456", "US", "GB"),
        ("0044 7400 123456", "US", "GB"),
        ("\uff0b\u0664\u0664 7400", "US", "GB"),  # not whole, in other scripts
        ("+1 604 555 0123", "US", "CA"),
        ("+1 604", "CA", "CA"),  # not whole: of the countries of +1 that which was chosen
        ("+1 604", "GB", "US"),
        ("07400 123456", "GB", ""),
        ("07400 123456", "", ""),
        ("604 555 0123", "US", ""),  # Canadian, but nothing says that it was meant to be
        ("+999 123456", "US", ""),
        ("+", "US", ""),
        ("", "", ""),
    ],
)
def test_a_plus_names_the_country(text: str, region: str, country: str) -> None:
    assert named_country(text, region) == country


@pytest.mark.parametrize(
    ("text", "region", "problem"),
    [
        ("", "GB", PhoneProblem.MISSING),
        (" \u200b ", "GB", PhoneProblem.MISSING),
        ("hello", "GB", PhoneProblem.NOT_DIGITS),
        ("07400 12345O", "GB", PhoneProblem.NOT_DIGITS),
        ("+44;7400123456", "GB", PhoneProblem.NOT_DIGITS),
        ("1-800-FLOWERS", "US", PhoneProblem.NOT_DIGITS),
        ("07400123456\x00", "GB", PhoneProblem.NOT_DIGITS),
        ("07400123456\r\nX: y", "GB", PhoneProblem.NOT_DIGITS),
        ("()-", "GB", PhoneProblem.NOT_DIGITS),
        ("0" * 65, "GB", PhoneProblem.NOT_DIGITS),
        ("²³", "GB", PhoneProblem.TOO_SHORT),
        ("0740", "GB", PhoneProblem.TOO_SHORT),
        ("0740012345", "GB", PhoneProblem.TOO_SHORT),  # one digit lost
        ("7", "GB", PhoneProblem.TOO_SHORT),
        ("+44", "GB", PhoneProblem.TOO_SHORT),
        ("074001234567", "GB", PhoneProblem.TOO_LONG),
        ("0740012345678901234", "GB", PhoneProblem.TOO_LONG),
        ("07700 900982", "GB", PhoneProblem.NOT_IN_COUNTRY),  # Ofcom's numbers for fiction
        ("07400123456", "", PhoneProblem.COUNTRY_MISSING),
        ("07400123456", "XX", PhoneProblem.COUNTRY_MISSING),
        ("+999 123456", "GB", PhoneProblem.COUNTRY_CODE_UNKNOWN),
        ("07400123456 ext 12", "GB", PhoneProblem.EXTENSION),
        ("07400123456x12", "GB", PhoneProblem.EXTENSION),
        ("tel:+447400123456;ext=3", "GB", PhoneProblem.EXTENSION),
    ],
)
def test_what_is_wrong_is_named(text: str, region: str, problem: PhoneProblem) -> None:
    with pytest.raises(InvalidPhoneNumber) as caught:
        PhoneNumber.parse(text, region)

    assert caught.value.problem is problem


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+447400123456", Kind.MOBILE),
        ("+12015550123", Kind.MOBILE),  # North America: cannot be told from a landline
        ("+442079460958", Kind.LANDLINE),
        ("+19002345678", Kind.OTHER),  # premium rate
        ("+449098790879", Kind.OTHER),
        ("+18002345678", Kind.OTHER),  # toll-free
        ("+881612345678", Kind.OTHER),  # satellite
        ("+445612345678", Kind.OTHER),  # VoIP
    ],
)
def test_the_kind_says_what_a_number_is_good_for(number: str, kind: Kind) -> None:
    assert PhoneNumber.parse(number).kind is kind


def test_the_region_is_that_of_the_whole_number() -> None:
    assert PhoneNumber.parse("+12642351234").region == "AI"  # Anguilla shares +1


def test_the_calling_codes_are_those_of_the_library() -> None:
    for region in (*regions(), SATELLITE_AND_GLOBAL, "XX", "gb", ""):
        assert dial_code(region) == phonenumbers.country_code_for_region(region), region


def test_a_number_is_written_for_people_of_any_country() -> None:
    assert PhoneNumber.parse("07400123456", "GB").written == "+44 7400 123456"


def test_a_number_does_not_print_itself() -> None:
    phone = PhoneNumber.parse(E164)

    assert E164[1:-3] not in f"{phone!r} {phone}"
    assert phone.ending == "456"


def test_a_plain_number_is_read_as_the_library_reads_it() -> None:
    for text in plain_numbers(Random(12)):
        assert read(text) == read_by_library(text), text


def plain_numbers(random: Random) -> Iterator[str]:
    """Yield examples of all kinds and regions, with other digits at the end, or a 0 in front."""
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in (*PhoneNumberType.values(), PhoneNumberType.MOBILE):
            if example := phonenumbers.example_number_for_type(region, kind):
                code = example.country_code
                national = phonenumbers.national_significant_number(example)
                yield f"+{code}{national}"
                kept = random.randrange(len(national))
                yield f"+{code}{national[:kept]}{random.randrange(10 ** (len(national) - kept))}"
                yield f"+{code}{random.randrange(10)}{national}"
    for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        if example := phonenumbers.example_number_for_non_geo_entity(code):
            yield phonenumbers.format_number(example, PhoneNumberFormat.E164)


def read(text: str) -> tuple[str, str, Kind] | None:
    try:
        phone = PhoneNumber.parse(text)
    except InvalidPhoneNumber:
        return None
    stored = PhoneNumber(phone.e164)
    assert (stored.region, stored.kind) == (phone.region, phone.kind)
    return phone.e164, phone.region, phone.kind


def read_by_library(text: str) -> tuple[str, str, Kind] | None:
    try:
        number = phonenumbers.parse(text)
    except NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    region = phonenumbers.region_code_for_number(number) or ""
    kind = KINDS.get(phonenumbers.number_type(number), Kind.OTHER)
    return e164, region, Kind.OTHER if region == SATELLITE_AND_GLOBAL else kind
