"""Tests of the contract between the app and the providers that send its codes."""
