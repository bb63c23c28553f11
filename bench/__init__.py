"""Measurements of speed, memory and the odds of attacks. Tests do not run them."""
