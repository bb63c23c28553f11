"""ASGI middleware around Reflex: the flow cookie, the plain form posts, security and limits."""
