"""Lighthouse's scores of the pages, as a telephone on a slow line has them: `make lighthouse`."""
