"""The identity of a caller: cookies, tokens, API keys, client addresses and request forgery."""
