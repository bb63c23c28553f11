"""The words: every error has its own, and they keep their secrets."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from otp_app import errors, presentation
from otp_app.errors import CodeProblem, OtpError, PhoneProblem, Refusal
from otp_app.i18n import english, languages
from otp_app.i18n.en import CHANNEL_TEXTS, TEXTS
from otp_app.verification.deliveries import DeliveryReport, DeliveryStatus
from otp_app.verification.models import Channel, Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_app.i18n import Language

Params = dict[str, errors.Param]
NOW = datetime(2026, 3, 1, 14, 45, tzinfo=UTC)
LATER = NOW + timedelta(seconds=24)


def concrete(kind: type[OtpError] = OtpError) -> Iterator[type[OtpError]]:
    for child in kind.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from concrete(child)


def every_error() -> Iterator[OtpError]:
    params: Params = {"region": "GB", "prefix": "+999", "length": 6, "count": 4, "ending": "982"}
    params |= {"channels": (Channel.SMS, Channel.VOICE)}
    more: Params = {"until": LATER, "seconds": 7, "sends": 4}
    yield from (errors.InvalidPhoneNumber(p, **params) for p in PhoneProblem)
    yield from (errors.InvalidCode(p, **params) for p in CodeProblem)
    for channels in ((), (Channel.VOICE,)):
        yield from (errors.ProviderRejected(refusal, channels) for refusal in Refusal)
    yield from (errors.CodeMismatch(attempts_left=n, **more) for n in (4, 3, 2, 1))
    special = {
        errors.InvalidPhoneNumber,
        errors.InvalidCode,
        errors.ProviderRejected,
        errors.CodeMismatch,
        errors.FieldsUnusable,
        errors.NumberBusy,
        errors.Overloaded,
        errors.RateLimited,
    }
    yield errors.Overloaded()
    yield from (errors.RateLimited(scope, LATER) for scope in ("number", "network", "other"))
    yield errors.NumberBusy("reference-canary")
    yield errors.FieldsUnusable({"code": "must be a text"})
    yield from (kind(**params, **more) for kind in concrete() if kind not in special)


@pytest.mark.parametrize("language", languages().values(), ids=lambda language: language.tag)
def test_every_error_can_be_said_in_every_language(language: Language) -> None:
    for error in every_error():
        text = presentation.message(error, language=language, now=NOW)

        assert not {"{", "}"} & set(text)
        assert "canary" not in text
        assert language.tag == english().tag or text != presentation.message(error, now=NOW)


@pytest.mark.parametrize("error", list(every_error()), ids=lambda e: e.key)
def test_every_error_has_words_and_a_status(error: OtpError) -> None:
    text = presentation.message(error, now=NOW)

    assert text[0] in string.ascii_uppercase + "+"
    assert not {"{", "}"} & set(text)
    assert not any(word in text.lower() for word in ("please", "sorry", "invalid", "oops"))
    assert "canary" not in text + str(error)
    assert 400 <= error.status < 600


def test_no_words_are_left_over() -> None:
    keys = {error.key for error in every_error()}

    assert set(TEXTS) - keys == {"code_mismatch_few", "code_mismatch_last"}


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in concrete()]

    assert len(codes) == len(set(codes))


def test_guesses_are_counted_down_from_three() -> None:
    texts = [
        presentation.message(errors.CodeMismatch(attempts_left=n, until=LATER))
        for n in (4, 3, 2, 1)
    ]

    assert "try" not in texts[0]
    assert "3 more times" in texts[1]
    assert "2 more times" in texts[2]
    assert "once more" in texts[3]


def test_times_are_the_persons_own() -> None:
    error = errors.AttemptsExhausted(until=NOW)

    amsterdam = presentation.time_zone("Europe/Amsterdam")
    assert "until 3:45" in presentation.message(error, zone=amsterdam, now=NOW)
    assert "until 2:45\u202fPM UTC" in presentation.message(error, now=NOW)


@pytest.mark.row("C26")
@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("Asia/Kolkata", "India Time"),
        ("Europe/Paris", "Central European Time"),
        ("UTC", "Coordinated Universal Time"),
        ("Etc/UTC", "Coordinated Universal Time"),
        ("nowhere", "Coordinated Universal Time"),
    ],
)
def test_a_time_zone_has_the_name_that_people_know(zone: str, name: str) -> None:
    assert presentation.zone_name(NOW, english(), presentation.time_zone(zone)) == name


@pytest.mark.parametrize(
    ("tag", "shown"), [("de", "15:45"), ("ja", "15:45"), ("pl", "15:45"), ("ar", "3:45 م")]
)
def test_times_are_written_as_the_language_does(tag: str, shown: str) -> None:
    error = errors.AttemptsExhausted(until=NOW)
    zone = presentation.time_zone("Europe/Amsterdam")

    text = presentation.message(error, language=languages()[tag], zone=zone, now=NOW)

    assert shown in text.replace("\u202f", " ").replace("\xa0", " ")


@pytest.mark.parametrize("language", languages().values(), ids=lambda language: language.tag)
@pytest.mark.parametrize("channel", Channel)
def test_every_delivery_can_be_told_in_every_language(language: Language, channel: Channel) -> None:
    zone = presentation.time_zone("Europe/Amsterdam")
    other = Channel.VOICE if channel is not Channel.VOICE else Channel.SMS
    told = {
        status: presentation.delivery(
            DeliveryReport("event", "fake", Reference("canary"), channel, status, NOW),
            [channel, other],
            language,
            zone,
        )
        for status in DeliveryStatus
    }

    assert told.pop(DeliveryStatus.ACCEPTED) == ""
    assert "45" in told[DeliveryStatus.DELIVERED]
    assert told[DeliveryStatus.FAILED] == told[DeliveryStatus.UNDELIVERED]
    assert language.t(CHANNEL_TEXTS[other].resend) in told[DeliveryStatus.FAILED]
    assert not {"{", "}"} & set("".join(told.values()))


@pytest.mark.parametrize(
    ("channels", "named"),
    [
        ((Channel.VOICE,), "Choose “Call me”"),
        ((Channel.SMS, Channel.VOICE), "Choose “Text message” or “Call me”"),
        (tuple(Channel), "Choose “Text message”, “Call me”, or “WhatsApp”"),
    ],
)
def test_what_there_is_to_choose_is_named_as_its_buttons_are(
    channels: tuple[Channel, ...], named: str
) -> None:
    assert presentation.message(errors.ChannelNotOffered(channels=channels)) == named


def test_where_there_is_nothing_else_to_choose_nothing_is_offered() -> None:
    for refusal in (Refusal.LANDLINE, Refusal.CHANNEL):
        text = presentation.message(errors.ProviderRejected(refusal))

        assert text == "We cannot send a code to this number. Use a different number"


def test_a_message_that_failed_can_be_sent_the_same_way_where_there_is_no_other() -> None:
    failed = DeliveryReport("e", "fake", Reference("r"), Channel.SMS, DeliveryStatus.FAILED, NOW)

    text = presentation.delivery(failed, [Channel.SMS], english(), UTC)

    assert text.endswith("Choose “Send a new text message”")


def test_another_day_is_named() -> None:
    error = errors.RateLimited("number", until=NOW + timedelta(days=1))

    assert "after March 2, 2026, 2:45" in presentation.message(error, now=NOW)


@pytest.mark.parametrize("name", ["", "Nowhere/City", "../../etc/passwd", "\x00", "A" * 5000, "/"])
def test_an_unknown_time_zone_is_utc(name: str) -> None:
    assert presentation.time_zone(name) is UTC
