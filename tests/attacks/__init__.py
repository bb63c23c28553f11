"""Attacks on the production build, from outside. `docs/threats.md` lists them.

Messages and guesses are counted at the emulated provider, behind the real SDK and the limits of
production. After every test, a sweep checks all responses and logs of the server for leaks.
"""
