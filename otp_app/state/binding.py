"""Ties what a tab's state holds to the browser's flow cookie.

Reflex names a state by a token that the client chooses and that outlives its tab. Whoever brings
another cookie with it finds the state empty.
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
    """Empties a state before somebody else's event sees it. Runs inside the state's lock."""

    async def preprocess(self, app: App, state: BaseState, event: Event) -> None:
        """Reflex's: None lets the event go on."""
        del app, event
        (await state.get_state(VerifyState))._bind()  # noqa: SLF001 - without _ anybody calls it
