"""Asks the server again and again, for as long as its page is open."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_base.event import no_args_event_spec
from reflex_base.utils.imports import ImportVar
from reflex_components_core.base.fragment import Fragment

EVERY = 1000  # ms


class Ticker(Fragment):
    """Shows nothing, and calls `on_tick`. As Reflex's own `WindowEventListener` is made."""

    @classmethod
    def get_event_triggers(cls) -> dict[str, Any]:
        """Reflex's: what it takes besides what every component takes."""
        return {**super().get_event_triggers(), "on_tick": no_args_event_spec}

    def add_imports(self) -> Any:  # noqa: ANN401 - Reflex's own type is a page long
        """Reflex's: what the hook needs."""
        return {"react": ImportVar(tag="useEffect")}

    def add_hooks(self) -> list[str | rx.Var[object]]:
        """Reflex's: a timer that lives as long as the page does."""
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
