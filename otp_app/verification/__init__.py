"""The domain: verifications and their rules, without a framework, a vendor's SDK or SQL."""
