"""The page of the simulated phone.

Imported only where there is a simulated phone: in development, and with the console provider. The
texts are for developers and in English, like those in the terminal.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import reflex as rx

from otp_app import routes
from otp_app.components import text_if
from otp_app.components.elements import Poll
from otp_app.errors import CodeMismatch, OtpError, ProviderRejected, Refusal, VerificationExpired
from otp_app.pages import heading, page
from otp_app.presentation import message
from otp_app.providers.simulated_phone import DELAYS, Trouble, failure_of
from otp_app.state.simulated_phone import SimulatedPhoneState
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from otp_app.components import Handler, Prop

POLL_EVERY = 1000  # ms


TITLE = rx.vars.LiteralStringVar.create("Simulated phone")

# The style is inline, because files in `assets/` are part of every build.
_STYLE = Path(__file__).with_suffix(".css")
_DELAY_ID = "delay"
_GO_WRONG: Handler = SimulatedPhoneState.choose_trouble
_SWITCHES = {
    Trouble.NONE: "Nothing",
    Trouble.LATE: "Late",
    Trouble.LOST: "Lost",
    Trouble.LANDLINE: "Landline",
    Trouble.WRONG_CODE: "Wrong code",
    Trouble.EXPIRED: "Code expired",
    Trouble.DOWN: "Provider down",
    Trouble.THROTTLED: "Too many requests",
    Trouble.TIMED_OUT: "No answer",
}
_ON_THE_PHONE = {
    Trouble.NONE: "What is sent arrives at once",
    Trouble.LATE: "What is sent arrives later",
    Trouble.LOST: "What is sent never arrives",
}
_ON_THE_PAGES = {
    Trouble.LANDLINE: ProviderRejected(Refusal.LANDLINE, channels=(Channel.VOICE,)),
    Trouble.WRONG_CODE: CodeMismatch(),
    Trouble.EXPIRED: VerificationExpired(),
}


def simulated_phone_page(brand: str) -> rx.Component:
    """Return the page with the phone, and with switches for things that can go wrong."""
    return page(
        rx.el.style(_STYLE.read_text()),
        Poll.create(every=POLL_EVERY, on_tick=SimulatedPhoneState.refresh),
        rx.el.div(
            heading(TITLE),
            rx.el.p("What the app sends to any number arrives here."),
            rx.el.div(_handset(brand), _switches(), class_name="bench"),
            lang="en",
            dir="ltr",
        ),
        brand=brand,
        path=routes.SIMULATED_PHONE,
    )


def _handset(brand: str) -> rx.Component:
    messages = rx.foreach(SimulatedPhoneState.messages, lambda one: _message(one, brand))
    return rx.el.div(
        rx.el.div(
            rx.cond(SimulatedPhoneState.messages, rx.el.ol(messages), _nothing_yet()),
            role="log",
            aria_label="Messages and calls",
            tab_index=0,  # it scrolls
            class_name="screen",
        ),
        class_name="handset",
    )


def _nothing_yet() -> rx.Component:
    link = rx.el.a("Ask for a code", href=routes.PHONE, target="_blank")
    return rx.el.p("No messages yet. ", link, ".", class_name="hint")


def _message(one: Prop, brand: str) -> rx.Component:
    is_call = one.channel == Channel.VOICE.value
    return rx.el.li(rx.cond(is_call, _call(one, brand), _text(one, brand)), key=one.number)


def _text(one: Prop, brand: str) -> rx.Component:
    by_whatsapp = one.channel == Channel.WHATSAPP.value
    return rx.el.div(
        _from(one, text_if(by_whatsapp, f"{brand} by WhatsApp", brand)),
        rx.el.p(rx.el.b(one.code), one.rest, lang=one.language, dir="auto", class_name="words"),
        class_name="text",
    )


def _call(one: Prop, brand: str) -> rx.Component:
    """A call, which rings until a person opens it."""
    return rx.el.details(
        rx.el.summary(_from(one, f"{brand} is calling"), rx.el.span("Answer", class_name="answer")),
        rx.el.p(f"The voice says: “Your {brand} code is: ", rx.el.b(one.spoken), "”"),
        class_name="call",
    )


def _from(one: Prop, who: Prop) -> rx.Component:
    return rx.el.p(
        rx.el.strong(who),
        rx.el.span("to •••", one.ending, ", ", one.at),
        class_name="from",
    )


def _switches() -> rx.Component:
    return rx.el.fieldset(
        rx.el.legend("What goes wrong"),
        *(_switch(trouble, label) for trouble, label in _SWITCHES.items()),
        class_name="choices",
    )


def _switch(trouble: Trouble, label: str) -> rx.Component:
    return rx.el.div(
        rx.el.input(
            type="radio",
            id=trouble.value,
            name="trouble",
            checked=SimulatedPhoneState.trouble == trouble.value,
            on_change=_GO_WRONG(trouble.value),
            aria_describedby=f"{trouble}-hint",
        ),
        rx.el.div(
            rx.el.label(label, html_for=trouble.value),
            rx.el.p(_what_happens(trouble), id=f"{trouble}-hint", class_name="hint"),
            *([_delay()] if trouble is Trouble.LATE else []),
        ),
        class_name="choice",
    )


def _what_happens(trouble: Trouble) -> str:
    """Return the message that a person gets for *trouble*, or its effect on the phone."""
    error: OtpError | None = _ON_THE_PAGES.get(trouble) or failure_of(trouble)
    return message(error) if error else _ON_THE_PHONE[trouble]


def _delay() -> rx.Component:
    select = rx.el.select(
        *(rx.el.option(f"{seconds} seconds", value=str(seconds)) for seconds in DELAYS),
        id=_DELAY_ID,
        value=SimulatedPhoneState.delay,
        on_change=SimulatedPhoneState.choose_delay,
    )
    label = rx.el.label("Late by", html_for=_DELAY_ID, class_name="unseen")
    return rx.cond(SimulatedPhoneState.trouble == Trouble.LATE.value, rx.fragment(label, select))
