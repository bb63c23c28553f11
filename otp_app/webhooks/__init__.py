"""Delivery reports, as the providers post them: signed, at least once, in any order."""
