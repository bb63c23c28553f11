"""The code page: the form for the code, and other channels to get a code."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import reflex as rx

from otp_app import routes
from otp_app.components import (
    Prop,
    Text,
    error_summary,
    field,
    live_form,
    submit,
    t,
    text_if,
)
from otp_app.components.elements import AutoSubmit, CodeAutoSubmit, Countdown, Poll
from otp_app.i18n.en import CHANNEL_TEXTS, MINUTES_LEFT, RESEND_NOW, RESEND_TOO_SOON, _
from otp_app.pages import PLAIN_FORMS, heading, help_link, page, pending, status, titled
from otp_app.presentation.code_page import Step
from otp_app.state import CODE_ID, PHONE_ID, PROBLEM_ID, RESEND_ID
from otp_app.state.verify import VerifyState
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADING = t("Check your phone")
EXPIRED = t("That code has expired")
FINISHING = t("Your code is right")
LOCKED = t("You cannot enter a code until {time}", time=VerifyState.expires)
_SHOWN = text_if(VerifyState.error_on == PHONE_ID, "", VerifyState.error)
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
HINT = _(
    "{length} number. We check the code as soon as you enter the last number.",
    "{length} numbers. We check the code as soon as you enter the last number.",
)
_CHANNELS: Prop = VerifyState.channels
_FIRST: Prop = _CHANNELS[0]
POLL_EVERY = 3000  # ms between polls; each is one of the ten events a second of a socket
SECOND, MINUTE = 1000, 60_000  # ms


def code_page(brand: str, channels: Sequence[Channel]) -> rx.Component:
    """Return the code page, with content by the step of the verification.

    The page offers those of *channels* that reach the number.
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
    return rx.fragment(
        error_summary(PROBLEM_ID, _SHOWN, VerifyState.error_on),
        heading(HEADING, at_load=True),
        rx.el.div(rx.cond(VerifyState.ending, _what_was_sent()), class_name="sent"),
        _code_form(),
        _again(channels),
        _other_ways(channels),
        rx.el.p(
            rx.el.a(
                t("Change the number"),
                href=routes.PHONE,
                on_click=VerifyState.change_number.prevent_default,
            ),
        ),
    )


def _code_form() -> rx.Component:
    return live_form(
        field(
            CODE_ID,
            t("Security code"),
            hint=t(HINT, length=VerifyState.code_length),
            error=text_if(VerifyState.error_on == CODE_ID, VerifyState.error),
            type="text",
            input_mode="numeric",
            auto_complete="one-time-code",
            spell_check=False,
            dir="ltr",
            class_name="code",
        ),
        CodeAutoSubmit.create(length=VerifyState.code_length, answered=VerifyState.answered),
        submit(t("Continue")),
        pending(VerifyState.answered),
        action=routes.VERIFY_OTP,
        handler=VerifyState.check_code,
        saying=t("Checking your code"),
    )


def _what_was_sent() -> rx.Component:
    ending, time = rx.el.bdi(VerifyState.ending), rx.el.strong(VerifyState.expires)
    return rx.el.p(
        rx.match(
            VerifyState.channel,
            *(
                (by.value, t.rich(CHANNEL_TEXTS[by].sent, ending=ending, time=time))
                for by in Channel
            ),
            rx.fragment(),
        ),
        " ",
        _minutes_left(),
    )


def _again(channels: Sequence[Channel]) -> rx.Component:
    """The button for the first channel, visible from the start, with a countdown if it waits."""
    first = (rx.cond(one.value == _FIRST, _by(one)) for one in channels)
    return rx.fragment(
        rx.el.div(*first, id=RESEND_ID, tab_index=-1, class_name="actions"),
        # After a resend that is too early, screen readers get the notice once. The countdown shows
        # the same, but changes every second.
        status(
            VerifyState.notice, class_name=text_if(VerifyState.early, "status unseen", "status")
        ),
        _countdown(
            class_name=text_if(VerifyState.early, "early"),
            until=VerifyState.resend_at,
            unit=SECOND,
            words=t.key(RESEND_TOO_SOON),
            ready=t(RESEND_NOW),
        ),
        _what_became_of_it(),
    )


def _other_ways(channels: Sequence[Channel]) -> rx.Component:
    """The other channels, below everything else, so that nothing moves when they open.

    They open by themselves when the message is known not to have arrived.
    """
    emphasis = text_if(VerifyState.failed, "primary")
    others = (rx.cond(one.value != _FIRST, _by(one, class_name=emphasis)) for one in channels)
    return rx.el.details(
        rx.el.summary(t("I did not get a code")),
        rx.el.div(*others, class_name="actions"),
        rx.el.ul(
            rx.cond(VerifyState.ending, rx.el.li(_is_it_yours())),
            rx.el.li(t("Wait a minute or two: messages can be slow")),
            rx.el.li(t("Check that your phone has a signal")),
            rx.el.li(t("Look among spam and blocked messages")),
        ),
        help_link(),
        open=VerifyState.failed,
    )


def _is_it_yours() -> rx.Component:
    return t.rich(
        "Check that {ending} is how your number ends", ending=rx.el.bdi(VerifyState.ending)
    )


def _what_became_of_it() -> rx.Component:
    """The delivery report, polled. The text is below the buttons, which must not move."""
    awaited = VerifyState.awaits_delivery
    return rx.fragment(
        rx.el.div(
            status(VerifyState.delivery),
            class_name="delivery",
            custom_attrs={"data-awaited": awaited},
        ),
        rx.cond(awaited, Poll.create(every=POLL_EVERY, on_tick=VerifyState.show_delivery)),
    )


def _expired(channels: Sequence[Channel]) -> rx.Component:
    return rx.fragment(
        heading(EXPIRED),
        error_summary(PROBLEM_ID, VerifyState.error, RESEND_ID),
        rx.el.p(
            t.rich(
                "The number ending {ending} can get a new one.",
                ending=rx.el.bdi(VerifyState.ending),
            )
        ),
        rx.el.div(
            _get_new_code(class_name="primary"),
            *(rx.cond(VerifyState.channel != one.value, _by(one)) for one in channels),
            _start_again(t("Start again")),
            id=RESEND_ID,
            tab_index=-1,
            class_name="actions",
        ),
        status(text_if(VerifyState.error_on == RESEND_ID, VerifyState.notice)),
        pending(VerifyState.answered),
    )


def _finishing() -> rx.Component:
    """The form that gets the session by a post, because a socket cannot set cookies.

    A tab that did not check the code has no proof but posts the form too. If another tab has made
    the exchange, the browser has the session and goes to the success page. Otherwise it gets 409.
    """
    return rx.fragment(
        heading(FINISHING),
        rx.el.form(
            rx.el.input(type="hidden", name="proof", value=VerifyState.proof),
            AutoSubmit.create(),
            submit(t("Continue")),
            method="post",
            action=routes.FINISH,
            on_submit=None,
            custom_attrs={"data-forget": ""},
        ),
    )


def _locked() -> rx.Component:
    return rx.fragment(
        heading(LOCKED),
        rx.el.p(t("A wrong code was entered too many times. After that, get a new code.")),
        rx.el.p(t("Time zone: {zone}.", zone=VerifyState.zone), " ", _minutes_left()),
        rx.el.div(
            _get_new_code(),
            _start_again(t("Use a different number")),
            class_name="actions",
        ),
        status(VerifyState.notice),
        pending(VerifyState.answered),
        help_link(),
    )


def _by(channel: Channel, **props: Prop) -> rx.Component:
    """The button that sends another code by *channel*, if *channel* reaches the number."""
    text = CHANNEL_TEXTS[channel]
    form = live_form(
        rx.el.input(type="hidden", name="channel", value=channel.value),
        rx.el.button(t(text.resend), type="submit", custom_attrs={"data-waits": ""}, **props),
        action=routes.RESEND_OTP,
        handler=VerifyState.resend,
        saying=t(text.sending),
    )
    return rx.cond(_CHANNELS.contains(channel.value), form)


def _get_new_code(**props: Prop) -> rx.Component:
    return live_form(
        rx.el.button(t("Get a new code"), type="submit", **props),
        action=routes.RESEND_OTP,
        handler=VerifyState.resend,
        saying=t("Sending a new code"),
    )


def _minutes_left() -> rx.Component:
    return _countdown(
        until=VerifyState.expires_at,
        unit=MINUTE,
        words=t.key(MINUTES_LEFT),
        class_name="inline",
    )


def _countdown(**props: Prop) -> rx.Component:
    return Countdown.create(clock=VerifyState.clock, on_request=VerifyState.sync_clock, **props)


def _start_again(text: Text) -> rx.Component:
    return rx.el.button(
        text, type="button", on_click=VerifyState.start_again, custom_attrs={"data-forget": ""}
    )
