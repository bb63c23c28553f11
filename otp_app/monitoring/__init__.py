"""Logs, metrics, traces and the probes of operators."""
