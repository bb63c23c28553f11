"""Adapters for the services that send codes, one each. No vendor type or text leaves them."""
