"""Drift: what answers look like today against what they looked like when the adapters were written."""
