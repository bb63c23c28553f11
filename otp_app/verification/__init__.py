"""The domain: what a verification is and what may happen to it. No framework, no vendor, no SQL."""
