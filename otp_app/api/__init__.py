"""The JSON API: the routes of the two providers' guides, and verifications as resources."""
