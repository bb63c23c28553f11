"""The event handlers that browsers may call: Reflex states of the pages."""
