"""Attacks on the production build, from outside. `docs/threats.md` lists them.

What counts as sent or guessed is what the emulated provider saw, through the real SDK and under the
limits of production. After every test the leak sweep finds nothing in what the server said or
logged.
"""
