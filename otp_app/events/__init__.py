"""Our own events on their way out, as signed webhooks."""
