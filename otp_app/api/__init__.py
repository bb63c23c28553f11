"""The JSON API: both guides' routes, and verifications as resources."""
