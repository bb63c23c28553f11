"""ASGI around Reflex: the flow cookie and the plain form posts."""
