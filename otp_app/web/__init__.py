"""ASGI around Reflex: the flow cookie, the plain form posts, and what guards it all."""
