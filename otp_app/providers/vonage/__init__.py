"""Vonage: Verify v2, Identity Insights and signed webhooks."""
