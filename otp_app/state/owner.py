"""Whose a tab's state is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflex.middleware.middleware import Middleware

from otp_app.state.verify import VerifyState

if TYPE_CHECKING:
    from reflex.app import App
    from reflex.event import Event
    from reflex.state import BaseState


class Owner(Middleware):
    """Empties a state before another browser sees it.

    Reflex gives the state of a tab to whoever names its token, also for minutes after the tab is
    gone. The token is in addresses and in the tab's storage; the flow cookie is in neither.
    """

    async def preprocess(self, app: App, state: BaseState, event: Event) -> None:
        """Reflex's: before every event, the one that shows the state included."""
        del app, event
        shown = await state.get_state(VerifyState)
        shown._keep_for_owner()  # noqa: SLF001 - without the _ it could be called from outside
