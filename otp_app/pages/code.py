"""The code page: the code, or another way to get one."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import reflex as rx

from otp_app import routes
from otp_app.components.forms import (
    Handler,
    Prop,
    Text,
    choose,
    error_summary,
    field,
    submit,
)
from otp_app.components.layout import (
    PLAIN_FORMS,
    Countdown,
    Go,
    Watch,
    heading,
    page,
    status,
    titled,
)
from otp_app.components.words import count, for_script, say, sentence
from otp_app.i18n.en import OTHER_CHANNELS, RESEND_TOO_SOON
from otp_app.i18n.marks import plural
from otp_app.state.verify import (
    CODE_ID,
    PHONE_ID,
    PROBLEM_ID,
    RESEND_ID,
    Step,
    VerifyState,
)
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADING = say("Check your phone")
EXPIRED = say("That code has expired")
FINISHING = say("Your code is right")
LOCKED = say("You cannot enter a code until {time}", time=VerifyState.expires)
_SHOWN = choose(VerifyState.error_on == PHONE_ID, "", VerifyState.error)
TITLE = cast(
    "rx.Var[str]",
    rx.match(
        VerifyState.step,
        (Step.LOCKED.value, LOCKED),
        (Step.EXPIRED.value, titled(EXPIRED, _SHOWN)),
        (Step.VERIFIED.value, FINISHING),
        titled(HEADING, _SHOWN),
    ),
)
HINT = plural(
    "{length} number. Spaces do not matter.",
    "{length} numbers. Spaces do not matter.",
)
_SEND_BY: dict[Channel, Handler] = {
    Channel.SMS: VerifyState.text_me,
    Channel.VOICE: VerifyState.call_me,
    Channel.WHATSAPP: VerifyState.whatsapp_me,
}
WATCH_EVERY = 3000  # ms; an event each, of the ten a second that a socket may send


def code_page(brand: str, channels: Sequence[Channel]) -> rx.Component:
    """What there is to do about the code, by where the verification stands.

    Of *channels*, those that reach the number can be chosen.
    """
    return page(
        rx.fragment(
            rx.match(
                VerifyState.step,
                (Step.LOCKED.value, _locked()),
                (Step.EXPIRED.value, _expired(channels)),
                (Step.VERIFIED.value, _finishing()),
                _waiting(channels),
            )
        ),
        brand=brand,
        path=routes.CODE,
        no_script=PLAIN_FORMS,
    )


def _waiting(channels: Sequence[Channel]) -> rx.Component:
    error = choose(VerifyState.error_on == CODE_ID, VerifyState.error)
    return rx.fragment(
        error_summary(PROBLEM_ID, _SHOWN, VerifyState.error_on),
        heading(HEADING),
        rx.cond(VerifyState.ending, _what_was_sent()),
        rx.el.form(
            field(
                CODE_ID,
                say("Security code"),
                hint=count(HINT, length=VerifyState.code_length),
                error=error,
                type="text",
                input_mode="numeric",
                auto_complete="one-time-code",
                spell_check=False,
                dir="ltr",
                class_name="code",
            ),
            submit(say("Continue")),
            method="post",
            action=routes.VERIFY_OTP,
            on_submit=VerifyState.check_code,
            no_validate=True,
            custom_attrs={"data-live": rx.State.is_hydrated},
        ),
        rx.el.h2(say("I did not get a code")),
        _other_ways(channels),
    )


def _what_was_sent() -> rx.Component:
    ending, time = rx.el.bdi(VerifyState.ending), rx.el.strong(VerifyState.expires)
    return rx.el.p(
        rx.match(
            VerifyState.channel,
            (
                Channel.VOICE.value,
                sentence(
                    "We are calling the number ending {ending}. The code works until {time}.",
                    ending=ending,
                    time=time,
                ),
            ),
            (
                Channel.WHATSAPP.value,
                sentence(
                    "We sent a code by WhatsApp to the number ending {ending}. "
                    "It works until {time}.",
                    ending=ending,
                    time=time,
                ),
            ),
            sentence(
                "We sent a code by text message to the number ending {ending}. "
                "It works until {time}.",
                ending=ending,
                time=time,
            ),
        )
    )


def _other_ways(channels: Sequence[Channel]) -> rx.Component:
    return rx.el.div(
        rx.el.div(
            *map(_by, channels),
            id=RESEND_ID,
            tab_index=-1,
            class_name="actions",
        ),
        status(VerifyState.busy, VerifyState.notice),
        _what_became_of_it(),
        Countdown.create(
            until=VerifyState.resend_at,
            clock=VerifyState.clock,
            words=for_script(RESEND_TOO_SOON),
        ),
        rx.el.p(
            rx.el.a(
                say("Change the number"),
                href=routes.PHONE,
                on_click=VerifyState.change_number.prevent_default,
            ),
        ),
    )


def _what_became_of_it() -> rx.Component:
    """What the provider reports of the message, as it comes in; below what it must not move."""
    ask = rx.el.button(hidden=True, type="button", on_click=VerifyState.show_delivery)
    return rx.fragment(
        status(VerifyState.delivery),
        rx.cond(VerifyState.awaits_delivery, Watch.create(ask, every=WATCH_EVERY)),
    )


def _expired(channels: Sequence[Channel]) -> rx.Component:
    return rx.fragment(
        heading(EXPIRED),
        error_summary(PROBLEM_ID, VerifyState.error, RESEND_ID),
        rx.el.p(
            sentence(
                "The number ending {ending} can get a new one.",
                ending=rx.el.bdi(VerifyState.ending),
            )
        ),
        rx.el.div(
            _action(say("Get a new code"), VerifyState.send_again, class_name="primary"),
            *(rx.cond(VerifyState.channel != one.value, _by(one)) for one in channels),
            _start_again(say("Start again")),
            class_name="actions",
        ),
        status(VerifyState.busy),
    )


def _finishing() -> rx.Component:
    """Goes for the session, which only a post can bring: a socket sets no cookies."""
    return rx.fragment(
        heading(FINISHING),
        rx.el.form(
            Go.create(),
            submit(say("Continue")),
            method="post",
            action=routes.FINISH,
            on_submit=None,
            custom_attrs={"data-forget": ""},
        ),
    )


def _locked() -> rx.Component:
    return rx.fragment(
        heading(LOCKED),
        rx.el.p(say("A wrong code was entered too many times. After that, get a new code.")),
        rx.el.div(
            _action(say("Get a new code"), VerifyState.send_again),
            _start_again(say("Use a different number")),
            class_name="actions",
        ),
    )


def _by(channel: Channel) -> rx.Component:
    """The button of *channel*, if that reaches the number."""
    channels: Prop = VerifyState.channels
    button = _action(say(OTHER_CHANNELS[channel]), _SEND_BY[channel])
    return rx.cond(channels.contains(channel.value), button)


def _start_again(text: Text) -> rx.Component:
    return _action(text, VerifyState.start_again, custom_attrs={"data-forget": ""})


def _action(text: Text, handler: Handler, **props: Prop) -> rx.Component:
    return rx.el.button(text, type="button", on_click=handler, **props)
