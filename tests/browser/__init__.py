"""A real browser, the real app, emulated services: what a person meets."""
