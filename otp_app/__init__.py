"""Prove that a person holds a phone number, in Python from end to end."""
