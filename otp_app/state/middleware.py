"""Middleware of Reflex events: drops oversized ones, and binds each state to its browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from otp_app.monitoring.logging import bind_log_context, session_context
from otp_app.reflex_compat import BaseState, Middleware, StateUpdate
from otp_app.state.verify import VerifyState
from otp_app.verification.client import client_keys
from otp_app.web.bounds import ONE_PER_MINUTE, Buckets, ClientBuckets, Rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otp_app.reflex_compat import App, Event

MAX_PAYLOAD = 4 * 1024  # characters; the phone form has under 200
BROWSER_ERRORS = Rate(20 / 60, burst=20)  # for each address; every report is a line in our log
_BROWSER_ERROR = "handle_frontend_exception"

log = structlog.get_logger(__name__)


class EventFilter(Middleware):
    """Drops events with a payload that is too long, and error reports above the rate."""

    def __init__(self) -> None:
        self._errors = ClientBuckets(BROWSER_ERRORS)
        self._lines = Buckets(ONE_PER_MINUTE)

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:
        """Return None to let *event* pass, or an empty update, by which Reflex drops it."""
        del app
        bind_log_context(
            handler=event.name.rpartition(".")[2], **session_context(state.router.headers.cookie)
        )
        keys = client_keys(state.router.session.client_ip)
        if len(repr(event.payload)) <= MAX_PAYLOAD and self._is_in_time(event, keys):
            return None
        if self._lines.take(state.router.session.session_id):
            log.warning("ui_event.dropped", address=keys[0])
        return StateUpdate()

    def _is_in_time(self, event: Event, keys: Sequence[str]) -> bool:
        return not event.name.endswith(_BROWSER_ERROR) or self._errors.take(keys)


class FlowBinding(Middleware):
    """Resets a state before it handles an event of another flow. Runs inside the state's lock."""

    async def preprocess(self, app: App, state: BaseState, event: Event) -> None:
        """Bind *state* to the flow. The result None lets Reflex handle *event*."""
        del app, event
        (await state.get_state(VerifyState))._bind()  # noqa: SLF001 - without _, browsers could call it
