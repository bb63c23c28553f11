"""Speed, memory and odds, measured. Never a test."""
