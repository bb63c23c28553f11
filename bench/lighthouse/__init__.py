"""Lighthouse scores of the pages for a phone with a slow connection: `make lighthouse`."""
