"""A component that polls the server while its page is open."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.event import no_args_event_spec
from reflex_base.utils.imports import ImportVar
from reflex_components_core.base.fragment import Fragment

EVERY = 1000  # ms


class Ticker(Fragment):
    """Renders nothing, and calls `on_tick` every `EVERY` ms.

    The implementation follows Reflex's own `WindowEventListener`.
    """

    @classmethod
    def get_event_triggers(cls) -> dict[str, Any]:
        """Return the events of every component and `on_tick`. Reflex calls this method."""
        return {**super().get_event_triggers(), "on_tick": no_args_event_spec}

    def add_imports(self) -> Any:  # noqa: ANN401 - Reflex's own type is a page long
        """Import `useEffect` for the hook. Reflex calls this method."""
        return {"react": ImportVar(tag="useEffect")}

    def add_hooks(self) -> list[str | rx.Var[object]]:
        """Return a hook with a timer that runs while the page is open. Reflex calls this method."""
        on_tick = rx.Var.create(self.event_triggers["on_tick"])
        return [
            rx.Var(
                f"""useEffect(() => {{
  const timer = setInterval({on_tick}, {EVERY});
  return () => clearInterval(timer);
}}, []);"""
            )
        ]

    def _exclude_props(self) -> list[str]:
        return [*super()._exclude_props(), "on_tick"]
