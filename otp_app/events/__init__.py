"""Outgoing webhooks: the app's own events as signed requests to the team's backend."""
