"""Who is calling: cookies, tokens, API keys, client addresses and request forgery."""
