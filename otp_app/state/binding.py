"""Binds the state of a tab to the browser's flow cookie.

Reflex finds a state by a token that the client chooses and that outlives its tab. A client that
sends the token with another flow cookie gets an empty state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflex.middleware.middleware import Middleware

from otp_app.state.verify import VerifyState

if TYPE_CHECKING:
    from reflex.app import App
    from reflex.event import Event
    from reflex.state import BaseState


class BoundToFlow(Middleware):
    """Resets a state before it handles an event of another flow. Runs inside the state's lock."""

    async def preprocess(self, app: App, state: BaseState, event: Event) -> None:
        """Bind *state* to the flow. The result None lets Reflex handle *event*."""
        del app, event
        (await state.get_state(VerifyState))._bind()  # noqa: SLF001 - without _, browsers could call it
