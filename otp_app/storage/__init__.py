"""Ways out: where verifications are kept."""
