"""Incoming webhooks: delivery reports that providers post, signed, at least once, in any order."""
