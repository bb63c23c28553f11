"""Adapters for the services that send codes, one each. Vendor types and texts stay inside."""
