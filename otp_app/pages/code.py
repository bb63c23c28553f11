"""The code page: the code, or another way to get one."""

from __future__ import annotations

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
    Countdown,
    Go,
    Watch,
    WholeCode,
    heading,
    page,
    pending,
    status,
)
from otp_app.components.words import count, for_script, say, sentence
from otp_app.i18n.en import MINUTES_LEFT, RESEND_NOW, RESEND_TOO_SOON
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

TITLE = say("Check your phone")
HINT = plural(
    "{length} number. We check the code as soon as you enter the last number.",
    "{length} numbers. We check the code as soon as you enter the last number.",
)
WATCH_EVERY = 3000  # ms; an event each, of the ten a second that a socket may send
SECOND, MINUTE = 1000, 60_000  # ms


def code_page(brand: str, help_url: str = "") -> rx.Component:
    """What there is to do about the code, by where the verification stands.

    Whoever is stuck is led to *help_url*.
    """
    return page(
        rx.fragment(
            rx.match(
                VerifyState.step,
                (Step.LOCKED.value, _locked(help_url)),
                (Step.EXPIRED.value, _expired()),
                (Step.VERIFIED.value, _finishing()),
                _waiting(help_url),
            )
        ),
        brand=brand,
        path=routes.CODE,
    )


def _waiting(help_url: str) -> rx.Component:
    shown = choose(VerifyState.error_on == PHONE_ID, "", VerifyState.error)
    return rx.fragment(
        error_summary(PROBLEM_ID, shown, VerifyState.error_on),
        heading(TITLE, at_load=True),
        rx.cond(VerifyState.ending, _what_was_sent()),
        _code_form(),
        _again(),
        _other_ways(help_url),
        rx.el.p(
            rx.el.a(
                say("Change the number"),
                href=routes.PHONE,
                on_click=VerifyState.change_number.prevent_default,
            ),
        ),
    )


def _code_form() -> rx.Component:
    return _form(
        field(
            CODE_ID,
            say("Security code"),
            hint=count(HINT, length=VerifyState.code_length),
            error=choose(VerifyState.error_on == CODE_ID, VerifyState.error),
            type="text",
            input_mode="numeric",
            auto_complete="one-time-code",
            spell_check=False,
            dir="ltr",
            class_name="code",
        ),
        WholeCode.create(length=VerifyState.code_length, answered=VerifyState.answered),
        submit(say("Continue")),
        pending(VerifyState.answered),
        action=routes.VERIFY_OTP,
        handler=VerifyState.check_code,
        saying=say("Checking your code"),
    )


def _what_was_sent() -> rx.Component:
    ending, time = rx.el.bdi(VerifyState.ending), rx.el.strong(VerifyState.expires)
    return rx.el.p(
        rx.cond(
            VerifyState.by_call,
            sentence(
                "We are calling the number ending {ending}. The code works until {time}.",
                ending=ending,
                time=time,
            ),
            sentence(
                "We sent a code by text message to the number ending {ending}. "
                "It works until {time}.",
                ending=ending,
                time=time,
            ),
        ),
        " ",
        _minutes_left(),
    )


def _again() -> rx.Component:
    """The same way once more: there from the start, and saying when where it has to wait."""
    return rx.fragment(
        rx.el.div(_send_again(), id=RESEND_ID, tab_index=-1, class_name="actions"),
        status(VerifyState.notice),
        _countdown(
            until=VerifyState.resend_at,
            unit=SECOND,
            words=for_script(RESEND_TOO_SOON),
            ready=say(RESEND_NOW),
        ),
        _what_became_of_it(),
    )


def _other_ways(help_url: str) -> rx.Component:
    """Open once it is known that the message did not come: nothing above them moves then."""
    return rx.el.details(
        rx.el.summary(say("I did not get a code")),
        rx.el.div(_call_me(class_name=choose(VerifyState.failed, "primary")), class_name="actions"),
        rx.el.ul(
            rx.cond(VerifyState.ending, rx.el.li(_is_it_yours())),
            rx.el.li(say("Wait a minute or two: messages can be slow")),
            rx.el.li(say("Check that your phone has a signal")),
            rx.el.li(say("Look among spam and blocked messages")),
        ),
        *_help(help_url),
        open=VerifyState.failed,
    )


def _is_it_yours() -> rx.Component:
    return sentence(
        "Check that {ending} is how your number ends", ending=rx.el.bdi(VerifyState.ending)
    )


def _what_became_of_it() -> rx.Component:
    """What the provider reports of the message, as it comes in; below what it must not move."""
    ask = rx.el.button(hidden=True, type="button", on_click=VerifyState.show_delivery)
    return rx.fragment(
        rx.el.div(status(VerifyState.delivery), class_name="delivery"),
        rx.cond(VerifyState.awaits_delivery, Watch.create(ask, every=WATCH_EVERY)),
    )


def _expired() -> rx.Component:
    return rx.fragment(
        heading(say("That code has expired")),
        error_summary(PROBLEM_ID, VerifyState.error, RESEND_ID),
        rx.el.p(
            sentence(
                "The number ending {ending} can get a new one.",
                ending=rx.el.bdi(VerifyState.ending),
            )
        ),
        rx.el.div(
            _get_new_code(class_name="primary"),
            _call_me(),
            _start_again(say("Start again")),
            id=RESEND_ID,
            tab_index=-1,
            class_name="actions",
        ),
        pending(VerifyState.answered),
    )


def _finishing() -> rx.Component:
    """Goes for the session, which only a post can bring: a socket sets no cookies."""
    return rx.fragment(
        heading(say("Your code is right")),
        rx.el.form(
            Go.create(),
            submit(say("Continue")),
            method="post",
            action=routes.FINISH,
            on_submit=None,
            custom_attrs={"data-forget": ""},
        ),
    )


def _locked(help_url: str) -> rx.Component:
    return rx.fragment(
        heading(say("You cannot enter a code until {time}", time=VerifyState.expires)),
        rx.el.p(say("A wrong code was entered too many times. After that, get a new code.")),
        rx.el.p(say("Time zone: {zone}.", zone=VerifyState.zone), " ", _minutes_left()),
        rx.el.div(
            _get_new_code(),
            _start_again(say("Use a different number")),
            class_name="actions",
        ),
        status(VerifyState.notice),
        pending(VerifyState.answered),
        *_help(help_url),
    )


def _send_again() -> rx.Component:
    return _send(
        Channel.SMS,
        say("Send a new text message"),
        VerifyState.send_again,
        say("Sending a new code"),
        custom_attrs={"data-waits": ""},
    )


def _call_me(**props: Prop) -> rx.Component:
    return _send(
        Channel.VOICE,
        say("Call me instead"),
        VerifyState.call_me,
        say("Calling your phone"),
        custom_attrs={"data-waits": ""},
        **props,
    )


def _get_new_code(**props: Prop) -> rx.Component:
    return _send(
        Channel.SMS,
        say("Get a new code"),
        VerifyState.send_again,
        say("Sending a new code"),
        **props,
    )


def _send(
    channel: Channel, text: Text, handler: Handler, saying: Text, **props: Prop
) -> rx.Component:
    """A button that sends a message, also where the page is not live."""
    return _form(
        rx.el.input(type="hidden", name="channel", value=channel.value),
        rx.el.button(text, type="submit", **props),
        action=routes.RESEND_OTP,
        handler=handler,
        saying=saying,
    )


def _form(*content: rx.Component, action: str, handler: Handler, saying: Text) -> rx.Component:
    """What *handler* does, by a plain post to *action* where the page is not live."""
    return rx.el.form(
        *content,
        method="post",
        action=action,
        on_submit=handler,
        no_validate=True,
        custom_attrs={"data-live": rx.State.is_hydrated, "data-pending": saying},
    )


def _minutes_left() -> rx.Component:
    return _countdown(
        until=VerifyState.expires_at,
        unit=MINUTE,
        words=for_script(MINUTES_LEFT),
        class_name="inline",
    )


def _countdown(**props: Prop) -> rx.Component:
    ask = rx.el.button(hidden=True, type="button", on_click=VerifyState.tell_time)
    return Countdown.create(ask, clock=VerifyState.clock, **props)


def _help(url: str) -> list[rx.Component]:
    return [rx.el.p(rx.el.a(say("Get help"), href=url))] if url else []


def _start_again(text: Text) -> rx.Component:
    return rx.el.button(
        text, type="button", on_click=VerifyState.start_again, custom_attrs={"data-forget": ""}
    )
