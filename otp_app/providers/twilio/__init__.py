"""Twilio: Verify v2, Lookup v2 and Event Streams."""
